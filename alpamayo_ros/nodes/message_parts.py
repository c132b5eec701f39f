"""The parts that messages are made of: stamps, durations and poses, from plain numbers.

`types` is always the message classes to make them of (see `message_types`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from alpamayo_ros.nodes.message_types import MessageTypes


def header(types: MessageTypes, stamp_ns: int, frame: str) -> Any:
    return types.Header(stamp=time(types, stamp_ns), frame_id=frame)


def time(types: MessageTypes, stamp_ns: int) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return types.Time(sec=seconds, nanosec=nanoseconds)


def duration(types: MessageTypes, seconds: float) -> Any:
    """To the microsecond, so that 0.1 s is 100 000 000 ns in whatever float it comes."""
    whole, rest = divmod(round(seconds * 1e6), 1_000_000)
    return types.Duration(sec=whole, nanosec=rest * 1000)


def single(value: float) -> float:
    """As a float32 field keeps it, so that a message equals itself before and after it was sent."""
    return float(np.float32(value))


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """(N, 4) as x, y, z, w with w ≥ 0, of rotations (N, 3, 3)."""
    return Rotation.from_matrix(rotations).as_quat(canonical=True)


def point(types: MessageTypes, position: np.ndarray) -> Any:
    return types.Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


def vector(types: MessageTypes, x: float, y: float, z: float) -> Any:
    return types.Vector3(x=float(x), y=float(y), z=float(z))


def quaternion(types: MessageTypes, parts: np.ndarray) -> Any:
    """parts: (4,) as x, y, z, w."""
    return types.Quaternion(x=float(parts[0]), y=float(parts[1]), z=float(parts[2]), w=float(parts[3]))


def pose(types: MessageTypes, position: np.ndarray, parts: np.ndarray) -> Any:
    """position: (3,) metres. parts: (4,) quaternion as x, y, z, w."""
    return types.Pose(position=point(types, position), orientation=quaternion(types, parts))
