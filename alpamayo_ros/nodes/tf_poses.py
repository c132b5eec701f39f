"""Ego poses from live transforms: read from /tf as they are from a bag, each message by its own stamp."""

from __future__ import annotations

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

OnPose = Callable[[Any, Any, Any], None]
"""Takes header, translation and rotation of base_frame in fixed_frame."""


class TfPoses:
    """Hears /tf and /tf_static, and hands on a pose of the base frame for each message of the transform that moves.

    Where no pose can be read it says why, once, in the log. Raises RigError where tf2_msgs is not installed.
    """

    def __init__(self, node: Node, source: TfSource, on_pose: OnPose) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            raise RigError(
                "the rig takes its ego poses from transforms, but tf2_msgs is not installed; install it, or give the "
                "topic of an odometry in the parameter odometry_topic"
            ) from None
        self._node, self._on_pose = node, on_pose
        self._chain = TransformChain(source.fixed_frame, source.base_frame)
        self._problem = ""
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf", partial(self._take, static=False), 100),
            node.create_subscription(TFMessage, "/tf_static", partial(self._take, static=True), latched),
        ]

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _take(self, message: Any, *, static: bool) -> None:
        try:
            poses = self._chain.add(message, static=static)
        except TransformError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._node.get_logger().error(self._problem)
            return
        for pose in poses:
            self._hand_on(pose)

    def _hand_on(self, pose: StampedPose) -> None:
        seconds, nanoseconds = divmod(pose.stamp_ns, 1_000_000_000)
        header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=self._chain.fixed_frame)
        x, y, z = map(float, pose.position)
        a, b, c, w = map(float, pose.quaternion)
        self._on_pose(header, Vector3(x=x, y=y, z=z), Quaternion(x=a, y=b, z=c, w=w))
