"""Plans for a recorded drive: a bag in, a bag with plans out.

Frames and poses are chosen and refused by the time contract of the live node, with the same numbers to set.
What differs: no t0 is skipped for want of time, and no source is refused for lagging behind the others, as when a
message was logged says little about when a planner would have had it. A source that ends well before the others is
reported (`Annotation.behind`).
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Writer

from alpamayo_ros.datasets.bag import STORAGE
from alpamayo_ros.datasets.bag_reader import BagMessage, BagReader, BagTopic
from alpamayo_ros.datasets.sensor_messages import JPEG_QUALITY
from alpamayo_ros.datasets.staging import DatasetError, staged
from alpamayo_ros.nodes.bag_timeline import BagTimeline, RefusalCount
from alpamayo_ros.nodes.calibration import CalibrationError, camera_of
from alpamayo_ros.nodes.message_parts import header
from alpamayo_ros.nodes.message_types import message_store, offline_types
from alpamayo_ros.nodes.names import PLANNER
from alpamayo_ros.nodes.overlay import draw_overlay
from alpamayo_ros.nodes.plan_journal import PlanJournal, Step
from alpamayo_ros.nodes.plan_messages import driving_plan
from alpamayo_ros.nodes.rig_profile import CameraSource, RigProfile
from alpamayo_ros.nodes.views import path, reasoning
from alpamayo_ros.policy import DrivingPolicy
from alpamayo_ros.timeline import Moment, Refusal, RefusalReason, TimeContract
from alpamayo_ros.types import CameraRole, ObservationError, Plan

PLAN, PATH, REASONING = f"/{PLANNER}/plan", f"/{PLANNER}/path", f"/{PLANNER}/reasoning"
OVERLAY = f"/{PLANNER}/overlay/compressed"
KINDS = {
    PLAN: "alpamayo_ros/msg/DrivingPlan",
    PATH: "nav_msgs/msg/Path",
    REASONING: "std_msgs/msg/String",
    OVERLAY: "sensor_msgs/msg/CompressedImage",
}
"""What is written, as the live planner names it; the overlay as image_transport names a picture that is compressed."""

MAX_CLOCKS_APART_NS = 60_000_000_000
"""Between stamps and log times: more is another clock (simulated time, say), and no bag can hold both in order."""

_MIB = 1 << 20
_FOREVER = QosTime(9223372036, 854775807)  # as rosbag2 writes "no limit"
_QOS = Qos(
    QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, QosDurability.VOLATILE, _FOREVER, _FOREVER,
    QosLiveliness.AUTOMATIC, _FOREVER, False,
)  # fmt: skip


@dataclass(frozen=True)
class AnnotateOptions:
    """every: plan at the t0s that are multiples of so many 0.1 s. start, end: seconds into the bag's log between which
    t0s must become covered. slop_ms, max_lag_ms, max_jump: as the planner's parameters. planning: what
    `DrivingPolicy.plan` takes. copy: also the source's topics. storage: mcap or sqlite3."""

    every: int = 1
    start: float = 0.0
    end: float | None = None
    navigation: str | None = None
    slop_ms: int = 50
    max_lag_ms: int = 150
    max_jump: float = 1.0
    planning: dict[str, Any] = field(default_factory=dict)
    overlay: bool = False
    copy: bool = False
    storage: str = "mcap"


@dataclass
class Annotation:
    """What came of a bag. resumed: how many t0s an earlier run had done. refused: t0s, by reason and source; left_out:
    messages likewise. flagged: plans whose selected sample failed a check of the gate, by check. not_copied: topics
    whose type nobody knows."""

    plans: int = 0
    resumed: int = 0
    first_t0_ns: int | None = None
    last_t0_ns: int | None = None
    refused: dict[tuple[RefusalReason, str], RefusalCount] = field(default_factory=dict)
    left_out: dict[tuple[RefusalReason, str], RefusalCount] = field(default_factory=dict)
    behind: Refusal | None = None
    flagged: dict[str, int] = field(default_factory=dict)
    not_copied: tuple[str, ...] = ()

    def add(self, step: Step) -> None:
        if step.refusal is not None:
            key = (step.refusal.reason, step.refusal.source)
            self.refused.setdefault(key, RefusalCount(0, step.t0_ns, step.refusal.text)).count += 1
            return
        self.plans += 1
        self.first_t0_ns = step.t0_ns if self.first_t0_ns is None else self.first_t0_ns
        self.last_t0_ns = step.t0_ns
        for check in step.gate:
            self.flagged[check] = self.flagged.get(check, 0) + 1


Told = Callable[[str, int, Annotation], object]
"""Hears of progress: "planning" or "writing", the log time that it has come to, and what has come of it so far."""


def annotate(
    bag: BagReader, rig: RigProfile, policy: DrivingPolicy, output: Path, options: AnnotateOptions, told: Told
) -> Annotation:
    """Plan at every t0 of the bag, and write the plans as a bag; each message is logged at its t0.

    What is done is kept in `<output>.part` until all is: after a kill, the same call goes on there, and its output is
    the same to the byte. Raises DatasetError, RigError, and what the policy raises.
    """
    if output.exists():
        raise DatasetError(f"{output} exists already; remove it or choose another place")
    rig = rig.for_model(policy.model.config)
    first_ns, stop_ns = _span(bag, options)
    if options.navigation is not None:
        policy.check_navigation(options.navigation)
    config = policy.model.config
    contract = TimeContract(
        tuple(rig.cameras),
        frames_per_camera=config.frames_per_camera,
        history_steps=config.history_steps,
        slop_ns=options.slop_ms * 1_000_000,
        max_lag_ns=options.max_lag_ms * 1_000_000,
        max_jump_m=options.max_jump,
    )
    # The picture to draw into: what a driver would see.
    shown = rig.cameras.get(CameraRole.FRONT_WIDE_120, next(iter(rig.cameras.values()))) if options.overlay else None
    timeline = BagTimeline(bag, rig, contract, shown.camera_info if shown else None)
    copied = _copied_topics(bag) if options.copy else []
    found = Annotation(left_out=timeline.left_out)
    if options.copy:
        found.not_copied = tuple(sorted({*bag.topics} - {topic.name for topic in copied}))
    journal = PlanJournal(output.with_name(f"{output.name}.part"), _command(bag, rig, policy, options))
    try:
        done = journal.steps(messages=False)
        for t0_ns in timeline.t0s(first_ns, stop_ns, options.every, lambda at_ns: told("planning", at_ns, found)):
            if options.copy:
                _check_clock(bag, t0_ns)
            step = next(done, None)
            if step is None:
                step = _plan(policy, timeline, t0_ns, options, shown)
                journal.append(step)
            elif step.t0_ns == t0_ns:
                found.resumed += 1
            else:
                raise DatasetError(f"{journal.folder} does not fit the bag at t0 = {t0_ns} ns; remove the folder")
            found.add(step)
        found.behind = timeline.behind
        if found.plans:
            _write(bag, copied, journal, output, options, lambda at_ns: told("writing", at_ns, found))
        journal.remove()
    except BaseException:
        if not found.plans:
            journal.remove()  # nothing to go on with, and it would stand in the way of a better command
        raise
    finally:
        journal.close()
    if not found.plans:
        raise DatasetError(f"{bag.path}: no plan could be made; {_why_none(found)}")
    return found


def _span(bag: BagReader, options: AnnotateOptions) -> tuple[int, int]:
    """Log times of the first message at which t0s are planned, and behind the last."""
    seconds = (bag.end_ns - bag.start_ns) / 1e9
    if options.start >= seconds:
        raise DatasetError(f"start is {options.start} s, but {bag.path} has {seconds:.1f} s")
    if options.end is not None and options.end <= options.start:
        raise DatasetError(f"end is {options.end} s, which is not after start, {options.start} s")
    stop_ns = bag.end_ns + 1 if options.end is None else bag.start_ns + round(options.end * 1e9)
    return bag.start_ns + round(options.start * 1e9), stop_ns


def _copied_topics(bag: BagReader) -> list[BagTopic]:
    """Those whose type is known. Raises DatasetError where the bag has plans already."""
    doubled = sorted(topic for topic in bag.topics if topic.startswith(f"/{PLANNER}/"))
    if doubled:
        raise DatasetError(
            f"{bag.path} already has {', '.join(doubled)}, which would be mixed with the new plans; do not copy it"
        )
    return [topic for _, topic in sorted(bag.topics.items()) if topic.definition is not None]


def _check_clock(bag: BagReader, t0_ns: int) -> None:
    if not bag.start_ns - MAX_CLOCKS_APART_NS < t0_ns < bag.end_ns + MAX_CLOCKS_APART_NS:
        raise DatasetError(
            f"{bag.path}: its messages are stamped by another clock than they were logged by (t0 = {t0_ns} ns, log "
            f"from {bag.start_ns} ns), so that one bag cannot hold them and the plans in order; do not copy it"
        )


def _command(bag: BagReader, rig: RigProfile, policy: DrivingPolicy, options: AnnotateOptions) -> dict[str, Any]:
    """All that decides about the plans. What only decides how they are written is not in it."""
    cameras = {role.label: (source.topic, source.transport) for role, source in rig.cameras.items()}
    return {
        "bag": _fingerprint(bag.path),
        "rig": {"ego": asdict(rig.ego), "cameras": cameras},
        "model": [policy.name, policy.revision],
        "device": [str(policy.model.device), str(policy.model.dtype)],
        "every": options.every,
        "start": options.start,
        "end": options.end,
        "navigation": options.navigation,
        "slop": options.slop_ms,
        "max lag": options.max_lag_ms,
        "max jump": options.max_jump,
        "planning options": options.planning,
        "overlay": options.overlay,
        "versions": {name: version(name) for name in ("alpamayo_ros", "torch", "numpy")},
    }


def _fingerprint(bag: Path) -> dict[str, str]:
    """Of each file its size and a hash of its first and last MiB: a bag may have more bytes than can be read twice."""
    prints = {}
    for part in sorted(bag.iterdir()) if bag.is_dir() else [bag]:
        if part.is_file():
            size = part.stat().st_size
            with part.open("rb") as file:
                digest = hashlib.sha256(file.read(_MIB))
                file.seek(max(0, size - _MIB))
                digest.update(file.read(_MIB))
            prints[part.name] = f"{size} {digest.hexdigest()[:16]}"
    return prints


def _plan(
    policy: DrivingPolicy, timeline: BagTimeline, t0_ns: int, options: AnnotateOptions, shown: CameraSource | None
) -> Step:
    try:
        moment = timeline.moment(t0_ns)
        observation = moment.observe(options.navigation)
    except Refusal as refusal:
        return Step(t0_ns, {}, (), refusal)
    except ObservationError as error:
        return Step(t0_ns, {}, (), Refusal(RefusalReason.EGO_JUMP, "ego", str(error)))
    plan = policy.plan(observation, **options.planning)
    failed = tuple(str(failure.check) for failure in plan.judgement.gate.failures)
    messages = _messages(plan, moment, moment.frame)
    if shown is not None:
        picture = moment.frames[shown.role][-1].pixels()
        try:
            camera = camera_of(shown, timeline.info)
        except CalibrationError as error:
            raise DatasetError(f"{shown.camera_info}: {error}; or leave the overlay out") from None
        messages[OVERLAY] = _jpeg(draw_overlay(picture, camera, plan), t0_ns, shown.role)
    return Step(t0_ns, _serialized(messages), failed, None)


def _jpeg(picture: np.ndarray, t0_ns: int, role: CameraRole) -> Any:
    types = offline_types()
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    head = header(types, t0_ns, f"{role.label}_optical")
    return types.CompressedImage(header=head, format="jpeg", data=types.octets(data.tobytes()))


def _messages(plan: Plan, moment: Moment, fixed_frame: str) -> dict[str, Any]:
    types = offline_types()
    # How long it took says something about this machine, not about the drive; the same bag must give the same bytes.
    plan = replace(plan, latencies_ms={})
    return {
        PLAN: driving_plan(types, plan, moment, fixed_frame=fixed_frame, held_back=False, skipped=0),
        PATH: path(types, plan),
        REASONING: reasoning(types, plan),
    }


def _serialized(messages: dict[str, Any]) -> dict[str, bytes]:
    return {topic: bytes(message_store().serialize_cdr(body, KINDS[topic])) for topic, body in messages.items()}


def _write(
    bag: BagReader,
    copied: list[BagTopic],
    journal: PlanJournal,
    output: Path,
    options: AnnotateOptions,
    told: Callable[[int], object],
) -> None:
    with (
        staged(output) as place,
        Writer(place, version=9, storage_plugin=STORAGE[options.storage]) as writer,
    ):
        connections = {
            topic: writer.add_connection(topic, kind, typestore=message_store(), offered_qos_profiles=[_QOS])
            for topic, kind in KINDS.items()
            if options.overlay or topic != OVERLAY
        }
        for topic in copied:
            connections[topic.name] = writer.add_connection(
                topic.name, topic.kind, msgdef=topic.definition, rihs01=topic.digest, offered_qos_profiles=topic.qos
            )
        planned = (
            BagMessage(topic, step.t0_ns, data) for step in journal.steps() for topic, data in step.messages.items()
        )
        recorded = bag.messages([topic.name for topic in copied])
        for message in heapq.merge(recorded, planned, key=lambda message: message.logged_ns):
            writer.write(connections[message.topic], message.logged_ns, message.data)
            told(message.logged_ns)


def _why_none(found: Annotation) -> str:
    if found.refused:
        (reason, source), most = max(found.refused.items(), key=lambda item: item[1].count)
        total = sum(known.count for known in found.refused.values())
        return f"{total} t0s were refused, {most.count} for {reason}: {source}: {most.text}"
    if found.behind is not None:
        return str(found.behind)
    return "no multiple of 0.1 s is covered by all cameras and the ego poses"
