"""Whether a plan does what its words say, with the simulator's lanes as witness."""

from __future__ import annotations

from alpamayo_ros.reasoning.consistency import check_consistency
from alpamayo_ros.reasoning.meta_actions import meta_actions
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.simulation.lane_track import lane_track
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import PlanSample


def is_consistent(world: World, sample: PlanSample) -> bool:
    """Whether words and motion agree on both axes; never for words that cannot be read."""
    actions = meta_actions(sample.trajectory, lane_track(world, sample.trajectory))
    return check_consistency(parse(sample.reasoning), actions).consistent
