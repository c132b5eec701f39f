"""Distance between the corners of planned and driven boxes: sees heading errors that ADE does not."""

from __future__ import annotations

import numpy as np

_SIGNS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


def box_corners(positions: np.ndarray, rotations: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(..., 8, 3) corners of boxes of `size` (length, width, height) in metres, centred at positions (..., 3)."""
    return positions[..., None, :] + np.einsum("...ij,cj->...ci", rotations, _SIGNS * size)


def corner_distance(
    planned_positions: np.ndarray,
    planned_rotations: np.ndarray,
    driven_positions: np.ndarray,
    driven_rotations: np.ndarray,
    size: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the groups, and population standard deviation over them, each (...,) metres.

    planned: (..., G, K, T, 3) and (..., G, K, T, 3, 3); driven: (..., T, 3) and (..., T, 3, 3). As in NVIDIA's
    released evaluation the smallest distance among the K samples is taken for each corner of each waypoint.
    """
    planned = box_corners(planned_positions, planned_rotations, size)
    driven = box_corners(driven_positions, driven_rotations, size)
    apart = np.linalg.norm(planned - driven[..., None, None, :, :, :], axis=-1)
    by_group = apart.min(axis=-3).mean(axis=(-1, -2))
    return by_group.mean(axis=-1), by_group.std(axis=-1)
