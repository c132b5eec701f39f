"""Which t0, and which frames of a camera belong to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpamayo_ros.timeline.contract import FRAME_PERIOD_NS
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason


def newest_t0(newest_stamps_ns: Sequence[int]) -> int:
    """The newest multiple of 0.1 s that every source covers, from the newest stamp of each."""
    return min(newest_stamps_ns) // FRAME_PERIOD_NS * FRAME_PERIOD_NS


def wanted_times(t0_ns: int, count: int) -> np.ndarray:
    """(count,) int64: …, t0 − 0.1 s, t0."""
    return t0_ns - FRAME_PERIOD_NS * np.arange(count - 1, -1, -1, dtype=np.int64)


def choose_frames(source: str, stamps_ns: np.ndarray, t0_ns: int, count: int, slop_ns: int) -> np.ndarray:
    """Indices (count,) into ascending stamps (N,) of the frames nearest to …, t0 − 0.1 s, t0.

    Raises Refusal, naming `source`, when one is further away than `slop_ns` or two wanted times share a frame.
    """
    if not len(stamps_ns):
        raise Refusal(RefusalReason.CAMERA_MISSING, source, "no frames at all; check that it is recording")
    wanted = wanted_times(t0_ns, count)
    after = np.clip(np.searchsorted(stamps_ns, wanted), 1, max(1, len(stamps_ns) - 1))
    after = np.minimum(after, len(stamps_ns) - 1)
    before = np.maximum(after - 1, 0)
    nearer_before = np.abs(stamps_ns[before] - wanted) <= np.abs(stamps_ns[after] - wanted)
    chosen = np.where(nearer_before, before, after)
    distance = np.abs(stamps_ns[chosen] - wanted)
    if (distance > slop_ns).any():
        worst = int(distance.argmax())
        raise Refusal(
            RefusalReason.CAMERA_OUT_OF_STEP,
            source,
            f"nearest frame to t0 − {(count - 1 - worst) / 10:.1f} s is {distance[worst] / 1e6:.0f} ms away; "
            f"allowed are {slop_ns / 1e6:.0f} ms (t0 = {t0_ns} ns, frames cover {stamps_ns[0]} … {stamps_ns[-1]} ns)",
        )
    if len(np.unique(chosen)) < count:
        raise Refusal(
            RefusalReason.CAMERA_OUT_OF_STEP,
            source,
            f"two of the {count} wanted frames are the same one; it runs slower than 10 Hz",
        )
    return chosen
