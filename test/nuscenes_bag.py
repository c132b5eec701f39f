"""A bag of nuScenes shape from any pictures: `python test/nuscenes_bag.py PICTURES BAG` (a folder of them).

Six cameras of 1600×900 JPEG at 12 Hz, each with its own phase, and odometry at 50 Hz with another. The car drives on
at the speed of `bag_records`; of a picture, each frame shows a part a little further on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml
from bag_records import MS, START, Record, image, odometry, write_bag

WIDTH, HEIGHT = 1600, 900
PHASES_MS = {
    "CAM_FRONT": 4, "CAM_FRONT_RIGHT": 12, "CAM_BACK_RIGHT": 20, "CAM_BACK": 30, "CAM_BACK_LEFT": 40,
    "CAM_FRONT_LEFT": 53,
}  # fmt: skip
ROLE_OF = {
    "CAM_FRONT_LEFT": "cross_left_120", "CAM_FRONT": "front_wide_120", "CAM_FRONT_RIGHT": "cross_right_120",
    "CAM_BACK_LEFT": "rear_left_70", "CAM_BACK": "rear_tele_30", "CAM_BACK_RIGHT": "rear_right_70",
}  # fmt: skip
FRAME_NS = 10**9 // 12


def nuscenes_records(
    pictures: Sequence[np.ndarray] = (), seconds: float = 3.0, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> list[Record]:
    """pictures: (H, W, 3) uint8 RGB of any size, for the cameras in turn; none means made-up ones. size: width and
    height of every frame."""
    width, height = size
    pictures = pictures or [made_up(i) for i in range(len(PHASES_MS))]
    records = []
    for i, (camera, phase) in enumerate(PHASES_MS.items()):
        wide = cv2.resize(pictures[i % len(pictures)], (width + width // 4, height))
        for number, ns in enumerate(range(START + phase * MS, START + round(seconds * 1e9) + 1, FRAME_NS)):
            shift = (number * width // 160) % (width // 4)
            part = np.ascontiguousarray(wide[:, shift : shift + width])
            records.append(Record(f"/{camera}/image_rect_compressed", ns, image(ns, part, raw=False)))
    poses = range(START + 7 * MS, START + round(seconds * 1e9) + 1, 20 * MS)
    records += [Record("/odom", ns, odometry(ns, "map")) for ns in poses]
    return sorted(records, key=lambda record: record.logged_ns)


def made_up(number: int) -> np.ndarray:
    blocks = np.random.default_rng(number).integers(0, 255, (9, 20, 3), dtype=np.uint8)
    return cv2.resize(blocks, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def write_nuscenes_rig(folder: Path) -> Path:
    cameras = {
        role: {"topic": f"/{camera}/image_rect_compressed", "transport": "compressed"}
        for camera, role in ROLE_OF.items()
    }
    path = folder / "nuscenes_jpeg.yaml"
    path.write_text(yaml.safe_dump({"ego": {"source": "odometry", "topic": "/odom"}, "cameras": cameras}))
    return path


def main(folder: str, bag: str) -> None:
    found = [cv2.imread(str(path)) for path in sorted(Path(folder).iterdir())]
    pictures = [np.ascontiguousarray(picture[..., ::-1]) for picture in found if picture is not None]
    if not pictures:
        sys.exit(f"{folder}: no pictures that OpenCV reads")
    write_bag(Path(bag), nuscenes_records(pictures))
    print(f"wrote {bag} and {write_nuscenes_rig(Path(bag).parent)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
