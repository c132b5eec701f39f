"""Poses of the ego vehicle over time, and the history at t0 that the model reads."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from alpamayo_ros.timeline.contract import MAX_GAP_NS
from alpamayo_ros.timeline.frame_choice import wanted_times
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason
from alpamayo_ros.types import EgoHistory

SOURCE = "ego"


class EgoTrack:
    """Poses in one fixed frame (odom or map), ascending in time.

    stamps_ns: (N,) int64. positions: (N, 3) metres. quaternions: (N, 4) as x, y, z, w.
    Raises Refusal for what is not finite, not a rotation or not ascending.
    """

    def __init__(self, stamps_ns: np.ndarray, positions: np.ndarray, quaternions: np.ndarray) -> None:
        _check(stamps_ns, positions, quaternions)
        self.stamps_ns = stamps_ns
        self._positions = positions
        # Relative to the first stamp: nanoseconds since 1970 do not fit a float64.
        self._times = (stamps_ns - stamps_ns[0]).astype(np.float64)
        self._slerp = Slerp(self._times, Rotation.from_quat(quaternions))

    def history_at(self, t0_ns: int, steps: int) -> EgoHistory:
        """`steps` poses up to t0, 0.1 s apart, in the ego frame at t0: positions linear, rotations by slerp."""
        wanted = wanted_times(t0_ns, steps)
        first, last = int(self.stamps_ns[0]), int(self.stamps_ns[-1])
        if wanted[0] < first or wanted[-1] > last:
            raise Refusal(
                RefusalReason.EGO_LATE if wanted[-1] > last else RefusalReason.EGO_SHORT,
                SOURCE,
                f"poses cover {first} … {last} ns, but t0 = {t0_ns} ns needs {wanted[0]} … {wanted[-1]} ns; "
                f"{(steps - 1) / 10:.1f} s of driving must have been recorded before t0",
            )
        after = np.clip(np.searchsorted(self.stamps_ns, wanted), 1, len(self.stamps_ns) - 1)
        gap = self.stamps_ns[after] - self.stamps_ns[after - 1]
        exact = (self.stamps_ns[after] == wanted) | (self.stamps_ns[after - 1] == wanted)
        if ((gap > MAX_GAP_NS) & ~exact).any():
            raise Refusal(
                RefusalReason.EGO_GAP,
                SOURCE,
                f"poses have a gap of {gap[~exact].max() / 1e6:.0f} ms within the history at t0 = {t0_ns} ns; "
                f"at most {MAX_GAP_NS / 1e6:.0f} ms are bridged",
            )
        position, rotation = self.poses_at(wanted)
        to_t0 = rotation[-1].inv()
        return EgoHistory(to_t0.apply(position - position[-1]), (to_t0 * rotation).as_matrix())

    def poses_at(self, times_ns: np.ndarray) -> tuple[np.ndarray, Rotation]:
        """Positions (M, 3) and M rotations in the fixed frame at times (M,) int64; before and after the track, those
        of its ends."""
        first, last = self.stamps_ns[0], self.stamps_ns[-1]
        at = (np.clip(times_ns, first, last) - first).astype(np.float64)
        position = np.stack([np.interp(at, self._times, self._positions[:, axis]) for axis in range(3)], axis=-1)
        return position, self._slerp(at)


def is_rotation(quaternions: np.ndarray) -> np.ndarray:
    """(…,) bool for quaternions (…, 4): of length 1, give or take what rounding to a few digits makes of it."""
    return np.abs(np.linalg.norm(quaternions, axis=-1) - 1) <= 1e-2


def _check(stamps_ns: np.ndarray, positions: np.ndarray, quaternions: np.ndarray) -> None:
    if stamps_ns.dtype != np.int64:
        raise ValueError(f"ego stamps are {stamps_ns.dtype}; give int64 nanoseconds, a float cannot hold them")
    if len(positions) != len(stamps_ns) or len(quaternions) != len(stamps_ns):
        raise ValueError(
            f"{len(stamps_ns)} stamps, {len(positions)} positions, {len(quaternions)} quaternions: not one each"
        )
    if len(stamps_ns) < 2:
        raise Refusal(RefusalReason.EGO_MISSING, SOURCE, f"{len(stamps_ns)} poses; at least two are needed")
    bad = np.flatnonzero(~np.isfinite(np.concatenate([positions, quaternions], axis=1)).all(axis=1))
    if bad.size:
        raise Refusal(
            RefusalReason.EGO_NOT_FINITE,
            SOURCE,
            f"pose {bad[0]} (stamp {stamps_ns[bad[0]]} ns) is not finite; drop it",
        )
    off = np.flatnonzero(~is_rotation(quaternions))
    if off.size:
        raise Refusal(
            RefusalReason.EGO_BAD_ROTATION,
            SOURCE,
            f"pose {off[0]} (stamp {stamps_ns[off[0]]} ns): its quaternion has not length 1; normalise it",
        )
    back = np.flatnonzero(np.diff(stamps_ns) <= 0)
    if back.size:
        at = int(back[0]) + 1
        raise Refusal(
            RefusalReason.EGO_DUPLICATE if stamps_ns[at] == stamps_ns[at - 1] else RefusalReason.TIME_JUMP,
            SOURCE,
            f"stamps go back or repeat at pose {at} (stamp {stamps_ns[at]} ns); sort them",
        )
