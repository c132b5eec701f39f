import math
from dataclasses import replace

import pytest

from alpamayo_ros.simulation.lane_track import home_lane
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import World


def beside(kind: str, aside: float) -> World:
    """A scenario's first moment, with the ego vehicle so many metres to the left of its route."""
    world = build(kind, 3).begin()
    ego = world.ego
    x, y = ego.x - aside * math.sin(ego.yaw), ego.y + aside * math.cos(ego.yaw)
    return replace(world, ego=replace(ego, x=x, y=y))


@pytest.mark.parametrize("aside", [-1.5, 0.0, 1.5, 3.4])
def test_the_side_of_oncoming_traffic_is_nobodys_lane(aside: float) -> None:
    assert [lane.same_direction for lane in build("double_parked", 3).route.neighbours] == [False]
    assert home_lane(beside("double_parked", aside)) == 0.0


def test_a_lane_of_the_same_direction_is_ones_own_once_its_line_is_crossed() -> None:
    left = build("overtake", 3).route.neighbour(+1, 50.0, 0.0)
    assert left is not None
    assert home_lane(beside("overtake", 0.4 * left.offset)) == 0.0
    assert home_lane(beside("overtake", 0.6 * left.offset)) == left.offset
