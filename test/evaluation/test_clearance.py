import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.evaluation.clearance import closest_distance, distance
from alpamayo_ros.evaluation.closed_loop import drive_policy
from alpamayo_ros.evaluation.drivers import make_driver
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.simulation.box import corners
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.world import Variant

PLACE = st.floats(-20.0, 20.0)
BOX = st.builds(corners, PLACE, PLACE, st.floats(-math.pi, math.pi), st.floats(0.5, 12.0), st.floats(0.5, 3.0))


def outline(box: np.ndarray) -> np.ndarray:
    """Points along the sides, 200 on each."""
    share = np.linspace(0.0, 1.0, 200)[:, None]
    return np.concatenate([a + share * (b - a) for a, b in zip(box, np.roll(box, -1, axis=0), strict=True)])


@given(BOX, BOX)
def test_the_distance_is_that_of_the_nearest_points(a: np.ndarray, b: np.ndarray) -> None:
    found = distance(a, b)
    assert found == pytest.approx(distance(b, a))
    if found > 0.0:
        between = np.linalg.norm(outline(a)[:, None] - outline(b), axis=-1).min()
        assert found == pytest.approx(between, abs=0.1)
        assert found <= between + 1e-9


def test_who_collides_has_been_at_no_distance() -> None:
    reference = drive_expert(Scene("jaywalker", 0, Variant.NOMINAL).build())
    driven, _ = drive_policy(reference, make_driver("idm-blind", num_samples=1))
    assert closest_distance(driven) == 0.0
    nearest = closest_distance(reference.worlds)
    assert nearest is not None
    assert nearest > 0.0


def test_alone_nobody_is_near() -> None:
    world = Scene("open_road", 0, Variant.NOMINAL).build().begin()
    world.actors.clear()
    assert closest_distance([world]) is None
