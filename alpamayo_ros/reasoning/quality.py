"""Automatic quality checks of a trace: the four causal checks of Alpamayo-R1 (arXiv 2511.00088, Table 4), and style.

A labeler drops and counts what fails; a rubric critic turns the same list into a grade.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from alpamayo_ros.reasoning.causes import LEADS, STOPPING_LIGHTS, WEATHER, Selector, causes_within, unexplained
from alpamayo_ros.reasoning.composer import MAX_WORDS, MIN_WORDS
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.reasoning.vocabulary import VEHICLES, describe, spoken
from alpamayo_ros.types import ComponentCategory, CriticalComponent, Decision, ReadStatus


class QualityCheck(StrEnum):
    """What a trace must pass; the first group is Table 4."""

    CAUSAL_COVERAGE = "causal_coverage"
    CAUSAL_CORRECTNESS = "causal_correctness"
    PROXIMATE_CAUSE = "proximate_cause"
    DECISION_MINIMALITY = "decision_minimality"
    READABLE = "readable"
    LENGTH = "length"
    ONE_SENTENCE = "one_sentence"
    NO_CHAIN = "no_chain"
    NOT_VAGUE = "not_vague"
    NO_HEDGE = "no_hedge"
    NO_COLOR = "no_color"
    NO_WEATHER = "no_weather"


@dataclass(frozen=True)
class FailedCheck:
    """One failed check and what failed it."""

    check: QualityCheck
    reason: str


# Route and regulation may be cited although no camera shows them (two-stage labeling, stage II).
CITABLE_UNSEEN = (ComponentCategory.ROUTING_INTENT,)

_VAGUE = re.compile(
    r"\b(?:cautious(?:ly)?|caution|careful(?:ly)?|safely|properly|appropriate(?:ly)?|accordingly|as needed|if necessary"
    r"|attentive(?:ly)?|aware|vigilant|situation|conditions?|traffic rules|something|things?)\b"
)
_HEDGE = re.compile(
    r"\b(?:potential(?:ly)?|likely|possib(?:le|ly)|probab(?:le|ly)|perhaps|maybe|might|may|could|seems?|appears? to"
    r"|risk)\b"
)
_CHAIN = re.compile(r"\b(?:then|afterwards?|subsequently|finally)\b")
_COLOR = re.compile(
    r"\b(?:black|white|gr[ae]y|silver|blue|brown|orange|purple|pink|(?:red|yellow|green)(?! (?:traffic |left|right)?"
    r"(?:-turn |turn )?(?:light|signal|arrow)))\b"
)
_LAMP_STATE = re.compile(
    r"\b(?:light|signal|arrow)\b(?:(?!light|signal|arrow)[^.])*?"
    r"\b(?:is|are|turns|turned|shows|stays)(?: to)? (?:red|yellow|green)\b"
)
_WEATHER = re.compile(
    r"\b(?:sunny|cloudy|overcast|clear (?:sky|weather|day)|rain(?:y|ing)?|fog(?:gy)?|snow(?:y|ing)?|wet"
    r"|night|dark|sky)\b"
)


def failed_checks(
    text: str,
    decision: Decision,
    causes: Sequence[CriticalComponent],
    observed: Sequence[CriticalComponent],
) -> tuple[FailedCheck, ...]:
    """The checks that `text` fails, in the order of QualityCheck; empty when it passes all.

    decision: the true decision. causes: the components that truly cause it (by intervention). observed: all stage-I
    components, those that the 2 s of history show.

    Text that cannot be read fails READABLE and the style checks that apply, and none of the causal ones.
    """
    return tuple(sorted((*_causal(text, decision, causes, observed), *_style(text)), key=lambda f: _ORDER[f.check]))


_ORDER = {check: i for i, check in enumerate(QualityCheck)}


def _causal(
    text: str, decision: Decision, causes: Sequence[CriticalComponent], observed: Sequence[CriticalComponent]
) -> list[FailedCheck]:
    trace = parse(text)
    if trace.decision is None or trace.status is not ReadStatus.PARSED:
        failed = [FailedCheck(QualityCheck.READABLE, "; ".join(trace.problems))]
        if trace.decision is None:
            return failed
    else:
        failed = []
    cited = trace.components
    unseen = [c for c in cited if not _among(c, observed) and c.category not in CITABLE_UNSEEN]
    if not cited or unseen:
        reason = f"not observed: {_names(unseen)}" if unseen else "UNOBSERVED: no component is cited"
        failed.append(FailedCheck(QualityCheck.CAUSAL_COVERAGE, reason))
    elif missing := unexplained(trace.decision, cited):
        failed.append(FailedCheck(QualityCheck.CAUSAL_COVERAGE, f"no cause of {', '.join(missing)} is cited"))
    if wrong := [c for c in cited if not _among(c, causes)]:
        failed.append(FailedCheck(QualityCheck.CAUSAL_CORRECTNESS, f"no cause: {_names(wrong)}"))
    if distal := _distal(cited, causes):
        failed.append(FailedCheck(QualityCheck.PROXIMATE_CAUSE, distal))
    if excess := _excess(trace.decision, decision, cited):
        failed.append(FailedCheck(QualityCheck.DECISION_MINIMALITY, excess))
    return failed


def _among(component: CriticalComponent, known: Sequence[CriticalComponent]) -> bool:
    """Whether one of `known` is what `component` says: same kind, and no stated attribute that differs.

    "vehicle" names any vehicle less precisely, and the route as a plain purpose any routing intent.
    """
    for other in known:
        same = component.category == other.category and (
            component.kind == other.kind or (component.kind in _GENERIC and other in _GENERIC[component.kind])
        )
        if same and all(other.attributes.get(k) == v for k, v in spoken(component).attributes.items()):
            return True
    return False


_GENERIC: dict[str, Selector] = {
    "vehicle": Selector(ComponentCategory.CRITICAL_OBJECT, VEHICLES),
    "route": Selector(ComponentCategory.ROUTING_INTENT),
}


def _names(components: Sequence[CriticalComponent]) -> str:
    return ", ".join(describe(c) for c in components)


def _distal(cited: Sequence[CriticalComponent], causes: Sequence[CriticalComponent]) -> str:
    """A light or sign is cited while a lead, itself a cause, stands or slows between (Table 4's own example)."""
    leads = [c for c in causes if c in LEADS and c.attributes.get("motion") in ("stopped", "slowing")]
    far = [c for c in cited if c in STOPPING_LIGHTS or c.category is ComponentCategory.YIELD_STOP_CONTROL]
    if leads and far and not any(_among(c, leads) for c in cited):
        return f"{_names(far)} is cited, but {_names(leads[:1])} is nearer"
    return ""


def _excess(said: Decision, true: Decision, cited: Sequence[CriticalComponent]) -> str:
    """A decision that was not taken, or a component that drives none."""
    for name, one, other in (
        ("longitudinal", said.longitudinal, true.longitudinal), ("lateral", said.lateral, true.lateral),
    ):  # fmt: skip
        if one is not None and one != other:
            return f"the {name} decision is {other or 'no change'}, not {one}"
    idle = [c for c in cited if not causes_within(c, said)] if said != Decision() else []
    return f"drives no decision: {_names(idle)}" if idle else ""


def _style(text: str) -> list[FailedCheck]:
    failed: list[FailedCheck] = []
    words = text.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        failed.append(FailedCheck(QualityCheck.LENGTH, f"{len(words)} words; {MIN_WORDS} to {MAX_WORDS} are right"))
    if not re.fullmatch(r"[A-Z][^.!?;\n]*\.", text.strip()):
        failed.append(FailedCheck(QualityCheck.ONE_SENTENCE, "not one sentence with a capital and a full stop"))
    low = text.lower()
    for check, pattern in (
        (QualityCheck.NO_CHAIN, _CHAIN),
        (QualityCheck.NOT_VAGUE, _VAGUE),
        (QualityCheck.NO_HEDGE, _HEDGE),
    ):
        if match := pattern.search(low):
            failed.append(FailedCheck(check, f"{match.group()!r}"))
    if match := _COLOR.search(_LAMP_STATE.sub(" ", low)):
        failed.append(FailedCheck(QualityCheck.NO_COLOR, f"{match.group()!r} says nothing of the decision"))
    drives = any(c in WEATHER for c in parse(text).components)  # weather that was read as a component is judged there
    if not drives and (match := _WEATHER.search(low)):
        failed.append(FailedCheck(QualityCheck.NO_WEATHER, f"{match.group()!r} says nothing of the decision"))
    return failed
