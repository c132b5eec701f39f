"""A Plan as alpamayo_ros/DrivingPlan, and its trajectories back out of one."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from alpamayo_ros.nodes.message_parts import duration, header, pose, quaternions, single, time
from alpamayo_ros.nodes.message_types import MessageTypes
from alpamayo_ros.nodes.names import BASE
from alpamayo_ros.timeline import Moment
from alpamayo_ros.types import (
    ConsistencyVerdict,
    CriticalComponent,
    GateVerdict,
    Judgement,
    MetaAction,
    MetaActions,
    ParsedTrace,
    Plan,
    PlanSample,
    Trajectory,
)


def driving_plan(
    types: MessageTypes, plan: Plan, moment: Moment, *, fixed_frame: str, held_back: bool, skipped: int
) -> Any:
    """The DrivingPlan of a plan that was made from a moment.

    fixed_frame: the frame that the moment's ego pose is in (odom or map). skipped: t0s passed over before this one.
    Raises ValueError where a trajectory is not finite, or the moment is not the plan's.
    """
    if plan.t0_ns != moment.t0_ns:
        raise ValueError(f"the plan is of t0 = {plan.t0_ns} ns, but the moment of {moment.t0_ns} ns")
    return types.DrivingPlan(
        header=header(types, plan.t0_ns, BASE),
        samples=[_sample(types, *pair) for pair in zip(plan.samples, plan.judgements, strict=True)],
        selected=plan.selected,
        selection=plan.selection,
        gate=_gate(types, plan.judgement.gate),
        held_back=held_back,
        ego_pose=types.PoseStamped(
            header=header(types, plan.t0_ns, fixed_frame), pose=pose(types, moment.position, moment.quaternion)
        ),
        cameras=[
            types.CameraStamps(
                role=int(role),
                stamps=[time(types, int(stamp)) for stamp in stamps],
                skews=(moment.skews_ns[role] / 1e9).astype(np.float32),
            )
            for role, stamps in moment.stamps_ns.items()
        ],
        latencies=[types.StageLatency(stage=stage, milliseconds=single(ms)) for stage, ms in plan.latencies_ms.items()],
        skipped=skipped,
        seed=plan.seed,
        model=plan.model,
        revision=plan.revision,
    )


def trajectory_of(sample: Any) -> Trajectory:
    """The trajectory of a TrajectorySample: what to drive, from a plan that was received.

    Raises ValueError for one without waypoints, or with a value that is not finite.
    """
    points = sample.waypoints
    if not len(points):
        raise ValueError("the sample has no waypoints")
    places = [waypoint.pose.position for waypoint in points]
    turns = [waypoint.pose.orientation for waypoint in points]
    orientations = np.array([(turn.x, turn.y, turn.z, turn.w) for turn in turns])
    positions = np.array([(place.x, place.y, place.z) for place in places])
    if not np.isfinite(orientations).all():
        raise ValueError("the sample has an orientation that is not finite")
    path = Trajectory(
        np.array([waypoint.time_from_start.sec + waypoint.time_from_start.nanosec / 1e9 for waypoint in points]),
        positions,
        Rotation.from_quat(orientations).as_matrix(),
        np.array([waypoint.speed for waypoint in points]),
        np.array([waypoint.acceleration for waypoint in points]),
        np.array([waypoint.curvature for waypoint in points]),
    )
    _check_finite(path)
    return path


def _sample(types: MessageTypes, sample: PlanSample, judgement: Judgement) -> Any:
    consistency: ConsistencyVerdict = judgement.consistency
    return types.TrajectorySample(
        waypoints=_waypoints(types, sample.trajectory),
        reasoning=_reasoning(types, judgement.trace, sample.complete),
        meta_actions=_meta_actions(types, judgement.meta_actions),
        consistency=types.ConsistencyVerdict(
            longitudinal_agrees=consistency.longitudinal.agrees,
            longitudinal_reason=consistency.longitudinal.reason,
            lateral_agrees=consistency.lateral.agrees,
            lateral_reason=consistency.lateral.reason,
        ),
        gate=_gate(types, judgement.gate),
    )


def _waypoints(types: MessageTypes, path: Trajectory) -> list[Any]:
    _check_finite(path)
    turns, yaw_rates = quaternions(path.rotations), path.yaw_rates
    return [
        types.Waypoint(
            time_from_start=duration(types, float(path.times[i])),
            pose=pose(types, path.positions[i], turns[i]),
            speed=single(path.speeds[i]),
            acceleration=single(path.accelerations[i]),
            curvature=single(path.curvatures[i]),
            yaw_rate=single(yaw_rates[i]),
        )
        for i in range(len(path.times))
    ]


def _reasoning(types: MessageTypes, trace: ParsedTrace, complete: bool) -> Any:
    kind, decision = types.ChainOfCausation, trace.decision
    longitudinal, lateral = (None, None) if decision is None else (decision.longitudinal, decision.lateral)
    none = "UNREAD" if decision is None else "NO_CHANGE"
    return kind(
        text=trace.text,
        complete=complete,
        status=_constant(kind, "STATUS_", trace.status),
        problems=list(trace.problems),
        longitudinal=_constant(kind, "LONGITUDINAL_", longitudinal or none),
        lateral=_constant(kind, "LATERAL_", lateral or none),
        components=[_component(types, component) for component in trace.components],
    )


def _component(types: MessageTypes, component: CriticalComponent) -> Any:
    return types.CriticalComponent(
        category=_constant(types.CriticalComponent, "", component.category),
        kind=component.kind,
        attributes=[types.KeyValue(key=key, value=value) for key, value in component.attributes.items()],
    )


def _meta_actions(types: MessageTypes, actions: MetaActions) -> list[Any]:
    kind = types.MetaAction
    levels = ((kind.LONGITUDINAL, actions.longitudinal), (kind.LATERAL, actions.lateral), (kind.LANE, actions.lane))
    return [_meta_action(types, level, action) for level, segments in levels for action in segments]


def _meta_action(types: MessageTypes, level: int, action: MetaAction) -> Any:
    return types.MetaAction(
        level=level,
        action=str(action.action),
        start=single(action.start),
        end=single(action.end),
        change=single(action.change),
    )


def _gate(types: MessageTypes, verdict: GateVerdict) -> Any:
    kind = types.GateFailure
    failures = [kind(check=_constant(kind, "", failure.check), reason=failure.reason) for failure in verdict.failures]
    return types.GateVerdict(passed=verdict.passed, failures=failures)


def _constant(kind: Any, prefix: str, value: StrEnum | str) -> int:
    """The number that a message has for a word; each has one, which a test makes sure of."""
    return int(getattr(kind, prefix + value.upper()))


def _check_finite(path: Trajectory) -> None:
    for name, values in vars(path).items():
        if not np.isfinite(values).all():
            raise ValueError(f"the trajectory has {name} that are not finite")
