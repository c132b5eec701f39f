"""Plays a bag into live topics, with /clock, where there is no `ros2 bag`. Messages are published byte for byte."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.utilities import ok, try_shutdown
from rosbags.interfaces import QosDurability, QosReliability
from rosgraph_msgs.msg import Clock

from alpamayo_ros.datasets.bag_reader import BagReader, BagTopic
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.nodes.names import PLANNER

NODE = "alpamayo_replay"

CLOCK_PERIOD_S = 0.01
"""Of wall time between messages on /clock: a node on simulated time is never more than that behind."""

SETTLED_S = 0.5
"""Subscribers have been waited for when no more have come for so long: a node makes its subscriptions one by one."""

MAX_LATCHED = 1000
"""Messages of a latched topic that late subscribers get: all of them, within reason."""


@dataclass(frozen=True)
class ReplayOptions:
    """rate: bag seconds per second. start: seconds into the bag. topics: only these; none means all. remap: other names
    for topics. clock: publish the bag's time on /clock. plans: publish a planner's topics too, which a planner that
    runs would publish beside it. wait: seconds in which somebody must subscribe before it starts, or None."""

    rate: float = 1.0
    loop: bool = False
    start: float = 0.0
    topics: tuple[str, ...] = ()
    remap: dict[str, str] = field(default_factory=dict)
    clock: bool = True
    plans: bool = True
    wait: float | None = None


@dataclass
class Played:
    """published: messages, all rounds together. late_s: how far behind its time the worst of them was."""

    published: int = 0
    late_s: float = 0.0


class Replay:
    """The topics of a bag, published by a node. skipped: a line for each that is not, with the reason.

    Raises DatasetError for options that do not fit the bag.
    """

    def __init__(self, node: Node, bag: BagReader, options: ReplayOptions) -> None:
        self._node, self._bag, self._options = node, bag, options
        self.skipped: list[str] = []
        self.played = Played()
        if not 0 < options.rate < float("inf"):
            raise DatasetError(f"rate is {options.rate}; it must be above 0")
        if not 0 <= options.start * 1e9 <= bag.end_ns - bag.start_ns:
            raise DatasetError(f"start is {options.start} s, but {bag.path} has {_seconds(bag):.1f} s")
        for name in (*options.topics, *options.remap):
            if name not in bag.topics:
                raise DatasetError(f"{bag.path} has no topic {name}; it has {', '.join(sorted(bag.topics))}")
        self._clock = node.create_publisher(Clock, "/clock", 10) if options.clock else None
        self._publishers = dict(self._publish_all(options.topics or tuple(sorted(bag.topics))))
        if not self._publishers:
            raise DatasetError(f"{bag.path}: nothing to play: {'; '.join(self.skipped)}")
        self._latched = {topic for topic in self._publishers if _is_latched(bag.topics[topic])}
        self._told_ns: int | None = None

    def run(self, told: Callable[[int], object] = lambda _: None) -> Played:
        """Play to the end, or, in a loop, until ROS is shut down. told: is given the log time of every message.

        Raises DatasetError for damage, and where nobody subscribes in the time that was given.
        """
        if self._options.wait is not None:
            self._wait_for_subscribers(self._options.wait)
        first_ns = self._bag.start_ns + round(self._options.start * 1e9)
        try:
            while self._runs():
                self._round(first_ns, told)
                if not self._options.loop:
                    break
            for publisher in self._publishers.values() if self._runs() else ():
                publisher.wait_for_all_acked(Duration(seconds=1))
        except Exception:
            if self._runs():
                raise  # else ROS was shut down in the middle of a call
        return self.played

    def _runs(self) -> bool:
        return bool(ok(context=self._node.context))

    def _round(self, first_ns: int, told: Callable[[int], object]) -> None:
        if first_ns > self._bag.start_ns and self._latched:
            # What was latched before the start holds after it.
            for message in self._bag.messages(self._latched, stop_ns=first_ns):
                self._publishers[message.topic].publish(message.data)
        begin = time.monotonic()
        for message in self._bag.messages(self._publishers, first_ns):
            # From the beginning each time, so that no delay adds up.
            due = begin + (message.logged_ns - first_ns) / 1e9 / self._options.rate
            if not self._sleep_until(due, begin, first_ns):
                return
            self.played.late_s = max(self.played.late_s, time.monotonic() - due)
            self._publishers[message.topic].publish(message.data)
            self.played.published += 1
            told(message.logged_ns)

    def _sleep_until(self, due: float, begin: float, first_ns: int) -> bool:
        """False where ROS was shut down meanwhile. Tells the time as it goes, and never a later one than is due."""
        while self._runs():
            now = min(time.monotonic(), due)
            self._tell_time(first_ns + round((now - begin) * 1e9 * self._options.rate))
            if now >= due:
                return True
            time.sleep(min(CLOCK_PERIOD_S, max(0.0, due - time.monotonic())))
        return False

    def _tell_time(self, at_ns: int) -> None:
        if self._clock is not None and at_ns != self._told_ns:
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(at_ns, 1_000_000_000)
            self._clock.publish(clock)
            self._told_ns = at_ns

    def _wait_for_subscribers(self, seconds: float) -> None:
        begin = changed = time.monotonic()
        known = 0
        while self._runs():
            now, count = time.monotonic(), sum(each.get_subscription_count() for each in self._publishers.values())
            if count != known:
                known, changed = count, now
            if known and now - changed > SETTLED_S:
                return
            if not known and now - begin > seconds:
                topics = ", ".join(publisher.topic_name for publisher in self._publishers.values())
                raise DatasetError(f"nobody has subscribed in {seconds:.0f} s to any of {topics}")
            time.sleep(CLOCK_PERIOD_S)

    def _publish_all(self, topics: tuple[str, ...]) -> Iterator[tuple[str, Publisher]]:
        for topic in topics:
            found = self._bag.topics[topic]
            if topic == "/clock" and self._clock is not None:
                self.skipped.append("/clock is left out: this replay tells the time itself")
                continue
            if f"/{PLANNER}/" in topic and not self._options.plans:
                self.skipped.append(f"{topic} is left out: a planner that runs publishes its own")
                continue
            kind = _message_class(found.kind)
            if kind is None:
                self.skipped.append(f"{topic} is left out: this environment has no {found.kind}")
                continue
            publisher = self._node.create_publisher(kind, self._options.remap.get(topic, topic), _quality(found))
            if found.digest is not None and _digest(self._node, publisher) not in (None, found.digest):
                self._node.destroy_publisher(publisher)
                self.skipped.append(f"{topic} is left out: this environment has another definition of {found.kind}")
                continue
            yield topic, publisher


def _message_class(kind: str) -> Any | None:
    package, folder, name = kind.split("/")
    if folder != "msg":
        return None  # events of services and actions
    try:
        return getattr(import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None


def _digest(node: Node, publisher: Publisher) -> str | None:
    """The hash of the type that a publisher of ours publishes, as bags keep it; None where it has none."""
    for endpoint in node.get_publishers_info_by_topic(publisher.topic_name):
        if endpoint.node_name == node.get_name() and endpoint.topic_type_hash.version > 0:
            return str(endpoint.topic_type_hash)
    return None


def _is_latched(topic: BagTopic) -> bool:
    return topic.name == "/tf_static" or any(qos.durability is QosDurability.TRANSIENT_LOCAL for qos in topic.qos)


def _quality(topic: BagTopic) -> QoSProfile:
    """As it was recorded; where several published it, what suits all who heard any of them."""
    profile = QoSProfile(depth=max([10, *(qos.depth for qos in topic.qos)]))
    if topic.qos and all(qos.reliability is QosReliability.BEST_EFFORT for qos in topic.qos):
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    if _is_latched(topic):
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
        profile.depth = max(profile.depth, min(topic.count, MAX_LATCHED))
    return profile


def _seconds(bag: BagReader) -> float:
    return (bag.end_ns - bag.start_ns) / 1e9


@contextmanager
def replay_node() -> Iterator[Node]:
    """The node of a replay that is no executable of its own: ROS runs as long as the block."""
    rclpy.init(args=[])
    try:
        yield rclpy.create_node(NODE)
    finally:
        try_shutdown()


def main() -> None:
    """The executable `replay`: a node with the parameters bag, rate, loop, clock, plans, start and wait."""
    rclpy.init()
    node = rclpy.create_node(NODE)
    # Only for the node's parameters: publishing needs nobody to spin.
    spinning = threading.Thread(target=_spin, args=(node,))
    spinning.start()
    log = node.get_logger()
    try:
        path, options = _parameters(node)
        with BagReader(path) as bag:
            replay = Replay(node, bag, options)
            for line in replay.skipped:
                log.warning(line)
            log.info(f"playing {path}: {_seconds(bag):.1f} s at rate {options.rate}")
            played = replay.run()
            log.info(f"played {played.published} messages, each within {played.late_s * 1e3:.0f} ms of its time")
    except DatasetError as error:
        log.fatal(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        pass
    except rclpy_implementation.RCLError:
        if ok():
            raise  # else a signal came while something was being published
    finally:
        try_shutdown()
        spinning.join()


def _parameters(node: Node) -> tuple[Path, ReplayOptions]:
    def value(name: str, default: Any, description: str) -> Any:
        # Dynamic, so that a whole number will do for a float; which is checked here.
        given = node.declare_parameter(
            name, default, ParameterDescriptor(description=description, dynamic_typing=True, read_only=True)
        ).value
        if isinstance(default, float) and isinstance(given, int) and not isinstance(given, bool):
            given = float(given)
        if type(given) is not type(default):
            raise DatasetError(f"parameter {name} is {given!r}; it must be a {type(default).__name__}")
        return given

    path = value("bag", "", "The bag to play: its folder, or its .mcap or .db3 file.")
    if not path:
        raise DatasetError("parameter bag is empty; give the bag to play")
    wait = value("wait", -1.0, "Seconds in which somebody must subscribe before it starts; below 0: starts at once.")
    return Path(path), ReplayOptions(
        rate=value("rate", 1.0, "Bag seconds per second."),
        loop=value("loop", False, "Start again at the end."),
        clock=value("clock", True, "Publish the time of the bag on /clock."),
        plans=value("plans", True, "Publish the plans that are in the bag; not beside a planner that runs."),
        start=value("start", 0.0, "Seconds into the bag."),
        wait=None if wait < 0 else wait,
    )


def _spin(node: Node) -> None:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    with suppress(ExternalShutdownException):
        executor.spin()
