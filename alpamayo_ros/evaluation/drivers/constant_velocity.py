"""The least of all drivers: speed and heading stay what they are."""

from __future__ import annotations

from collections.abc import Sequence

from alpamayo_ros.evaluation.drivers.driver import Proposal
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.motion import trajectory_of
from alpamayo_ros.simulation.world import World, drive


class ConstantVelocity:
    """Neither accelerates nor steers."""

    name = "constant-velocity"
    revision = ""
    explains = False
    ticks_per_plan = 1

    def take_over(self, mind: Expert) -> None:
        pass

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        egos = [driven[-1].ego]
        for _ in range(steps):
            egos.append(drive(egos[-1], 0.0, 0.0))
        return Proposal.of(trajectory_of(egos[0], egos[1:]))
