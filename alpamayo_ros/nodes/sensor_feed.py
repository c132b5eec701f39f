"""What a simulated car's sensors see, over topics: cameras, camera info, odometry, transforms and the clock.

The topics and frames are those of `datasets.sensor_messages`, so the same car in a bag looks the same. Besides:

/clock        rosgraph_msgs/Clock, before the messages of its time
/navigation   std_msgs/String, transient local, only where asked for: what a navigation device says, empty for nothing;
              whenever that changes, before the other messages of its time. A planner hears it by NAVIGATION_REMAP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import rclpy.time
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from alpamayo_ros.datasets.drive import TICK_NS, Motion, check_rate, motion_of, motions_between
from alpamayo_ros.datasets.sensor_messages import Message, SensorMessages, image_topic, info_topic
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.world import Ego, World

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # not on PyPI: a machine without ROS has no /tf, and its bags have it all the same
    TFMessage = None

EVERYTHING = QoSProfile(depth=1, history=HistoryPolicy.KEEP_ALL)
"""Reliable, and nothing is dropped however late a subscriber is: for lockstep, which waits for it anyway."""
NEWEST = QoSProfile(depth=10)
"""Reliable, and a slow subscriber misses something: for a simulation that waits for nobody."""
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NAVIGATION = "/navigation"
NAVIGATION_REMAP = f"~/navigation:={NAVIGATION}"
"""Given to the planner as a remapping, it hears the instructions."""


class SensorFeed:
    """Publishes states one after another. Raises ValueError for an odometry rate that is no multiple of 10.

    pace: called with each time before the messages of it; waits for it where the simulation is to run in real time.
    record: told of every message but /clock and /navigation, also of transforms where tf2_msgs is not installed.
    """

    def __init__(
        self,
        node: Node,
        renderer: Renderer,
        *,
        raw: bool,
        odometry_rate: int = 50,
        quality: QoSProfile = EVERYTHING,
        navigation: bool = False,
        pace: Callable[[int], None] = lambda stamp_ns: None,
        record: Callable[[Message], None] = lambda message: None,
    ) -> None:
        check_rate(odometry_rate)
        self._renderer, self._rate = renderer, odometry_rate
        self._pace, self._record = pace, record
        self._sensors = SensorMessages(renderer.rig, raw)
        labels = [role.label for role in renderer.rig.roles]
        kinds: dict[str, Any] = {image_topic(label, raw): Image if raw else CompressedImage for label in labels}
        kinds["/odom"] = Odometry
        self._publishers = {topic: node.create_publisher(kind, topic, quality) for topic, kind in kinds.items()}
        self._needed = tuple(self._publishers.values())
        for label in labels:
            self._publishers[info_topic(label)] = node.create_publisher(CameraInfo, info_topic(label), quality)
        if TFMessage is None:
            node.get_logger().info("tf2_msgs is not installed: /tf and /tf_static are not published")
        else:
            self._publishers["/tf"] = node.create_publisher(TFMessage, "/tf", quality)
            self._publishers["/tf_static"] = node.create_publisher(TFMessage, "/tf_static", LATCHED)
        self._clock = node.create_publisher(Clock, "/clock", 10)
        self._navigation = node.create_publisher(String, NAVIGATION, LATCHED) if navigation else None
        self._instruction: str | None = None
        self._first_ns: int | None = None
        self._before: World | None = None

    @property
    def unheard(self) -> list[str]:
        """The topics among those of the cameras and the odometry that nobody listens to."""
        return [publisher.topic_name for publisher in self._needed if not publisher.get_subscription_count()]

    def begin(self, first_ns: int) -> None:
        """A new scenario, whose tick 0 is at that time, later than all before."""
        first = self._first_ns is None
        self._first_ns, self._before = first_ns, None
        if first:
            self._send(self._sensors.mounts(first_ns))

    def stamp_ns(self, tick: int) -> int:
        assert self._first_ns is not None, "begin comes first"
        return self._first_ns + tick * TICK_NS

    def show(self, world: World) -> None:
        """Publish what is new since the state before: the way here, then the pictures taken here."""
        self.instruct(world)
        stamp = self.stamp_ns(world.tick)
        pictures = self._renderer.render_all(world)  # first: what takes long must not come between the messages
        if self._before is None:
            motions = [_lead_in(world.ego, stamp, self._rate), motion_of(world.ego, stamp)]
        else:
            motions = motions_between(self._before.ego, world.ego, stamp, self._rate)
        self._before = world
        for motion in motions:
            self._pace(motion.stamp_ns)
            self._clock.publish(Clock(clock=rclpy.time.Time(nanoseconds=motion.stamp_ns).to_msg()))
            for message in self._sensors.motion(motion):
                self._send(message)
        for message in self._sensors.pictures(stamp, pictures):
            self._send(message)

    def instruct(self, world: World) -> str | None:
        """Publish what a navigation device says there and return it, empty for nothing; None where that is not new, or
        no navigation was asked for. `show` does it too: this is for those who want to wait between both."""
        instruction = world.instruction or ""
        if self._navigation is None or instruction == self._instruction:
            return None
        self._instruction = instruction
        self._navigation.publish(String(data=instruction))
        return instruction

    def _send(self, message: Message) -> None:
        publisher: Any = self._publishers.get(message.topic)
        if publisher is not None:
            publisher.publish(message.data)
        self._record(message)


def _lead_in(ego: Ego, stamp_ns: int, rate: int) -> Motion:
    """Where the car was one odometry message before, at constant speed.

    After a pause a listener may take the first stamp of a source for a fault until a second one agrees. Were that the
    pose of tick 0, the first 1.5 s would not be covered.
    """
    way = ego.speed / rate
    x, y = ego.x - way * math.cos(ego.yaw), ego.y - way * math.sin(ego.yaw)
    return Motion(stamp_ns - 1_000_000_000 // rate, x, y, ego.yaw, ego.speed, 0.0)
