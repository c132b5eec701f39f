"""Any rosbag2 (mcap or sqlite3) in the order of its log, and one clear line about what cannot be read. Without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import Connection, MessageDefinitionFormat, Qos
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from alpamayo_ros.datasets.staging import DatasetError


@dataclass(frozen=True)
class BagTopic:
    """A topic as it was recorded.

    kind: for example sensor_msgs/msg/Image. qos: the profiles of those that published it, empty where none was kept.
    definition, digest: text and hash (RIHS01) of its type; None where the bag has neither and the type is no standard
        one.
    """

    name: str
    kind: str
    count: int
    qos: tuple[Qos, ...]
    definition: str | None
    digest: str | None


class BagMessage(NamedTuple):
    """data: CDR, as it was recorded. logged_ns: when the recorder got it, which need not be its stamp."""

    topic: str
    logged_ns: int
    data: bytes


class BagReader:
    """A bag to read, as a context. Never holds more of it than one chunk.

    Raises DatasetError: for a bag that does not exist, is empty, damaged or cut off, on opening; for damage further in,
    when it is reached, with how far the bag could be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._reader = _reader(path)
        self.topics: dict[str, BagTopic] = {}

    def __enter__(self) -> BagReader:
        with _damage(f"{self.path} is damaged or cut off"):
            self._reader.open()
        try:
            if not self._reader.message_count:
                raise DatasetError(f"{self.path} holds no messages")
            for connection in self._reader.connections:
                self._add_topic(connection)
        except BaseException:
            self._reader.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # Of a damaged bag there may be nothing left to close.
        with suppress(Exception):
            self._reader.close()

    @property
    def start_ns(self) -> int:
        """When the first message was logged."""
        return self._reader.start_time

    @property
    def end_ns(self) -> int:
        """When the last message was logged."""
        return self._reader.end_time - 1

    def messages(
        self, topics: Iterable[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """The messages of some topics, in the order of their log times, from `start_ns` on and before `stop_ns`."""
        wanted = set(topics)
        connections = [connection for connection in self._reader.connections if connection.topic in wanted]
        if not connections:
            return  # to the library, no connections mean all of them
        last = None
        with _damage(lambda: self._read_up_to(last)):
            for connection, logged_ns, data in self._reader.messages(connections, start_ns, stop_ns):
                last = logged_ns
                yield BagMessage(connection.topic, logged_ns, data)

    def deserialize(self, message: BagMessage) -> Any:
        """The message as an object with the fields of its type, one of the standard ones of ROS 2 Jazzy."""
        kind = self.topics[message.topic].kind
        place = f"{self.path}: topic {message.topic}: the message logged at {message.logged_ns} ns is no whole {kind}"
        with _damage(place):
            return self._store.deserialize_cdr(message.data, kind)

    def _add_topic(self, connection: Connection) -> None:
        known = self.topics.get(connection.topic)
        if known is not None and known.kind != connection.msgtype:
            raise DatasetError(
                f"{self.path}: topic {connection.topic} was recorded with two types, {known.kind} and "
                f"{connection.msgtype}; split the bag"
            )
        count, qos = (0, ()) if known is None else (known.count, known.qos)
        qos = (*qos, *connection.ext.offered_qos_profiles)  # type: ignore[union-attr]  # of rosbag2, always
        definition, digest = _definition(connection, self._store)
        self.topics[connection.topic] = BagTopic(
            connection.topic, connection.msgtype, count + connection.msgcount, qos, definition, digest
        )

    def _read_up_to(self, last_ns: int | None) -> str:
        if last_ns is None:
            return f"{self.path} is damaged, and nothing of these topics can be read"
        seconds, whole = (last_ns - self.start_ns) / 1e9, (self.end_ns - self.start_ns) / 1e9
        return f"{self.path} is damaged: it can be read up to {seconds:.1f} s of {whole:.1f} s (logged at {last_ns} ns)"


def _reader(path: Path) -> Reader:
    if not path.exists():
        raise DatasetError(f"{path} does not exist; give the folder of a bag, or its .mcap or .db3 file")
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        raise DatasetError(
            f"{path} has no metadata.yaml: it is no bag, or its recording was cut off; `ros2 bag reindex {path}` "
            "writes it anew"
        )
    if not path.is_dir() and path.suffix not in (".mcap", ".db3"):
        raise DatasetError(f"{path} is no bag; give the folder of a bag, or its .mcap or .db3 file")
    return Reader(path)


@contextmanager
def _damage(what: str | Callable[[], str]) -> Iterator[None]:
    """Whatever the library runs into within damaged bytes becomes one line. what: text, or what makes it."""
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "its bytes end too early"
        raise DatasetError(f"{what() if callable(what) else what}: {type(error).__name__}: {reason}") from None


def _definition(connection: Connection, standard: Typestore) -> tuple[str | None, str | None]:
    """Text and hash of a connection's type."""
    kind, embedded = connection.msgtype, connection.msgdef
    if embedded.format == MessageDefinitionFormat.NONE:
        if kind not in standard.types:
            return None, None
        return standard.generate_msgdef(kind, ros_version=2)[0], standard.hash_rihs01(kind)
    if connection.digest:
        return embedded.data, connection.digest
    # Recorders before Jazzy kept no hash, and a file alone has none; it follows from the text.
    store = get_typestore(Stores.EMPTY)
    try:
        if embedded.format == MessageDefinitionFormat.IDL:
            store.register(get_types_from_idl(embedded.data))
        else:
            store.register(get_types_from_msg(embedded.data, kind))
        return embedded.data, store.hash_rihs01(kind)
    except Exception:  # a definition that the library cannot read is as good as none
        return None, None
