"""Jumps of time and of the ego pose: what is lost with them, and that the rest heals."""

from __future__ import annotations

import numpy as np
import pytest
from drive_messages import FRONT, MS, ROLES, T0, add_pose, fill, refused, timeline

from alpamayo_ros.timeline import Refusal, RefusalReason

SECOND = 1_000_000_000


@pytest.mark.parametrize("back_s", [1.1, 60.0])
@pytest.mark.parametrize("by_camera", [True, False])
def test_time_that_goes_back_twice_in_a_row_clears_all_and_starts_again(back_s, by_camera):
    line = timeline()
    fill(line)
    again = T0 - round(back_s * SECOND)
    add = (lambda stamp: line.add_frame(FRONT, stamp, 0)) if by_camera else (lambda stamp: add_pose(line, stamp))
    assert refused(add, again) is RefusalReason.TIME_BEHIND
    assert line.newest_t0_ns == T0
    with pytest.raises(Refusal, match=rf"time went back by {back_s:.1f} s, from {T0} to {again + MS} ns") as refusal:
        add(again + MS)
    assert refusal.value.reason is RefusalReason.TIME_JUMP
    assert refusal.value.source == ("camera front_wide_120" if by_camera else "ego")
    assert line.newest_t0_ns is None
    assert line.lagging().source == ("camera front_tele_30" if by_camera else "camera front_wide_120")
    fill(line, 20, 1620, base=again)
    assert line.newest_t0_ns == (again + 1620 * MS) // (100 * MS) * 100 * MS


@pytest.mark.parametrize("by_camera", [True, False])
def test_stale_messages_that_nothing_follows_harm_nothing(by_camera):
    """One that comes 2 s late, also where it is sent twice, and another after a sound one."""
    line = timeline()
    fill(line)
    add = (lambda stamp: line.add_frame(FRONT, stamp, 0)) if by_camera else (lambda stamp: add_pose(line, stamp))
    for stale in (0, 0, 100):
        if stale:
            fill(line, 20, 100)
        assert refused(add, T0 + stale * MS - 2 * SECOND) is RefusalReason.TIME_BEHIND
    assert line.newest_t0_ns == T0 + 100 * MS
    assert line.moment(T0 + 100 * MS).observe().t0_ns == T0 + 100 * MS


def test_poses_in_another_frame_start_the_history_anew():
    line = timeline()
    fill(line)
    assert line.moment(T0).frame == "odom"
    with pytest.raises(Refusal, match="is in frame 'map', those before in 'odom'; poses before it") as refusal:
        add_pose(line, T0 + 20 * MS, frame="map")
    assert refusal.value.reason is RefusalReason.EGO_JUMP
    assert refused(lambda: add_pose(line, T0 + 10 * MS)) is RefusalReason.EGO_JUMP  # late, and of the frame before
    for ms in range(40, 1701, 20):
        add_pose(line, T0 + ms * MS, frame="map")
        for role in ROLES if ms % 100 == 0 else ():
            line.add_frame(role, T0 + ms * MS, ms)
    assert line.moment(T0 + 1700 * MS).frame == "map"


def test_a_message_a_little_behind_is_only_out_of_order():
    line = timeline()
    fill(line)
    line.add_frame(FRONT, T0 - 999 * MS, 0)
    add_pose(line, T0 - 999 * MS)
    assert line.newest_t0_ns == T0


def test_one_stamp_far_ahead_is_ignored_and_harms_nothing():
    line = timeline()
    fill(line)
    assert refused(line.add_frame, FRONT, T0 + 3600 * SECOND, 0) is RefusalReason.TIME_AHEAD
    assert refused(add_pose, line, T0 + 3600 * SECOND) is RefusalReason.TIME_AHEAD
    fill(line, 20, 200)
    assert line.newest_t0_ns == T0 + 200 * MS
    assert line.moment(T0 + 200 * MS).observe().t0_ns == T0 + 200 * MS


@pytest.mark.parametrize("ahead_s", [3600, 7200])
def test_wrong_stamps_that_do_not_follow_each_other_stay_ignored(ahead_s):
    """Two that differ, or the same again after a sound one, do not agree."""
    line = timeline()
    fill(line)
    assert refused(line.add_frame, FRONT, T0 + 3600 * SECOND, 0) is RefusalReason.TIME_AHEAD
    if ahead_s == 3600:
        line.add_frame(FRONT, T0 + 100 * MS, 0)
    assert refused(line.add_frame, FRONT, T0 + ahead_s * SECOND + 1, 0) is RefusalReason.TIME_AHEAD
    assert line.newest_t0_ns == T0


def test_a_first_stamp_far_ahead_heals_by_the_next():
    line = timeline()
    line.add_frame(FRONT, T0 + 3600 * SECOND, 0)
    add_pose(line, T0 - 1620 * MS)
    assert refused(line.add_frame, FRONT, T0 - 1640 * MS, 0) is RefusalReason.TIME_BEHIND
    assert refused(line.add_frame, FRONT, T0 - 1620 * MS, 0) is RefusalReason.TIME_JUMP
    fill(line)
    assert line.moment(T0).observe().t0_ns == T0


def test_time_goes_on_after_a_pause_once_two_messages_agree():
    line = timeline()
    fill(line)
    later = T0 + 60 * SECOND
    assert refused(add_pose, line, later - 1640 * MS) is RefusalReason.TIME_AHEAD
    fill(line, base=later)
    assert line.moment(later).observe().t0_ns == later


@pytest.mark.parametrize("shift", [1.5, -40.0, 1e6])
def test_a_teleport_forgets_the_poses_before_it(shift):
    line = timeline()
    fill(line)
    with pytest.raises(Refusal, match=r"ego: the pose of stamp .* m from where those beside it lead to") as refusal:
        add_pose(line, T0 + 20 * MS, shift=shift)
    assert refusal.value.reason is RefusalReason.EGO_JUMP
    assert refused(add_pose, line, T0 + 10 * MS) is RefusalReason.EGO_JUMP  # late, and of the frame before
    add_pose(line, T0 + 40 * MS, shift=shift)
    assert refused(line.moment, T0) is RefusalReason.EGO_SHORT
    for ms in range(60, 1721, 20):
        add_pose(line, T0 + ms * MS, shift=shift)
    for ms in range(1400, 1701, 100):
        for role in ROLES:
            line.add_frame(role, T0 + ms * MS, ms)
    np.testing.assert_allclose(line.moment(T0 + 1700 * MS).position, [17 + shift, 0, 0], atol=1e-4)


def test_a_turn_on_the_spot_is_a_jump():
    line = timeline()
    fill(line)
    about = np.array([0, 0, 1.0, 0])
    assert refused(line.add_pose, T0 + 20 * MS, np.array([0.2, 0, 0]), about, "odom") is RefusalReason.EGO_JUMP


def test_a_late_pose_that_does_not_fit_is_left_out():
    line = timeline()
    fill(line)
    assert refused(lambda: add_pose(line, T0 - 110 * MS, shift=3.0)) is RefusalReason.EGO_JUMP
    np.testing.assert_allclose(line.moment(T0).ego_history.positions[:, 0], np.linspace(-15, 0, 16), atol=1e-5)


@pytest.mark.parametrize(("start", "acceleration"), [(20.0, -9.8), (0.0, 9.8), (60.0, 0.0)])
@pytest.mark.parametrize("period_ms", [5, 100, 200])
def test_no_car_is_fast_enough_to_jump(start, acceleration, period_ms):
    """Full braking begins and ends at once; at 200 ms every other message of 10 Hz odometry is lost."""
    line = timeline()
    for ms in range(0, 4001, period_ms):
        t = min(ms / 1000, start / -acceleration) if acceleration < 0 else ms / 1000
        x = start * t + acceleration * t * t / 2
        line.add_pose(T0 + ms * MS, np.array([x, 0, 0]), np.array([0, 0, 0, 1.0]), "odom")


def test_noise_of_a_standing_odometry_is_no_jump():
    line, random = timeline(), np.random.default_rng(0)
    for ms in range(0, 2000, 5):
        line.add_pose(T0 + ms * MS, random.normal(0, 0.03, 3), np.array([0, 0, 0, 1.0]), "odom")


def test_two_poses_close_in_time_say_nothing_about_velocity():
    """3 cm of noise within 1 ms are no 30 m/s."""
    line = timeline()
    for ms, x in ((0, 0.0), (1, 0.03), (200, 0.0)):
        line.add_pose(T0 + ms * MS, np.array([x, 0, 0]), np.array([0, 0, 0, 1.0]), "odom")
