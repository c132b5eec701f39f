"""Camera roles and the frames of one camera."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class CameraRole(IntEnum):
    """The seven camera roles of the released models; the number is the order of the model's input.

    The number in a name is the horizontal field of view in degrees.
    """

    CROSS_LEFT_120 = 0
    FRONT_WIDE_120 = 1
    CROSS_RIGHT_120 = 2
    REAR_LEFT_70 = 3
    REAR_TELE_30 = 4
    REAR_RIGHT_70 = 5
    FRONT_TELE_30 = 6

    @classmethod
    def from_label(cls, label: str) -> CameraRole:
        """The role called `label`, for example `front_wide_120`. Raises ValueError with the known labels."""
        for role in cls:
            if role.label == label:
                return role
        raise ValueError(f"unknown camera role {label!r}; the roles are {', '.join(role.label for role in cls)}")

    @property
    def label(self) -> str:
        """Lower-case name, as used for folders, rig profiles and topics."""
        return self.name.lower()


@dataclass(frozen=True, eq=False)
class CameraFrames:
    """The frames of one camera that belong to one observation, oldest first.

    images: (N, H, W, 3) uint8, RGB.
    stamps_ns: (N,) int64, capture times in nanoseconds, strictly ascending.
    """

    role: CameraRole
    images: np.ndarray
    stamps_ns: np.ndarray
