"""What the planner hears: cameras and ego poses of a rig go into the timeline as they arrive, undecoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from alpamayo_ros.nodes.parameters import Parameters
from alpamayo_ros.nodes.pictures import decode
from alpamayo_ros.nodes.rig_profile import CameraSource, OdometrySource, RigProfile, TfSource
from alpamayo_ros.nodes.tf_poses import TfPoses
from alpamayo_ros.timeline import Refusal, RefusalReason, Timeline
from alpamayo_ros.types import CameraRole

MESSAGES = {"raw": Image, "compressed": CompressedImage}


@dataclass(frozen=True)
class SerializedPicture:
    """An image message as it came from the wire. Most are never looked at: a plan needs one frame in three at 30 Hz."""

    data: bytes
    kind: type

    def decode(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises PictureError."""
        return decode(deserialize_message(self.data, self.kind))


def stamp_of(data: bytes) -> int:
    """Nanoseconds of a serialized message that begins with a std_msgs/Header: four bytes of CDR encapsulation, the
    second of which says the byte order, then int32 seconds and uint32 nanoseconds."""
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def quality_of_service(reliability: str, depth: int) -> QoSProfile:
    """Volatile, the newest `depth` kept; reliability: best_effort or reliable."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy[reliability.upper()])


class Sensors:
    """Subscriptions to the cameras and the ego source of a rig.

    on_news: called after every message with its source, and whether it came after newer ones of that source.
    on_refusal: for what was not let in, and for jumps.
    infos: the newest CameraInfo by role, for drawing. Where the constructor raises, nothing stays subscribed.
    """

    def __init__(
        self,
        node: Node,
        rig: RigProfile,
        timeline: Timeline,
        parameters: Parameters,
        on_news: Callable[[str, bool], None],
        on_refusal: Callable[[Refusal], None],
    ) -> None:
        self._node, self._timeline = node, timeline
        self._on_news, self._on_refusal = on_news, on_refusal
        self._newest_ns: dict[str, int] = {}
        self.infos: dict[CameraRole, CameraInfo] = {}
        with ExitStack() as made:
            self._subscribe(rig, parameters, made)
            self._made = made.pop_all()

    def close(self) -> None:
        self._made.close()

    def _subscribe(self, rig: RigProfile, parameters: Parameters, made: ExitStack) -> None:
        pictures = quality_of_service(parameters.image_reliability, parameters.image_depth)
        for camera in rig.cameras.values():
            kind, take = MESSAGES[camera.transport], partial(self._on_picture, camera)
            self._listen(made, kind, camera.topic, take, pictures, raw=True)
            if camera.camera_info is not None:
                self._listen(made, CameraInfo, camera.camera_info, partial(self._on_info, camera.role), pictures)
        ego = rig.ego
        if parameters.odometry_topic:
            ego = OdometrySource(parameters.odometry_topic, ego.base_frame)
        if isinstance(ego, TfSource):
            made.callback(TfPoses(self._node, ego, self._on_pose, self._on_no_pose).close)
        else:
            quality = quality_of_service(parameters.odometry_reliability, parameters.odometry_depth)
            self._listen(made, Odometry, ego.topic, partial(self._on_odometry, ego), quality)

    def _listen(
        self,
        made: ExitStack,
        kind: type,
        topic: str,
        take: Callable[[Any], None],
        quality: QoSProfile,
        raw: bool = False,
    ) -> None:
        def incompatible(event: Any) -> None:
            self._node.get_logger().error(
                f"{topic} is published with a quality of service that this node does not hear "
                f"(policy {event.last_policy_kind}); set image_reliability or odometry_reliability to best_effort"
            )

        def on_message(message: Any) -> None:
            # All that waits: the executor takes one message of each topic in turn, and each turn costs more than the
            # message. Odometry of 200 Hz would fall behind cameras of 10.
            while message is not None:
                take(message)
                with subscription.handle:
                    taken = subscription.handle.take_message(kind, raw)
                message = None if taken is None else taken[0]

        events = SubscriptionEventCallbacks(incompatible_qos=incompatible)
        subscription = self._node.create_subscription(kind, topic, on_message, quality, event_callbacks=events, raw=raw)
        made.callback(self._node.destroy_subscription, subscription)

    def _on_picture(self, camera: CameraSource, data: bytes) -> None:
        picture = SerializedPicture(data, MESSAGES[camera.transport])
        stamp = stamp_of(data)
        self._take(f"camera {camera.role.label}", stamp, partial(self._timeline.add_frame, camera.role, stamp, picture))

    def _on_info(self, role: CameraRole, info: CameraInfo) -> None:
        self.infos[role] = info

    def _on_odometry(self, source: OdometrySource, message: Odometry) -> None:
        try:
            source.check(message.child_frame_id)
        except Refusal as refusal:
            self._on_no_pose(refusal)
            return
        pose = message.pose.pose
        self._on_pose(message.header, pose.position, pose.orientation)

    def _on_no_pose(self, refusal: Refusal) -> None:
        self._on_refusal(refusal)
        self._on_news("ego", False)

    def _on_pose(self, header: Any, place: Any, turn: Any) -> None:
        stamp = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
        position, quaternion = np.array([place.x, place.y, place.z]), np.array([turn.x, turn.y, turn.z, turn.w])
        self._take("ego", stamp, partial(self._timeline.add_pose, stamp, position, quaternion, header.frame_id))

    def _take(self, source: str, stamp_ns: int, add: Callable[[], None]) -> None:
        late, reason = False, None
        try:
            add()
        except Refusal as refusal:
            reason = refusal.reason
            self._on_refusal(refusal)
        if reason is RefusalReason.TIME_JUMP:
            self._newest_ns.clear()
        if reason in (None, RefusalReason.TIME_JUMP, RefusalReason.EGO_JUMP):  # else it was left out
            newest = self._newest_ns.get(source, 0)
            late = stamp_ns < newest
            self._newest_ns[source] = max(stamp_ns, newest)
        self._on_news(source, late)


TRANSIENT_LOCAL = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""A late subscriber hears the last message: for navigation."""
