"""Where a trajectory runs with respect to the lanes of the world it is planned in."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.reasoning.meta_actions import LaneTrack
from alpamayo_ros.simulation.motion import in_map
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import Trajectory


def lane_track(world: World, trajectory: Trajectory) -> LaneTrack:
    """Offsets and lane numbers of a trajectory that is planned in `world`, from the lane it starts in."""
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
    """Offset on the route, in metres, of the centre of the nearest lane of the ego vehicle's direction.

    Who is on the side of oncoming traffic is not in a lane there, but out of its own.
    """
    route = world.scenario.route
    across = route.path.project(world.ego.x, world.ego.y)[1]
    lanes = [0.0, *(lane.offset for lane in route.neighbours if lane.same_direction)]
    return min(lanes, key=lambda lane: abs(lane - across))
