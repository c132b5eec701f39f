"""What belongs to a moment, and how each source that is missing, late or senseless is refused for its own reason."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
from drive_messages import FRONT, MS, ROLES, T0, TELE, add_pose, arc, fill, noise, refused, timeline

from alpamayo_ros.timeline import Refusal, RefusalReason, TimeContract
from alpamayo_ros.types import CameraRole


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
