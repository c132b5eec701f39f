"""The expert of the simulator: sees everything. What it does not manage, the scenario does not allow."""

from __future__ import annotations

from collections.abc import Sequence

from alpamayo_ros.evaluation.drivers.driver import Proposal
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.motion import trajectory_of
from alpamayo_ros.simulation.world import World


class ExpertDriver:
    """Drives as `drive_expert` does. It has to be asked at every tick, as its memory grows with each."""

    name = "expert"
    revision = ""
    explains = False
    ticks_per_plan = 1

    def __init__(self) -> None:
        self._mind = Expert()

    def take_over(self, mind: Expert) -> None:
        self._mind = mind.copy()

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        now = driven[-1]
        future = drive_expert(now, self._mind, ticks=steps)
        self._mind.act(now)
        return Proposal.of(trajectory_of(now.ego, [world.ego for world in future.worlds[1:]]))
