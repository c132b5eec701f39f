"""Synthetic motions: a unicycle with a given acceleration and curvature profile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alpamayo_ros.types import Trajectory

Profile = Callable[[float], float]


def unicycle(speed: float, acceleration: Profile = lambda t: 0.0, curvature: Profile = lambda t: 0.0) -> Trajectory:
    """64 waypoints at 0.1 s from the origin; the car stops, and stays, when its speed reaches zero while braking."""
    x = y = yaw = 0.0
    rows = []
    for i in range(64):
        t = i * 0.1
        a, k = acceleration(t), curvature(t)
        new = speed + a * 0.1
        if speed >= 0.0 > new and a < 0:
            a, new = -speed / 0.1, 0.0
        step = (speed + new) / 2 * 0.1
        middle = yaw + k * step / 2
        x, y, yaw = x + step * np.cos(middle), y + step * np.sin(middle), yaw + k * step
        speed = new
        rows.append((t + 0.1, x, y, yaw, speed, a, k))
    t, x, y, yaw, v, a, k = np.array(rows).T
    rotations = np.zeros((64, 3, 3))
    rotations[:, 0, 0], rotations[:, 0, 1] = np.cos(yaw), -np.sin(yaw)
    rotations[:, 1, 0], rotations[:, 1, 1] = np.sin(yaw), np.cos(yaw)
    rotations[:, 2, 2] = 1.0
    return Trajectory(t, np.stack([x, y, np.zeros(64)], axis=1), rotations, v, a, k)


def sideways(
    speed: float, offset: float, start: float = 0.5, duration: float = 4.0, back: float | None = None
) -> Profile:
    """Curvature over time that shifts a car at constant `speed` by `offset` metres to the left within `duration`.

    The lateral acceleration is one full sine, which begins and ends without heading. With `back`, the same shift is
    undone from that time on.
    """
    peak = offset * 2 * np.pi / duration**2 / speed**2  # from integrating a sine twice

    def curvature(t: float) -> float:
        for begin, sign in ((start, 1.0), (back, -1.0)):
            if begin is not None and begin <= t < begin + duration:
                return float(sign * peak * np.sin(2 * np.pi * (t - begin) / duration))
        return 0.0

    return curvature


def within(start: float, end: float, value: float) -> Profile:
    """`value` from `start` to `end` seconds, else zero."""
    return lambda t: value if start <= t < end else 0.0
