"""Writes a drive to disk, in the form that `Recording` reads: a straight one at 10 m/s, ending at END_NS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from alpamayo_ros.types import CameraRole

END_NS = 1_700_000_002_000_000_000
R1_ROLES = tuple(CameraRole(role) for role in (0, 1, 2, 6))
EGO_HEADER = "stamp_ns,x,y,z,qx,qy,qz,qw"


def write_drive(folder: Path, roles: Iterable[CameraRole] = R1_ROLES, frames: int = 5) -> tuple[Path, Path]:
    """The folder of pictures (`frames` for each camera, 10 Hz) and the CSV of 2 s of poses at 20 Hz."""
    random = np.random.default_rng(0)
    images, ego = folder / "images", folder / "ego.csv"
    for role in roles:
        place = images / role.label
        place.mkdir(parents=True)
        for age in range(frames):
            picture = random.integers(0, 256, (120, 160, 3), dtype=np.uint8)
            assert cv2.imwrite(str(place / f"{END_NS - age * 100_000_000}.png"), picture)
    write_ego(ego, [ego_row(END_NS - age * 50_000_000) for age in reversed(range(41))])
    return images, ego


def ego_row(stamp_ns: int) -> str:
    return f"{stamp_ns},{(stamp_ns - END_NS) / 1e8},0,0,0,0,0,1"


def write_ego(path: Path, rows: Iterable[str], header: str = EGO_HEADER) -> None:
    path.write_text("\n".join([header, *rows]) + "\n")
