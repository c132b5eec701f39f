"""Ego poses from live transforms: read from /tf as they are from a bag, each message by its own stamp."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Vector3
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header

from alpamayo_ros.nodes.rig_profile import RigError, TfSource
from alpamayo_ros.nodes.transform_chain import StampedPose, TransformChain, TransformError
from alpamayo_ros.timeline import Refusal, RefusalReason

OnPose = Callable[[Any, Any, Any], None]
"""Takes header, translation and rotation of base_frame in fixed_frame."""

PATIENCE_S = 1.0
"""So long after the first message a chain that is not whole is no fault: its transforms come one by one."""


class TfPoses:
    """Hears /tf and /tf_static, and hands on a pose of the base frame for each message of the transform that moves.

    on_refusal: for each message when no pose can be read. Raises RigError where tf2_msgs is not installed.
    """

    def __init__(self, node: Node, source: TfSource, on_pose: OnPose, on_refusal: Callable[[Refusal], None]) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            raise RigError(
                "the rig takes its ego poses from transforms, but tf2_msgs is not installed; install it, or give the "
                "topic of an odometry in the parameter odometry_topic"
            ) from None
        self._node, self._on_pose, self._on_refusal = node, on_pose, on_refusal
        self._chain = TransformChain(source.fixed_frame, source.base_frame)
        self._first: float | None = None
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", partial(self._take, static=False), 100),
            node.create_subscription(TFMessage, "/tf_static", partial(self._take, static=True), latched),
        ]

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _take(self, message: Any, *, static: bool) -> None:
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        try:
            poses, why = self._chain.add(message, static=static), self._chain.missing()
        except TransformError as error:
            poses, why = [], str(error)
        for pose in poses:
            self._hand_on(pose)
        if why is not None and now - self._first > PATIENCE_S:
            self._on_refusal(Refusal(RefusalReason.EGO_FRAME, "ego", why))

    def _hand_on(self, pose: StampedPose) -> None:
        seconds, nanoseconds = divmod(pose.stamp_ns, 1_000_000_000)
        header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=self._chain.fixed_frame)
        x, y, z = map(float, pose.position)
        a, b, c, w = map(float, pose.quaternion)
        self._on_pose(header, Vector3(x=x, y=y, z=z), Quaternion(x=a, y=b, z=c, w=w))
