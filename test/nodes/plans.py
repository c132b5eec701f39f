"""A plan and its moment, made without a model: synthetic motions, real judgements."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from reasoning.motions import sideways, unicycle

from alpamayo_ros.reasoning.gate import judge
from alpamayo_ros.timeline import Moment, TimeContract, Timeline
from alpamayo_ros.types import CameraRole, EgoHistory, Plan, PlanSample

T0 = 1_700_000_000_300_000_000
ROLES = (CameraRole.FRONT_WIDE_120, CameraRole.CROSS_LEFT_120)
SKEW_NS = 7_000_000


def history(speed: float) -> EgoHistory:
    """16 poses of a car that has driven straight ahead at one speed."""
    positions = np.zeros((16, 3), np.float32)
    positions[:, 0] = speed * 0.1 * np.arange(-15, 1)
    return EgoHistory(positions, np.broadcast_to(np.eye(3, dtype=np.float32), (16, 3, 3)).copy())


def brake(speed: float = 10.0, by: float = 1.0) -> PlanSample:
    text = "Stop for the red traffic light at the intersection ahead."
    return PlanSample(unicycle(speed, lambda t: -by), text, True)


def nudge(speed: float = 10.0) -> PlanSample:
    text = "Nudge to the left within the lane due to the cyclist ahead in the lane."
    return PlanSample(unicycle(speed, curvature=sideways(speed, 0.6)), text, True)


def unreadable(speed: float = 10.0) -> PlanSample:
    return PlanSample(unicycle(speed, lambda t: 2.0), "blue blue the the", False)


def turn(speed: float = 6.0) -> PlanSample:
    return PlanSample(
        unicycle(speed, curvature=lambda t: 0.08), "Turn left at the intersection to follow the route.", True
    )


def plan_of(*samples: PlanSample, speed: float = 10.0, selected: int = 0) -> Plan:
    judgements = tuple(judge(sample, history(speed)) for sample in samples)
    latencies = {"preprocessing": 1.5, "vision": 20.25, "flow_matching": 30.0}
    return Plan(T0, samples, judgements, selected, "the one to test with", 7, "ar1_tiny", "0123456789ab", latencies)


def moment_of(speed: float = 10.0, yaw: float = 0.7) -> Moment:
    """The car at (100, -20, 1.5) in its fixed frame at t0, heading `yaw`; pictures are never looked at."""

    def decode(picture: object) -> np.ndarray:
        raise AssertionError("nobody looks at the pictures")

    timeline = Timeline(TimeContract(ROLES), decode)
    quaternion = np.array([0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)])
    for step in range(-100, 1):  # 50 Hz
        ahead = step * 0.02 * speed
        place = np.array([100.0 + ahead * np.cos(yaw), -20.0 + ahead * np.sin(yaw), 1.5])
        timeline.add_pose(T0 + step * 20_000_000, place, quaternion)
    for role in ROLES:
        for step in range(-4, 1):
            timeline.add_frame(role, T0 + step * 100_000_000 + SKEW_NS, None)
    return timeline.moment(T0)


def fixed_pose() -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and rotation (3, 3) of the car at t0 in `moment_of`, worked out on paper."""
    c, s = np.cos(0.7), np.sin(0.7)
    return np.array([100.0, -20.0, 1.5]), np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def content(message: Any) -> Any:
    """A message of either kind as plain data."""
    if dataclasses.is_dataclass(message):
        names = [
            field.name
            for field in dataclasses.fields(message)
            if field.name.islower() and not field.name.startswith("__")
        ]
        return {name: content(getattr(message, name)) for name in names}
    if hasattr(message, "get_fields_and_field_types"):
        return {name: content(getattr(message, name)) for name in message.get_fields_and_field_types()}
    if isinstance(message, (str, int, float, bool, np.generic)):
        return message.item() if isinstance(message, np.generic) else message
    return [content(part) for part in message]
