import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.simulation.path import Path, join, shift, smooth_step, trace


@given(
    curvature=st.floats(-0.02, 0.02),
    s=st.floats(0.0, 150.0),
    d=st.floats(-8.0, 8.0),
)
def test_projecting_a_place_on_the_path_gives_the_place_back(curvature: float, s: float, d: float) -> None:
    path = trace([(40.0, 0.0), (70.0, curvature), (40.0, 0.0)])
    x, y, _ = path.pose(s, d)
    found_s, found_d = path.project(x, y)
    assert abs(found_s - s) < 0.1
    assert abs(found_d - d) < 0.05


@given(before=st.floats(15.0, 80.0), length=st.floats(5.0, 40.0), curvature=st.floats(-0.12, 0.12))
def test_a_traced_arc_turns_by_its_length_times_its_curvature(before: float, length: float, curvature: float) -> None:
    path = trace([(before, 0.0), (length, curvature), (120.0, 0.0)], ease=10.0)
    assert path.yaw[-1] == pytest.approx(length * curvature, abs=1e-6), "to where pieces end, not to the nearest point"
    assert np.abs(np.diff(path.curvature)).max() < 0.013, "curvature rises gradually"


def test_beyond_its_ends_a_path_goes_straight_on() -> None:
    path = Path(np.array([[0.0, 0.0], [10.0, 0.0]]))
    assert path.pose(15.0, 2.0) == pytest.approx((15.0, 2.0, 0.0))
    assert path.pose(-5.0) == pytest.approx((-5.0, 0.0, 0.0))
    assert path.project(-5.0, 1.0) == pytest.approx((-5.0, 1.0))


@given(
    curvature=st.floats(-0.1, 0.1), places=st.lists(st.floats(-20.0, 90.0), min_size=1, max_size=5), d=st.floats(-4, 4)
)
def test_many_poses_are_those_of_each_place(curvature: float, places: list[float], d: float) -> None:
    path = trace([(70.0, curvature)])
    s = np.array(places)
    np.testing.assert_allclose(path.poses(s, d), [path.pose(place, d) for place in places], atol=1e-12)
    np.testing.assert_allclose(path.yaw_at(s), [path.pose(place)[2] for place in places], atol=1e-12)


def test_offset_and_join() -> None:
    path = Path(np.array([[0.0, 0.0], [50.0, 0.0]]))
    shifted = path.offset(shift(10.0, 40.0, 0.0, 3.5))
    assert shifted.pose(0.0)[1] == pytest.approx(0.0)
    assert shifted.points[-1, 1] == pytest.approx(3.5)
    longer = join(path, Path(np.array([[50.0, 0.0], [60.0, 0.0]])))
    assert longer.length == pytest.approx(60.0)


def test_a_path_needs_two_points() -> None:
    with pytest.raises(ValueError, match="two distinct points"):
        Path(np.array([[1.0, 1.0], [1.0, 1.0]]))


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_smooth_step_rises(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assert smooth_step(low) <= smooth_step(high) + 1e-12
    assert smooth_step(0.0) == 0.0
    assert math.isclose(smooth_step(1.0), 1.0)
