"""Cameras out of CameraInfo project as OpenCV does with the same numbers; what is not supported is refused."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from alpamayo_ros.datasets.sensor_messages import camera_info
from alpamayo_ros.nodes.calibration import CalibrationError, camera_from_info
from alpamayo_ros.nodes.rig_profile import Mount
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import MOUNTS, Distorted, Pinhole, default_rig

FRONT = CameraRole.FRONT_WIDE_120
MOUNT = Mount((1.75, 0.0, 1.45), 0.0, -1.0)
K = np.array([[900.0, 0.0, 950.0], [0.0, 880.0, 545.0], [0.0, 0.0, 1.0]])
PLUMB_BOB = [-0.31, 0.12, 0.0011, -0.0007, -0.02]
RATIONAL = [0.9, 0.3, 0.0008, -0.0003, 0.01, 1.3, 0.5, 0.04]
FISHEYE = [0.02, -0.011, 0.004, -0.0009]


def info(model: str, distortion: list[float], **changes: object) -> SimpleNamespace:
    roi = SimpleNamespace(width=0, height=0)
    fields = {"width": 1920, "height": 1080, "distortion_model": model, "k": K.ravel(), "d": np.array(distortion),
              "binning_x": 0, "binning_y": 0, "roi": roi}  # fmt: skip
    return SimpleNamespace(**(fields | changes))


def rays(widest: float) -> np.ndarray:
    """(N, 3) points in the camera frame, up to an angle in degrees from the axis."""
    angle, around = np.meshgrid(np.radians(np.linspace(0.0, widest, 20)), np.linspace(0.0, 2 * np.pi, 24))
    angle, around = angle.ravel(), around.ravel()
    sine = np.sin(angle)
    return 7.0 * np.stack([sine * np.cos(around), sine * np.sin(around), np.cos(angle)], axis=1)


@pytest.mark.parametrize(
    ("model", "distortion", "widest"),
    [
        ("plumb_bob", PLUMB_BOB, 40.0), ("plumb_bob", PLUMB_BOB[:4], 35.0), ("plumb_bob", [], 80.0),
        ("plumb_bob", [0.0] * 5, 80.0), ("rational_polynomial", RATIONAL, 60.0),
        ("rational_polynomial", [*RATIONAL, 0.0, 0.0, 0.0, 0.0], 60.0),
    ],
)  # fmt: skip
def test_points_fall_where_opencv_puts_them(model, distortion, widest):
    lens = camera_from_info(info(model, distortion), MOUNT, FRONT).intrinsics
    assert isinstance(lens, Distorted if np.any(distortion) else Pinhole)
    points = rays(widest)
    pixels, seen = lens.project(points)
    expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(distortion or [0.0] * 4))[0][:, 0]
    assert seen.all()
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_a_fisheye_is_that_of_opencv():
    lens = camera_from_info(info("equidistant", FISHEYE), MOUNT, FRONT).intrinsics
    points = rays(85.0)
    expected = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), K, np.array(FISHEYE))[0][:, 0]
    pixels, seen = lens.project(points)
    assert seen.all()
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "distortion", "widest"),
    [("plumb_bob", PLUMB_BOB, 30.0), ("rational_polynomial", RATIONAL, 60.0), ("equidistant", FISHEYE, 85.0)],
)
def test_rays_go_back_through_their_pixels(model, distortion, widest):
    lens = camera_from_info(info(model, distortion), MOUNT, FRONT).intrinsics
    points = rays(widest)
    np.testing.assert_allclose(lens.unproject(lens.project(points)[0]), points / 7.0, atol=2e-4)
    half = lens.resized(960, 540)
    np.testing.assert_allclose(half.project(points)[0], (lens.project(points)[0] + 0.5) / 2 - 0.5, atol=1e-6)


def test_what_would_fold_back_is_not_seen():
    lens = camera_from_info(info("plumb_bob", [-0.31, 0.12, 0.0, 0.0, -0.02]), MOUNT, FRONT).intrinsics
    angles = np.radians(np.linspace(0.0, 89.0, 400))
    points = np.stack([np.sin(angles), np.zeros(400), np.cos(angles)], axis=1)
    pixels, seen = lens.project(points)
    assert seen[0]
    assert not seen[-1]
    assert (np.diff(pixels[seen, 0]) > 0).all()
    assert np.flatnonzero(~seen)[0] == seen.sum()  # none beyond the fold is seen again
    assert not lens.project(np.array([0.0, 0.0, -5.0]))[1]


@pytest.mark.parametrize("pinhole", [False, True])
@pytest.mark.parametrize("role", [FRONT, CameraRole.CROSS_LEFT_120, CameraRole.FRONT_TELE_30])
def test_the_simulators_cameras_come_back_from_its_bags(role, pinhole):
    camera = default_rig(576, 320, roles=[role], pinhole=pinhole)[role]
    position, yaw, pitch = MOUNTS[role]
    back = camera_from_info(camera_info(None, camera), Mount(position, yaw, pitch), role)
    np.testing.assert_allclose(back.rotation, camera.rotation, atol=1e-12)
    np.testing.assert_allclose(back.position, camera.position, atol=1e-12)
    if pinhole:
        assert back.intrinsics == camera.intrinsics
        return
    lens, original = back.intrinsics, camera.intrinsics
    forward = np.pad(original.forward, (0, len(lens.forward) - len(original.forward)))
    np.testing.assert_allclose(lens.forward, forward, rtol=1e-12)
    pixels = np.stack(np.meshgrid(np.arange(0.0, 576.0, 25), np.arange(0.0, 320.0, 25)), axis=-1)
    np.testing.assert_allclose(lens.unproject(pixels), original.unproject(pixels), atol=2e-4)


def test_a_distorted_lens_comes_back_from_a_bag():
    camera = camera_from_info(info("plumb_bob", PLUMB_BOB), MOUNT, FRONT)
    assert camera_from_info(camera_info(None, camera), MOUNT, FRONT).intrinsics == camera.intrinsics


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (info("plumb_bob", [], k=np.zeros(9)), "not calibrated"),
        (info("plumb_bob", [], width=0), "not calibrated"),
        (info("plumb_bob", [], k=np.full(9, np.nan)), "not calibrated"),
        (info("thin_lens", []), "'thin_lens' is not known; known are plumb_bob"),
        (info("", []), "'' is not known"),
        (info("plumb_bob", [0.1] * 3), "0 or 4 or 5 finite coefficients"),
        (info("plumb_bob", [0.1, np.nan, 0.0, 0.0]), "finite"),
        (info("equidistant", [0.1] * 5), "4 finite coefficients"),
        (info("rational_polynomial", [0.1] * 12), "thin prism"),
        (info("plumb_bob", [], binning_x=2), "binning"),
        (info("plumb_bob", [], roi=SimpleNamespace(width=100, height=90)), "region of interest"),
    ],
)
def test_other_calibrations_are_refused_in_one_line(message, what):
    with pytest.raises(CalibrationError, match=what) as caught:
        camera_from_info(message, MOUNT, FRONT)
    assert "\n" not in str(caught.value)
