"""A camera out of sensor_msgs/CameraInfo and where it is mounted: what is needed to draw into its picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from alpamayo_ros.nodes.rig_profile import CameraSource, Mount
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import Camera, Distorted, FTheta, Intrinsics, Pinhole

MODELS = {"plumb_bob": (0, 4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
"""Numbers of coefficients, by distortion model."""


class CalibrationError(ValueError):
    """A CameraInfo that nothing can be drawn with: the message names the value and the remedy."""


def camera_of(source: CameraSource, info: Any | None) -> Camera | None:
    """The camera of a rig, or None where its CameraInfo or its mount is not known. Raises CalibrationError."""
    if info is None or source.mount is None:
        return None
    return camera_from_info(info, source.mount, source.role)


def camera_from_info(info: Any, mount: Mount, role: CameraRole) -> Camera:
    """The camera of a raw (not rectified) picture. Raises CalibrationError."""
    return Camera(role, _lens(info), mount.rotation, np.array(mount.position))


def _lens(info: Any) -> Intrinsics:
    width, height, model = int(info.width), int(info.height), info.distortion_model
    matrix, given = np.asarray(info.k, np.float64).reshape(3, 3), np.asarray(info.d, np.float64)
    fx, fy, cx, cy = (float(matrix[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if not width or not height or not np.isfinite(matrix).all() or min(fx, fy) <= 0.0:
        raise CalibrationError(f"{width}x{height} with focal lengths {fx:g}, {fy:g}: the camera is not calibrated")
    if max(info.binning_x, info.binning_y) > 1 or info.roi.width or info.roi.height:
        raise CalibrationError(
            "it has binning or a region of interest; publish the calibration of the pictures as sent"
        )
    if model not in MODELS:
        raise CalibrationError(f"distortion model {model!r} is not known; known are {', '.join(MODELS)}")
    if given.size not in MODELS[model] or not np.isfinite(given).all():
        counts = " or ".join(map(str, MODELS[model]))
        raise CalibrationError(f"{model} has {counts} finite coefficients, not {given.tolist()}")
    if model == "equidistant":
        return _fisheye(width, height, fx, fy, cx, cy, given)
    if given[8:].any():
        raise CalibrationError("its lens has a thin prism or a tilted sensor, which is not supported")
    if not given.any():
        return Pinhole(width, height, fx, fy, cx, cy)
    k1, k2, p1, p2, k3, k4, k5, k6 = (float(value) for value in np.pad(given[:8], (0, max(0, 8 - given.size))))
    return Distorted(width, height, fx, fy, cx, cy, (k1, k2, p1, p2, k3, k4, k5, k6))


def _fisheye(width: int, height: int, fx: float, fy: float, cx: float, cy: float, given: np.ndarray) -> FTheta:
    """r = fx (theta + k1 theta^3 + … + k4 theta^9) in pixels, and the inverse by least squares, as far as r grows."""
    theta = np.linspace(0.0, math.radians(100.0), 2000)
    grown = theta * (1.0 + sum(k * theta ** (2 * i) for i, k in enumerate(given.tolist(), start=1)))
    folds = np.flatnonzero(np.diff(grown) <= 0.0)
    if folds.size and folds[0] == 0:
        raise CalibrationError(f"equidistant coefficients {given.tolist()} let no ray in")
    end = int(folds[0]) if folds.size else len(theta) - 1
    forward = [0.0] * 10
    forward[1::2] = [fx, *(fx * k for k in given.tolist())]
    powers = np.arange(1, 18, 2)
    solved = np.linalg.lstsq((grown[: end + 1, None] / grown[end]) ** powers, theta[: end + 1], rcond=None)[0]
    backward = [0.0] * 18
    for power, value in zip(powers.tolist(), solved.tolist(), strict=True):
        backward[power] = value / (fx * grown[end]) ** power
    return FTheta(width, height, cx, cy, tuple(forward), tuple(backward), fy / fx, float(theta[end]))
