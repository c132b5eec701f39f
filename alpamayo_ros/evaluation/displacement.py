"""Distance between planned and driven waypoints: ADE and minADE_K, as NVIDIA's released evaluation computes them.

Axes: G groups of K samples, T waypoints 0.1 s apart, the first 0.1 s after t0. Leading axes are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RATE = 10
"""Waypoints a second."""
HORIZONS = (0.5, 1.0, 2.5, 5.0, 6.4)
"""Seconds at which minADE is reported: those of AlpaSim's scorer, and the whole plan."""


def distances(planned: np.ndarray, driven: np.ndarray, only_xy: bool = True) -> np.ndarray:
    """(..., G, K, T) metres between planned (..., G, K, T, 3) and driven (..., T, 3) positions."""
    delta = planned - driven[..., None, None, :, :]
    return np.linalg.norm(delta[..., :2] if only_xy else delta, axis=-1)


def ade(planned: np.ndarray, driven: np.ndarray, horizon: float | None = None, only_xy: bool = True) -> np.ndarray:
    """(..., G, K) mean distance in metres up to `horizon` seconds; the whole plan by default."""
    return _up_to(distances(planned, driven, only_xy), horizon).mean(axis=-1)


@dataclass(frozen=True, eq=False)
class MinAde:
    """metres: (..., H) mean over the groups, and spread: (..., H) population standard deviation over them.

    valid: (H,) whether the plan reaches the horizon; other entries are NaN.
    """

    horizons: tuple[float, ...]
    metres: np.ndarray
    spread: np.ndarray
    valid: np.ndarray


def min_ade(
    planned: np.ndarray, driven: np.ndarray, horizons: Sequence[float] = HORIZONS, only_xy: bool = True
) -> MinAde:
    """minADE_K of planned (..., G, K, T, 3) against driven (..., T, 3), K being as many samples as are given.

    The best sample of a group has the smallest mean over the whole plan, and is kept for every shorter horizon: a
    plan is not judged by one sample now and by another later.
    """
    apart = distances(planned, driven, only_xy)
    best = apart.mean(axis=-1).argmin(axis=-1)
    kept = np.take_along_axis(apart, best[..., None, None], axis=-2)[..., 0, :]
    valid = np.array([round(horizon * RATE) <= apart.shape[-1] for horizon in horizons])
    by_group = np.stack(
        [
            _up_to(kept, horizon).mean(axis=-1) if reached else np.full(kept.shape[:-1], np.nan)
            for horizon, reached in zip(horizons, valid, strict=True)
        ],
        axis=-1,
    )
    return MinAde(tuple(horizons), by_group.mean(axis=-2), by_group.std(axis=-2), valid)


def _up_to(apart: np.ndarray, horizon: float | None) -> np.ndarray:
    if horizon is None:
        return apart
    steps = round(horizon * RATE)
    if not 1 <= steps <= apart.shape[-1]:
        raise ValueError(f"horizon {horizon} s needs {steps} waypoints; the plan has {apart.shape[-1]}")
    return apart[..., :steps]
