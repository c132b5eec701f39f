"""A Plan becomes a DrivingPlan, live and in bags alike, with nothing lost, and can be driven from it again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nodes.plans import ROLES, SKEW_NS, T0, brake, content, moment_of, nudge, plan_of, turn, unreadable
from reasoning.motions import unicycle

from alpamayo_ros.nodes.message_types import MessageTypes, live_types, message_store, offline_types
from alpamayo_ros.nodes.plan_messages import driving_plan, trajectory_of
from alpamayo_ros.types import (
    CameraRole,
    ComponentCategory,
    GateCheck,
    LaneAction,
    LateralDecision,
    LongitudinalDecision,
    PlanSample,
    ReadStatus,
)

TYPES = {"live": live_types, "offline": offline_types}
PLAN = plan_of(brake(), nudge(), unreadable(), selected=1)


def made(types: MessageTypes, plan=PLAN, **changes: Any) -> Any:
    options = {"fixed_frame": "odom", "held_back": False, "skipped": 3} | changes
    return driving_plan(types, plan, moment_of(), **options)


def numbers(data: Any) -> Iterator[float]:
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, list):
        for part in data:
            yield from numbers(part)
    elif isinstance(data, float):
        yield data


def constants(kind: Any, prefix: str) -> dict[str, int]:
    """The constants of an rclpy message that begin so, without the prefix."""
    names = [name for name in dir(kind) if name.isupper() and name.startswith(prefix)]
    return {name.removeprefix(prefix): value for name in names if isinstance(value := getattr(kind, name), int)}


@pytest.mark.parametrize(
    ("kind", "prefix", "words", "none"),
    [
        ("ChainOfCausation", "STATUS_", ReadStatus, set()),
        ("ChainOfCausation", "LONGITUDINAL_", LongitudinalDecision, {"UNREAD", "NO_CHANGE"}),
        ("ChainOfCausation", "LATERAL_", LateralDecision, {"UNREAD", "NO_CHANGE"}),
        ("CriticalComponent", "", ComponentCategory, set()),
        ("GateFailure", "", GateCheck, set()),
        ("MetaAction", "", ("LONGITUDINAL", "LATERAL", "LANE"), set()),
        ("CameraStamps", "", CameraRole, set()),
    ],
)
def test_every_word_has_one_constant(kind, prefix, words, none):
    live, offline = getattr(live_types(), kind), getattr(offline_types(), kind)
    known = constants(live, prefix)
    assert set(known) == {getattr(word, "name", word) for word in words} | none
    assert len(set(known.values())) == len(known)
    assert {name: getattr(offline, prefix + name) for name in known} == known


def test_camera_constants_are_the_roles():
    assert {name: int(role) for name, role in CameraRole.__members__.items()} == constants(
        live_types().CameraStamps, ""
    )


def test_live_and_offline_messages_say_the_same():
    assert content(made(live_types())) == content(made(offline_types()))


def test_the_wire_keeps_everything():
    from rclpy.serialization import deserialize_message, serialize_message

    live, offline, store = made(live_types()), made(offline_types()), message_store()
    wire = serialize_message(live)
    assert deserialize_message(wire, type(live)) == live
    # What a live node sends, a reader of bags understands; and the other way about.
    read = store.deserialize_cdr(wire, "alpamayo_ros/msg/DrivingPlan")
    assert content(read) == content(live)
    written = bytes(store.serialize_cdr(offline, "alpamayo_ros/msg/DrivingPlan"))
    assert content(deserialize_message(written, type(live))) == content(live)


@pytest.mark.parametrize("types", TYPES)
def test_what_it_says(types):
    message = made(TYPES[types](), held_back=True, fixed_frame="map")
    assert (message.header.frame_id, message.ego_pose.header.frame_id) == ("base_link", "map")
    for header in (message.header, message.ego_pose.header):
        assert header.stamp.sec * 10**9 + header.stamp.nanosec == T0
    assert (message.selected, message.selection) == (PLAN.selected, PLAN.selection)
    assert (message.held_back, message.skipped, message.seed) == (True, 3, 7)
    assert (message.model, message.revision) == ("ar1_tiny", "0123456789ab")
    assert [(stage.stage, stage.milliseconds) for stage in message.latencies] == list(PLAN.latencies_ms.items())
    assert all(math.isfinite(number) for number in numbers(content(message)))

    where = message.ego_pose.pose
    assert (where.position.x, where.position.y, where.position.z) == pytest.approx((100.0, -20.0, 1.5))
    turned = where.orientation
    assert (turned.x, turned.y, turned.z, turned.w) == pytest.approx((0.0, 0.0, math.sin(0.35), math.cos(0.35)))

    assert [camera.role for camera in message.cameras] == sorted(ROLES)
    for camera in message.cameras:
        stamps = [stamp.sec * 10**9 + stamp.nanosec for stamp in camera.stamps]
        assert stamps == [T0 + SKEW_NS - age * 100_000_000 for age in (3, 2, 1, 0)]
        assert list(camera.skews) == pytest.approx([SKEW_NS / 1e9] * 4, rel=1e-6)


def test_what_a_sample_says():
    braking, nudging, garbled = made(live_types()).samples
    kind, component = live_types().ChainOfCausation, live_types().CriticalComponent
    for sample, source in zip((braking, nudging, garbled), PLAN.samples, strict=True):
        times = [point.time_from_start.sec * 10**9 + point.time_from_start.nanosec for point in sample.waypoints]
        assert times == [100_000_000 * i for i in range(1, 65)]
        assert sample.reasoning.text == source.reasoning

    assert braking.reasoning.complete
    assert braking.reasoning.status == kind.STATUS_PARSED
    assert braking.reasoning.longitudinal == kind.LONGITUDINAL_STOP_FOR_STATIC_CONSTRAINTS
    assert braking.reasoning.lateral == kind.LATERAL_NO_CHANGE
    assert [cause.category for cause in braking.reasoning.components] == [component.TRAFFIC_LIGHT]
    told = [(each.key, each.value) for cause in nudging.reasoning.components for each in cause.attributes]
    assert told == [pair for cause in PLAN.judgements[1].trace.components for pair in cause.attributes.items()] != []
    assert nudging.reasoning.lateral == kind.LATERAL_IN_LANE_NUDGE_LEFT
    assert nudging.waypoints[20].curvature == pytest.approx(PLAN.samples[1].trajectory.curvatures[20])
    assert (braking.gate.passed, list(braking.gate.failures)) == (True, [])

    assert not garbled.reasoning.complete
    assert garbled.reasoning.status == kind.STATUS_UNPARSED
    assert (garbled.reasoning.longitudinal, garbled.reasoning.lateral) == (
        kind.LONGITUDINAL_UNREAD,
        kind.LATERAL_UNREAD,
    )
    assert garbled.reasoning.problems
    assert not garbled.gate.passed
    judged = PLAN.judgements[2].gate.failures
    assert [failure.reason for failure in garbled.gate.failures] == [failure.reason for failure in judged]
    assert live_types().GateFailure.REASONING_COMPLETE in [failure.check for failure in garbled.gate.failures]


def test_meta_actions_come_level_by_level():
    sample, actions = made(live_types()).samples[1], PLAN.judgements[1].meta_actions
    expected = (
        [(0, a) for a in actions.longitudinal] + [(1, a) for a in actions.lateral] + [(2, a) for a in actions.lane]
    )
    assert [(told.level, told.action) for told in sample.meta_actions] == [(level, a.action) for level, a in expected]
    assert [told.start for told in sample.meta_actions] == pytest.approx([a.start for _, a in expected])
    assert [told.end for told in sample.meta_actions] == pytest.approx([a.end for _, a in expected])
    assert [told.change for told in sample.meta_actions] == pytest.approx([a.change for _, a in expected], abs=1e-6)
    assert actions.lane
    assert all(action.action in LaneAction for action in actions.lane)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_times_do_not_drift(dtype):
    path = unicycle(5.0)
    path = dataclasses.replace(path, times=(dtype(0.1) * np.arange(1, 65)).astype(dtype))
    sample = made(live_types(), plan_of(PlanSample(path, "Keep the lane.", True))).samples[0]
    times = [point.time_from_start.sec * 10**9 + point.time_from_start.nanosec for point in sample.waypoints]
    assert times == [100_000_000 * i for i in range(1, 65)]


@pytest.mark.parametrize("types", TYPES)
@settings(max_examples=15)
@given(
    speed=st.floats(0.0, 35.0), acceleration=st.floats(-6.0, 3.0), curvature=st.floats(-0.15, 0.15),
    roll=st.floats(-0.3, 0.3), pitch=st.floats(-0.3, 0.3),
)  # fmt: skip
def test_a_plan_that_was_sent_can_be_driven(types, speed, acceleration, curvature, roll, pitch):
    from scipy.spatial.transform import Rotation

    path = unicycle(speed, lambda t: acceleration, lambda t: curvature)
    tilted = path.rotations @ Rotation.from_euler("xy", [roll, pitch]).as_matrix()
    path = dataclasses.replace(path, rotations=tilted)
    message = made(TYPES[types](), plan_of(PlanSample(path, "Keep the lane.", True), speed=speed))
    back = trajectory_of(message.samples[0])
    for name, expected in vars(path).items():
        np.testing.assert_allclose(getattr(back, name), expected, rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose([p.yaw_rate for p in message.samples[0].waypoints], path.yaw_rates, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("field", ["positions", "rotations", "speeds", "accelerations", "curvatures"])
def test_not_a_number_is_never_sent_nor_taken(field):
    plan = plan_of(turn())
    path = plan.samples[0].trajectory
    broken = getattr(path, field).copy()
    broken[5] = np.nan
    wrong = dataclasses.replace(plan.samples[0], trajectory=dataclasses.replace(path, **{field: broken}))
    with pytest.raises(ValueError, match="not finite"):
        made(live_types(), dataclasses.replace(plan, samples=(wrong,)))

    received = made(offline_types(), plan).samples[0]
    waypoint = received.waypoints[5]
    if field == "positions":
        waypoint.pose.position.y = math.nan
    elif field == "rotations":
        waypoint.pose.orientation.z = math.inf
    else:
        setattr(waypoint, field.removesuffix("s"), math.nan)
    with pytest.raises(ValueError, match="not finite"):
        trajectory_of(received)


def test_a_plan_without_waypoints_cannot_be_driven():
    sample = made(live_types()).samples[0]
    sample.waypoints = []
    with pytest.raises(ValueError, match="no waypoints"):
        trajectory_of(sample)


def test_a_moment_of_another_time_is_refused():
    with pytest.raises(ValueError, match="t0"):
        made(live_types(), dataclasses.replace(PLAN, t0_ns=T0 + 1))
