"""The critic that is always at hand: it knows the causal truth, and follows a rubric to the letter.

    decision       2   one point for each axis that is right
    causes         2   twice the F1 of the named components: true causes are named, all that matter, nothing else
    form           1   less half a point for each other check that fails (`reasoning.quality`): unread words, a chain of
                       actions, a distal cause, a decision that was not taken …
    innocent    −0.5   something is named that proved, by intervention, to cause nothing
    invented      −1   an object, light or sign is named although none of its kind is to be seen

A trace that cannot be read gets 0. One that the composer could not say for what is read in it gets half: the parser
forgives word salad and things without their state, and a policy that is rewarded for them would find them. Decision and
causes are the paper's two aspects, behaviour consistency and causal quality (section 5.3); the points are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alpamayo_ros.reasoning.composer import phrasings
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.reasoning.quality import QualityCheck, failed_checks
from alpamayo_ros.reasoning.vocabulary import VocabularyError
from alpamayo_ros.simulation.naming import count_matches, means, said_once
from alpamayo_ros.training.rewards.reasoning import BEST, Critic
from alpamayo_ros.training.situation import Situation
from alpamayo_ros.types import ComponentCategory, CriticalComponent, Decision

_DECISION, _CAUSES, _FORM, _FLAW, _INNOCENT, _INVENTED = 1.0, 2.0, 1.0, 0.5, 0.5, 1.0
_BROKEN = 0.5
"""What is left of the points where the words make no whole sentence."""
_ABOUT_CAUSES = (QualityCheck.CAUSAL_COVERAGE, QualityCheck.CAUSAL_CORRECTNESS)
"""Checks of what is named; the other points of the rubric are for that."""
_THINGS = (ComponentCategory.CRITICAL_OBJECT, ComponentCategory.TRAFFIC_LIGHT, ComponentCategory.YIELD_STOP_CONTROL)
"""What can be looked for in the pictures."""


class RubricCritic(Critic):
    def grade(self, text: str, situation: Situation) -> float:
        read, label = parse(text), situation.label
        if read.decision is None:
            return 0.0
        causes = [cause.component for cause in label.causes]
        seen = [*situation.things.values(), *(cause.component for cause in label.causes if cause.observed)]
        innocent = [situation.things[name] for name in label.innocent if name in situation.things]
        wrong = [one for one in read.components if not _among(one, causes)]
        # The kind alone: who describes wrongly what is there has not invented it.
        invented = [one for one in wrong if one.category in _THINGS and not _among(_kind(one), seen)]
        flaws = [f for f in failed_checks(text, label.decision, causes, seen) if f.check not in _ABOUT_CAUSES]
        grade = _DECISION * (read.decision.longitudinal == label.decision.longitudinal)
        grade += _DECISION * (read.decision.lateral == label.decision.lateral)
        grade += _CAUSES * _f1(read.components, label.components, causes)
        grade += max(_FORM - _FLAW * len(flaws), 0.0)
        grade -= _INNOCENT * any(_among(one, innocent) for one in wrong)
        grade -= _INVENTED * bool(invented)
        whole = _can_be_said(text, read.decision, read.components)
        return min(max(grade, 0.0), BEST) * (1.0 if whole else _BROKEN)


def _can_be_said(text: str, decision: Decision, components: Sequence[CriticalComponent]) -> bool:
    """Whether it is one of the composer's sentences for what was read in it."""
    try:
        return text.strip() in phrasings(decision, components)
    except VocabularyError:
        return False


def _f1(
    named: Sequence[CriticalComponent], needed: Sequence[CriticalComponent], causes: Sequence[CriticalComponent]
) -> float:
    """A cause that need not be named counts neither for nor against; what two causes are called alike needs to be named
    once. 1 where nothing is needed, and nothing wrong is named."""
    distinct = said_once(needed)
    found = count_matches(named, distinct)
    beside = sum(_among(one, causes) for one in named)
    claimed = found + len(named) - beside
    return 2.0 * found / (claimed + len(distinct)) if claimed + len(distinct) else 1.0


def _among(named: CriticalComponent, true: Iterable[CriticalComponent]) -> bool:
    return any(means(named, one) for one in true)


def _kind(component: CriticalComponent) -> CriticalComponent:
    return CriticalComponent(component.category, component.kind)
