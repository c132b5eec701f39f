"""Bags (rosbag2), written without ROS by `rosbags`: a drive of the simulator, or any serialised messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.datasets.sensor_messages import Message, SensorMessages
from alpamayo_ros.datasets.staging import DatasetError, staged

STORAGE = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_FOREVER = QosTime(9223372036, 854775807)  # as rosbag2 writes "no limit"


@dataclass(frozen=True)
class BagOptions:
    """storage: mcap or sqlite3. raw: Image (rgb8) instead of CompressedImage. odometry_rate: Hz, a multiple of 10."""

    storage: str = "mcap"
    raw: bool = False
    odometry_rate: int = 50


class Bag:
    """A bag being written. counts: messages by topic. Every message is logged at its header's stamp."""

    def __init__(self, writer: Writer, store: Typestore) -> None:
        self._writer, self._store = writer, store
        self._connections: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def write(self, message: Message) -> None:
        topic = message.topic
        if topic not in self._connections:
            self._connections[topic] = self._connect(topic, message.kind)
        self._writer.write(self._connections[topic], message.stamp_ns, message.data)
        self.counts[topic] = self.counts.get(topic, 0) + 1

    def _connect(self, topic: str, kind: str) -> Any:
        durability = QosDurability.TRANSIENT_LOCAL if topic == "/tf_static" else QosDurability.VOLATILE
        qos = Qos(
            QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, durability, _FOREVER, _FOREVER,
            QosLiveliness.AUTOMATIC, _FOREVER, False,
        )  # fmt: skip
        return self._writer.add_connection(topic, kind, typestore=self._store, offered_qos_profiles=[qos])


@contextmanager
def open_bag(folder: Path, storage: str = "mcap", store: Typestore | None = None) -> Iterator[Bag]:
    """A new bag, there once the block ends well. store: knows the messages; by default those of ROS 2 Jazzy.

    Raises DatasetError where `folder` exists, or cannot be written.
    """
    with staged(folder) as place:
        try:
            with Writer(place, version=9, storage_plugin=STORAGE[storage]) as writer:
                yield Bag(writer, store or get_typestore(Stores.ROS2_JAZZY))
        except WriterError as error:
            raise DatasetError(f"{folder}: {error}") from None


def write_bag(drive: Drive, folder: Path, options: BagOptions, *, ticks: Iterable[int]) -> dict[str, int]:
    """Write the drive as a bag; returns the number of messages by topic. Raises DatasetError where `folder` exists."""
    sensors = SensorMessages(drive.rig, options.raw)
    with open_bag(folder, options.storage) as bag:
        bag.write(sensors.mounts(drive.stamp_ns(0)))
        motions = iter(drive.motions(options.odometry_rate))
        motion = next(motions, None)
        for tick in ticks:
            for message in sensors.pictures(drive.stamp_ns(tick), {r: drive.picture(tick, r) for r in drive.rig.roles}):
                bag.write(message)
            # Up to the next frame, so that the bag is in the order of time.
            while motion is not None and motion.stamp_ns < drive.stamp_ns(tick + 1):
                for message in sensors.motion(motion):
                    bag.write(message)
                motion = next(motions, None)
        return bag.counts
