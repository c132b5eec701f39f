"""Ego poses from transforms, where tf2 is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from alpamayo_ros.nodes.rig_profile import RigError, TfSource

OnPose = Callable[[Any, Any, Any], None]
"""Takes header, translation and rotation of base_frame in fixed_frame."""


class TfPoses:
    """Hears /tf and /tf_static, and hands on the pose of the base frame whenever it has become known for a newer time.

    Raises RigError where tf2 is not installed.
    """

    def __init__(self, node: Node, source: TfSource, on_pose: OnPose) -> None:
        try:
            import tf2_ros
            from tf2_msgs.msg import TFMessage
        except ImportError:
            raise RigError(
                "the rig takes its ego poses from transforms, but tf2_ros is not installed; install it, or give the "
                "topic of an odometry in the parameter odometry_topic"
            ) from None
        self._node, self._source, self._on_pose = node, source, on_pose
        self._buffer, self._unknown = tf2_ros.Buffer(), tf2_ros.TransformException
        self._newest_ns = 0
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", self._on_moving, 100),
            node.create_subscription(TFMessage, "/tf_static", self._on_static, latched),
        ]

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_static(self, message: Any) -> None:
        for transform in message.transforms:
            self._buffer.set_transform_static(transform, "static")

    def _on_moving(self, message: Any) -> None:
        for transform in message.transforms:
            self._buffer.set_transform(transform, "moving")
        try:
            found = self._buffer.lookup_transform(self._source.fixed_frame, self._source.base_frame, Time())
        except self._unknown:
            return  # the chain is not complete yet: the timeline says that the ego is missing
        stamp = Time.from_msg(found.header.stamp).nanoseconds
        if stamp == self._newest_ns:
            return
        if stamp < self._newest_ns:
            self._buffer.clear()  # time was set back: what is newer would win for ever
        self._newest_ns = stamp
        self._on_pose(found.header, found.transform.translation, found.transform.rotation)
