"""The four causal checks and the style checks, each failing alone where that is possible."""

from __future__ import annotations

import pytest

from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.reasoning.quality import QualityCheck, failed_checks
from alpamayo_ros.types import CriticalComponent, Decision, LateralDecision, LongitudinalDecision


def seen(text: str) -> tuple[CriticalComponent, ...]:
    return parse(text).components


WALKER = seen("Yield to the pedestrian crossing in the crosswalk.")
RED = seen("Stop for the red traffic light ahead.")
LEAD = seen("Follow the stopped car ahead.")
VAN = seen("Follow the stopped van ahead.")
CONES = seen("Nudge left past the construction cones on the right.")
YIELD = Decision(LongitudinalDecision.YIELD)
STOP = Decision(LongitudinalDecision.STOP_FOR_STATIC_CONSTRAINTS)
FOLLOW = Decision(LongitudinalDecision.LEAD_OBSTACLE_FOLLOWING)
C = QualityCheck


def failing(
    text: str, decision: Decision, causes: tuple[CriticalComponent, ...], observed: tuple[CriticalComponent, ...]
) -> list[QualityCheck]:
    return [f.check for f in failed_checks(text, decision, causes, observed)]


@pytest.mark.parametrize(
    ("text", "decision", "causes", "observed", "expected"),
    [
        ("Yield to the pedestrian crossing in the crosswalk.", YIELD, WALKER, WALKER, []),
        ("Yield to the pedestrian crossing in the crosswalk.", YIELD, WALKER, RED, [C.CAUSAL_COVERAGE]),
        ("Yield to the pedestrian crossing in the crosswalk.", YIELD, RED, WALKER, [C.CAUSAL_CORRECTNESS]),
        ("Come to a stop for the red traffic light ahead.", STOP, RED + LEAD, RED + LEAD, [C.PROXIMATE_CAUSE]),
        ("Keep a safe gap to the stopped car ahead.", FOLLOW, RED + LEAD, RED + LEAD, []),
        ("Keep a safe gap to the stopped vehicle ahead.", FOLLOW, LEAD, LEAD, []),  # less precise, not wrong
        ("Keep a safe gap to the stopped vehicle ahead.", FOLLOW, VAN, VAN, []),
        ("Keep a safe gap to the stopped truck ahead.", FOLLOW, LEAD, LEAD, [C.CAUSAL_COVERAGE, C.CAUSAL_CORRECTNESS]),
        (
            "Keep lane and yield to the pedestrian crossing in the crosswalk.",
            YIELD, WALKER, WALKER, [C.DECISION_MINIMALITY],
        ),
        (
            "Yield to the pedestrian in the crosswalk because the traffic light ahead is red.",
            YIELD, WALKER + RED, WALKER + RED, [C.DECISION_MINIMALITY],  # the light drives no yield
        ),
        (
            "Yield to the pedestrian in the crosswalk and nudge to the left.",
            Decision(LongitudinalDecision.YIELD, LateralDecision.IN_LANE_NUDGE_LEFT),
            WALKER + CONES, WALKER + CONES, [C.CAUSAL_COVERAGE],  # the nudge has no cause
        ),
        ("Yield the right of way to everybody on the road.", YIELD, WALKER, WALKER, [C.CAUSAL_COVERAGE, C.READABLE]),
        ("The pedestrian is crossing in the crosswalk right now.", YIELD, WALKER, WALKER, [C.READABLE]),
    ],
)  # fmt: skip
def test_causal_checks(
    text: str,
    decision: Decision,
    causes: tuple[CriticalComponent, ...],
    observed: tuple[CriticalComponent, ...],
    expected: list[QualityCheck],
) -> None:
    assert failing(text, decision, causes, observed) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yield to the pedestrian in the crosswalk.", [C.LENGTH]),
        ("Yield to the pedestrian crossing in the crosswalk" + " ahead" * 12 + ".", [C.LENGTH]),
        ("yield to the pedestrian crossing in the crosswalk", [C.ONE_SENTENCE]),
        ("Yield now. Yield to the pedestrian crossing in the crosswalk.", [C.READABLE, C.ONE_SENTENCE]),
        ("Carefully yield to the pedestrian crossing in the crosswalk.", [C.NOT_VAGUE]),
        ("Likely yield to the pedestrian crossing in the crosswalk.", [C.NO_HEDGE]),
        ("Yield to the pedestrian crossing in the crosswalk then.", [C.NO_CHAIN]),
        ("Yield to the blue pedestrian crossing in the crosswalk.", [C.NO_COLOR]),
        ("Yield to the pedestrian crossing in the crosswalk on a sunny road.", [C.READABLE, C.NO_WEATHER]),
    ],
)
def test_style_checks(text: str, expected: list[QualityCheck]) -> None:
    assert failing(text, YIELD, WALKER, WALKER) == expected


def test_the_colors_of_lamps_and_the_weather_that_decides_are_no_faults() -> None:
    fog = seen("Slow down for the fog ahead.")
    adapt = Decision(LongitudinalDecision.SPEED_ADAPTATION)
    assert failing("Adapt the speed because the fog limits the view.", adapt, fog, fog) == []
    assert failing("Come to a stop because the traffic light ahead is red.", STOP, RED, RED) == []


def test_a_failed_check_says_what_failed() -> None:
    failed = failed_checks("Come to a stop for the red traffic light ahead.", STOP, RED + LEAD, RED + LEAD)
    assert "critical_object/car" in failed[0].reason
    assert "nearer" in failed[0].reason


def test_the_route_may_be_cited_although_no_camera_shows_it() -> None:
    text = "Make a left turn because the route turns left at the intersection."
    decision = Decision(None, LateralDecision.TURN_LEFT)
    assert failing(text, decision, seen(text), ()) == []
