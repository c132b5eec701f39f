"""Every source that is missing, late, out of step or senseless is refused for its own reason; the rest heals."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
from drive_messages import FRONT, MS, ROLES, T0, TELE, add_pose, arc, fill, noise, refused, timeline

from alpamayo_ros.timeline import PictureError, Refusal, RefusalReason, TimeContract
from alpamayo_ros.types import CameraRole

SECOND = 1_000_000_000


def test_a_moment_is_what_belongs_to_t0():
    line = timeline()
    fill(line, -2000, 140)
    assert line.newest_t0_ns == T0 + 100 * MS
    assert line.lagging() is None
    moment = line.moment(T0)
    assert list(moment.frames) == [FRONT, TELE]
    assert (moment.stamps_ns[TELE] - T0).tolist() == [-300 * MS, -200 * MS, -100 * MS, 0]
    assert moment.skews_ns[TELE].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(moment.position, [0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(moment.quaternion, [0, 0, 0, 1], atol=1e-9)
    assert moment.ego_history.positions.dtype == moment.ego_history.rotations.dtype == np.float32
    seen = moment.observe("Go on")
    assert (seen.t0_ns, seen.roles, seen.navigation) == (T0, (FRONT, TELE), "Go on")
    np.testing.assert_allclose(seen.ego_history.positions[:, 0], np.linspace(-15, 0, 16), atol=1e-5)
    np.testing.assert_array_equal(seen.cameras[1].images[0], noise(int(TELE) * 10**15 - 300))


def test_pictures_are_decoded_by_the_same_threads_every_time():
    """OpenCV never gives back what it keeps for a thread, so a new one for every plan would be a leak."""
    threads = set()

    def decode(number):
        threads.add(threading.current_thread())
        return noise(number)

    line = timeline(decode)
    fill(line, -2500)
    for ms in range(-500, 1, 100):
        line.moment(T0 + ms * MS).observe()
    assert 1 <= len(threads) <= len(ROLES)


def test_skew_is_stamp_minus_wanted_time():
    line = timeline()
    fill(line)
    for ms in (-290, -215, -105):
        line.add_frame(FRONT, T0 + ms * MS + 1, ms)
    moment = line.moment(T0 - 5 * MS)
    assert moment.skews_ns[FRONT].tolist() == [5 * MS, 5 * MS, 1, 5 * MS]
    assert moment.skews_ns[TELE].tolist() == [5 * MS] * 4


def test_the_pose_at_t0_is_in_its_fixed_frame():
    line = timeline()
    for ms in range(-1600, 1, 20):
        add_pose(line, T0 + ms * MS, 8.0, 0.3, shift=100.0)
        for role in ROLES if ms % 100 == 0 else ():
            line.add_frame(role, T0 + ms * MS, ms)
    positions, quaternions = arc(np.array([-0.1]), 8.0, 0.3)
    moment = line.moment(T0 - 100 * MS)
    np.testing.assert_allclose(moment.position, positions[0] + [100, 0, 0], atol=1e-9)
    np.testing.assert_allclose(moment.quaternion, quaternions[0], atol=1e-9)


def test_a_picture_is_decoded_once_and_only_when_chosen():
    decoded = []

    def decode(picture):
        decoded.append(picture)
        return noise(picture)

    line = timeline(decode)
    fill(line, -2000, 0)
    assert not decoded
    first = line.moment(T0 - 100 * MS).observe()
    assert len(decoded) == len(set(decoded)) == 8
    second = line.moment(T0).observe()
    assert len(decoded) == len(set(decoded)) == 10
    np.testing.assert_array_equal(first.cameras[0].images[1:], second.cameras[0].images[:-1])


def test_receiving_goes_on_while_pictures_are_decoded():
    decoding, proceed = threading.Event(), threading.Event()

    def slow(picture):
        decoding.set()
        assert proceed.wait(10)
        return noise(picture)

    line = timeline(slow)
    fill(line)
    planner = threading.Thread(target=lambda: line.moment(T0).observe())
    planner.start()
    assert decoding.wait(10)
    line.add_frame(FRONT, T0 + 100 * MS, 0)
    add_pose(line, T0 + 20 * MS)
    assert line.newest_t0_ns == T0
    proceed.set()
    planner.join(10)
    assert not planner.is_alive()


def test_a_moment_does_not_change_with_later_messages():
    line = timeline()
    fill(line)
    moment = line.moment(T0)
    line.add_frame(FRONT, T0 - MS, 5)
    line.clear()
    assert line.newest_t0_ns is None
    np.testing.assert_array_equal(moment.observe().cameras[0].images[-1], noise(int(FRONT) * 10**15))


def test_without_any_message_the_first_camera_is_missing():
    line = timeline()
    assert line.newest_t0_ns is None
    assert (line.lagging().reason, line.lagging().source) == (RefusalReason.CAMERA_MISSING, "camera front_wide_120")
    assert refused(line.moment, T0) is RefusalReason.EGO_MISSING
    for role in ROLES:
        line.add_frame(role, T0, 0)
    assert (
        str(line.lagging())
        == "ego: no poses that can be used; check that it publishes, its topic, and what was refused of it"
    )


def test_a_camera_without_frames_holds_t0_back():
    line = timeline()
    for ms in range(-1600, 1, 20):
        add_pose(line, T0 + ms * MS)
        line.add_frame(FRONT, T0 + ms * MS, ms)
    assert line.newest_t0_ns is None
    assert (line.lagging().reason, line.lagging().source) == (RefusalReason.CAMERA_MISSING, "camera front_tele_30")
    with pytest.raises(Refusal, match="camera front_tele_30: no frames at all") as refusal:
        line.moment(T0)
    assert refusal.value.reason is RefusalReason.CAMERA_MISSING


def test_a_source_that_stops_lags_once_it_is_a_period_further_behind_than_allowed():
    line = timeline()
    fill(line)
    for ms in range(20, 251, 10):
        add_pose(line, T0 + ms * MS)
        line.add_frame(TELE, T0 + ms * MS, ms)
    assert line.lagging() is None
    line.add_frame(TELE, T0 + 251 * MS, 0)
    assert line.lagging().reason is RefusalReason.CAMERA_LATE
    assert str(line.lagging()) == (
        f"camera front_wide_120: its newest stamp {T0} ns came 0 ms late, and is 251 ms behind that of camera "
        "front_tele_30; allowed are 150 ms. Is it still publishing, and stamped by the same clock?"
    )
    assert line.newest_t0_ns == T0


@pytest.mark.parametrize(("lag", "allowed"), [(140, True), (160, False)])
def test_a_source_that_comes_late_is_late_whenever_one_asks(lag, allowed):
    line = timeline()
    fill(line)
    asked = []
    for ms in range(100, 1001, 20):
        add_pose(line, T0 + ms * MS)
        for role in ROLES:
            delayed = ms - lag if role == FRONT else ms
            if delayed > 0 and delayed % 100 < 20:
                line.add_frame(role, T0 + (delayed // 100 * 100) * MS, ms)
        if ms > 400:
            asked.append(line.lagging())
    assert all((found is None) == allowed for found in asked)


def test_a_lost_frame_and_poses_that_do_not_cover_are_refused():
    line = timeline()
    fill(line, -1400)
    assert refused(line.moment, T0) is RefusalReason.EGO_SHORT
    assert refused(line.moment, T0 + 20 * MS) is RefusalReason.EGO_LATE
    assert refused(line.moment, T0 - 200 * MS) is RefusalReason.EGO_SHORT
    line.add_frame(FRONT, T0 + 200 * MS, 0)
    for ms in range(20, 201, 20):
        add_pose(line, T0 + ms * MS)
    with pytest.raises(Refusal, match="camera front_wide_120: nearest frame to t0 − 0.1 s is 100 ms away") as refusal:
        line.moment(T0 + 200 * MS)
    assert refusal.value.reason is RefusalReason.CAMERA_OUT_OF_STEP


def test_a_gap_in_the_poses_is_refused():
    line = timeline()
    fill(line, -1600, -500)
    fill(line, -200, 0)
    for role in ROLES:
        for ms in (-300, -400):
            line.add_frame(role, T0 + ms * MS, ms)
    assert refused(line.moment, T0) is RefusalReason.EGO_GAP


def test_the_same_stamp_twice_is_refused_and_the_first_is_kept():
    line = timeline()
    fill(line)
    with pytest.raises(Refusal, match=f"camera front_tele_30: a second frame with stamp {T0} ns") as refusal:
        line.add_frame(TELE, T0, 7)
    assert refusal.value.reason is RefusalReason.CAMERA_DUPLICATE
    assert refused(add_pose, line, T0) is RefusalReason.EGO_DUPLICATE
    np.testing.assert_array_equal(line.moment(T0).observe().cameras[1].images[-1], noise(int(TELE) * 10**15))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", [0, 1])
def test_a_pose_that_is_not_finite_does_not_enter(part, value):
    line = timeline()
    fill(line)
    pose = [np.zeros(3), np.array([0.0, 0, 0, 1])]
    pose[part][0] = value
    assert refused(line.add_pose, T0 + MS, *pose, "odom") is RefusalReason.EGO_NOT_FINITE
    assert line.moment(T0).observe().t0_ns == T0


@pytest.mark.parametrize("quaternion", [[0, 0, 0, 0], [0, 0, 0, 1.02], [1, 1, 1, 1]])
def test_a_quaternion_without_length_1_does_not_enter(quaternion):
    with pytest.raises(Refusal, match="ego: the quaternion of stamp .* has not length 1") as refusal:
        timeline().add_pose(T0, np.zeros(3), np.array(quaternion), "odom")
    assert refusal.value.reason is RefusalReason.EGO_BAD_ROTATION


def test_a_stamp_that_was_never_set_does_not_enter():
    line = timeline()
    fill(line)
    assert refused(line.add_frame, FRONT, 0, 0) is RefusalReason.NO_STAMP
    assert refused(add_pose, line, 0) is RefusalReason.NO_STAMP
    assert line.moment(T0).observe().t0_ns == T0


def test_a_camera_that_is_not_in_the_contract_is_a_mistake():
    with pytest.raises(ValueError, match="camera rear_tele_30 is not in the time contract"):
        timeline().add_frame(CameraRole.REAR_TELE_30, T0, 0)


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


def test_memory_is_bounded_whatever_the_rate():
    """A camera of 1000 Hz, one of 50 Hz and odometry of 4000 Hz, for 1.1 s."""
    line = timeline()
    for quarter in range(4400):
        line.add_pose(T0 + quarter * MS // 4, np.zeros(3), np.array([0, 0, 0, 1.0]), "odom")
        if quarter % 4 == 0:
            line.add_frame(FRONT, T0 + quarter // 4 * MS, 0)
        if quarter % 80 == 0:
            line.add_frame(TELE, T0 + quarter // 4 * MS, 0)
    sizes = {source: len(buffer) for source, buffer in line._sources.items()}
    assert sizes == {"camera front_wide_120": 120, "camera front_tele_30": 51, "ego": 2000}


def test_a_frozen_camera_is_refused_only_while_the_car_moves():
    for speed, reason in ((10.0, RefusalReason.CAMERA_FROZEN), (0.0, None), (0.5, None)):
        line = timeline(lambda picture: noise(0))
        fill(line, speed=speed)
        assert refused(line.moment(T0).observe) is reason


def test_one_picture_sent_twice_by_a_moving_car_is_refused_with_both_stamps():
    line = timeline(lambda picture: noise(picture - 100 if picture == int(FRONT) * 10**15 - 100 else picture))
    fill(line)
    with pytest.raises(Refusal) as refusal:
        line.moment(T0).observe()
    assert str(refusal.value) == (
        f"camera front_wide_120: it shows the same picture at {T0 - 200 * MS} and {T0 - 100 * MS} ns although the "
        "vehicle moved; restart it"
    )


def test_a_frozen_camera_is_seen_by_a_turn_on_the_spot():
    line = timeline(lambda picture: noise(0))
    for ms in range(-1600, 1, 20):
        add_pose(line, T0 + ms * MS, 0.0, 0.3)
        for role in ROLES if ms % 100 == 0 else ():
            line.add_frame(role, T0 + ms * MS, ms)
    assert refused(line.moment(T0).observe) is RefusalReason.CAMERA_FROZEN


def only_tele(make):
    def decode(picture):
        return make(picture) if picture > int(TELE) * 10**15 - 250 else noise(picture)

    return decode


def damaged(picture):
    raise PictureError(RefusalReason.CAMERA_DAMAGED, "a JPEG that was cut off")


def foreign(picture):
    raise PictureError(RefusalReason.CAMERA_ENCODING, "bayer_rggb8 is not read; publish rgb8")


@pytest.mark.parametrize(
    ("decode", "reason"),
    [
        (damaged, RefusalReason.CAMERA_DAMAGED),
        (foreign, RefusalReason.CAMERA_ENCODING),
        (lambda picture: noise(picture)[:, :-1], RefusalReason.CAMERA_RESIZED),
        (lambda picture: noise(picture) // 64, RefusalReason.CAMERA_BLACK),
        (lambda picture: 255 - noise(picture) // 64, RefusalReason.CAMERA_SATURATED),
        (lambda picture: np.full_like(noise(0), (0, 135, 0)), RefusalReason.CAMERA_BLANK),
    ],
)
def test_a_picture_that_shows_nothing_is_refused_each_time_and_decoded_once(decode, reason):
    calls = []

    def counted(picture):
        calls.append(picture)
        return only_tele(decode)(picture)

    line = timeline(counted)
    fill(line)
    for _ in range(2):
        with pytest.raises(Refusal, match="camera front_tele_30: ") as refusal:
            line.moment(T0).observe()
        assert refusal.value.reason is reason
    assert len(calls) == len(set(calls))


def test_a_decoder_that_makes_no_picture_is_a_fault_and_no_refusal():
    line = timeline(lambda picture: np.zeros((4, 4)))
    fill(line)
    with pytest.raises(ValueError, match=r"decoded to float64 \(4, 4\); expected uint8") as fault:
        line.moment(T0).observe()
    assert not isinstance(fault.value, Refusal)


def test_only_two_reasons_are_those_of_a_decoder():
    with pytest.raises(ValueError, match="camera_damaged or camera_encoding, not ego_gap"):
        PictureError(RefusalReason.EGO_GAP, "")


def test_a_refusal_survives_pickling():
    refusal = Refusal(RefusalReason.EGO_GAP, "ego", "a gap")
    copy = pickle.loads(pickle.dumps(refusal))
    assert (copy.reason, copy.source, copy.text, str(copy)) == ("ego_gap", "ego", "a gap", "ego: a gap")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roles": ()}, "without cameras"),
        ({"roles": (FRONT, TELE, FRONT)}, "camera front_wide_120 is named twice"),
        ({"frames_per_camera": 0}, "frames_per_camera is 0"),
        ({"history_steps": 1.5}, "history_steps is 1.5"),
        ({"slop_ns": -1}, "slop_ns is -1"),
        ({"max_lag_ns": 0.15}, "max_lag_ns is 0.15 .*whole number"),
        ({"max_jump_m": 0.0}, "max_jump_m is 0.0"),
        ({"max_jump_m": float("nan")}, "max_jump_m is nan"),
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TimeContract(ROLES), **change)
