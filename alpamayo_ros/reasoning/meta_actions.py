"""Meta-actions: what a trajectory does, segment by segment, in words that reasoning can be compared with.

Three levels, after NVIDIA's public CoC autolabeler ("autolabeler" below; the rules are in its processors, 10 Hz, yaw
left positive): longitudinal (speed), lateral (steering), and lane level. A level is cut where a smoothed quantity
crosses a threshold, every piece is classified, and pieces too short to mean anything are absorbed.

The lane level needs to know the lane. With a `LaneTrack` it is exact. Without one the path itself is the only witness:
a movement to one side and back is taken for the offset, an even bend for the road's, and in a curve nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alpamayo_ros.reasoning.segments import (
    AnyAction,
    Segment,
    absorb,
    cut,
    join,
    mean_reflected,
    mean_shrunk,
    with_hysteresis,
)
from alpamayo_ros.types import LaneAction, LateralAction, LongitudinalAction, MetaAction, MetaActions, Trajectory

TICK = 0.1  # s; the autolabeler's DELTA_TIMESTAMP, and the step of the action space

# Longitudinal (autolabeler, processor/longitudinal).
CUT_ACCELERATIONS = (0.1, -0.1, 1.25, -1.25)  # m/s²
CUT_SPEEDS = (0.3, -0.3)  # m/s
REVERSE_SPEED = -0.12  # m/s, mean of the segment
STOP_SPEED = 0.12  # m/s, mean of the segment
GENTLE_ACCELERATION = 0.15  # m/s², mean of the segment
STRONG_ACCELERATION = 1.4  # m/s², mean of the segment
SPEED_CHANGE = 0.8  # m/s over the segment
LONGITUDINAL_MIN_TICKS = 8
MAINTAIN_MIN_TICKS = 12

# Lateral (autolabeler, processor/lateral). Rates are heading per distance: curvatures.
CUT_RATES = (0.001, -0.001, 0.05, -0.05)  # rad/m
CUT_REVERSE_SPEED = -0.1  # m/s
LATERAL_REVERSE_SPEED = -0.1  # m/s, mean of the segment
REVERSE_RATE, REVERSE_HEADING = 0.002, 0.2  # rad/m, rad
SHARP_RATE, SHARP_HEADING = 0.05, 0.2  # rad/m, rad
STEER_RATE, STEER_HEADING = 0.0015, 0.015  # rad/m, rad
LATERAL_MIN_TICKS = 10
STANDSTILL_STEP = 1e-6  # m per tick; below it a heading change has no rate

# Lane level (autolabeler, processor/lane).
LANE_CHANGE_OFFSET = 1.0  # m
LANE_CHANGE_RATE, LANE_CHANGE_NET = 0.02, 0.5  # m/m, m
TURN_RATE, TURN_HEADING = 0.04, 0.2  # rad/m, rad
SHIFT_NET = 0.2  # m; the least net displacement that the autolabeler calls a shift
LANE_MIN_TICKS = 6
LANE_CHANGE_MIN_TICKS = 5
# Ours. The autolabeler cuts the lane level at ±0.01 rad/m of heading and at its map's lane decisions; with offsets
# given instead of a map, the level is cut where the car begins or ends to move sideways, or to turn.
CUT_LATERAL_RATES = (0.005, -0.005)  # m/m
# Ours. Without lane data: a path that turns farther is in a curve.
CURVE_HEADING = 0.15  # rad


@dataclass(frozen=True, eq=False)
class LaneTrack:
    """Where the car is with respect to the lane it starts in, one entry a tick, the first at t0.

    offsets: (T,) metres from the center line of that lane, positive to the left; on beyond the lane's own width.
    lane_ids: (T,) the lane that contains the car, any integers; successors of a lane along the route may differ.
    """

    offsets: np.ndarray
    lane_ids: np.ndarray


def meta_actions(trajectory: Trajectory, lane: LaneTrack | None = None) -> MetaActions:
    """Meta-actions of a planned trajectory; t0 itself is the first tick, so `lane` has one entry more than waypoints.

    The speed at t0 follows from the first waypoint's speed and acceleration. Raises ValueError as `segment_motion`.
    """
    start = float(trajectory.speeds[0] - trajectory.accelerations[0] * TICK)
    return segment_motion(
        np.concatenate([[start], trajectory.speeds]),
        np.concatenate([[0.0], trajectory.yaws]),
        np.concatenate([np.zeros((1, 2)), trajectory.positions[:, :2]]),
        lane,
    )


def segment_motion(
    speeds: np.ndarray, headings: np.ndarray, positions: np.ndarray, lane: LaneTrack | None = None
) -> MetaActions:
    """Meta-actions of a motion sampled every 0.1 s.

    speeds: (T,) m/s along the heading, negative in reverse. headings: (T,) rad. positions: (T, 2) metres, any fixed
    frame. lane: (T,) entries. Raises ValueError when the lengths differ, T < 3, or a value is not finite.
    """
    ticks = len(speeds)
    if ticks < 3:
        raise ValueError(f"a motion of {ticks} ticks has no segments; at least 3 are needed")
    if headings.shape != (ticks,) or positions.shape != (ticks, 2):
        raise ValueError(f"headings {headings.shape} and positions {positions.shape} do not match {ticks} speeds")
    if lane is not None and (lane.offsets.shape != (ticks,) or lane.lane_ids.shape != (ticks,)):
        raise ValueError(f"lane data of {lane.offsets.shape} and {lane.lane_ids.shape} do not match {ticks} ticks")
    if not (np.isfinite(speeds).all() and np.isfinite(headings).all() and np.isfinite(positions).all()):
        raise ValueError("the motion holds values that are not finite")

    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)  # (T-1,)
    turns = _wrapped(np.diff(headings))  # (T-1,)
    turns_smooth = mean_reflected(turns)
    rates = np.where(steps > STANDSTILL_STEP, turns_smooth / np.maximum(steps, STANDSTILL_STEP), 0.0)
    heading_change = float(turns.sum())
    offsets = lane.offsets - lane.offsets[0] if lane is not None else _own_offsets(steps, turns)
    ids = lane.lane_ids if lane is not None else None
    return MetaActions(
        longitudinal=_longitudinal(speeds),
        lateral=_lateral(speeds, steps, turns_smooth, rates),
        lane=_lane_level(steps, turns_smooth, rates, offsets, ids),
        lane_known_from_map=lane is not None,
        initial_speed=float(speeds[0]),
        final_speed=float(speeds[-1]),
        distance=float(steps.sum()),
        heading_change=heading_change,
        offset_left=float(max(offsets.max(), 0.0)) if offsets is not None else 0.0,
        offset_right=float(max(-offsets.min(), 0.0)) + 0.0 if offsets is not None else 0.0,
        final_offset=float(offsets[-1]) if offsets is not None else 0.0,
        initial_offset=float(lane.offsets[0]) if lane is not None else 0.0,
    )


def _longitudinal(speeds: np.ndarray) -> tuple[MetaAction, ...]:
    accelerations = np.diff(speeds) / TICK
    smooth = mean_shrunk(np.concatenate([accelerations[:1], accelerations]))
    states = [speeds >= threshold for threshold in CUT_SPEEDS]
    states += [with_hysteresis(smooth, threshold) for threshold in CUT_ACCELERATIONS]
    segments = []
    for start, end in cut(states, last=len(speeds) - 1):
        change = float(speeds[end] - speeds[start])
        label = _longitudinal_label(float(speeds[start:end].mean()), change / ((end - start) * TICK), change)
        segments.append(Segment(label, start, end, change))
    return _actions(absorb(segments, _longitudinal_minimum))


def _longitudinal_label(speed: float, acceleration: float, change: float) -> LongitudinalAction:
    if speed <= REVERSE_SPEED:
        return LongitudinalAction.REVERSE
    if speed <= STOP_SPEED:
        return LongitudinalAction.STOP
    if acceleration >= STRONG_ACCELERATION and change >= SPEED_CHANGE:
        return LongitudinalAction.STRONG_ACCELERATE
    if acceleration >= GENTLE_ACCELERATION and change >= SPEED_CHANGE:
        return LongitudinalAction.GENTLE_ACCELERATE
    if acceleration <= -STRONG_ACCELERATION and change <= -SPEED_CHANGE:
        return LongitudinalAction.STRONG_DECELERATE
    if acceleration <= -GENTLE_ACCELERATION and change <= -SPEED_CHANGE:
        return LongitudinalAction.GENTLE_DECELERATE
    return LongitudinalAction.MAINTAIN_SPEED


def _longitudinal_minimum(action: AnyAction) -> int:
    return MAINTAIN_MIN_TICKS if action is LongitudinalAction.MAINTAIN_SPEED else LONGITUDINAL_MIN_TICKS


def _lateral(speeds: np.ndarray, steps: np.ndarray, turns: np.ndarray, rates: np.ndarray) -> tuple[MetaAction, ...]:
    states = [speeds[:-1] >= CUT_REVERSE_SPEED] + [rates >= threshold for threshold in CUT_RATES]
    segments = []
    for start, end in cut(states, last=len(rates)):
        heading, distance = float(turns[start:end].sum()), float(steps[start:end].sum())
        rate = heading / distance if distance > STANDSTILL_STEP else 0.0
        label = _lateral_label(float(speeds[start:end].mean()), rate, heading)
        segments.append(Segment(label, start, end, heading))
    return _actions(absorb(segments, lambda _: LATERAL_MIN_TICKS))


def _lateral_label(speed: float, rate: float, heading: float) -> LateralAction:
    def reaches(least_rate: float, least_heading: float) -> bool:
        return (rate >= least_rate and heading >= least_heading) or (rate <= -least_rate and heading <= -least_heading)

    left = heading > 0
    if speed <= LATERAL_REVERSE_SPEED and reaches(REVERSE_RATE, REVERSE_HEADING):
        return LateralAction.REVERSE_LEFT if left else LateralAction.REVERSE_RIGHT
    if reaches(SHARP_RATE, SHARP_HEADING):
        return LateralAction.SHARP_STEER_LEFT if left else LateralAction.SHARP_STEER_RIGHT
    if reaches(STEER_RATE, STEER_HEADING):
        return LateralAction.STEER_LEFT if left else LateralAction.STEER_RIGHT
    return LateralAction.GO_STRAIGHT


def _lane_level(
    steps: np.ndarray, turns: np.ndarray, rates: np.ndarray, offsets: np.ndarray | None, ids: np.ndarray | None
) -> tuple[MetaAction, ...]:
    """Lane-level segments. Without offsets only a turn shows; a path that curves otherwise says nothing of its lane."""
    sideways = np.diff(offsets) if offsets is not None else np.zeros_like(steps)
    moving = steps > STANDSTILL_STEP
    lateral_rates = np.where(moving, mean_reflected(sideways) / np.maximum(steps, STANDSTILL_STEP), 0.0)
    states = [lateral_rates >= threshold for threshold in CUT_LATERAL_RATES]
    states += [rates >= threshold for threshold in (TURN_RATE, -TURN_RATE)]
    segments = []
    for start, end in cut(states, last=len(steps)):
        heading, distance = float(turns[start:end].sum()), float(steps[start:end].sum())
        net = float(sideways[start:end].sum())
        changed = bool((ids[start : end + 1] != ids[start]).any()) if ids is not None else None
        segments.append(Segment(_lane_label(heading, net, distance, changed), start, end, net))
    segments = _merged_into_previous(segments)
    turn = any(s.action in (LaneAction.TURN_LEFT, LaneAction.TURN_RIGHT) for s in segments)
    return _actions(segments) if offsets is not None or turn else ()


def _merged_into_previous(segments: list[Segment]) -> list[Segment]:
    """The lane level's own rule: a short segment goes to the one before it (the first one: to the one after)."""
    rest = join(segments)
    i = 0
    while i < len(rest):
        change = rest[i].action in (LaneAction.LANE_CHANGE_LEFT, LaneAction.LANE_CHANGE_RIGHT)
        if len(rest) > 1 and rest[i].ticks < (LANE_CHANGE_MIN_TICKS if change else LANE_MIN_TICKS):
            rest[i - 1 if i else 1].take(rest[i])
            del rest[i]
        else:
            i += 1
    return join(rest)


def _lane_label(heading: float, net: float, distance: float, lane_changed: bool | None) -> LaneAction:
    """lane_changed: whether the lane id changes within the segment; None without lane data."""
    if distance <= STANDSTILL_STEP:
        return LaneAction.LANE_KEEP
    left = net > 0
    supported = abs(net) >= LANE_CHANGE_OFFSET
    if lane_changed:  # the id vouches for the change; without it the weaker evidence would be any nudge at low speed
        supported |= abs(net) / distance >= LANE_CHANGE_RATE and abs(net) >= LANE_CHANGE_NET
    if abs(heading) / distance >= TURN_RATE and abs(heading) >= TURN_HEADING and lane_changed is not False:
        return LaneAction.TURN_LEFT if heading > 0 else LaneAction.TURN_RIGHT
    if supported and lane_changed is not False:
        return LaneAction.LANE_CHANGE_LEFT if left else LaneAction.LANE_CHANGE_RIGHT
    if abs(net) >= SHIFT_NET:
        return LaneAction.SLIGHT_SHIFT_LEFT if left else LaneAction.SLIGHT_SHIFT_RIGHT
    return LaneAction.LANE_KEEP


def _own_offsets(steps: np.ndarray, turns: np.ndarray) -> np.ndarray | None:
    """(T,) sideways movement, or None when the path as a whole curves.

    A path alone does not tell a bend from a movement across. The road is taken to bend evenly at most, to one side:
    only what heads beyond the first and the last heading moves sideways.
    """
    headings = np.concatenate([[0.0], np.cumsum(turns)])
    if abs(headings[-1]) >= CURVE_HEADING:
        return None
    beyond = headings - np.clip(headings, min(headings[-1], 0.0), max(headings[-1], 0.0))
    return np.concatenate([[0.0], np.cumsum(steps * np.sin((beyond[1:] + beyond[:-1]) / 2.0))])


def _actions(segments: list[Segment]) -> tuple[MetaAction, ...]:
    return tuple(MetaAction(s.action, s.start * TICK, s.end * TICK, s.change) for s in segments)


def _wrapped(angles: np.ndarray) -> np.ndarray:
    wrapped: np.ndarray = (angles + np.pi) % (2 * np.pi) - np.pi
    return wrapped
