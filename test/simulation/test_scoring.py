import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.reasoning.comfort import comfort
from alpamayo_ros.simulation.actor import Actor, ActorKind
from alpamayo_ros.simulation.box import corners, meet
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Lane, RoadMap
from alpamayo_ros.simulation.route import Route
from alpamayo_ros.simulation.scoring import find_collision, find_encounter, is_off_road, is_wrong_lane, score_drive
from alpamayo_ros.simulation.world import CENTRE_AHEAD, EGO_LENGTH, Ego, Scenario, Variant, World, drive

ROAD = Path(np.array([[-50.0, 0.0], [300.0, 0.0]]))


def world(ego: Ego, *actors: Actor) -> World:
    roads = RoadMap(lanes=[Lane("a", ROAD, 3.5), Lane("b", Path(ROAD.offset(3.5).points[::-1]), 3.5)])
    scenario = Scenario("test", 0, Variant.NOMINAL, roads, Route(ROAD, 10.0), ego, actors)
    return scenario.begin()


def car(x: float, y: float, speed: float = 0.0, facing: float = 0.0) -> Actor:
    return Actor("car-0", ActorKind.CAR, ROAD, x + 50.0, y, speed, speed, facing=facing)


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(-3, 3), st.floats(-3, 3))
def test_boxes_meet_the_same_both_ways(x: float, y: float, yaw: float, other: float) -> None:
    a, b = corners(0.0, 0.0, other, 4.0, 2.0), corners(x, y, yaw, 4.0, 2.0)
    assert meet(a, b) == meet(b, a)
    if math.hypot(x, y) < 1.9:
        assert meet(a, b)
    if math.hypot(x, y) > 4.5:
        assert not meet(a, b)


FRONT = CENTRE_AHEAD + EGO_LENGTH / 2


@pytest.mark.parametrize(
    ("x", "y", "side"),
    [
        (FRONT + 2.1, 0.0, "front"),
        (-1.0 - 2.1, 0.0, "rear"),
        (CENTRE_AHEAD, 1.7, "lateral"),
        (FRONT + 2.4, 0.0, None),
        (CENTRE_AHEAD, 1.86, None),
    ],
)
def test_the_side_of_a_collision(x: float, y: float, side: str | None) -> None:
    found = find_collision(world(Ego(0.0, 0.0, 0.0, 5.0), car(x, y)))
    assert (found[0] if found else None) == side


def test_boxes_are_shrunk_by_two_percent() -> None:
    touching = world(Ego(0.0, 0.0, 0.0, 5.0), car(CENTRE_AHEAD, 1.85 * 0.985))
    assert find_collision(touching) is None


def test_off_road_and_wrong_lane() -> None:
    roads = world(Ego(0.0, 0.0, 0.0, 5.0)).scenario.roads
    assert not is_off_road(Ego(0.0, 0.0, 0.0, 5.0), roads)
    assert not is_off_road(Ego(0.0, 1.75, 0.0, 5.0), roads), "straddling two lanes is in their union"
    assert is_off_road(Ego(0.0, -0.95, 0.0, 5.0), roads)
    assert is_wrong_lane(Ego(0.0, 3.5, 0.0, 5.0), roads)
    assert not is_wrong_lane(Ego(0.0, 3.5, math.pi, 5.0), roads)


def test_a_close_encounter_is_a_collision_less_than_a_second_away() -> None:
    assert find_encounter(world(Ego(0.0, 0.0, 0.0, 10.0), car(FRONT + 2.25 + 8.0, 0.0))) == "car-0"
    assert find_encounter(world(Ego(0.0, 0.0, 0.0, 10.0), car(FRONT + 2.25 + 11.0, 0.0))) is None
    assert find_encounter(world(Ego(0.0, 0.0, 0.0, 10.0), car(FRONT + 2.25 + 8.0, 0.0, 8.0))) is None
    assert find_encounter(world(Ego(0.0, 0.0, 0.0, 10.0), car(-10.0, 0.0, 25.0))) is None, "from behind"


def test_a_drive_ends_at_its_first_collision() -> None:
    state = world(Ego(0.0, 0.0, 0.0, 10.0), car(30.0, 0.0))
    states = [state]
    for _ in range(60):
        state = replace(state, ego=drive(state.ego, 0.0, 0.0), tick=state.tick + 1)
        states.append(state)
    score = score_drive(states, reference=60.0)
    assert score.collision == "front"
    assert score.at_fault
    assert score.scene_score == 0.0
    assert score.ended == pytest.approx(2.5, abs=0.2)
    assert score.distance == pytest.approx(10.0 * score.ended, abs=0.1)
    assert score.close_encounter


@given(st.floats(-9.8, 9.8), st.floats(-0.2, 0.2), st.floats(0.0, 30.0))
def test_the_car_never_rolls_backwards(acceleration: float, curvature: float, speed: float) -> None:
    after = drive(Ego(0.0, 0.0, 0.0, speed), acceleration, curvature)
    assert after.speed >= 0.0
    assert math.hypot(after.x, after.y) <= (speed + after.speed) / 2 * 0.1 + 1e-9


def test_constant_motion_is_comfortable_and_a_jolt_is_not() -> None:
    x = np.arange(64) * 1.0
    places, yaws = np.stack([x, np.zeros(64)], axis=1), np.zeros(64)
    assert all(value == 1.0 for value in comfort(places, yaws).values())
    places[30:, 0] += 0.3
    assert comfort(places, yaws)["jerk"] == 0.0
