"""Arc-length parametrised polylines: the geometry that lanes, routes and actors follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

STEP = 0.5
"""Distance between the points of a path in metres."""
COARSE = 10
WINDOW = np.arange(-COARSE, COARSE + 1)


class Path:
    """A smooth curve in the plane, sampled every `STEP` metres; straight beyond both ends.

    points: (N, 2) metres; yaw: (N,) unwrapped radians, positive to the left; curvature: (N,) 1/m.
    The offset d of a position is metres to the left of the path. turn: metres after which a circle is back where it
    was, None for other paths.
    """

    def __init__(self, points: np.ndarray, turns: float = 0.0) -> None:
        """points: (M, 2), M >= 2, any spacing; turns: how often the path goes around a circle, if it does. Raises
        ValueError for fewer than two distinct points."""
        points = np.asarray(points, dtype=np.float64)
        gaps = np.hypot(*np.diff(points, axis=0).T)
        keep = np.concatenate([[True], gaps > 1e-9])
        points = points[keep]
        if len(points) < 2:
            raise ValueError("a path needs two distinct points")
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        count = max(2, round(along[-1] / STEP) + 1)
        grid = np.linspace(0.0, along[-1], count)
        self.length = float(along[-1])
        self.spacing = self.length / (count - 1)
        self.turn = self.length / turns if turns else None
        self.points = np.stack([np.interp(grid, along, points[:, 0]), np.interp(grid, along, points[:, 1])], axis=1)
        slope = np.gradient(self.points, axis=0)
        self.yaw = np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))
        self.curvature = np.gradient(self.yaw) / self.spacing

    @cached_property
    def _table(self) -> tuple[list[float], list[float], list[float], list[float]]:
        # Plain lists: scalar look-ups are several times faster than indexing numpy arrays.
        return self.points[:, 0].tolist(), self.points[:, 1].tolist(), self.yaw.tolist(), self.curvature.tolist()

    @cached_property
    def _columns(self) -> tuple[np.ndarray, ...]:
        # Each behind itself: of a table of points every look-up would fetch what is not asked for.
        xs, ys = self.points.T.copy()
        return xs, ys, xs[::COARSE].copy(), ys[::COARSE].copy(), np.cos(self.yaw), np.sin(self.yaw)

    @cached_property
    def _grid(self) -> np.ndarray:
        return np.arange(len(self.yaw)) * self.spacing

    def pose(self, s: float, d: float = 0.0) -> tuple[float, float, float]:
        """x, y, yaw at arc length `s` and offset `d`."""
        xs, ys, yaws, _ = self._table
        place = s / self.spacing
        index = min(max(int(place), 0), len(xs) - 2)
        part = place - index
        blend = min(max(part, 0.0), 1.0)
        yaw = yaws[index] + blend * (yaws[index + 1] - yaws[index])
        x = xs[index] + blend * (xs[index + 1] - xs[index])
        y = ys[index] + blend * (ys[index + 1] - ys[index])
        beyond = (part - blend) * self.spacing
        return (
            x + beyond * math.cos(yaw) - d * math.sin(yaw),
            y + beyond * math.sin(yaw) + d * math.cos(yaw),
            yaw,
        )

    def poses(self, s: np.ndarray, d: float = 0.0) -> np.ndarray:
        """(M, 3) x, y, yaw at arc lengths (M,) and one offset."""
        place = s / self.spacing
        index = np.minimum(np.maximum(place.astype(np.int64), 0), len(self.yaw) - 2)
        part = place - index
        blend = np.minimum(np.maximum(part, 0.0), 1.0)
        xs, ys, yaws = self._columns[0], self._columns[1], self.yaw
        x, y, yaw = (values[index] + blend * (values[index + 1] - values[index]) for values in (xs, ys, yaws))
        beyond, cosine, sine = (part - blend) * self.spacing, np.cos(yaw), np.sin(yaw)
        return np.stack([x + beyond * cosine - d * sine, y + beyond * sine + d * cosine, yaw], axis=1)

    def yaw_at(self, s: np.ndarray) -> np.ndarray:
        """Yaw (M,) at arc lengths (M,); beyond an end it is the yaw of the end."""
        return np.interp(s, self._grid, self.yaw)

    def curvature_at(self, s: float) -> float:
        """Curvature at arc length `s`; zero beyond the ends."""
        if s < 0.0 or s > self.length:
            return 0.0
        curvature = self._table[3]
        place = s / self.spacing
        index = min(int(place), len(curvature) - 2)
        return curvature[index] + (place - index) * (curvature[index + 1] - curvature[index])

    def project(self, x: float, y: float) -> tuple[float, float]:
        """Arc length and offset of the point of the path nearest to (x, y)."""
        s, d = self.project_many(np.array([[x, y]]))
        return float(s[0]), float(d[0])

    def project_many(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Arc lengths (M,) and offsets (M,) of `points` (M, 2)."""
        # First every tenth point, then its surroundings: a path does not come back to itself within that distance.
        xs, ys, coarse_xs, coarse_ys, cosines, sines = self._columns
        across, along = np.subtract.outer(points[:, 0], coarse_xs), np.subtract.outer(points[:, 1], coarse_ys)
        rough = (across * across + along * along).argmin(axis=1) * COARSE
        window = np.minimum(np.maximum(rough[:, None] + WINDOW, 0), len(xs) - 1)
        across, along = points[:, 0, None] - xs[window], points[:, 1, None] - ys[window]
        rows, best = np.arange(len(points)), (across * across + along * along).argmin(axis=1)
        nearest, across, along = window[rows, best], across[rows, best], along[rows, best]
        cosine, sine = cosines[nearest], sines[nearest]
        forward, left = across * cosine + along * sine, along * cosine - across * sine
        # Inside the curve a step of the path is longer than the same step at the offset.
        scale = np.minimum(np.maximum(1.0 - self.curvature[nearest] * left, 0.2), 5.0)
        inner = (nearest > 0) & (nearest < len(xs) - 1)
        return nearest * self.spacing + np.where(inner, forward / scale, forward), left

    def offset(self, d: float | Callable[[np.ndarray], np.ndarray]) -> Path:
        """The path `d` metres to the left; `d` may be a function of arc length (M,) -> (M,)."""
        grid = np.linspace(0.0, self.length, len(self.points))
        side = np.stack([-np.sin(self.yaw), np.cos(self.yaw)], axis=1)
        amount = np.full(len(grid), float(d)) if not callable(d) else np.asarray(d(grid), dtype=np.float64)
        return Path(self.points + side * amount[:, None])

    def part(self, start: float, stop: float) -> Path:
        """The piece between two arc lengths, which may lie beyond the ends."""
        count = max(2, round((stop - start) / STEP) + 1)
        return Path(self.poses(np.linspace(start, stop, count))[:, :2])

    def edge(self, d: float, start: float, stop: float, spacing: float = 2.0) -> np.ndarray:
        """(M, 2) points at offset `d` from `start` to `stop`, about `spacing` metres apart."""
        count = max(2, math.ceil(abs(stop - start) / spacing) + 1)
        return self.poses(np.linspace(start, stop, count), d)[:, :2]

    def strip(self, right: float, left: float, start: float, stop: float) -> np.ndarray:
        """(M, 2) closed outline of the band between two offsets."""
        return np.concatenate([self.edge(right, start, stop), self.edge(left, start, stop)[::-1]])


def trace(
    pieces: Sequence[tuple[float, float]], start: tuple[float, float, float] = (0.0, 0.0, 0.0), ease: float = 12.0
) -> Path:
    """A path from pieces of (length in metres, curvature in 1/m).

    Curvature is blurred over `ease` metres, so that it rises linearly like a clothoid; the total turn is kept.
    """
    fine = 0.05
    lengths, curvatures = np.array(pieces).T
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    count = round(edges[-1] / fine)
    # Pieces end between points. A tight arc that ends at the nearest one instead turns too little or too much, and far
    # behind it the path is a metre beside its lane.
    turned = np.interp(np.arange(count + 1) * fine, edges, np.concatenate([[0.0], np.cumsum(lengths * curvatures)]))
    curvature = np.diff(turned) / fine
    width = max(1, round(ease / fine))
    padded = np.pad(curvature, width, mode="edge")
    curvature = np.convolve(padded, np.full(width, 1.0 / width), mode="same")[width:-width]
    x, y, yaw = start
    yaws = yaw + np.concatenate([[0.0], np.cumsum(curvature) * fine])
    middle = (yaws[1:] + yaws[:-1]) / 2
    points = np.stack([np.cumsum(np.cos(middle)), np.cumsum(np.sin(middle))], axis=1) * fine
    origin = np.array([[x, y]])
    return Path(np.concatenate([origin, points + origin]))


def join(*paths: Path) -> Path:
    """One path that runs through the given ones in order."""
    return Path(np.concatenate([path.points for path in paths]))


def smooth_step(fraction: float) -> float:
    """Minimum-jerk blend from 0 to 1 (Flash and Hogan, 1985): 10 u^3 - 15 u^4 + 6 u^5, flat outside [0, 1]."""
    u = min(max(fraction, 0.0), 1.0)
    return u * u * u * (10.0 + u * (6.0 * u - 15.0))


def shift(start: float, stop: float, before: float, after: float) -> Callable[[np.ndarray], np.ndarray]:
    """Offset profile that moves from `before` to `after` between two arc lengths with minimum jerk."""

    def profile(s: np.ndarray) -> np.ndarray:
        u = np.clip((s - start) / (stop - start), 0.0, 1.0)
        return before + (after - before) * u**3 * (10.0 + u * (6.0 * u - 15.0))

    return profile
