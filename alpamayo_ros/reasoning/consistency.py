"""Whether the words and the motion of a plan agree: one table of rules, decision by decision, on both axes.

The idea is Alpamayo-R1's consistency reward (arXiv 2511.00088, section 5.3.2): meta-actions of the trajectory are
matched with the intent read from the trace; 1 if and only if both axes agree, and 0 for what cannot be read. No rule
table is public. The one below is ours. Its principles:

- A decision is the *first* change of behavior; what comes later in the 6.4 s is left free, unless it denies the words
  (to speed away before the stop, to halt while tracking the target speed).
- Nothing is asked that the decision does not mean: a follower may hold its speed, a lane may curve, a nudge is small, a
  lane change leaves the heading as it was, who waits need not move.
- No decision on an axis means no change there. A change is still explained if a cause that the text names accounts for
  it: "Turn left since the left-turn arrow is green" says why the car pulls away.
- Without lane data, on a curved path, lane-level words can be neither confirmed nor refuted; they pass, and the reason
  says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.reasoning.causes import AnyDecision, may_cause
from alpamayo_ros.reasoning.meta_actions import CUT_SPEEDS, TURN_HEADING, MetaActions
from alpamayo_ros.reasoning.parser import ParsedTrace
from alpamayo_ros.types import Decision, LateralDecision, LongitudinalDecision
from alpamayo_ros.types.decision import LaneAction, LateralAction, LongitudinalAction

_LONG = LongitudinalDecision
_LAT = LateralDecision

# Figures of the table; all ours.
LAUNCH_SPEED = 2.0  # m/s; below it a strong acceleration is an ordinary pull-away
UNCHANGED_SPEED = 2.0  # m/s; what a car that "changes nothing" may gain or lose over the horizon
STANDING = CUT_SPEEDS[0]  # m/s; the autolabeler's boundary of standing
STILL_DISTANCE = 1.0  # m; a plan shorter than this does not move
# A car 1.9 m wide in a lane of 3.5 m touches the line at an offset of 0.8 m. The margin covers lanes and cars that
# differ, and that the offset is counted from where the car was, which need not have been the center.
LINE_OFFSET, OFFSET_MARGIN = 0.8, 0.3  # m
WITHIN_LANE = LINE_OFFSET + OFFSET_MARGIN
OUT_OF_LANE = LINE_OFFSET - OFFSET_MARGIN
WHOLE_LANE = 3.0  # m; a nudge stays below, else it is a lane change
ABORTED_OFFSET = 2.0  # m; more is no return to the lane


@dataclass(frozen=True)
class _SpeedRule:
    """What one longitudinal decision asks of the longitudinal meta-actions.

    first: labels that the first change of speed may have.
    hold: whether there may be no change at all while the car drives.
    wait: whether the car may stand from the beginning.
    halt: whether the car may come to a stand.
    launch: whether it may accelerate strongly from (near) standstill.
    arrive: whether the plan must end standing or still slowing, with no acceleration before it stands.
    """

    first: frozenset[LongitudinalAction]
    hold: bool
    wait: bool
    halt: bool
    launch: bool = False
    arrive: bool = False


@dataclass(frozen=True)
class _PathRule:
    """What one lateral decision asks of the lane-level and lateral meta-actions.

    needs: lane-level labels of which one must be the first sideways movement; none: no such demand.
    offset: (least, most) metres to the decision's own side that the car must move.
    turns: whether the heading must change to the decision's own side.
    bends: whether the path may turn off or steer sharply.
    leaves: whether the car may leave its lane.
    """

    side: str = ""
    needs: frozenset[LaneAction] = frozenset()
    offset: tuple[float, float] = (0.0, float("inf"))
    turns: bool = False
    bends: bool = False
    leaves: bool = True


_GENTLE_UP, _STRONG_UP = LongitudinalAction.GENTLE_ACCELERATE, LongitudinalAction.STRONG_ACCELERATE
_GENTLE_DOWN, _STRONG_DOWN = LongitudinalAction.GENTLE_DECELERATE, LongitudinalAction.STRONG_DECELERATE
_HALT, _HOLD = LongitudinalAction.STOP, LongitudinalAction.MAINTAIN_SPEED
_UP = frozenset({_GENTLE_UP, _STRONG_UP})
_DOWN = frozenset({_GENTLE_DOWN, _STRONG_DOWN, _HALT})
_GENTLE = frozenset({_GENTLE_UP, _GENTLE_DOWN})


def _shift(side: str) -> frozenset[LaneAction]:
    return frozenset({LaneAction(f"slight_shift_{side}"), LaneAction(f"lane_change_{side}")})


# The table: decision × meta-actions. Reverse agrees with no decision of the closed set.
SPEED_RULES: dict[LongitudinalDecision | None, _SpeedRule] = {
    # decision                           first change         hold         wait        halt         pull-away    arrive
    None:                      _SpeedRule(_GENTLE,             hold=True,  wait=True,  halt=False),
    _LONG.SET_SPEED_TRACKING:  _SpeedRule(_GENTLE,             hold=True,  wait=False, halt=False, launch=True),
    _LONG.LEAD_OBSTACLE_FOLLOWING:
                               _SpeedRule(_DOWN | {_GENTLE_UP}, hold=True, wait=True,  halt=True,  launch=True),
    _LONG.SPEED_ADAPTATION:    _SpeedRule(_DOWN - {_HALT},     hold=True,  wait=False, halt=False),
    _LONG.GAP_SEARCHING:       _SpeedRule(_UP | _DOWN,         hold=True,  wait=False, halt=True,  launch=True),
    _LONG.ACCELERATION_FOR_PASSING:
                               _SpeedRule(_UP,                 hold=False, wait=False, halt=False, launch=True),
    _LONG.YIELD:               _SpeedRule(_DOWN,               hold=False, wait=True,  halt=True),
    _LONG.STOP_FOR_STATIC_CONSTRAINTS:
                               _SpeedRule(_DOWN,               hold=False, wait=True,  halt=True,  arrive=True),
}  # fmt: skip

PATH_RULES: dict[LateralDecision | None, _PathRule] = {
    None:                _PathRule(leaves=False),
    _LAT.LANE_KEEPING:   _PathRule(leaves=False),
    _LAT.MERGE_SPLIT:    _PathRule(),
    # Right-hand traffic: the curb is on the right.
    _LAT.PULL_OVER:      _PathRule("right", needs=_shift("right")),
    _LAT.MANEUVER_ABORT: _PathRule(),
    **{_LAT(f"out_of_lane_nudge_{s}"): _PathRule(s, needs=_shift(s), offset=(OUT_OF_LANE, WHOLE_LANE))
       for s in ("left", "right")},
    **{_LAT(f"in_lane_nudge_{s}"): _PathRule(s, needs=_shift(s), offset=(0.0, WITHIN_LANE))
       for s in ("left", "right")},
    **{_LAT(f"lane_change_{s}"): _PathRule(s, needs=frozenset({LaneAction(f"lane_change_{s}")}))
       for s in ("left", "right")},
    **{_LAT(f"turn_{s}"): _PathRule(s, turns=True, bends=True) for s in ("left", "right")},
}  # fmt: skip

# Longitudinal decisions that may hold a maneuver back: it is still to come when the plan ends standing, or, while a gap
# is searched, at any speed.
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
    **{_LAT(f"out_of_lane_nudge_{s}"): f"a nudge {s} out of the lane" for s in ("left", "right")},
    **{_LAT(f"in_lane_nudge_{s}"): f"a nudge {s} within the lane" for s in ("left", "right")},
    **{_LAT(f"lane_change_{s}"): f"a lane change to the {s}" for s in ("left", "right")},
    **{_LAT(f"turn_{s}"): f"a {s} turn" for s in ("left", "right")},
}


@dataclass(frozen=True)
class AxisVerdict:
    """Agreement on one axis, and why, for example "explained a yield but the plan accelerates by 3.1 m/s"."""

    agrees: bool
    reason: str


@dataclass(frozen=True)
class ConsistencyVerdict:
    """Agreement of words and motion on both axes."""

    longitudinal: AxisVerdict
    lateral: AxisVerdict

    @property
    def consistent(self) -> bool:
        """True if and only if both axes agree; int() of it is the reward."""
        return self.longitudinal.agrees and self.lateral.agrees


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
    if any(_speed_agrees(d, actions) for d in causes):
        return AxisVerdict(True, f"names the cause for which the plan {done}")
    return AxisVerdict(False, f"explained no change of speed but the plan {done}")


def _speed_agrees(said: LongitudinalDecision | None, actions: MetaActions) -> bool:
    rule, labels = SPEED_RULES[said], [a.action for a in actions.longitudinal]
    if LongitudinalAction.REVERSE in labels:
        return False
    waits = labels[0] is _HALT
    if waits and (len(labels) == 1 or rule.wait):
        # Standing at first is all that a waiting decision asks; "no change" must also stay so.
        return rule.wait and (said is not None or len(labels) == 1)
    if not rule.halt and _halts(actions):
        return False
    if said is None and max(abs(v - actions.initial_speed) for v in _speeds(actions)) > UNCHANGED_SPEED:
        return False
    if rule.arrive and not _arrives(actions):
        return False
    first = next((i for i, label in enumerate(labels) if label is not _HOLD and not (label is _HALT and i == 0)), None)
    if first is None:
        return rule.hold or (_halts(actions) and rule.halt)
    label = labels[first]
    if label is _STRONG_UP and label not in rule.first:
        return rule.launch and _speeds(actions)[first] <= LAUNCH_SPEED
    # The road's speed, once held, may be left again: the curve ends within the horizon.
    if said is _LONG.SPEED_ADAPTATION and label is _GENTLE_UP:
        return labels[0] is _HOLD
    if said is _LONG.SET_SPEED_TRACKING and _STRONG_DOWN in labels:
        return False
    return label in rule.first


def _speeds(actions: MetaActions) -> list[float]:
    """Speed at the start of each longitudinal segment, and at the end of the last."""
    speeds = [actions.initial_speed]
    for action in actions.longitudinal:
        speeds.append(speeds[-1] + action.change)
    return speeds


def _halts(actions: MetaActions) -> bool:
    """Whether the plan comes to a stand from motion."""
    stops = any(a.action is _HALT for a in actions.longitudinal[1:])
    return stops or (actions.final_speed <= STANDING and actions.longitudinal[0].action is not _HALT)


def _arrives(actions: MetaActions) -> bool:
    """Whether the plan stands, or still slows at the end, with no acceleration before it stands."""
    labels = [a.action for a in actions.longitudinal]
    until = labels.index(_HALT) if _HALT in labels else len(labels)
    slowing = labels[-1] in _DOWN or actions.final_speed <= STANDING
    return not any(label in _UP for label in labels[:until]) and (_HALT in labels or slowing)


def _speed_words(actions: MetaActions) -> str:
    labels = [a.action for a in actions.longitudinal]
    if LongitudinalAction.REVERSE in labels:
        return "reverses"
    first = next((a for a in actions.longitudinal if a.action in _UP or a.action in (_GENTLE_DOWN, _STRONG_DOWN)), None)
    if first is None:
        if labels[0] is _HALT:
            return "stays stopped"
        return "comes to a stop" if _halts(actions) else "holds its speed"
    how = "accelerates" if first.action in _UP else "slows"
    begin = "waits and " if labels[0] is _HALT else ""
    end = " and comes to a stop" if _halts(actions) else ""
    return f"{begin}{how} by {abs(first.change):.1f} m/s{end}"


def _judge_path(parsed: ParsedTrace, decision: Decision, actions: MetaActions) -> AxisVerdict:
    said, done = decision.lateral, _path_words(actions)
    explained = _EXPLAINED[said] if said is not None else "no change of path"
    if _held_back(decision, actions):
        return AxisVerdict(True, f"explained {explained}, still to come: the plan {done}")
    if said is not None and PATH_RULES[said].needs and _lane_unknown(actions):
        return AxisVerdict(True, f"explained {explained}, which a curved path without lane data does not refute")
    if _path_agrees(said, actions):
        return AxisVerdict(True, f"explained {explained} and the plan {done}")
    if said is None:
        causes = [d for d in LateralDecision if d is not _LAT.LANE_KEEPING]
        named = [d for d in causes if any(may_cause(c, d) for c in parsed.components)]
        if any(_path_agrees(d, actions) for d in named):
            return AxisVerdict(True, f"names the cause for which the plan {done}")
    return AxisVerdict(False, f"explained {explained} but the plan {done}")


def _lane_unknown(actions: MetaActions) -> bool:
    return not actions.lane and actions.distance >= STILL_DISTANCE


def _held_back(decision: Decision, actions: MetaActions) -> bool:
    """Whether the lateral maneuver waits for the longitudinal decision, and nothing yet speaks against it."""
    said = decision.lateral
    if said is None or not (PATH_RULES[said].needs or PATH_RULES[said].turns or said is _LAT.MERGE_SPLIT):
        return False
    side = PATH_RULES[said].side
    away = {"left": actions.offset_right, "right": actions.offset_left}.get(side, 0.0)
    turned = actions.heading_change * (1.0 if side == "left" else -1.0) if side else 0.0
    if away > WITHIN_LANE or turned < -TURN_HEADING or _path_agrees(said, actions):
        return False
    stands = actions.final_speed <= STANDING
    return (stands and decision.longitudinal in _HOLDS_BACK) or decision.longitudinal is _LONG.GAP_SEARCHING


def _path_agrees(said: LateralDecision | None, actions: MetaActions) -> bool:
    rule = PATH_RULES[said]
    if any(a.action in (LateralAction.REVERSE_LEFT, LateralAction.REVERSE_RIGHT) for a in actions.lateral):
        return False
    if actions.distance < STILL_DISTANCE:
        return not rule.needs and not rule.turns and said is not _LAT.MERGE_SPLIT
    if not rule.bends and (_turned_off(actions) or _steers_sharply(actions)):
        return False
    if rule.turns:
        return actions.heading_change * (1.0 if rule.side == "left" else -1.0) >= TURN_HEADING
    if not rule.leaves:
        return not _changes_lane(actions) and max(actions.offset_left, actions.offset_right) <= WITHIN_LANE
    if said is _LAT.MANEUVER_ABORT:
        return abs(actions.final_offset) <= ABORTED_OFFSET
    if not rule.needs:
        return True
    sideways = next((a.action for a in actions.lane if a.action is not LaneAction.LANE_KEEP), None)
    moved = actions.offset_left if rule.side == "left" else actions.offset_right
    return sideways in rule.needs and rule.offset[0] <= moved <= rule.offset[1]


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
    degrees = abs(actions.heading_change) * 57.29578
    side = "left" if actions.heading_change > 0 else "right"
    if _turned_off(actions) or _steers_sharply(actions):
        return f"turns {side} by {degrees:.0f}°"
    change = next((a for a in actions.lane if a.action is not LaneAction.LANE_KEEP), None)
    if change is not None:
        to = "left" if change.change > 0 else "right"
        moved = actions.offset_left if to == "left" else actions.offset_right
        return f"moves {moved:.1f} m to the {to}"
    if abs(actions.heading_change) >= TURN_HEADING:
        return f"follows a path that curves {side} by {degrees:.0f}°"
    return "keeps its lane"
