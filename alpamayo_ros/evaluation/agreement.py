"""Whether a plan does what its words say, with the simulator's lanes as witness."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.evaluation.motion import in_map
from alpamayo_ros.reasoning.consistency import check_consistency
from alpamayo_ros.reasoning.meta_actions import LaneTrack, meta_actions
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import PlanSample, Trajectory


def is_consistent(world: World, sample: PlanSample) -> bool:
    """Whether words and motion agree on both axes; never for words that cannot be read."""
    actions = meta_actions(sample.trajectory, lane_track(world, sample.trajectory))
    return check_consistency(parse(sample.reasoning), actions).consistent


def lane_track(world: World, trajectory: Trajectory) -> LaneTrack:
    """Where a trajectory that is planned in `world` runs with respect to the lane it starts in."""
    route, ego = world.scenario.route, world.ego
    places = np.concatenate([[(ego.x, ego.y)], in_map(ego, trajectory.positions)])
    along, across = route.path.project_many(places)
    home = home_lane(world)
    ids = np.round((across - home) / route.lane_width).astype(int)
    # The lane through a junction, a ramp or a roundabout is another one than that which leads there.
    for number, manoeuvre in enumerate(route.manoeuvres, start=1):
        ids[(along > manoeuvre.start) & (along < manoeuvre.stop)] += 1000 * number
    return LaneTrack(across - home, ids)


def home_lane(world: World) -> float:
    """Offset on the route, in metres, of the centre of the lane that the ego vehicle is in."""
    route = world.scenario.route
    across = route.path.project(world.ego.x, world.ego.y)[1]
    return min([0.0, *(lane.offset for lane in route.neighbours)], key=lambda lane: abs(lane - across))
