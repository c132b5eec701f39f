"""Does a picture show anything, and do the pictures of one camera belong together?

Checks read a grid of pixels, some 30 000 of a picture of 1080p: enough to tell a picture from none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from alpamayo_ros.timeline.refusal import RefusalReason

GRID = 128
"""Rows or columns, whichever are fewer, of the grid that is read: every 8th of 1080."""
FIRST_LOOK = 16
"""The same for telling pictures apart: all but a few differ there already."""

BLACK_MEAN, BLACK_SPREAD = 18.0, 3.0
"""Levels of 0 … 255. A covered lens gives the black level of its sensor (up to 16 where video range was not stretched)
with 1 to 2 levels of noise. A night picture may be as dark on average, but lamps, reflections and lit road spread it:
both must be low."""

CLIPPED_LEVEL, CLIPPED_SHARE = 250, 0.95
"""A picture is blown out when all three channels of nearly all pixels are at the end of their range. Snow, fog and a
low sun clip parts of a picture, and leave more than a twentieth of it with shape."""


def picture_fault(pixels: np.ndarray) -> tuple[RefusalReason, str] | None:
    """Why a picture (H, W, 3) uint8 shows nothing, or None."""
    seen = np.ascontiguousarray(sample(pixels, GRID))
    red, green, blue = (seen[..., channel] for channel in range(3))  # apart: numpy is slow along an axis of 3
    levels = (red.astype(np.float32) + green + blue) / 3
    mean, spread = float(levels.mean()), float(levels.std())
    if mean < BLACK_MEAN and spread < BLACK_SPREAD:
        return (
            RefusalReason.CAMERA_BLACK,
            f"its picture is black (mean {mean:.1f} of 255, spread {spread:.1f}); check lens, exposure and driver",
        )
    clipped = float((np.minimum(np.minimum(red, green), blue) >= CLIPPED_LEVEL).mean())
    if clipped > CLIPPED_SHARE:
        return (
            RefusalReason.CAMERA_SATURATED,
            f"its picture is blown out ({clipped:.0%} of it is white); check the exposure",
        )
    if spread < 0.01 and (seen == seen[0, 0]).all():
        return (
            RefusalReason.CAMERA_BLANK,
            f"its picture has one colour, {tuple(seen[0, 0].tolist())}, all over; check driver and decoder",
        )
    return None


def sample(pixels: np.ndarray, grid: int) -> np.ndarray:
    """About `grid` rows (or columns, whichever are fewer) of a picture (H, W, 3), evenly spread: a view."""
    step = max(1, min(pixels.shape[:2]) // grid)
    return pixels[step // 2 :: step, step // 2 :: step]


def find_frozen(pictures: Sequence[np.ndarray], moved: Callable[[], np.ndarray]) -> tuple[int, int] | None:
    """The first two pictures, by index, that are identical although the vehicle moved between them.

    pictures: of one size, (H, W, 3) each. moved: gives (N, N) bool; only asked where pictures look the same. Identical
    ones alone prove nothing: a simulated camera has no noise, and shows the same picture again as long as the car and
    all around it stand.
    """
    looks = [sample(picture, FIRST_LOOK) for picture in pictures]
    alike = [(i, j) for i, j in combinations(range(len(pictures)), 2) if np.array_equal(looks[i], looks[j])]
    if not alike:
        return None
    apart = moved()
    return next(((i, j) for i, j in alike if apart[i, j] and np.array_equal(pictures[i], pictures[j])), None)
