"""Composed traces: every one is read back exactly, has the right length, and passes the quality checks."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from alpamayo_ros.reasoning.causes import CAUSES, can_occur, causes_within, explains_no_change, unexplained
from alpamayo_ros.reasoning.composer import compose, phrasings
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.reasoning.quality import failed_checks
from alpamayo_ros.reasoning.vocabulary import (
    UNSPOKEN_ATTRIBUTES,
    VocabularyError,
    canonical_components,
    describe,
    spoken,
)
from alpamayo_ros.types import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LateralDecision,
    LongitudinalDecision,
    ReadStatus,
)

DECISIONS = [
    Decision(longitudinal, lateral)
    for longitudinal, lateral in product((None, *LongitudinalDecision), (None, *LateralDecision))
    if can_occur(longitudinal, lateral)
]
STOP, YIELD = LongitudinalDecision.STOP_FOR_STATIC_CONSTRAINTS, LongitudinalDecision.YIELD
RED = CriticalComponent(ComponentCategory.TRAFFIC_LIGHT, "red_light")
WALKER = CriticalComponent(
    ComponentCategory.CRITICAL_OBJECT, "pedestrian", {"relative_pose": "crosswalk", "motion": "crossing"}
)
CAR = CriticalComponent(ComponentCategory.CRITICAL_OBJECT, "parked_car", {"relative_pose": "right"})


def candidates(decision: Decision) -> list[CriticalComponent]:
    if decision == Decision():
        return [c for c in canonical_components() if explains_no_change(c)]
    return [c for c in canonical_components() if causes_within(c, decision)]


def sentences(decision: Decision, components: list[CriticalComponent]) -> tuple[str, ...]:
    """All phrasings, or none where the causes do not explain the decision or need too many words."""
    try:
        return phrasings(decision, components)
    except VocabularyError:
        return ()


def assert_read_back(text: str, decision: Decision, components: list[CriticalComponent]) -> None:
    read = parse(text)
    assert (read.status, read.decision) == (ReadStatus.PARSED, decision), text
    assert read.components in (tuple(components), tuple(components[::-1])), text


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda d: f"{d.longitudinal}-{d.lateral}")
def test_every_sentence_with_one_cause_is_read_back(decision: Decision) -> None:
    said = [(text, [c]) for c in candidates(decision) for text in sentences(decision, [c])]
    if not said:  # no single cause explains both, as for following a lead and pulling over
        assert any(sentences(decision, list(pair)) for pair in permutations(candidates(decision), 2))
    for text, components in said:
        assert_read_back(text, decision, components)
        assert 8 <= len(text.split()) <= 18


@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data(), variant=st.integers(0, 10**9))
def test_every_sentence_with_two_causes_is_read_back_and_is_of_quality(data: st.DataObject, variant: int) -> None:
    decision = data.draw(st.sampled_from(DECISIONS))
    pool = candidates(decision)
    components = data.draw(st.lists(st.sampled_from(pool), min_size=2, max_size=2, unique_by=describe))
    assume(sentences(decision, components))
    text = compose(decision, components, variant)
    assert_read_back(text, decision, components)
    assert failed_checks(text, decision, components, components) == ()


def test_every_sentence_with_one_cause_is_of_quality() -> None:
    for decision in DECISIONS:
        for component in candidates(decision):
            for text in sentences(decision, [component])[:2]:
                assert failed_checks(text, decision, [component], [component]) == (), text


def test_every_cause_of_every_decision_can_be_said() -> None:
    for part in CAUSES:
        longitudinal = isinstance(part, LongitudinalDecision)
        for component in canonical_components():
            decisions = [d for d in DECISIONS if (d.longitudinal if longitudinal else d.lateral) == part]
            if part in causes_within(component, decisions[0]) and not unexplained(decisions[0], [component]):
                assert any(sentences(d, [component]) for d in decisions), f"{part}: {describe(component)}"


def test_the_same_variant_gives_the_same_sentence_and_others_differ() -> None:
    variants = [compose(Decision(STOP), [RED], v) for v in range(30)]
    assert variants == [compose(Decision(STOP), [RED], v) for v in range(30)]
    assert len(set(variants)) == len(phrasings(Decision(STOP), [RED])) >= 4


def test_causes_are_named_in_the_order_given_where_that_can_be_said() -> None:
    nudge = Decision(YIELD, LateralDecision.IN_LANE_NUDGE_LEFT)
    for first, second in ((WALKER, CAR), (CAR, WALKER)):
        assert parse(compose(nudge, [first, second], 0)).components == (first, second)
    lead = CriticalComponent(
        ComponentCategory.CRITICAL_OBJECT, "emergency_vehicle", {"relative_pose": "in_path", "motion": "slowing"}
    )
    limit = CriticalComponent(ComponentCategory.LANE, "solid_line", {"side": "left"})
    follow = Decision(LongitudinalDecision.LEAD_OBSTACLE_FOLLOWING, LateralDecision.LANE_KEEPING)
    assert set(phrasings(follow, [limit, lead])) <= set(phrasings(follow, [lead, limit]))


def test_causes_that_are_said_alike_are_named_once() -> None:
    assert phrasings(Decision(YIELD), [WALKER, WALKER]) == phrasings(Decision(YIELD), [WALKER])


def test_attributes_that_are_never_said_are_left_out() -> None:
    sure = CriticalComponent(WALKER.category, WALKER.kind, {**WALKER.attributes, "uncertainty": "high"})
    assert "uncertainty" in UNSPOKEN_ATTRIBUTES[WALKER.category]
    assert spoken(sure) == WALKER
    assert compose(Decision(YIELD), [sure], 0) == compose(Decision(YIELD), [WALKER], 0)


@pytest.mark.parametrize(
    ("decision", "components", "message"),
    [
        (Decision(YIELD), [], "one or two causes, not 0"),
        (Decision(YIELD), [WALKER, RED, CAR], "one or two causes, not 3"),
        (Decision(YIELD), [RED], "causes none of"),
        (Decision(), [WALKER], "no change"),
        (Decision(YIELD, LateralDecision.IN_LANE_NUDGE_LEFT), [WALKER], "no cause of"),
        (Decision(LongitudinalDecision.GAP_SEARCHING, LateralDecision.TURN_LEFT), [RED], "does not go with"),
        (
            Decision(YIELD),
            [CriticalComponent(ComponentCategory.CRITICAL_OBJECT, "unicorn", {"motion": "crossing"})],
            "no wording for",
        ),
        (
            Decision(YIELD),
            [CriticalComponent(ComponentCategory.CRITICAL_OBJECT, "car", {"motion": "hovering"})],
            "canonical states",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(
    decision: Decision, components: list[CriticalComponent], message: str
) -> None:
    with pytest.raises(VocabularyError, match=message):
        compose(decision, components, 0)
