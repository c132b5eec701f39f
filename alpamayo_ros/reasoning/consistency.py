"""Whether the words and the motion of a plan agree, decision by decision, on both axes.

The idea is Alpamayo-R1's consistency reward (arXiv 2511.00088, section 5.3.2): meta-actions of the trajectory are
matched with the intent read from the trace; 1 if and only if both axes agree, and 0 for what cannot be read. No rule
table is public. Ours is in `consistency_rules`. Its principles:

- A decision is the *first* change of behavior; what comes later in the 6.4 s is left free, unless it denies the words
  (to speed away before the stop, to halt while tracking the target speed).
- Nothing is asked that the decision does not mean: a follower may hold its speed, a lane may curve, a nudge is small, a
  lane change leaves the heading as it was, who waits need not move.
- What is under way is carried through: who has nudged, as lane data tell, stays there before coming back, and who is on
  the line already arrives in the next lane.
- No decision on an axis means no change there. A change is still explained if a cause that the text names accounts for
  it: "Turn left since the left-turn arrow is green" says why the car pulls away.
- Without lane data, a movement aside that a bend of the path may hide is neither confirmed nor refuted; it passes, and
  the reason says so.
"""

from __future__ import annotations

import math

from alpamayo_ros.reasoning.causes import AnyDecision, may_cause
from alpamayo_ros.reasoning.consistency_rules import (
    CREEPING,
    DOWN,
    HALT,
    HOLD,
    LAUNCH_SPEED,
    OFFSET_MARGIN,
    OUT_OF_LANE,
    PATH_RULES,
    SPEED_RULES,
    STANDING,
    STILL_DISTANCE,
    STRONG_UP,
    UP,
    WITHIN_LANE,
    PathRule,
)
from alpamayo_ros.reasoning.meta_actions import TURN_HEADING
from alpamayo_ros.reasoning.vocabulary import SIDES
from alpamayo_ros.types import (
    AxisVerdict,
    ConsistencyVerdict,
    Decision,
    LaneAction,
    LateralAction,
    LateralDecision,
    LongitudinalAction,
    LongitudinalDecision,
    MetaActions,
    ParsedTrace,
)

_LONG = LongitudinalDecision
_LAT = LateralDecision

# Longitudinal decisions that may hold a maneuver back: it is still to come when the plan stands or creeps for a while,
# or, while a gap is searched, at any speed.
_HOLDS_BACK = (_LONG.YIELD, _LONG.STOP_FOR_STATIC_CONSTRAINTS, _LONG.LEAD_OBSTACLE_FOLLOWING)

_EXPLAINED: dict[AnyDecision | None, str] = {
    _LONG.SET_SPEED_TRACKING: "tracking the target speed",
    _LONG.LEAD_OBSTACLE_FOLLOWING: "following the lead",
    _LONG.SPEED_ADAPTATION: "slowing for the road",
    _LONG.GAP_SEARCHING: "searching a gap",
    _LONG.ACCELERATION_FOR_PASSING: "accelerating to pass",
    _LONG.YIELD: "a yield",
    _LONG.STOP_FOR_STATIC_CONSTRAINTS: "a stop",
    _LAT.LANE_KEEPING: "keeping the lane",
    _LAT.MERGE_SPLIT: "a merge or split",
    _LAT.PULL_OVER: "pulling over",
    _LAT.MANEUVER_ABORT: "aborting the maneuver",
    **{_LAT(f"out_of_lane_nudge_{s}"): f"a nudge {s} out of the lane" for s in SIDES},
    **{_LAT(f"in_lane_nudge_{s}"): f"a nudge {s} within the lane" for s in SIDES},
    **{_LAT(f"lane_change_{s}"): f"a lane change to the {s}" for s in SIDES},
    **{_LAT(f"turn_{s}"): f"a {s} turn" for s in SIDES},
}


def check_consistency(parsed: ParsedTrace, actions: MetaActions) -> ConsistencyVerdict:
    """Compare what `parsed` says with what the trajectory of `actions` does. Text without a decision never agrees."""
    if parsed.decision is None:
        unread = AxisVerdict(False, f"the text could not be read: {'; '.join(parsed.problems)}")
        return ConsistencyVerdict(unread, unread)
    return ConsistencyVerdict(
        _judge_speed(parsed, parsed.decision, actions), _judge_path(parsed, parsed.decision, actions)
    )


def _judge_speed(parsed: ParsedTrace, decision: Decision, actions: MetaActions) -> AxisVerdict:
    said, done = decision.longitudinal, _speed_words(actions)
    if said is not None:
        agrees = _speed_agrees(said, actions)
        return AxisVerdict(agrees, f"explained {_EXPLAINED[said]} {'and' if agrees else 'but'} the plan {done}")
    if _speed_agrees(None, actions):
        return AxisVerdict(True, f"explained no change of speed and the plan {done}")
    causes = [d for d in LongitudinalDecision if any(may_cause(c, d) for c in parsed.components)]
    if _halts(actions) and _LONG.SPEED_ADAPTATION in causes:
        causes.remove(_LONG.SPEED_ADAPTATION)  # what one slows for is no reason to stand, unless slowing was said
    if any(_speed_agrees(d, actions) for d in causes):
        return AxisVerdict(True, f"names the cause for which the plan {done}")
    return AxisVerdict(False, f"explained no change of speed but the plan {done}")


def _speed_agrees(said: LongitudinalDecision | None, actions: MetaActions) -> bool:
    rule, labels = SPEED_RULES[said], [a.action for a in actions.longitudinal]
    if LongitudinalAction.REVERSE in labels or any(label in rule.never for label in labels):
        return False
    if labels == [HALT]:
        return rule.wait
    if _halts(actions) and not rule.halt:
        return False
    if max(abs(v - actions.initial_speed) for v in _speeds(actions)) > rule.at_most:
        return False
    if labels[0] is HALT and rule.wait:
        return True  # who waits first has done what was said, and may go on
    if rule.arrives and not _arrives(actions):
        return False
    first = next((i for i, label in enumerate(labels) if label is not HOLD and not (label is HALT and i == 0)), None)
    if first is None:
        return rule.hold or (_halts(actions) and rule.halt)
    if labels[first] in rule.first or (labels[first] in rule.after_hold and labels[0] is HOLD):
        return True
    return rule.launch and labels[first] is STRONG_UP and _speeds(actions)[first] <= LAUNCH_SPEED


def _speeds(actions: MetaActions) -> list[float]:
    """Speed at the start of each longitudinal segment, and at the end of the last."""
    speeds = [actions.initial_speed]
    for action in actions.longitudinal:
        speeds.append(speeds[-1] + action.change)
    return speeds


def _halts(actions: MetaActions) -> bool:
    """Whether the plan comes to a stand from motion."""
    stops = any(a.action is HALT for a in actions.longitudinal[1:])
    return stops or (actions.final_speed <= STANDING and actions.longitudinal[0].action is not HALT)


def _arrives(actions: MetaActions) -> bool:
    """Whether the plan stands, or still slows at the end, with no acceleration before it stands."""
    labels = [a.action for a in actions.longitudinal]
    until = labels.index(HALT) if HALT in labels else len(labels)
    slowing = labels[-1] in DOWN or actions.final_speed <= STANDING
    return not any(label in UP for label in labels[:until]) and (HALT in labels or slowing)


def _speed_words(actions: MetaActions) -> str:
    labels = [a.action for a in actions.longitudinal]
    if LongitudinalAction.REVERSE in labels:
        return "reverses"
    changes = [a for a in actions.longitudinal if a.action not in (HOLD, HALT)]
    parts = ["waits"] if labels[0] is HALT and changes else []
    parts += [f"{'accelerates' if a.action in UP else 'slows'} by {abs(a.change):.1f} m/s" for a in changes]
    parts += ["comes to a stop"] if _halts(actions) else []
    return ", ".join(parts) or ("stays stopped" if labels[0] is HALT else "holds its speed")


def _judge_path(parsed: ParsedTrace, decision: Decision, actions: MetaActions) -> AxisVerdict:
    said, done = decision.lateral, _path_words(actions)
    explained = _EXPLAINED[said] if said is not None else "no change of path"
    if _path_agrees(said, actions):
        return AxisVerdict(True, f"explained {explained} and the plan {done}")
    if _held_back(decision, actions):
        return AxisVerdict(True, f"explained {explained}, still to come: the plan {done}")
    if _bend_may_hide(PATH_RULES[said], actions):
        return AxisVerdict(True, f"explained {explained}, which a path that bends does not refute without lane data")
    if said is None:
        named = [d for d in LateralDecision if any(may_cause(c, d) for c in parsed.components)]
        if any(_path_agrees(d, actions) for d in named if d is not _LAT.LANE_KEEPING):
            return AxisVerdict(True, f"names the cause for which the plan {done}")
    return AxisVerdict(False, f"explained {explained} but the plan {done}")


def _held_back(decision: Decision, actions: MetaActions) -> bool:
    """Whether the lateral maneuver waits for the longitudinal decision, and nothing yet speaks against it."""
    rule = PATH_RULES[decision.lateral]
    away = {"left": actions.offset_right, "right": actions.offset_left}.get(rule.side, 0.0)
    if not rule.is_maneuver or away > WITHIN_LANE or _turn_toward(rule.side, actions) <= -TURN_HEADING:
        return False
    creeps = min(_speeds(actions)) <= CREEPING
    return (creeps and decision.longitudinal in _HOLDS_BACK) or decision.longitudinal is _LONG.GAP_SEARCHING


def _path_agrees(said: LateralDecision | None, actions: MetaActions) -> bool:
    rule = PATH_RULES[said]
    if any(a.action in (LateralAction.REVERSE_LEFT, LateralAction.REVERSE_RIGHT) for a in actions.lateral):
        return False
    if actions.distance < STILL_DISTANCE:
        return not rule.is_maneuver
    if rule.turns:
        return _turn_toward(rule.side, actions) >= TURN_HEADING
    if _turned_off(actions) or _steers_sharply(actions) or abs(actions.final_offset) > rule.final:
        return False
    if rule.stays:
        # As far as the center of its lane the car comes back; what counts is how far it leaves that.
        left = actions.offset_left - max(-actions.initial_offset, 0.0)
        right = actions.offset_right - max(actions.initial_offset, 0.0)
        recenters = abs(actions.initial_offset + actions.final_offset) < abs(actions.initial_offset)
        changes = _changes_lane(actions) and not recenters
        return not changes and max(left, right) <= WITHIN_LANE
    return not rule.shifts or (bool(actions.lane) and (_shifts(rule, actions) or _under_way(rule, actions)))


def _shifts(rule: PathRule, actions: MetaActions) -> bool:
    change, to_side = _sideways(rule.side)
    labels = [a.action for a in actions.lane]
    first = next((label for label in labels if label is not LaneAction.LANE_KEEP), None)
    moved = actions.offset_left if rule.side == "left" else actions.offset_right
    arrives = change in labels or labels[-1] in to_side
    return first in to_side and rule.offset[0] <= moved <= rule.offset[1] and (arrives or not rule.arrives)


def _under_way(rule: PathRule, actions: MetaActions) -> bool:
    """Whether the car has begun what the rule asks for, and goes on with it before it comes back to the center.

    The offset is from the nearest lane: who comes back from the right is not told from who arrives from there.
    """
    sign = {"left": 1.0, "right": -1.0}[rule.side]
    start, first = sign * actions.initial_offset, actions.lane[0].action
    _, to_side = _sideways(rule.side)
    if rule.arrives:
        ends = abs(actions.initial_offset + actions.final_offset)
        return start <= -rule.begun and first in to_side and ends <= OUT_OF_LANE
    farther, back = (actions.offset_left, actions.offset_right)[:: int(sign)]
    stays = first in (LaneAction.LANE_KEEP, *to_side)
    within = start + farther <= rule.offset[1] and back - start <= OFFSET_MARGIN
    return start >= rule.begun and stays and within


def _bend_may_hide(rule: PathRule, actions: MetaActions) -> bool:
    """Whether, without lane data, the path bends so far that the movement that the rule asks for may be in it."""
    if not rule.shifts or actions.lane_known_from_map or actions.distance < STILL_DISTANCE:
        return False
    if _turned_off(actions) or _steers_sharply(actions):
        return False
    away = actions.offset_right if rule.side == "left" else actions.offset_left
    return abs(actions.heading_change) * actions.distance / 2.0 > OFFSET_MARGIN >= away


def _sideways(side: str) -> tuple[LaneAction, tuple[LaneAction, LaneAction]]:
    """The change to the lane on a side, and all movements to that side."""
    change = LaneAction(f"lane_change_{side}")
    return change, (change, LaneAction(f"slight_shift_{side}"))


def _turn_toward(side: str, actions: MetaActions) -> float:
    """Heading change in rad, positive to `side`; zero for a decision without a side."""
    return actions.heading_change * {"left": 1.0, "right": -1.0}.get(side, 0.0)


def _turned_off(actions: MetaActions) -> bool:
    return any(a.action in (LaneAction.TURN_LEFT, LaneAction.TURN_RIGHT) for a in actions.lane)


def _steers_sharply(actions: MetaActions) -> bool:
    """Sharp steering off a known lane shows at the lane level; with lane data a lane itself may bend sharply."""
    sharp = (LateralAction.SHARP_STEER_LEFT, LateralAction.SHARP_STEER_RIGHT)
    return not actions.lane_known_from_map and any(a.action in sharp for a in actions.lateral)


def _changes_lane(actions: MetaActions) -> bool:
    return any(a.action in (LaneAction.LANE_CHANGE_LEFT, LaneAction.LANE_CHANGE_RIGHT) for a in actions.lane)


def _path_words(actions: MetaActions) -> str:
    if actions.distance < STILL_DISTANCE:
        return "does not move"
    degrees = math.degrees(abs(actions.heading_change))
    side = "left" if actions.heading_change > 0 else "right"
    if _turned_off(actions) or _steers_sharply(actions):
        return f"turns {side} by {degrees:.0f}°"
    if any(a.action is not LaneAction.LANE_KEEP for a in actions.lane):
        to = "left" if actions.offset_left >= actions.offset_right else "right"
        done = f"moves {max(actions.offset_left, actions.offset_right):.1f} m to the {to}"
    elif abs(actions.heading_change) >= TURN_HEADING:
        done = f"follows a path that curves {side} by {degrees:.0f}°"
    else:
        done = "keeps its lane"
    if abs(actions.initial_offset) < OFFSET_MARGIN:
        return done
    begun = "left" if actions.initial_offset > 0 else "right"
    return f"{done}, from {abs(actions.initial_offset):.1f} m {begun} of its center"
