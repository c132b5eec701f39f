"""A drive as plain files: one folder of pictures for each camera role, and the ego poses as CSV.

images/front_wide_120/1700000000000000000.jpg     the file's name is its stamp in nanoseconds
ego.csv                                           stamp_ns,x,y,z,qx,qy,qz,qw in any fixed frame, 10 Hz or more
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from alpamayo_ros.datasets.staging import staged
from alpamayo_ros.timeline import (
    EgoTrack,
    Frame,
    Moment,
    PictureError,
    Refusal,
    RefusalReason,
    choose_frames,
    newest_t0,
)
from alpamayo_ros.types import CameraRole, Observation

if TYPE_CHECKING:
    from alpamayo_ros.datasets.drive import Drive  # whoever only reads recordings need not load the simulator

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
EGO_COLUMNS = ("stamp_ns", "x", "y", "z", "qx", "qy", "qz", "qw")
MAX_STAMP_NS = np.iinfo(np.int64).max


class RecordingError(ValueError):
    """Files that are no recording: the message names the file and the remedy."""


@dataclass(frozen=True, eq=False)
class Recording:
    """pictures: by role, ascending in time. stamps_ns: by role, (N,) int64."""

    pictures: dict[CameraRole, list[Path]]
    stamps_ns: dict[CameraRole, np.ndarray]
    ego: EgoTrack

    @classmethod
    def open(cls, images: Path, ego_csv: Path) -> Recording:
        """Find the pictures and read the poses; no picture is read yet."""
        if not images.is_dir():
            raise RecordingError(f"{images} is no folder; give a folder that holds one folder for each camera role")
        pictures, stamps = {}, {}
        for folder in sorted(path for path in images.iterdir() if path.is_dir()):
            try:
                role = CameraRole.from_label(folder.name)
            except ValueError as error:
                raise RecordingError(f"{folder}: {error}") from None
            dated = sorted((_stamp(path), path) for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
            if not dated:
                raise RecordingError(f"{folder} holds no picture ({', '.join(PICTURE_SUFFIXES)})")
            for (stamp, path), (following, other) in pairwise(dated):
                if stamp == following:
                    raise RecordingError(f"{path} and {other.name} have the same stamp; keep one of them")
            stamps[role] = np.array([stamp for stamp, _ in dated], dtype=np.int64)
            pictures[role] = [path for _, path in dated]
        if not pictures:
            raise RecordingError(f"{images} holds no camera folder; name them by role, for example front_wide_120")
        return cls(pictures, stamps, _read_ego(ego_csv))

    @property
    def newest_t0_ns(self) -> int:
        return newest_t0([int(self.ego.stamps_ns[-1]), *(int(stamps[-1]) for stamps in self.stamps_ns.values())])

    def observation_at(
        self, t0_ns: int, *, frames: int, history_steps: int, slop_ns: int, navigation: str | None = None
    ) -> Observation:
        """The observation at t0. Raises Refusal or ObservationError."""
        chosen = {}
        for role, stamps in self.stamps_ns.items():
            indices = choose_frames(f"camera {role.label}", stamps, t0_ns, frames, slop_ns)
            chosen[role] = tuple(Frame(role, int(stamps[i]), self.pictures[role][i], _read_picture) for i in indices)
        with ThreadPoolExecutor(len(chosen)) as decoders:
            return Moment.of(t0_ns, chosen, self.ego, "", history_steps, decoders).observe(navigation)


def write_recording(
    drive: Drive, folder: Path, *, ticks: Iterable[int], odometry_rate: int = 50, suffix: str = ".jpg"
) -> None:
    """Write the frames of `ticks` and all poses to `folder`, with `images/` and `ego.csv` in it.

    suffix: .jpg (quality 95) or .png. Raises DatasetError where the folder exists.
    """
    motions = drive.motions(odometry_rate)
    with staged(folder) as place:
        for role in drive.rig.roles:
            (place / "images" / role.label).mkdir(parents=True)
        with (place / "ego.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(EGO_COLUMNS)
            for motion in motions:
                half = motion.yaw / 2
                writer.writerow([motion.stamp_ns, motion.x, motion.y, 0.0, 0.0, 0.0, math.sin(half), math.cos(half)])
        for tick in ticks:
            for role in drive.rig.roles:
                path = place / "images" / role.label / f"{drive.stamp_ns(tick)}{suffix}"
                _, coded = cv2.imencode(suffix, cv2.cvtColor(drive.picture(tick, role), cv2.COLOR_RGB2BGR))
                path.write_bytes(coded.tobytes())


def _stamp(path: Path) -> int:
    if not path.stem.isdecimal() or int(path.stem) > MAX_STAMP_NS:
        raise RecordingError(
            f"{path}: the name of a picture must be its stamp in nanoseconds, as in 1700000000000000000.jpg"
        )
    return int(path.stem)


def _read_picture(path: Path) -> np.ndarray:
    data = path.read_bytes()
    # Not imread: of a JPEG that was cut off it makes a picture with grey for what is missing. imdecode refuses.
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # an empty file, or a header with an absurd size
        bgr = None
    if bgr is None:
        raise PictureError(RefusalReason.CAMERA_DAMAGED, f"{path} is no readable picture; it is damaged or truncated")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _read_ego(path: Path) -> EgoTrack:
    if not path.is_file():
        raise RecordingError(f"{path} is no file; give the ego poses as CSV with columns {','.join(EGO_COLUMNS)}")
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the header.
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _parse_ego(path, csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} is not CSV text ({error})") from None
    except Refusal as refusal:
        raise RecordingError(f"{path}: {refusal}") from None


def _parse_ego(path: Path, reader: csv.DictReader[str]) -> EgoTrack:
    missing = [name for name in EGO_COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise RecordingError(
            f"{path} lacks the columns {', '.join(missing)}; its header must name {','.join(EGO_COLUMNS)}"
        )
    stamps, values = [], []
    for row in reader:
        fields = list(row.values())
        try:
            # DictReader gathers what is left over under None: a decimal comma would shift every column.
            if None in row or not 0 <= int(row["stamp_ns"]) <= MAX_STAMP_NS:
                raise ValueError
            stamps.append(int(row["stamp_ns"]))
            values.append([float(row[name]) for name in EGO_COLUMNS[1:]])
        except (TypeError, ValueError):
            raise RecordingError(
                f"{path}, line {reader.line_num}: {fields} is not one number for each column, the stamp in whole ns"
            ) from None
    array = np.array(values, dtype=np.float64).reshape(-1, 7)
    return EgoTrack(np.array(stamps, dtype=np.int64), array[:, :3], array[:, 3:])
