"""What every driver can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import PlanSample, Trajectory


@dataclass(frozen=True, eq=False)
class Proposal:
    """What a driver wants to do from t0 on: sampled trajectories in the ego frame at t0, and which one it drives.

    instead: what is driven where the chosen one may not be.
    """

    samples: tuple[PlanSample, ...]
    selected: int = 0
    instead: Trajectory | None = None

    @classmethod
    def of(cls, trajectory: Trajectory) -> Proposal:
        """The one plan of a driver that neither samples nor explains."""
        return cls((PlanSample(trajectory, "", complete=True),))

    @property
    def chosen(self) -> PlanSample:
        return self.samples[self.selected]

    @property
    def driven(self) -> Trajectory:
        return self.chosen.trajectory if self.instead is None else self.instead


class Driver(Protocol):
    """Drives in closed loop, and answers what it would do in open loop.

    name, revision: together they stand for the behaviour; a driver with another behaviour has another revision.
    explains: whether its samples hold a Chain of Causation.
    ticks_per_plan: how many tenths of a second of a plan are driven before the next one is asked for.
    """

    name: str
    revision: str
    explains: bool
    ticks_per_plan: int

    def take_over(self, mind: Expert) -> None:
        """Begin after the expert, whose memory is `mind`. Nothing is remembered from drives before."""

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        """The plan at the last of the states driven so far, 0.1 s apart, at least 16.

        steps: waypoints that are needed; a driver may give more.
        """
