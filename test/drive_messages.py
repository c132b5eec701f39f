"""Cameras and odometry of one smooth drive, as messages for a Timeline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from alpamayo_ros.timeline import Refusal, RefusalReason, TimeContract, Timeline
from alpamayo_ros.types import CameraRole

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
FRONT, TELE = CameraRole.FRONT_WIDE_120, CameraRole.FRONT_TELE_30
ROLES = (TELE, FRONT)


def arc(seconds: np.ndarray, speed: float, yaw_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and quaternions, exact, of a drive through the origin at 0 s."""
    yaw = yaw_rate * seconds
    # sin(u)/u and (1 - cos(u))/u, also where the yaw rate is 0.
    forward = np.sinc(yaw / np.pi)
    left = np.sin(yaw / 2) * np.sinc(yaw / 2 / np.pi)
    positions = (speed * seconds)[:, None] * np.stack([forward, left, np.zeros_like(yaw)], axis=-1)
    return positions, Rotation.from_rotvec(yaw[:, None] * [0, 0, 1]).as_quat()


def noise(seed: int) -> np.ndarray:
    """A picture that no other seed gives."""
    return np.random.default_rng(seed % 2**63).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def timeline(decode: Callable[[object], np.ndarray] = noise, **numbers: float) -> Timeline:  # type: ignore[assignment]
    return Timeline(TimeContract(ROLES, **numbers), decode)  # type: ignore[arg-type]


def add_pose(line: Timeline, stamp_ns: int, speed: float = 10.0, yaw_rate: float = 0.0, shift: float = 0.0) -> None:
    positions, quaternions = arc(np.array([(int(stamp_ns) - T0) / 1e9]), speed, yaw_rate)
    line.add_pose(stamp_ns, positions[0] + [shift, 0, 0], quaternions[0])


def fill(line: Timeline, start_ms: int = -1600, end_ms: int = 0, speed: float = 10.0, base: int = T0) -> None:
    """Two 10 Hz cameras and 50 Hz odometry, on the grid, from start to end inclusive."""
    for ms in range(start_ms, end_ms + 1, 20):
        add_pose(line, base + ms * MS, speed)
        if ms % 100 == 0:
            for role in ROLES:
                line.add_frame(role, base + ms * MS, int(role) * 10**15 + ms)


def refused(call: Callable[..., object], *arguments: object) -> RefusalReason | None:
    """The reason of the refusal that a call raises, or None."""
    try:
        call(*arguments)
    except Refusal as refusal:
        return refusal.reason
    return None
