"""Times of many plans in two numbers each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def quantiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, linearly interpolated: of fewer than 100 values the latter is near the largest."""
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}
