"""Comfort of a trajectory: the six quantities and bounds of NVIDIA's public Alpamayo recipes.

Velocity, acceleration and jerk are forward differences at 10 Hz with the last one repeated. A quantity passes only if
all its steps are strictly inside the bounds; the score is the mean of the six.
"""

from __future__ import annotations

import numpy as np

RATE = 10.0
BOUNDS: dict[str, tuple[float, float]] = {
    "lon_accel": (-4.05, 2.40),
    "lat_accel": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),
    "lon_jerk": (-4.13, 4.13),
    "yaw_accel": (-1.93, 1.93),
    "yaw_rate": (-0.95, 0.95),
}


def _difference(values: np.ndarray) -> np.ndarray:
    delta = np.diff(values, axis=-1) * RATE
    return np.concatenate([delta, delta[..., -1:]], axis=-1)


def dynamics(positions: np.ndarray, yaws: np.ndarray) -> dict[str, np.ndarray]:
    """The six quantities, each (..., N), of positions (..., N, 2 or 3) in metres and yaws (..., N) in radians."""
    turns = (np.diff(yaws, axis=-1) + np.pi) % (2 * np.pi) - np.pi
    rates = turns * RATE
    rates = np.concatenate([rates, rates[..., -1:]], axis=-1)
    velocity = np.stack([_difference(positions[..., 0]), _difference(positions[..., 1])], axis=-1)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    cosine, sine = np.cos(yaws), np.sin(yaws)
    forward = velocity[..., 0] * cosine + velocity[..., 1] * sine
    sideways = velocity[..., 1] * cosine - velocity[..., 0] * sine
    return {
        "lon_accel": _difference(forward),
        "lat_accel": _difference(sideways),
        "jerk": _difference(_difference(speed)),
        "lon_jerk": _difference(_difference(forward)),
        "yaw_accel": _difference(rates),
        "yaw_rate": rates,
    }


def comfort(positions: np.ndarray, yaws: np.ndarray) -> dict[str, np.ndarray]:
    """1.0 or 0.0 for each quantity, shape (...,), of positions (..., N, 2 or 3) and yaws (..., N) at 10 Hz."""
    return {
        name: np.all((values > BOUNDS[name][0]) & (values < BOUNDS[name][1]), axis=-1).astype(np.float64)
        for name, values in dynamics(positions, yaws).items()
    }


def exceeded(positions: np.ndarray, yaws: np.ndarray) -> dict[str, float]:
    """The worst value of each quantity that leaves its bounds, for one plan of (N, 2 or 3) and (N,), N > 3.

    Without the last three steps: the public recipes repeat the last difference, and any plan that ends while it brakes
    or accelerates would have a jerk there.
    """
    worst = {}
    for name, values in dynamics(positions, yaws).items():
        low, high = BOUNDS[name]
        value = float(values[int(np.argmax(np.maximum(values[:-3] - high, low - values[:-3])))])
        if not low < value < high:
            worst[name] = value
    return worst
