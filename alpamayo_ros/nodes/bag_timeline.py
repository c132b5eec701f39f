"""The time contract over a bag: its messages go to the timeline in the order of the log, as they would live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from alpamayo_ros.datasets.bag_reader import BagMessage, BagReader
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.nodes.pictures import decode
from alpamayo_ros.nodes.rig_profile import OdometrySource, RigProfile
from alpamayo_ros.nodes.transform_chain import StampedPose, TransformChain, TransformError
from alpamayo_ros.timeline import FRAME_PERIOD_NS, Moment, Refusal, RefusalReason, TimeContract, Timeline

IMAGES = {"raw": "sensor_msgs/msg/Image", "compressed": "sensor_msgs/msg/CompressedImage"}
ODOMETRY, TRANSFORMS = "nav_msgs/msg/Odometry", "tf2_msgs/msg/TFMessage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

PREROLL_NS = 5_000_000_000
"""Log time that is read before the start, so that the first t0 has its history: 1.5 s, and room for late messages."""

MAX_LEAP_NS = 60_000_000_000
"""Where t0 leaps by more, the clock was set while recording (from 1970 to today, say): those between are not tried."""


@dataclass
class RefusalCount:
    """Refusals of one reason and source. first_ns: t0 of the first, or the log time of the first message left out."""

    count: int
    first_ns: int
    text: str


class BagTimeline:
    """What belongs to each t0 of a bag. Holds a few seconds of it, whatever its length.

    left_out: messages that were not let in, and jumps, by reason and source.
    info: the newest CameraInfo.
    behind: at the end, the source that ended well before the others, if any: it kept t0 from going on.
    Raises DatasetError for a bag that does not fit the rig.
    """

    def __init__(self, bag: BagReader, rig: RigProfile, contract: TimeContract, info_topic: str | None = None) -> None:
        """info_topic: of the CameraInfo to listen to."""
        self.info: Any | None = None
        self.left_out: dict[tuple[RefusalReason, str], RefusalCount] = {}
        self.behind: Refusal | None = None
        self._bag, self._rig = bag, rig
        self._timeline = Timeline(contract, decode)
        self._cameras = {_absolute(camera.topic): role for role, camera in rig.cameras.items()}
        self._chain: TransformChain | None = None
        self._info_topic = None if info_topic is None else _absolute(info_topic)
        self._ego_topic = "/tf"
        if isinstance(rig.ego, OdometrySource):
            self._ego_topic = _absolute(rig.ego.topic)
        else:
            self._chain = TransformChain(rig.ego.fixed_frame, rig.ego.base_frame)
        self._check_topics()

    def moment(self, t0_ns: int) -> Moment:
        """Of a t0 that was just given out. Raises Refusal."""
        return self._timeline.moment(t0_ns)

    def t0s(self, first_ns: int, stop_ns: int, every: int, told: Callable[[int], object]) -> Iterator[int]:
        """Each multiple of `every` × 0.1 s, as soon as all cameras and the ego poses cover it.

        first_ns, stop_ns: log times; only t0s that are covered from the first on and before the other are given out.
        told: is given the log time of every message.
        """
        self._hear_static_transforms()
        step_ns = every * FRAME_PERIOD_NS
        last: int | None = None  # the newest that is dealt with
        topics = {*self._cameras, self._ego_topic, *([self._info_topic] if self._info_topic else [])}
        for message in self._bag.messages(topics, max(0, first_ns - PREROLL_NS), stop_ns):
            told(message.logged_ns)
            if self._hear(message):
                last = None  # time was set back: t0s come again
            newest = self._timeline.newest_t0_ns
            if newest is None or (last is not None and newest <= last):
                continue
            if message.logged_ns < first_ns:
                last = newest
                continue
            if last is not None and newest - last > MAX_LEAP_NS:
                what = f"t0 leapt by {(newest - last) / 1e9:.0f} s, from {last} to {newest} ns; none between was tried"
                self._leave_out(Refusal(RefusalReason.TIME_AHEAD, "all sources", what), message)
                last = None
            first = newest if last is None else last + FRAME_PERIOD_NS
            last = newest
            yield from range(-(-first // step_ns) * step_ns, newest + 1, step_ns)
        if self._chain is not None and (why := self._chain.missing()) is not None:
            raise DatasetError(f"{self._bag.path}: {why}")
        self.behind = self._timeline.lagging()

    def _hear(self, message: BagMessage) -> bool:
        """Give a message to the timeline; True where it set time back."""
        jumped = False
        for add in self._parts(message):
            try:
                add()
            except Refusal as refusal:
                self._leave_out(refusal, message)
                jumped |= refusal.reason is RefusalReason.TIME_JUMP
        return jumped

    def _parts(self, message: BagMessage) -> Iterator[Callable[[], None]]:
        """What adds a message to the timeline: one call, or one for each pose in it."""
        body = self._bag.deserialize(message)
        role = self._cameras.get(message.topic)
        if role is not None:
            yield partial(self._timeline.add_frame, role, _stamp_ns(body.header), body)
            return
        if message.topic == self._info_topic:
            self.info = body
            return
        frame = body.header.frame_id if self._chain is None else self._chain.fixed_frame
        for pose in self._poses(body):
            yield partial(self._timeline.add_pose, pose.stamp_ns, pose.position, pose.quaternion, frame)

    def _poses(self, body: Any) -> list[StampedPose]:
        if self._chain is not None:
            return self._transforms(body, static=False)
        assert isinstance(self._rig.ego, OdometrySource)
        try:
            self._rig.ego.check(body.child_frame_id)
        except Refusal as refusal:
            raise DatasetError(f"{self._bag.path}: {refusal.text}") from None
        at, turn = body.pose.pose.position, body.pose.pose.orientation
        position, quaternion = np.array([at.x, at.y, at.z]), np.array([turn.x, turn.y, turn.z, turn.w])
        return [StampedPose(_stamp_ns(body.header), position, quaternion)]

    def _transforms(self, body: Any, *, static: bool) -> list[StampedPose]:
        assert self._chain is not None
        try:
            return self._chain.add(body, static=static)
        except TransformError as error:
            raise DatasetError(f"{self._bag.path}: {error}") from None

    def _hear_static_transforms(self) -> None:
        """All of them, before anything else: they hold at all times, wherever in the bag they were logged."""
        if self._chain is not None:
            for message in self._bag.messages(["/tf_static"]):
                self._transforms(self._bag.deserialize(message), static=True)

    def _leave_out(self, refusal: Refusal, message: BagMessage) -> None:
        known = self.left_out.setdefault(
            (refusal.reason, refusal.source), RefusalCount(0, message.logged_ns, refusal.text)
        )
        known.count += 1

    def _check_topics(self) -> None:
        for topic, role in self._cameras.items():
            transport = self._rig.cameras[role].transport
            self._check_topic(topic, f"camera {role.label}", IMAGES[transport], tuple(IMAGES.values()))
            found = self._bag.topics[topic].kind
            if found != IMAGES[transport]:
                other = next(name for name, kind in IMAGES.items() if kind == found)
                raise DatasetError(
                    f"{self._bag.path}: topic {topic} is {found}, but rig {self._rig.name} says transport {transport} "
                    f"for camera {role.label}; write transport: {other}"
                )
        if self._info_topic is not None:
            self._check_topic(self._info_topic, "the overlay", CAMERA_INFO, (CAMERA_INFO,))
        kind = ODOMETRY if self._chain is None else TRANSFORMS
        self._check_topic(self._ego_topic, "the ego pose", kind, (kind,))

    def _check_topic(self, topic: str, use: str, wanted: str, kinds: tuple[str, ...]) -> None:
        """The topic is there, has messages, and is of one of the kinds that may be used so."""
        topics, wants = self._bag.topics, f"rig {self._rig.name} wants {topic} for {use}"
        if topic not in topics or not topics[topic].count:
            there = [name for name, found in topics.items() if found.kind in kinds and found.count]
            raise DatasetError(
                f"{self._bag.path} has no messages on {topic}, which rig {self._rig.name} wants for {use}; of its "
                f"topics these are of such a type: {', '.join(sorted(there)) or 'none'}"
            )
        if topics[topic].kind not in kinds:
            raise DatasetError(f"{self._bag.path}: topic {topic} is {topics[topic].kind}, but {wants}, as {wanted}")


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"


def _stamp_ns(header: Any) -> int:
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
