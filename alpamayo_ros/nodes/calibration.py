"""A camera to draw with, from its CameraInfo and its place on the rig."""

from __future__ import annotations

from typing import Any

import numpy as np

from alpamayo_ros.nodes.rig_profile import CameraSource
from alpamayo_ros.types.rig import Camera, FTheta, Intrinsics, Pinhole

_WIDEST = 2.0  # radians from the axis up to which an equidistant lens is taken for one


def camera_of(source: CameraSource, info: Any | None) -> Camera | None:
    """The camera of a sensor_msgs/CameraInfo, of rclpy or of rosbags; None where there is no info, no mount, or a lens
    that is neither without distortion nor equidistant: what cannot be drawn at its place is not drawn."""
    lens = None if info is None else _lens(info)
    if lens is None or source.mount is None:
        return None
    return Camera(source.role, lens, source.mount.rotation, np.array(source.mount.position))


def _lens(info: Any) -> Intrinsics | None:
    matrix, bent = np.asarray(info.k, np.float64).reshape(3, 3), np.asarray(info.d, np.float64)
    fx, fy, cx, cy = (float(matrix[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    width, height = int(info.width), int(info.height)
    if not (fx > 0 and fy > 0 and width and height):
        return None  # as drivers publish it before the camera was calibrated
    if info.distortion_model == "equidistant" and len(bent) == 4:
        return _equidistant(width, height, (cx, cy), (fx, fy), bent)
    return None if bent.any() else Pinhole(width, height, fx, fy, cx, cy)


def _equidistant(
    width: int, height: int, middle: tuple[float, float], focal: tuple[float, float], bent: np.ndarray
) -> FTheta:
    """r = fx (theta + k1 theta^3 + … + k4 theta^9), as far as r grows with theta; and its inverse, fitted."""
    powers = np.arange(1, 10, 2)
    terms = np.array([1.0, *bent])
    theta = np.linspace(0.0, _WIDEST, 400)
    radius = (terms * theta[:, None] ** powers).sum(axis=1)
    falls = np.flatnonzero(np.diff(radius) <= 0)
    last = int(falls[0]) + 1 if falls.size else len(theta)
    inverse = np.linalg.lstsq(radius[:last, None] ** powers, theta[:last], rcond=None)[0]
    forward, backward = np.zeros(10), np.zeros(10)
    forward[powers], backward[powers] = focal[0] * terms, inverse / focal[0] ** powers
    return FTheta(
        width, height, *middle, tuple(forward.tolist()), tuple(backward.tolist()), focal[1] / focal[0],
        float(theta[last - 1]),
    )  # fmt: skip
