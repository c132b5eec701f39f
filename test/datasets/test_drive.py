import numpy as np
import pytest

from alpamayo_ros.datasets.drive import EPOCH_NS, Drive
from alpamayo_ros.timeline import EgoTrack
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import default_rig


def test_observation_ends_at_t0_and_is_what_the_cameras_showed(drive):
    seen = drive.observation(20)
    assert seen.t0_ns == EPOCH_NS + 2_000_000_000
    assert seen.roles == (0, 1, 2, 6)
    for camera in seen.cameras:
        assert camera.stamps_ns.tolist() == [seen.t0_ns - ago for ago in (300_000_000, 200_000_000, 100_000_000, 0)]
        assert camera.images.shape == (4, 48, 64, 3)
    np.testing.assert_array_equal(seen.cameras[1].images[-1], drive.picture(20, CameraRole.FRONT_WIDE_120))


def test_odometry_of_any_rate_gives_the_same_history(drive):
    for rate in (10, 50, 100):
        motions = drive.motions(rate)
        assert len(motions) == 25 * rate // 10 + 1
        stamps = np.array([motion.stamp_ns for motion in motions])
        assert len(set(np.diff(stamps).tolist())) == 1
        yaws = np.array([motion.yaw for motion in motions])
        places = np.array([(motion.x, motion.y, 0.0) for motion in motions])
        flat = np.zeros_like(yaws)
        turns = np.stack([flat, flat, np.sin(yaws / 2), np.cos(yaws / 2)], axis=1)
        history = EgoTrack(stamps, places, turns).history_at(drive.stamp_ns(20), 16)
        np.testing.assert_allclose(history.positions, drive.history(20).positions, atol=1e-5)
        np.testing.assert_allclose(history.rotations, drive.history(20).rotations, atol=1e-6)


def test_speed_is_the_slope_of_the_odometry(drive):
    motions = drive.motions(100)
    places = np.array([(motion.x, motion.y) for motion in motions])
    speeds = np.array([motion.speed for motion in motions])
    moved = np.linalg.norm(np.diff(places, axis=0), axis=1) * 100
    np.testing.assert_allclose(moved, (speeds[1:] + speeds[:-1]) / 2, atol=0.02)


def test_future_continues_the_history():
    drive = Drive.by_expert("right_turn", 1, "nominal", default_rig(64, 48))
    future = drive.path_after(100, 64)
    assert future.positions.shape == (64, 3)
    assert future.times[[0, -1]] == pytest.approx([0.1, 6.4])
    later = drive.history(115)
    # The same sixteen poses, seen from t0 and from 1.5 s later.
    there, turn = future.positions[14], future.rotations[14]
    back = np.concatenate([np.zeros((1, 3)), future.positions[:15]]) - there
    np.testing.assert_allclose(back @ turn, later.positions, atol=1e-4)
    np.testing.assert_allclose(np.diff(future.speeds), 0.1 * future.accelerations[1:], atol=1e-5)


def test_what_lies_outside_the_drive_is_refused(drive):
    with pytest.raises(ValueError, match="no 16 poses before it"):
        drive.observation(14)
    with pytest.raises(ValueError, match="no multiple"):
        drive.motions(25)
