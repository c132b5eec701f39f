"""Bags of a drive straight on at SPEED, as lists of records that a test may change before they are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from alpamayo_ros.types import CameraRole

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = {name.rpartition("/")[2]: made for name, made in STORE.types.items()}
START = 1_000_000_000_000
MS = 1_000_000
SPEED = 8.0
ROLES = tuple(CameraRole(role) for role in (0, 1, 2, 6))


@dataclass(frozen=True)
class Record:
    topic: str
    logged_ns: int
    message: Any


def stamp(header: Any) -> int:
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def header(ns: int, frame: str) -> Any:
    return TYPES["Header"](stamp=TYPES["Time"](sec=ns // 10**9, nanosec=ns % 10**9), frame_id=frame)


def scenery(role: CameraRole, number: int) -> np.ndarray:
    """(48, 80, 3) uint8: different for every camera and number, and coarse enough for JPEG."""
    blocks = np.random.default_rng((int(role), number)).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((16, 16, 1), np.uint8))


def image(ns: int, picture: np.ndarray, raw: bool) -> Any:
    head = header(ns, "camera")
    if raw:
        height, width = picture.shape[:2]
        return TYPES["Image"](
            header=head, height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width,
            data=picture.ravel(),
        )  # fmt: skip
    data = cv2.imencode(".jpg", picture[..., ::-1])[1].ravel()
    return TYPES["CompressedImage"](header=head, format="jpeg", data=data)


def odometry(ns: int, frame: str = "odom", base: str = "base_link") -> Any:
    zero = TYPES["Vector3"](x=0.0, y=0.0, z=0.0)
    pose = TYPES["Pose"](position=TYPES["Point"](x=along(ns), y=0.0, z=0.0), orientation=turn())
    twist = TYPES["Twist"](linear=TYPES["Vector3"](x=SPEED, y=0.0, z=0.0), angular=zero)
    return TYPES["Odometry"](
        header=header(ns, frame), child_frame_id=base,
        pose=TYPES["PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
        twist=TYPES["TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
    )  # fmt: skip


def transform(ns: int, parent: str, child: str, x: float, y: float = 0.0, yaw: float = 0.0) -> Any:
    """A TFMessage with one transform."""
    moved = TYPES["Transform"](translation=TYPES["Vector3"](x=x, y=y, z=0.0), rotation=turn(yaw))
    return TYPES["TFMessage"](
        transforms=[TYPES["TransformStamped"](header=header(ns, parent), child_frame_id=child, transform=moved)]
    )


def turn(yaw: float = 0.0) -> Any:
    return TYPES["Quaternion"](x=0.0, y=0.0, z=float(np.sin(yaw / 2)), w=float(np.cos(yaw / 2)))


def along(ns: int) -> float:
    return (ns - START) / 1e9 * SPEED


def drive(seconds: float = 2.5, raw: bool = False, start: int = START) -> list[Record]:
    """Four cameras at 10 Hz and odometry at 50 Hz, all on the grid of 0.1 s, each logged 3 ms after its stamp."""
    records = []
    for tick in range(round(seconds * 50) + 1):
        ns = start + tick * 20 * MS
        records.append(Record("/odom", ns + 3 * MS, odometry(ns)))
        if tick % 5 == 0:
            records += [Record(f"/{role.label}", ns + 3 * MS, image(ns, scenery(role, tick), raw)) for role in ROLES]
    return records


def write_rig(folder: Path, transport: str = "compressed", ego: dict[str, str] | None = None) -> Path:
    path = folder / "rig.yaml"
    cameras = {role.label: {"topic": f"/{role.label}", "transport": transport} for role in ROLES}
    path.write_text(yaml.safe_dump({"ego": ego or {"source": "odometry", "topic": "/odom"}, "cameras": cameras}))
    return path


def write_bag(
    folder: Path, records: Iterable[Record], storage: str = "mcap", latched: Iterable[str] = ("/tf_static",)
) -> Path:
    with Writer(folder, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connections: dict[str, Any] = {}
        for record in records:
            kind = record.message.__msgtype__
            if record.topic not in connections:
                connections[record.topic] = writer.add_connection(
                    record.topic, kind, typestore=STORE, offered_qos_profiles=[_quality(record.topic in latched)]
                )
            data = STORE.serialize_cdr(record.message, kind)
            writer.write(connections[record.topic], record.logged_ns, data)
    return folder


def _quality(latched: bool) -> Qos:
    forever = QosTime(9223372036, 854775807)
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, durability, forever, forever, QosLiveliness.AUTOMATIC,
        forever, False,
    )  # fmt: skip


def read_bag(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """By topic the log times and messages, with no other knowledge of their types than the bag's own."""
    found: dict[str, list[tuple[int, Any]]] = {}
    with AnyReader([folder]) as reader:
        for connection, logged_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((logged_ns, message))
    return found


def later(records: list[Record], ns: int) -> list[Record]:
    """The same records, logged later by so much."""
    return [replace(record, logged_ns=record.logged_ns + ns) for record in records]
