"""A planner without a model: what it answers is said beforehand. For tests of those who talk to a planner."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType

import rclpy
from alpamayo_ros.msg import ChainOfCausation, DrivingPlan, TrajectorySample, Waypoint
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

ALL = QoSProfile(depth=1, history=HistoryPolicy.KEEP_ALL)


def nanoseconds(stamp) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def constant_plan(stamp, acceleration: float, curvature: float = 0.0, waypoints: int = 64) -> DrivingPlan:
    plan = DrivingPlan()
    plan.header.stamp, plan.header.frame_id = stamp, "base_link"
    sample = TrajectorySample(reasoning=ChainOfCausation(text="Keep going.", complete=True))
    for _ in range(waypoints):
        waypoint = Waypoint(acceleration=acceleration, curvature=curvature)
        waypoint.pose.orientation.w = 1.0
        sample.waypoints.append(waypoint)
    plan.samples.append(sample)
    plan.gate.passed = True
    return plan


class FakePlanner:
    """Answers, in a thread, each time that all cameras and the odometry cover.

    answer: from the stamp to what is published: a DrivingPlan, a complaint for /diagnostics (source, text), or nothing.
    heard: by topic, everything that came.
    """

    def __init__(self, domain: int, roles, answer: Callable, kind: type = Image) -> None:
        self._answer = answer
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        node = Node("alpamayo_planner", context=self._context)
        self._plans = node.create_publisher(DrivingPlan, "~/plan", 10)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        suffix = "image_raw" if kind is Image else "image_raw/compressed"
        self._needed = ["/odom", *(f"/camera/{role.label}/{suffix}" for role in roles)]
        self.heard: dict[str, list] = {topic: [] for topic in self._needed}
        for topic in self._needed:
            self._listen(node, Odometry if topic == "/odom" else kind, topic)
        for role in roles:
            self._listen(node, CameraInfo, f"/camera/{role.label}/camera_info")
        self._listen(node, Clock, "/clock")
        self._answered: set[int] = set()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin)

    def _listen(self, node: Node, kind: type, topic: str) -> None:
        def hear(message) -> None:
            self.heard.setdefault(topic, []).append(message)
            if topic in self._needed:
                self._perhaps_answer()

        node.create_subscription(kind, topic, hear, ALL)

    def _perhaps_answer(self) -> None:
        newest = [self.heard[topic][-1].header.stamp if self.heard[topic] else None for topic in self._needed]
        if None in newest or len({nanoseconds(stamp) for stamp in newest}) > 1:
            return
        if nanoseconds(newest[0]) in self._answered:
            return
        self._answered.add(nanoseconds(newest[0]))
        answer = self._answer(newest[0])
        if isinstance(answer, DrivingPlan):
            self._plans.publish(answer)
        elif answer is not None:
            source, text = answer
            status = DiagnosticStatus(level=DiagnosticStatus.WARN, name=f"alpamayo_planner: {source}", message=text)
            self._diagnostics.publish(DiagnosticArray(status=[status]))

    def stamps(self, topic: str) -> list[int]:
        return [nanoseconds(message.header.stamp) for message in self.heard[topic]]

    def __enter__(self) -> FakePlanner:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, where: TracebackType | None) -> None:
        rclpy.shutdown(context=self._context)
        self._thread.join()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
