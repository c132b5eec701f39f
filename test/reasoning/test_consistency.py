"""Words against motion: every decision with plans that keep the word and plans that break it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning.motions import Profile, sideways, unicycle, within

from alpamayo_ros.reasoning.consistency import check_consistency
from alpamayo_ros.reasoning.consistency_rules import LAUNCH_SPEED, PATH_RULES, SPEED_RULES
from alpamayo_ros.reasoning.meta_actions import LaneTrack, meta_actions
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.types import LateralDecision, LongitudinalDecision, Trajectory

HOLD = unicycle(10.0)
STAND = unicycle(0.0)
GENTLE_UP = unicycle(8.0, lambda t: 0.6)
STRONG_UP = unicycle(8.0, lambda t: 2.0)
LAUNCH = unicycle(0.0, within(0.3, 5.0, 2.0))
WAIT_THEN_GO = unicycle(0.0, within(2.0, 6.4, 1.5))
GENTLE_DOWN = unicycle(12.0, within(0.5, 6.4, -0.8))
STRONG_DOWN = unicycle(18.0, within(0.5, 6.4, -2.2))
TO_REST = unicycle(8.0, within(0.5, 6.4, -2.2))
REST_AND_GO = unicycle(6.0, lambda t: -3.0 if t < 2.1 else 1.2 if t > 4.0 else 0.0)
DIP = unicycle(12.0, lambda t: -1.5 if 0.5 <= t < 3.0 else 0.9 if t > 4.2 else 0.0)
LEVELS_OFF = unicycle(12.0, within(0.5, 2.5, -1.2))
HOLD_THEN_UP = unicycle(7.0, within(3.0, 6.4, 0.8))
UP_THEN_DOWN = unicycle(8.0, lambda t: 1.0 if t < 3.0 else -2.0)
REVERSE = unicycle(-1.5)

SET = "Resume the target speed because the lane ahead is clear."
FOLLOW = "Follow the lead car driving in the lane ahead."
ADAPT = "Slow down to a safe speed for the left curve ahead."
GAP = "Adjust speed to find a gap behind the car in the left lane."
PASS = "Accelerate to overtake the slow lead truck."
YIELD = "Yield to the pedestrian crossing from the right."
STOP = "Come to a stop for the red traffic light ahead."
NONE = "Nudge to the left to increase clearance from the parked car on the right."

SPEED_CASES: list[tuple[str, dict[str, Trajectory], dict[str, Trajectory]]] = [
    (
        SET,
        {"hold": HOLD, "up": GENTLE_UP, "down": GENTLE_DOWN, "launch": LAUNCH, "wait": WAIT_THEN_GO},
        {"stand": STAND, "sprint": STRONG_UP, "brake": STRONG_DOWN, "rest": TO_REST, "reverse": REVERSE},
    ),
    (
        FOLLOW,
        {"hold": HOLD, "up": GENTLE_UP, "down": GENTLE_DOWN, "brake": STRONG_DOWN, "rest": TO_REST, "stand": STAND,
         "launch": LAUNCH, "wait": WAIT_THEN_GO},
        {"sprint": STRONG_UP, "reverse": REVERSE},
    ),
    (
        ADAPT,
        {"hold": HOLD, "down": GENTLE_DOWN, "brake": STRONG_DOWN, "dip": DIP, "curve exit": HOLD_THEN_UP,
         "rest": TO_REST},
        {"up": GENTLE_UP, "sprint": STRONG_UP, "stand": STAND, "launch": LAUNCH, "up, down": UP_THEN_DOWN},
    ),
    (
        GAP,
        {"hold": HOLD, "up": GENTLE_UP, "sprint": STRONG_UP, "down": GENTLE_DOWN, "rest": TO_REST, "launch": LAUNCH},
        {"stand": STAND, "reverse": REVERSE},
    ),
    (
        PASS,
        {"up": GENTLE_UP, "sprint": STRONG_UP, "hold, up": HOLD_THEN_UP},
        {"hold": HOLD, "down": GENTLE_DOWN, "stand": STAND, "dip": DIP, "rest": TO_REST},
    ),
    (
        YIELD,
        {"down": GENTLE_DOWN, "brake": STRONG_DOWN, "rest": TO_REST, "stand": STAND, "wait": WAIT_THEN_GO, "dip": DIP,
         "rest, go": REST_AND_GO},
        {"hold": HOLD, "up": GENTLE_UP, "sprint": STRONG_UP, "launch": LAUNCH, "up, down": UP_THEN_DOWN,
         "reverse": REVERSE},
    ),
    (
        STOP,
        {"rest": TO_REST, "stand": STAND, "still slowing": STRONG_DOWN, "far line": GENTLE_DOWN, "sign": REST_AND_GO},
        {"hold": HOLD, "up": GENTLE_UP, "levels off": LEVELS_OFF, "dip": DIP, "up, down": UP_THEN_DOWN,
         "launch": LAUNCH},
    ),
    (
        NONE,
        {"hold": HOLD, "a little": unicycle(10.0, within(1.0, 4.0, 0.5))},
        {"up": GENTLE_UP, "sprint": STRONG_UP, "rest": TO_REST, "launch": LAUNCH, "reverse": REVERSE},
    ),
]  # fmt: skip


def flat(cases: list[tuple[str, dict[str, Trajectory], dict[str, Trajectory]]]) -> list[object]:
    return [
        pytest.param(text, plan, agrees, id=f"{text[:24]}-{name}")
        for text, good, bad in cases
        for plans, agrees in ((good, True), (bad, False))
        for name, plan in plans.items()
    ]


@pytest.mark.parametrize(("text", "plan", "agrees"), flat(SPEED_CASES))
def test_longitudinal(text: str, plan: Trajectory, agrees: bool) -> None:
    verdict = check_consistency(parse(text), meta_actions(plan)).longitudinal
    assert verdict.agrees == agrees, verdict.reason


V = 10.0


def shifted(offset: float, duration: float = 4.0, back: float | None = None) -> Trajectory:
    return unicycle(V, curvature=sideways(V, offset, 0.5, duration, back))


def bent(curvature: Profile, speed: float = 6.0) -> Trajectory:
    return unicycle(speed, curvature=curvature)


STRAIGHT = unicycle(V)
CURVE = unicycle(12.0, curvature=within(1.0, 6.4, 0.012))
BEND = unicycle(12.0, curvature=within(1.0, 6.4, 0.0018))  # ends 3.8 m off the line straight ahead, heading there
LEFT_TURN, RIGHT_TURN = bent(within(1.0, 3.5, 1 / 12)), bent(within(1.0, 3.5, -1 / 9))
SMALL, MEDIUM, LANE = shifted(0.4, 3.0), shifted(1.3, 3.0), shifted(3.5)
SMALL_RIGHT, MEDIUM_RIGHT, LANE_RIGHT = shifted(-0.4, 3.0), shifted(-1.3, 3.0), shifted(-3.5)
OUT_AND_BACK = shifted(1.2, 2.4, back=3.2)

PATH_CASES: list[tuple[str, dict[str, Trajectory], dict[str, Trajectory]]] = [
    (
        "Keep lane since the oncoming truck is approaching.",
        {"straight": STRAIGHT, "curve": CURVE, "bend": BEND, "drift": SMALL, "stand": STAND},
        {"lane change": LANE, "out": shifted(1.6), "turn": LEFT_TURN},
    ),
    (
        YIELD,  # no lateral decision
        {"straight": STRAIGHT, "curve": CURVE, "stand": STAND},
        {"lane change": LANE, "turn": LEFT_TURN},
    ),
    (
        "Merge into the traffic because the lane ahead ends.",
        {"straight": STRAIGHT, "over": LANE, "curve": CURVE},
        {"turn": LEFT_TURN, "stand": STAND},
    ),
    (
        "Nudge left out of the lane to increase clearance from the stopped truck ahead.",
        {"out": MEDIUM, "out and back": OUT_AND_BACK},
        {"straight": STRAIGHT, "tiny": SMALL, "right": MEDIUM_RIGHT, "whole lane": LANE, "stand": STAND,
         "turn": LEFT_TURN},
    ),
    (
        "Nudge right out of the lane past the debris on the left.",
        {"out": MEDIUM_RIGHT},
        {"straight": STRAIGHT, "left": MEDIUM, "whole lane": LANE_RIGHT},
    ),
    (
        NONE,
        {"small": SMALL, "small and back": shifted(0.5, 2.4, back=3.2)},
        {"straight": STRAIGHT, "right": SMALL_RIGHT, "out": shifted(1.8), "lane change": LANE, "turn": LEFT_TURN},
    ),
    (
        "Nudge to the right to increase clearance from the oncoming bus.",
        {"small": SMALL_RIGHT},
        {"left": SMALL, "straight": STRAIGHT, "turn": RIGHT_TURN},
    ),
    (
        "Change lanes to the left to pass the slow lead truck.",
        {"lane change": LANE, "begun": shifted(3.5, 5.8), "under way": shifted(3.5, 8.0)},
        {"straight": STRAIGHT, "nudge": SMALL, "right": LANE_RIGHT, "turn": LEFT_TURN, "stand": STAND,
         "right, left": shifted(-3.5, 2.5, back=3.5)},
    ),
    (
        "Change lanes to the right since the lane ahead is closed.",
        {"lane change": LANE_RIGHT},
        {"straight": STRAIGHT, "left": LANE},
    ),
    (
        "Pull over to the curb for the emergency vehicle approaching from behind.",
        {"aside": MEDIUM_RIGHT, "lane": LANE_RIGHT, "a little": SMALL_RIGHT},
        {"straight": STRAIGHT, "left": MEDIUM, "turn": RIGHT_TURN},
    ),
    (
        "Turn left because the left-turn arrow ahead is green.",
        {"turn": LEFT_TURN},
        {"straight": STRAIGHT, "right": RIGHT_TURN, "lane change": LANE, "stand": STAND},
    ),
    (
        "Turn right because the route turns right at the intersection.",
        {"turn": RIGHT_TURN},
        {"straight": STRAIGHT, "left": LEFT_TURN},
    ),
    (
        "Abort the maneuver for the car approaching in the left lane.",
        {"straight": STRAIGHT, "back": shifted(-1.2, 3.0), "stand": STAND},
        {"goes on": LANE, "turn": LEFT_TURN},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "plan", "agrees"), flat(PATH_CASES))
def test_lateral(text: str, plan: Trajectory, agrees: bool) -> None:
    verdict = check_consistency(parse(text), meta_actions(plan)).lateral
    assert verdict.agrees == agrees, verdict.reason


def test_the_cases_cover_the_closed_set() -> None:
    decisions = [parse(text).decision for text, _, _ in SPEED_CASES + PATH_CASES]
    assert {d.longitudinal for d in decisions if d} == {None, *LongitudinalDecision} == set(SPEED_RULES)
    assert {d.lateral for d in decisions if d} == {None, *LateralDecision} == set(PATH_RULES)


def judge(text: str, plan: Trajectory, lane: LaneTrack | None = None) -> tuple[bool, bool]:
    verdict = check_consistency(parse(text), meta_actions(plan, lane))
    return verdict.longitudinal.agrees, verdict.lateral.agrees


def test_one_axis_wrong_makes_the_whole_inconsistent() -> None:
    text = "Keep lane and yield to the pedestrian crossing from the right."
    assert check_consistency(parse(text), meta_actions(TO_REST)).consistent
    assert not check_consistency(parse(text), meta_actions(STRONG_UP)).consistent
    assert not check_consistency(
        parse(text), meta_actions(unicycle(8.0, lambda t: -1.0, sideways(7.0, 4.0)))
    ).consistent


@pytest.mark.parametrize("text", ["", "The sky is blue.", "Accelerate and yield to the bus.", "Ceda el paso."])
def test_unread_text_never_agrees(text: str) -> None:
    verdict = check_consistency(parse(text), meta_actions(HOLD))
    assert not verdict.consistent
    assert "could not be read" in verdict.longitudinal.reason


def test_who_hardly_moves_may_pull_away_strongly() -> None:
    text = "Resume the target speed because the lane ahead is clear."
    for before, agrees in ((0.0, True), (LAUNCH_SPEED - 0.5, True), (LAUNCH_SPEED + 0.5, False)):
        assert judge(text, unicycle(before, within(0.0, 6.4, 2.0)))[0] is agrees


def test_reasons_are_given_in_words() -> None:
    speed = check_consistency(parse(YIELD), meta_actions(unicycle(8.0, within(0.0, 6.4, 0.5)))).longitudinal
    assert speed.reason == "explained a yield but the plan accelerates by 3.2 m/s"
    path = check_consistency(parse(YIELD), meta_actions(LEFT_TURN)).lateral
    assert path.reason == "explained no change of path but the plan turns left by 72°"
    beside = LaneTrack(np.full(65, 1.4), np.zeros(65, int))
    nudged = check_consistency(parse("Nudge left out of the lane for the van."), meta_actions(STRAIGHT, beside)).lateral
    assert nudged.reason == (
        "explained a nudge left out of the lane and the plan keeps its lane, from 1.4 m left of its center"
    )
    good = check_consistency(parse(STOP), meta_actions(TO_REST)).longitudinal
    assert good.reason.startswith("explained a stop and the plan slows by")
    assert good.reason.endswith("comes to a stop")


def test_a_named_cause_accounts_for_a_change_that_no_decision_names() -> None:
    keep = "Keep lane since the lead vehicle ahead is slowing down."
    assert judge(keep, GENTLE_DOWN) == (True, True)
    assert judge(keep, STRONG_UP) == (False, True)
    assert judge("Turn left since the left-turn arrow is green.", LAUNCH)[0]
    assert judge(
        "Slow down for the left turn ahead.", unicycle(8.0, within(0.3, 1.8, -2.0), within(2.2, 4.5, 0.09))
    ) == (
        True,
        True,
    )


def test_a_maneuver_may_wait_for_the_decision_that_holds_it_back() -> None:
    turn = "Yield to the oncoming car and turn left because the route turns left ahead."
    assert judge(turn, TO_REST) == (True, True)
    assert judge(turn, STAND) == (True, True)
    assert judge(turn, REST_AND_GO) == (True, True)
    assert judge(turn, DIP) == (True, False)
    assert judge(turn, bent(within(1.0, 3.5, -1 / 9)))[1] is False
    change = "Search for a gap and change lanes left because the car is approaching in the left lane."
    assert judge(change, GENTLE_DOWN)[1]
    assert not judge(change, LANE_RIGHT)[1]
    assert not judge("Change lanes to the left to pass the stopped truck ahead.", TO_REST)[1]


def test_lane_data_decides_where_the_path_alone_cannot() -> None:
    text = "Change lanes to the left to pass the slow lead truck."
    ticks = np.arange(65)
    stay = LaneTrack(np.zeros(65), np.zeros(65, dtype=int))
    change = LaneTrack(3.5 * np.clip((ticks - 10) / 35, 0, 1), np.where(ticks < 28, 0, 1))
    undecided = check_consistency(parse(text), meta_actions(CURVE)).lateral
    assert undecided.agrees
    assert "does not refute" in undecided.reason
    assert judge(text, CURVE, change)[1]
    assert not judge(text, CURVE, stay)[1]
    keep = "Keep lane through the left curve in the road ahead."
    assert judge(keep, CURVE, stay)[1]
    assert not judge(keep, CURVE, change)[1]


def test_who_comes_back_to_the_center_keeps_the_lane() -> None:
    keep, ramp, same = "Keep lane since the lane ahead is clear.", np.clip(np.arange(65) / 30, 0, 1), np.zeros(65, int)

    def moved(start: float, end: float) -> bool:
        lane = LaneTrack(start + (end - start) * ramp, same)
        return judge(keep, shifted(end - start, 3.0), lane)[1]

    shoulder = LaneTrack(2.8 * (ramp - 1.0), np.where(ramp < 0.5, -1, 0))
    assert judge(keep, shifted(2.8, 3.0), shoulder)[1]
    across = LaneTrack(-0.9 - 1.05 * ramp, np.where(ramp < 0.8, 0, -1))
    assert not judge(keep, shifted(-1.05, 3.0), across)[1]
    assert moved(0.0, 0.9)
    assert not moved(0.0, 1.6)
    for side in (1.0, -1.0):
        assert moved(1.6 * side, 0.0)
        assert moved(1.6 * side, -0.9 * side)
        assert not moved(1.6 * side, -1.3 * side)
        assert not moved(0.4 * side, 1.7 * side)


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_who_has_nudged_stays_there_before_coming_back(side: str, sign: float) -> None:
    out = f"Nudge {side} out of the lane to increase clearance from the parked van ahead."
    inside = f"Nudge to the {side} to increase clearance from the parked van ahead."

    def held(text: str, start: float, back_at: int, to: float) -> bool:
        ramp = np.clip((np.arange(65) - back_at) / 20, 0, 1)
        lane = LaneTrack(sign * (start + (to - start) * ramp), np.zeros(65, int))
        return judge(text, shifted(sign * (to - start), 2.0), lane)[1]

    if side == "right":  # where the curb is
        aside = "Pull over to the right because of the emergency vehicle behind."
        assert held(aside, 1.4, 20, 0.0)
        assert not held(aside, 0.3, 99, 0.3)
        assert not held(aside, 0.9, 20, -1.0)
    assert held(out, 1.4, 20, 0.0)
    assert held(out, 1.4, 20, 1.7)
    assert held(out, 1.4, 99, 1.4)
    assert held(inside, 0.5, 20, 0.0)
    assert not held(out, 1.4, 0, 0.0)  # gives the nudge up at once
    assert not held(out, 0.4, 20, 0.0)  # never was out of the lane
    assert not held(inside, 1.4, 20, 0.0)  # is out of the lane
    assert not held(inside, 0.2, 99, 0.2)  # is in the middle
    assert not held(out, 1.4, 20, -0.5)  # swerves to the other side


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_who_is_across_the_line_arrives_in_the_next_lane(side: str, sign: float) -> None:
    text, ramp = f"Change lanes to the {side} to pass the slow lead truck.", np.clip(np.arange(65) / 20, 0, 1)

    def arrives(start: float, end: float) -> bool:
        lane = LaneTrack(sign * (start + (end - start) * ramp), np.zeros(65, int))
        return judge(text, shifted(sign * (end - start), 2.0), lane)[1]

    assert arrives(-1.4, 0.0)
    assert not arrives(-1.4, -1.0)  # stays on the line
    assert not arrives(-0.6, 0.0)  # was in its lane all the time
    assert not arrives(1.4, 0.0)  # comes back


@given(st.floats(0.0, 20.0), st.floats(-4.0, 2.5), st.floats(-0.05, 0.05))
def test_left_and_right_are_judged_alike(speed: float, acceleration: float, curvature: float) -> None:
    text = "Turn left because the route turns left at the intersection."
    mirrored = "Turn right because the route turns right at the intersection."
    one = judge(text, unicycle(speed, lambda t: acceleration, lambda t: curvature))
    assert one == judge(mirrored, unicycle(speed, lambda t: acceleration, lambda t: -curvature))
