"""A figure with its interval, by resampling scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 20_251_100
"""Seed of the resampling: the same results always give the same intervals."""
_CHUNK = 64  # resamples drawn at once: bounds the memory for many scenes


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % bootstrap interval. A bound that is not finite (km per event, where a resample has no
    event at all) is None."""

    value: float
    low: float | None
    high: float | None


def ratio_figure(shares: np.ndarray, wholes: np.ndarray) -> Figure | None:
    """The figure sum(shares) / sum(wholes), each (N,), one entry for each scene; None where the wholes add up to zero.

    A mean over scenes has wholes of one; a rate of keyframes or kilometres has its own. The interval is the percentile
    bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): scenes are drawn with
    replacement, whole scenes at a time, as what happens within one is not independent.
    """
    total = float(wholes.sum())
    if total == 0.0:
        return None
    rng = np.random.Generator(np.random.Philox(key=SEED))
    count = len(shares)
    drawn = []
    for start in range(0, RESAMPLES, _CHUNK):
        times = rng.multinomial(count, np.full(count, 1.0 / count), size=min(_CHUNK, RESAMPLES - start))
        above, below = times @ shares, times @ wholes
        # 0 / 0: the resample has nothing to say; x / 0: it is beyond any bound.
        drawn.append((above[(above != 0) | (below != 0)], below[(above != 0) | (below != 0)]))
    above, below = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    with np.errstate(divide="ignore"):
        ratios = np.sort(above / below)
    # Of the sorted values themselves: between a finite one and infinity nothing can be interpolated.
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (float(value) for value in np.quantile(ratios, [tail, 1.0 - tail], method="nearest"))
    return Figure(float(shares.sum()) / total, _finite(low), _finite(high))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
