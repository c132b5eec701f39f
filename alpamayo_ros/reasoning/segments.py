"""Cutting a motion into segments, and making those that are too short part of their neighbors.

The rules and figures are those of NVIDIA's public CoC autolabeler, for all levels of `meta_actions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.types import LaneAction, LateralAction, LongitudinalAction

SMOOTHING_TICKS = 5
HYSTERESIS = 0.15  # of the threshold, on acceleration only
NO_RECUT_TICKS = 3  # after a cut, and before the end

AnyAction = LongitudinalAction | LateralAction | LaneAction


@dataclass
class Segment:
    """Ticks [start, end); halves occur when a short segment is split between its neighbors."""

    action: AnyAction
    start: float
    end: float
    change: float

    @property
    def ticks(self) -> float:
        return self.end - self.start

    def take(self, other: Segment) -> None:
        """Extend over `other`, which lies beside it, and keep the own label."""
        self.start, self.end = min(self.start, other.start), max(self.end, other.end)
        self.change += other.change


def cut(states: Sequence[np.ndarray], last: int) -> list[tuple[int, int]]:
    """Segments between ticks at which any state flips; `last` ends the last one."""
    table = np.stack(states, axis=1).tolist()
    segments, start, i = [], 0, 1
    while i < len(table):
        if table[i] != table[start] and len(table) - i > NO_RECUT_TICKS:
            segments.append((start, i))
            start = i
            i += NO_RECUT_TICKS
        else:
            i += 1
    segments.append((start, last))
    return segments


def absorb(segments: list[Segment], minimum: Callable[[AnyAction], int]) -> list[Segment]:
    """Short segments gone: into both neighbors when these are alike (which become one), else half to each."""
    rest = join(segments)
    i = 0
    while i < len(rest):
        segment = rest[i]
        if len(rest) == 1 or segment.ticks >= minimum(segment.action):
            i += 1
        elif 0 < i < len(rest) - 1:
            before, after = rest[i - 1], rest[i + 1]
            if before.action == after.action:
                before.take(segment)
                before.take(after)
                del rest[i : i + 2]
                i -= 1
            else:
                middle = (segment.start + segment.end) / 2
                before.take(Segment(before.action, segment.start, middle, segment.change / 2))
                after.take(Segment(after.action, middle, segment.end, segment.change / 2))
                del rest[i]
        else:
            rest[i - 1 if i else 1].take(segment)
            del rest[i]
    return join(rest)


def join(segments: list[Segment]) -> list[Segment]:
    """Neighbors of one label made one."""
    out: list[Segment] = []
    for segment in segments:
        if out and out[-1].action == segment.action:
            out[-1].take(segment)
        else:
            out.append(segment)
    return out


def with_hysteresis(series: np.ndarray, threshold: float) -> np.ndarray:
    """(T,) bool: above `threshold`, left and entered only 15 % beyond it."""
    upper, lower = threshold + HYSTERESIS * abs(threshold), threshold - HYSTERESIS * abs(threshold)
    values = series.tolist()
    found = [values[0] >= threshold]
    for value in values[1:]:
        found.append(value >= (lower if found[-1] else upper))
    return np.array(found)


def mean_shrunk(series: np.ndarray) -> np.ndarray:
    """Centered mean over 5 ticks, over fewer at the ends."""
    kernel = np.ones(SMOOTHING_TICKS)
    means: np.ndarray = np.convolve(series, kernel, "same") / np.convolve(np.ones_like(series), kernel, "same")
    return means if len(series) >= SMOOTHING_TICKS else np.full_like(series, series.mean())


def mean_reflected(series: np.ndarray) -> np.ndarray:
    """Centered mean over 5 ticks, the ends mirrored."""
    half = min(SMOOTHING_TICKS // 2, len(series) - 1)
    return np.convolve(np.pad(series, half, mode="reflect"), np.ones(2 * half + 1) / (2 * half + 1), "valid")
