"""The history at t0 depends on the drive alone: not on the odometry's rate, its frame, or the size of its stamps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from alpamayo_ros.timeline import EgoTrack, Refusal

T0 = 1_700_000_000_000_000_000
STEPS = 16
AGES_S = 0.1 * np.arange(STEPS - 1, -1, -1)
SPEEDS = st.floats(-5, 40)
YAW_RATES = st.floats(-0.6, 0.6)


def arc(seconds: np.ndarray, speed: float, yaw_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and quaternions, exact, of a drive through the origin at 0 s."""
    yaw = yaw_rate * seconds
    # sin(u)/u and (1 - cos(u))/u, also where the yaw rate is 0.
    forward = np.sinc(yaw / np.pi)
    left = np.sin(yaw / 2) * np.sinc(yaw / 2 / np.pi)
    positions = (speed * seconds)[:, None] * np.stack([forward, left, np.zeros_like(yaw)], axis=-1)
    return positions, Rotation.from_rotvec(yaw[:, None] * [0, 0, 1]).as_quat()


def track(stamps_ns: np.ndarray, speed: float, yaw_rate: float) -> EgoTrack:
    return EgoTrack(stamps_ns, *arc((stamps_ns - T0) / 1e9, speed, yaw_rate))


def straight(stamps_ns: np.ndarray) -> EgoTrack:
    return track(stamps_ns, 10.0, 0.0)


def every(period_ms: int, start_ms: int = -1600, end_ms: int = 200) -> np.ndarray:
    return T0 + 1_000_000 * np.arange(start_ms, end_ms, period_ms, dtype=np.int64)


@given(rate=st.floats(10, 200), phase=st.floats(0, 1), speed=SPEEDS, yaw_rate=YAW_RATES)
@settings(deadline=None)
def test_any_odometry_rate_gives_the_same_history(rate, phase, speed, yaw_rate):
    """A chord is off its arc by at most speed · yaw rate · period² / 8, at a pose and again at t0."""
    count = int(2 * rate) + 2
    stamps = ((np.arange(count) - phase) / rate * 1e9 - 1.6e9).astype(np.int64) + T0
    history = track(stamps, speed, yaw_rate).history_at(T0, STEPS)
    positions, quaternions = arc(-AGES_S, speed, yaw_rate)
    sagitta = abs(speed * yaw_rate) / rate**2 / 8
    assert np.abs(history.positions - positions).max() <= 2 * sagitta + 1e-6
    # Slerp is exact at constant yaw rate.
    assert np.abs(history.rotations - Rotation.from_quat(quaternions).as_matrix()).max() < 1e-6


@given(
    speed=SPEEDS,
    yaw_rate=YAW_RATES,
    turn=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    shift=st.lists(st.floats(-1e5, 1e5), min_size=3, max_size=3),
)
@settings(deadline=None)
def test_the_fixed_frame_does_not_matter(speed, yaw_rate, turn, shift):
    stamps = every(20)
    positions, quaternions = arc((stamps - T0) / 1e9, speed, yaw_rate)
    world = Rotation.from_rotvec(turn)
    here = EgoTrack(stamps, positions, quaternions).history_at(T0, STEPS)
    there = EgoTrack(
        stamps, world.apply(positions) + shift, (world * Rotation.from_quat(quaternions)).as_quat()
    ).history_at(T0, STEPS)
    np.testing.assert_allclose(there.positions, here.positions, atol=1e-8)
    np.testing.assert_allclose(there.rotations, here.rotations, atol=1e-9)


@given(speed=SPEEDS, yaw_rate=YAW_RATES, late_ms=st.integers(0, 100))
@settings(deadline=None)
def test_the_last_pose_is_the_origin(speed, yaw_rate, late_ms):
    history = track(every(17), speed, yaw_rate).history_at(T0 + late_ms * 1_000_000, STEPS)
    np.testing.assert_array_equal(history.positions[-1], 0)
    np.testing.assert_allclose(history.rotations[-1], np.eye(3), atol=1e-12)


@given(speed=SPEEDS, yaw_rate=YAW_RATES, nanoseconds=st.integers(0, 100_000_000))
@settings(deadline=None)
def test_stamps_of_today_lose_nothing(speed, yaw_rate, nanoseconds):
    """Not a bit differs from the same drive near stamp 0, where a float64 holds every nanosecond."""
    stamps = every(7) + 1
    poses = arc((stamps - T0) / 1e9, speed, yaw_rate)
    today = EgoTrack(stamps, *poses).history_at(T0 + nanoseconds, STEPS)
    at_zero = EgoTrack(stamps - T0, *poses).history_at(nanoseconds, STEPS)
    np.testing.assert_array_equal(today.positions, at_zero.positions)
    np.testing.assert_array_equal(today.rotations, at_zero.rotations)


@pytest.mark.parametrize("t0", [T0 + 200_000_000, T0 - 200_000_000, 0], ids=["after", "too little before", "epoch"])
def test_a_t0_outside_the_poses_is_refused_with_what_they_cover(t0):
    stamps = every(10)
    with pytest.raises(Refusal, match=rf"cover {stamps[0]} … {stamps[-1]} ns, but t0 = {t0} ns .*1.5 s of driving"):
        straight(stamps).history_at(t0, STEPS)


def test_the_first_and_the_last_pose_still_count():
    stamps = every(100, -1500, 1)
    np.testing.assert_allclose(straight(stamps).history_at(T0, STEPS).positions[:, 0], -10 * AGES_S, atol=1e-6)


def test_one_lost_message_at_10_hz_is_bridged_and_two_are_refused():
    stamps = every(100, -1650)
    one_lost = np.delete(stamps, 5)
    history = straight(one_lost).history_at(T0, STEPS)
    np.testing.assert_allclose(history.positions[:, 0], -10 * AGES_S, atol=1e-6)
    with pytest.raises(Refusal, match="gap of 300 ms within the history .*at most 250 ms are bridged"):
        straight(np.delete(stamps, [5, 6])).history_at(T0, STEPS)


def test_a_gap_outside_the_history_does_not_matter():
    stamps = every(10, -4000)
    history = straight(stamps[(stamps < T0 - 3_000_000_000) | (stamps >= T0 - 1_500_000_000)]).history_at(T0, STEPS)
    np.testing.assert_allclose(history.positions[:, 0], -10 * AGES_S, atol=1e-6)


def poses(count: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return every(10)[:count], np.zeros((count, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (count, 1))


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pose_that_is_not_finite_is_refused_by_index_and_stamp(part, value):
    arrays = poses()
    arrays[part][2, 1] = value
    with pytest.raises(Refusal, match=rf"pose 2 \(stamp {arrays[0][2]} ns\) is not finite; drop it"):
        EgoTrack(*arrays)


@pytest.mark.parametrize("quaternion", [[0, 0, 0, 0], [0, 0, 0, 1.02], [1, 1, 1, 1]])
def test_a_quaternion_without_length_1_is_refused(quaternion):
    arrays = poses()
    arrays[2][3] = quaternion
    with pytest.raises(Refusal, match=r"pose 3 .*quaternion has not length 1; normalise it"):
        EgoTrack(*arrays)


@pytest.mark.parametrize("step", [0, -5])
def test_stamps_that_repeat_or_go_back_are_refused(step):
    stamps, positions, quaternions = poses()
    stamps[3] = stamps[2] + step
    with pytest.raises(Refusal, match=rf"go back or repeat at pose 3 \(stamp {stamps[3]} ns\); sort them"):
        EgoTrack(stamps, positions, quaternions)


def test_floating_stamps_are_refused():
    stamps, positions, quaternions = poses()
    with pytest.raises(ValueError, match="ego stamps are float64; give int64 nanoseconds"):
        EgoTrack(stamps.astype(np.float64), positions, quaternions)


def test_a_single_pose_and_uneven_counts_are_refused():
    with pytest.raises(Refusal, match="ego: 1 poses; at least two are needed"):
        EgoTrack(*poses(1))
    with pytest.raises(ValueError, match="5 stamps, 4 positions, 5 quaternions: not one each"):
        EgoTrack(poses()[0], poses(4)[1], poses()[2])
