"""Which t0, and which frames of a camera belong to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpamayo_ros.timeline.contract import FRAME_PERIOD_NS
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason

JITTER_NS = 10_000_000
"""By how much stamps of a camera may jitter where its frames lie halfway between the wanted times: 10 ms."""
HALFWAY = "; give a camera of 10 Hz that takes its pictures halfway between these times a slop_ms of 60"


def newest_t0(newest_stamps_ns: Sequence[int]) -> int:
    """The newest multiple of 0.1 s that every source covers, from the newest stamp of each."""
    return min(newest_stamps_ns) // FRAME_PERIOD_NS * FRAME_PERIOD_NS


def wanted_times(t0_ns: int, count: int) -> np.ndarray:
    """(count,) int64: …, t0 − 0.1 s, t0."""
    return t0_ns - FRAME_PERIOD_NS * np.arange(count - 1, -1, -1, dtype=np.int64)


def choose_frames(source: str, stamps_ns: np.ndarray, t0_ns: int, count: int, slop_ns: int) -> np.ndarray:
    """Indices (count,) into ascending stamps (N,) of the frames nearest to …, t0 − 0.1 s, t0, each within `slop_ns`.

    A camera of 10 Hz whose frames lie halfway between these times has them now before and now after, as its stamps
    jitter, so that two times share a frame. Then they are the nearest to times `JITTER_NS` earlier, or later: all on
    one side.
    Raises Refusal, naming `source`, where one is further away than `slop_ns` or two wanted times share a frame.
    """
    if not len(stamps_ns):
        raise Refusal(RefusalReason.CAMERA_MISSING, source, "no frames at all; check that it is recording")
    wanted = wanted_times(t0_ns, count)
    for shift in (0, -JITTER_NS, JITTER_NS):
        chosen = _nearest(stamps_ns, wanted + shift)
        if len(np.unique(chosen)) == count and (np.abs(stamps_ns[chosen] - wanted) <= slop_ns).all():
            return chosen
    distance = np.abs(stamps_ns[_nearest(stamps_ns, wanted)] - wanted)
    worst = int(distance.argmax())
    away = int(distance[worst])
    if away > slop_ns:
        halfway = abs(away - FRAME_PERIOD_NS // 2) <= JITTER_NS
        raise Refusal(
            RefusalReason.CAMERA_OUT_OF_STEP,
            source,
            f"nearest frame to t0 − {(count - 1 - worst) / 10:.1f} s is {away / 1e6:.0f} ms away; "
            f"allowed are {slop_ns / 1e6:.0f} ms{HALFWAY if halfway else ''} "
            f"(t0 = {t0_ns} ns, frames cover {stamps_ns[0]} … {stamps_ns[-1]} ns)",
        )
    raise Refusal(
        RefusalReason.CAMERA_OUT_OF_STEP,
        source,
        f"two of the {count} wanted frames are the same one; it runs slower than 10 Hz, or lost one",
    )


def _nearest(stamps_ns: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Indices of the stamps nearest to times; of two as near, the earlier."""
    after = np.clip(np.searchsorted(stamps_ns, times), 1, max(1, len(stamps_ns) - 1))
    after = np.minimum(after, len(stamps_ns) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(stamps_ns[before] - times) <= np.abs(stamps_ns[after] - times), before, after)
