"""A bag on live topics: what is published, when, and how subscribers that come late fare."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
import rclpy
from bag_records import MS, START, TYPES, Record, drive, odometry, write_bag
from car import Wire, wait_until
from command import alpamayo, refusal
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from alpamayo_ros.datasets.bag_reader import BagReader
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.nodes.names import PLANNER
from alpamayo_ros.nodes.replay import Replay, ReplayOptions

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Ear:
    """Hears topics; of each message its arrival and itself."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("ear")
        self.heard: dict[str, list] = {}

    def listen(self, kind: type, topic: str, quality: QoSProfile | int = 1000, raw: bool = False) -> None:
        heard = self.heard.setdefault(topic, [])
        self.node.create_subscription(
            kind, topic, lambda message: heard.append((time.monotonic(), message)), quality, raw=raw
        )


@pytest.fixture
def ear(ros_domain):
    rclpy.init(domain_id=ros_domain)
    ear = Ear()
    wire = Wire(ear.node)
    yield ear
    wire.close()
    ear.node.destroy_node()
    rclpy.shutdown()


def play(bag: Path, sent: list[float] | None = None, **options):
    """sent: gets the time at which each message went out."""
    node = rclpy.create_node("alpamayo_replay")
    try:
        with BagReader(bag) as reader:
            replay = Replay(node, reader, ReplayOptions(**options))
            played = replay.run(lambda _: None if sent is None else sent.append(time.monotonic()))
            time.sleep(0.3)
            return played, replay.skipped
    finally:
        node.destroy_node()


def nanoseconds(stamp) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "bag", drive(1.0))


def test_messages_are_published_byte_for_byte_in_time(ear, bag):
    ear.listen(Odometry, "/odom", raw=True)
    ear.listen(CompressedImage, "/front_wide_120", raw=True)
    ear.listen(Clock, "/clock")
    sent: list[float] = []
    played, skipped = play(bag, sent, wait=30.0)
    assert (played.published, skipped) == (51 + 44, [])
    with BagReader(bag) as reader:
        for topic in ("/odom", "/front_wide_120"):
            recorded = list(reader.messages([topic]))
            heard = ear.heard[topic]
            assert [data for _, data in heard] == [one.data for one in recorded]
    # Whatever else the machine does: none is early, and the replay knows by how much the first was late.
    assert sent[-1] - sent[0] >= 1.0 - played.late_s
    clock = [nanoseconds(message.clock) for _, message in ear.heard["/clock"]]
    assert clock == sorted(clock)
    assert clock[0] <= START + 10 * MS
    assert clock[-1] == START + 1003 * MS  # the log time of the last message
    assert len(clock) > 50


def test_rate_start_topics_and_names(ear, bag):
    ear.listen(Odometry, "/other")
    ear.listen(Odometry, "/odom")
    ear.listen(CompressedImage, "/front_wide_120")
    sent: list[float] = []
    played, _ = play(
        bag, sent, rate=5.0, start=0.5, topics=("/odom",), remap={"/odom": "/other"}, wait=30.0, clock=False
    )
    # 0.5 s of the bag in 0.1 s, and not much of it is between being due, which late_s measures from, and being sent.
    assert 0.1 - played.late_s - 0.01 <= sent[-1] - sent[0] <= 0.1 + played.late_s + 0.2
    assert played.published == 26
    assert [nanoseconds(message.header.stamp) for _, message in ear.heard["/other"]] == [
        *range(START + 500 * MS, START + 1001 * MS, 20 * MS)
    ]
    assert ear.heard["/odom"] == ear.heard["/front_wide_120"] == []


def test_plans_of_the_bag_are_left_out_where_a_planner_publishes_its_own(ear, tmp_path):
    plans, seen = f"/car/{PLANNER}/reasoning", "/seen"
    records = [Record(topic, START + i * MS, TYPES["String"](data="x")) for i in range(3) for topic in (plans, seen)]
    bag = write_bag(tmp_path / "bag", records)
    ear.listen(String, seen)
    played, skipped = play(bag, plans=False, wait=30.0)
    assert played.published == 3
    assert skipped == [f"{plans} is left out: a planner that runs publishes its own"]
    played, skipped = play(bag, wait=30.0)
    assert (played.published, skipped) == (6, [])


def test_late_subscribers_get_what_was_latched(ear, tmp_path):
    records = [
        Record("/latched", START, TYPES["String"](data="one")),
        Record("/latched", START + MS, TYPES["String"](data="two")),
        Record("/passing", START, TYPES["String"](data="gone")),
        *(Record("/odom", START + i * 20 * MS, odometry(START + i * 20 * MS)) for i in range(60)),
    ]
    bag = write_bag(tmp_path / "bag", records, latched=["/latched"])
    node = rclpy.create_node("alpamayo_replay")
    with BagReader(bag) as reader:
        # From after the time at which they were latched.
        replay = Replay(node, reader, ReplayOptions(start=0.5))
        replay.run()
        ear.listen(String, "/latched", LATCHED)
        ear.listen(String, "/passing", LATCHED)
        assert wait_until(lambda: len(ear.heard["/latched"]) == 2)
    assert [message.data for _, message in ear.heard["/latched"]] == ["one", "two"]
    assert ear.heard["/passing"] == []
    node.destroy_node()


def test_a_loop_sets_time_back(ear, bag, ros_domain):
    ear.listen(Clock, "/clock")
    ear.listen(Odometry, "/odom")

    def times_back() -> int:
        told = [nanoseconds(message.clock) for _, message in ear.heard["/clock"]]
        return sum(after < before for before, after in pairwise(told))

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = rclpy.create_node("alpamayo_replay", context=context)
    with BagReader(bag) as reader:
        replay = Replay(node, reader, ReplayOptions(loop=True, rate=4.0, wait=30.0))
        thread = threading.Thread(target=replay.run)
        thread.start()
        assert wait_until(lambda: times_back() >= 2, 30)
        rclpy.shutdown(context=context)  # as a signal does
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_types_that_are_not_here_are_named(ear, tmp_path):
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("int32 n", "nowhere_msgs/msg/Number"))
    changed = get_typestore(Stores.EMPTY)
    changed.register(get_types_from_msg("string data\nint32 more", "std_msgs/msg/String"))
    with Writer(tmp_path / "bag", version=9) as writer:
        for topic, kind, types in (
            ("/number", "nowhere_msgs/msg/Number", store),
            ("/changed", "std_msgs/msg/String", changed),
            ("/clock", "rosgraph_msgs/msg/Clock", store),
        ):
            made = types.types[kind]
            message = {
                "/number": lambda made=made: made(n=1),
                "/changed": lambda made=made: made(data="x", more=1),
                "/clock": lambda made=made: made(clock=TYPES["Time"](sec=1, nanosec=0)),
            }[topic]()
            connection = writer.add_connection(topic, kind, typestore=types)
            writer.write(connection, START, types.serialize_cdr(message, kind))
    with pytest.raises(DatasetError, match="nothing to play") as error:
        play(tmp_path / "bag")
    assert "/number is left out: this environment has no nowhere_msgs/msg/Number" in str(error.value)
    assert "/changed is left out: this environment has another definition of std_msgs/msg/String" in str(error.value)
    assert "/clock is left out: this replay tells the time itself" in str(error.value)
    played, _ = play(tmp_path / "bag", clock=False)
    assert played.published == 1


def test_the_quality_of_service_is_that_of_the_recording(ear, bag):
    node = rclpy.create_node("alpamayo_replay")
    with BagReader(bag) as reader:
        Replay(node, reader, ReplayOptions())
        [endpoint] = node.get_publishers_info_by_topic("/odom")
    assert endpoint.qos_profile.reliability is ReliabilityPolicy.RELIABLE
    assert endpoint.qos_profile.durability is DurabilityPolicy.VOLATILE
    node.destroy_node()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--rate", "0"], "rate is 0.0; it must be above 0"),
        (["--start", "9"], "start is 9.0 s, but"),
        (["--topics", "/none"], "has no topic /none; it has /cross_left_120, "),
        (["--remap", "/none:=/other"], "has no topic /none"),
        (["--wait", "0.2"], "nobody has subscribed in 0 s to any of"),
    ],
)
def test_bad_options_are_told_in_one_line(bag, ros_domain, options, line):
    assert line in refusal(alpamayo("replay", bag, *options))


def test_the_command_plays(bag, ros_domain):
    ran = alpamayo("replay", bag, "--rate", 10)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("played 95 messages, each within ")


def test_the_executable_takes_parameters_and_ends_on_a_signal(bag, ros_domain):
    start = [sys.executable, "-c", "from alpamayo_ros.nodes.replay import main; main()", "--ros-args", "-p"]
    process = subprocess.Popen(
        [*start, f"bag:={bag}", "-p", "rate:=2", "-p", "loop:=true"], stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "playing" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)[1]
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    done = subprocess.run([*start, "bag:=/nowhere"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "/nowhere does not exist" in done.stderr
    assert "Traceback" not in done.stderr
