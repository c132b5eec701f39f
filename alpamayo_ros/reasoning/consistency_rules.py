"""What each decision of the closed set asks of the meta-actions of a plan: one table of rules for each axis.

No rule table is public. This one is ours; `consistency` has its principles, and judges by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alpamayo_ros.reasoning.meta_actions import CUT_SPEEDS, LANE_CHANGE_OFFSET
from alpamayo_ros.reasoning.vocabulary import SIDES
from alpamayo_ros.types import LateralDecision, LongitudinalAction, LongitudinalDecision

_LONG = LongitudinalDecision
_LAT = LateralDecision

# Figures of the table; all ours.
LAUNCH_SPEED = 3.0  # m/s; below it a strong acceleration is an ordinary pull-away
CREEPING = 2.0  # m/s
UNCHANGED_SPEED = 2.0  # m/s; what a car that "changes nothing" may gain or lose over the horizon
STANDING = CUT_SPEEDS[0]  # m/s; the autolabeler's boundary of standing
STILL_DISTANCE = 1.0  # m; a plan shorter than this does not move
# A car 1.9 m wide in a lane of 3.5 m touches the line at an offset of 0.8 m. The margin covers lanes and cars that
# differ, and that without lane data the offset is counted from where the car was, which need not have been the center.
LINE_OFFSET, OFFSET_MARGIN = 0.8, 0.3  # m
WITHIN_LANE = LINE_OFFSET + OFFSET_MARGIN
OUT_OF_LANE = LINE_OFFSET - OFFSET_MARGIN
WHOLE_LANE = 3.0  # m; a nudge stays below, else it is a lane change
ABORTED_OFFSET = 2.0  # m; more is no return to the lane


_GENTLE_UP, STRONG_UP = LongitudinalAction.GENTLE_ACCELERATE, LongitudinalAction.STRONG_ACCELERATE
_GENTLE_DOWN, _STRONG_DOWN = LongitudinalAction.GENTLE_DECELERATE, LongitudinalAction.STRONG_DECELERATE
HALT, HOLD = LongitudinalAction.STOP, LongitudinalAction.MAINTAIN_SPEED
_NONE: frozenset[LongitudinalAction] = frozenset()
UP = frozenset({_GENTLE_UP, STRONG_UP})
DOWN = frozenset({_GENTLE_DOWN, _STRONG_DOWN, HALT})
_GENTLE = frozenset({_GENTLE_UP, _GENTLE_DOWN})


@dataclass(frozen=True)
class SpeedRule:
    """What one longitudinal decision asks of the longitudinal meta-actions.

    first: labels that the first change of speed may have.
    hold: whether there may be no change at all while the car drives.
    wait: whether the car may stand from the beginning.
    halt: whether the car may come to a stand.
    launch: whether it may pull away strongly, from below `LAUNCH_SPEED`.
    after_hold: further labels of the first change, once the speed was held for a while.
    never: labels that may not occur at all.
    arrives: whether the plan must end standing or still slowing, with no acceleration before it stands.
    at_most: how far the speed may leave the initial one, m/s.
    """

    first: frozenset[LongitudinalAction]
    hold: bool
    wait: bool
    halt: bool
    launch: bool = False
    after_hold: frozenset[LongitudinalAction] = _NONE
    never: frozenset[LongitudinalAction] = _NONE
    arrives: bool = False
    at_most: float = math.inf


@dataclass(frozen=True)
class PathRule:
    """What one lateral decision asks of the lane-level and lateral meta-actions.

    side: the decision's own side, where it has one.
    shifts: whether the first sideways movement must be to that side.
    offset: (least, most) metres to that side that the car must move.
    arrives: whether the car must reach the next lane, or still be on the way to it at the end.
    turns: whether the heading must change to that side; else the path may neither turn off nor steer sharply.
    moves: whether the car must move at all.
    stays: whether the car must keep within its lane.
    final: how far from its initial offset the car may end, metres.
    begun: how far off the center of its lane, as lane data tell, the car has this under way, metres: on its side, or on
        the other one where it arrives in the next lane, which is its own once the line is crossed.
    """

    side: str = ""
    shifts: bool = False
    offset: tuple[float, float] = (0.0, math.inf)
    arrives: bool = False
    turns: bool = False
    moves: bool = False
    stays: bool = False
    final: float = math.inf
    begun: float = math.inf

    @property
    def is_maneuver(self) -> bool:
        """Whether it asks for something to happen, which may therefore be still to come."""
        return self.shifts or self.turns or self.moves


# The table: decision × meta-actions. Reversing agrees with no decision of the closed set.
SPEED_RULES: dict[LongitudinalDecision | None, SpeedRule] = {
    #                                 first change       hold        wait         halt
    None:                   SpeedRule(_GENTLE,          hold=True,  wait=True,  halt=False, at_most=UNCHANGED_SPEED),
    _LONG.SET_SPEED_TRACKING:
                            SpeedRule(_GENTLE,          hold=True,  wait=False, halt=False, launch=True,
                                       never=frozenset({_STRONG_DOWN})),
    _LONG.LEAD_OBSTACLE_FOLLOWING:
                            SpeedRule(DOWN | _GENTLE,  hold=True,  wait=True,  halt=True,  launch=True),
    # The speed of the road, once held, may be left again: the curve ends within the horizon.
    _LONG.SPEED_ADAPTATION: SpeedRule(DOWN,            hold=True,  wait=False, halt=True,
                                       after_hold=frozenset({_GENTLE_UP})),
    _LONG.GAP_SEARCHING:    SpeedRule(UP | DOWN,      hold=True,  wait=False, halt=True,  launch=True),
    _LONG.ACCELERATION_FOR_PASSING:
                            SpeedRule(UP,              hold=False, wait=False, halt=False, launch=True),
    _LONG.YIELD:            SpeedRule(DOWN,            hold=False, wait=True,  halt=True),
    _LONG.STOP_FOR_STATIC_CONSTRAINTS:
                            SpeedRule(DOWN,            hold=False, wait=True,  halt=True,  arrives=True),
}  # fmt: skip

PATH_RULES: dict[LateralDecision | None, PathRule] = {
    None:                PathRule(stays=True),
    _LAT.LANE_KEEPING:   PathRule(stays=True),
    _LAT.MERGE_SPLIT:    PathRule(moves=True),
    # Right-hand traffic: the curb is on the right.
    _LAT.PULL_OVER:      PathRule("right", shifts=True, begun=LINE_OFFSET),
    _LAT.MANEUVER_ABORT: PathRule(final=ABORTED_OFFSET),
    **{_LAT(f"out_of_lane_nudge_{s}"): PathRule(s, shifts=True, offset=(OUT_OF_LANE, WHOLE_LANE), begun=OUT_OF_LANE)
       for s in SIDES},
    **{_LAT(f"in_lane_nudge_{s}"): PathRule(s, shifts=True, offset=(0.0, WITHIN_LANE), begun=OFFSET_MARGIN)
       for s in SIDES},
    **{_LAT(f"lane_change_{s}"): PathRule(s, shifts=True, offset=(LANE_CHANGE_OFFSET, math.inf), arrives=True,
                                         begun=LINE_OFFSET) for s in SIDES},
    **{_LAT(f"turn_{s}"): PathRule(s, turns=True) for s in SIDES},
}  # fmt: skip
