"""The driving decision that a sentence names, once its components are marks (see `component_reader`).

Two readings are conventions, not guesses. A nudge that names no line is an in-lane nudge. "Slow", "stop" and
"accelerate" are decisions only together with their cause: one slows for a curve (speed adaptation), behind a lead
(following) or for somebody who crosses (yield); without a cause they stay unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import partial

from alpamayo_ros.reasoning.causes import CROSSERS, LOADING_BUSES, STOP_CONTROLS, STOPPING_LIGHTS
from alpamayo_ros.reasoning.component_reader import SIDE
from alpamayo_ros.reasoning.vocabulary import STATIC
from alpamayo_ros.types import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LateralDecision,
    LongitudinalDecision,
)

_LONG = LongitudinalDecision

# Says outright that neither speed nor path changes, which is a decision without either part.
NO_CHANGE = re.compile(
    r"\b(?:continue without (?:a |any )?change|(?:make |with )?no change(?: to| of| in)?"
    r"(?: the)?(?: speed)?(?: (?:or|and)(?: the)? path)?)\b"
)


class _Verb(StrEnum):
    """Verbs that become a decision only with their cause."""

    SLOW = "slow"
    STOP = "stop"
    ACCELERATE = "accelerate"


_E = r"(?:e|es|s|ing)?"  # endings of a regular verb; stems that double a letter are spelled out
_THE = r"(?: (?:the|a|an|its|our|ego))*"
_SPEED = rf"(?:adapt|adjust|modulat|moderat|match){_E}{_THE} (?:vehicle )?speed"
_SET = r"(?: (?:target|set|cruise|cruising|posted|desired|current|steady|constant|normal))"
_HOLD = rf"(?:keep|hold|maintain|stay|remain|continu){_E}"
_LANE_WORDS = rf"(?: in| to| within| inside)?{_THE}(?: (?:current|same|own))? lane(?: position| path| center)?"

_LONGITUDINAL: tuple[tuple[str, LongitudinalDecision | _Verb], ...] = (
    (rf"overtak{_E}|(?:accelerat{_E}|speed{_E} up|build{_E} speed) to (?:pass|overtake)",
     _LONG.ACCELERATION_FOR_PASSING),
    ((rf"(?:{_SPEED} to |slow{_E} down to )?(?:find|search{_E} for|look{_E} for|open|creat|wait{_E} for|seek){_E}"
      rf"{_THE}(?: safe)? (?:clearance )?(?:gap|opening)|gap search{_E}"), _LONG.GAP_SEARCHING),
    (rf"(?:{_HOLD}|increas{_E}){_THE}(?: safe| sufficient)?(?: following)? (?:distance|gap|headway)",
     _LONG.LEAD_OBSTACLE_FOLLOWING),
    (rf"follow{_E}(?= §)", _LONG.LEAD_OBSTACLE_FOLLOWING),
    (rf"yield{_E}(?: the right of way)?|giv{_E} way|wait{_E} for(?= §)", _LONG.YIELD),
    (_SPEED, _LONG.SPEED_ADAPTATION),
    (rf"(?:com|brak){_E} to a (?:stop|halt)|(?:stop(?:s|ping)?|halt{_E})(?: and hold)?|remain{_E} stopped", _Verb.STOP),
    ((rf"(?:resum|hold|track|keep|maintain|return|reach|continu|driv|cruis){_E}(?: at| to)?{_THE}{_SET}* speed"
      rf"(?: limit)?|(?:accelerat|decelerat|slow){_E}(?: down)? to{_THE}{_SET}+ speed(?: limit)?|proceed{_E}"),
     _LONG.SET_SPEED_TRACKING),
    ((rf"slow{_E}(?: down)?(?: to a safe speed)?|decelerat{_E}|brak{_E}|reduc{_E}{_THE} speed"
      rf"|{_HOLD}{_THE} safe speed"), _Verb.SLOW),
    (rf"accelerat{_E}|speed{_E} up", _Verb.ACCELERATE),
)  # fmt: skip

_RECENTER = "recenter"
"""Lane keeping by itself; beside another lateral decision how that one ends."""
_TOWARD = r"(?: slightly| gently| over)?(?: out)?(?: to| toward| towards)?(?: the)?"
_LATERAL: tuple[tuple[str, str], ...] = (
    ((rf"(?:abort|cancel|abandon){_E}(?: (?:the|its|planned|left|right))*(?: (?:lane change|merge|nudge|maneuver|turn"
      rf"|pass|overtake))?(?: to the {SIDE})?(?: and re center)?"), "maneuver_abort"),
    (rf"re center{_E}(?: in{_THE} lane)?|return{_E} to{_THE} lane center|return{_E} to the center of{_THE} lane",
     _RECENTER),
    ((rf"(?:chang|switch){_E}(?: the)?(?: lanes?)?{_TOWARD} (?P<side>{SIDE})(?: adjacent)?(?: lane)?"
      rf"|lane change{_TOWARD} (?P<side_>{SIDE})|(?P<side__>{SIDE}) lane change"
      rf"|mov{_E}(?: over)?(?: into| to) the (?P<side___>{SIDE})(?: adjacent)? lane"), "lane_change_{side}"),
    (rf"straddl{_E}(?: the)? (?P<side>{SIDE})(?: lane)? line", "out_of_lane_nudge_{side}"),
    ((rf"(?:nudg|edg|shift|veer|bias|mov){_E}{_TOWARD} (?P<side>{SIDE})(?: slightly)?"
      rf"(?P<crossing> (?:out of{_THE} lane|(?:over|across|past|beyond){_THE} (?:lane |center |left |right )*"
      rf"(?:line|marking)s?))?(?: (?:within|inside|in){_THE} lane)?"), "nudge_{side}"),
    (rf"(?:mak{_E} a )?slight (?P<side>{SIDE})ward (?:adjustment|shift)", "nudge_{side}"),
    ((rf"(?:mak{_E} |tak{_E} )?(?:a |the )?(?P<side>{SIDE})(?: hand)? turn|turn{_E}{_TOWARD} (?P<side_>{SIDE})"),
     "turn_{side}"),
    (rf"(?:mak{_E} |tak{_E} )?(?:a |the )?u turn", "turn_left"),  # right-hand traffic
    (rf"pull{_E}(?: over| aside| to the (?:right |left )?(?:curb|shoulder|side))+(?: of the road)?", "pull_over"),
    ((rf"merg{_E}(?: (?:on|onto|into|in|with))*{_THE}(?: (?:main ?line|main road|highway|traffic|lane))?"
      rf"|split(?:s|ting)? off(?: the main road)?|tak{_E} the exit|exit{_E} the highway"), "merge_split"),
    ((rf"{_HOLD}{_LANE_WORDS}|(?:{_HOLD} )?(?:centered|lane centering)(?: in the lane)?|lane keeping"
      rf"|follow{_E} the (?:temporary )?lane"), "lane_keeping"),
)  # fmt: skip
_COMPILED_LONGITUDINAL = [(re.compile(rf"\b(?:{p})(?!\w)"), decision) for p, decision in _LONGITUDINAL]
_COMPILED_LATERAL = [(re.compile(rf"\b(?:{p})(?!\w)"), decision) for p, decision in _LATERAL]
_OUT_OF_LANE = re.compile(rf"\b(?:out of|over|across){_THE} (?:lane|line|center line)\b")


def read_decision(marked: str, components: Sequence[CriticalComponent]) -> tuple[Decision | None, str, tuple[str, ...]]:
    """The decision (None if unread), what is left of the text, and what stands in the way of reading it wholly."""
    if NO_CHANGE.search(marked):
        rest = NO_CHANGE.sub(" ", marked)
        other, rest, _ = _read_verbs(rest, components)
        return (Decision(), rest, ()) if not other else (None, rest, ("says 'no change' and a decision",))
    verbs, rest, lateral = _read_verbs(marked, components)
    if _RECENTER in lateral:
        lateral.remove(_RECENTER)
        lateral = lateral or [LateralDecision.LANE_KEEPING.value]
    if "lane_keeping" in lateral and any(name.startswith("in_lane_nudge") for name in lateral):
        lateral.remove("lane_keeping")  # a nudge within the lane keeps it
    longitudinal, problems = _settle_longitudinal(verbs, marked, components, lateral)
    if len(lateral) > 1:
        return None, rest, (f"two lateral decisions: {' and '.join(lateral)}",)
    if any(problem.startswith("two ") for problem in problems):
        return None, rest, problems
    if longitudinal is None and not lateral:
        return None, rest, problems or ("no driving decision is named",)
    return Decision(longitudinal, LateralDecision(lateral[0]) if lateral else None), rest, problems


_Spotted = list[tuple[LongitudinalDecision | _Verb, int]]


def _read_verbs(marked: str, components: Sequence[CriticalComponent]) -> tuple[_Spotted, str, list[str]]:
    """Longitudinal verbs with their positions, the text without any verb phrase, and the lateral decisions."""
    lateral: list[str] = []
    spotted: _Spotted = []
    rest = marked

    def blank(match: re.Match[str]) -> str:
        # What somebody else does is not read, and is one thing that is not: its verb stays, to be reported.
        left = "" if _is_own(match, components) else match.group().partition(" ")[0]
        return left.ljust(len(match.group()))  # positions stay what they are

    for pattern, name in _COMPILED_LATERAL:
        for match in filter(partial(_is_own, components=components), pattern.finditer(rest)):
            groups = match.groupdict()
            side = next((v for k, v in groups.items() if k.startswith("side") and v), "")
            decision = name.format(side=side)
            if decision.startswith("nudge"):
                out = bool(groups.get("crossing")) or bool(_OUT_OF_LANE.search(marked))
                decision = f"{'out_of_lane' if out else 'in_lane'}_{decision}"
            if decision not in lateral:
                lateral.append(decision)
        rest = pattern.sub(blank, rest)
    rest = _OUT_OF_LANE.sub(blank, rest) if any("nudge" in name for name in lateral) else rest
    for pattern_, verb in _COMPILED_LONGITUDINAL:
        spotted.extend((verb, match.end()) for match in pattern_.finditer(rest) if _is_own(match, components))
        rest = pattern_.sub(blank, rest)
    return spotted, rest, lateral


# "… the car turning left", "the truck, which may be about to stop": a verb behind a component, with words between that
# only say when or whether, is what that one does.
_OTHERS_ACTION = re.compile(
    r"§\d+(?: (?:, (?:that|which|who)|that|which|who|is|are|be|been|will|would|has|have|may|might|could|to|also|just"
    r"|now|going|about|ready|getting|preparing|trying|starts|starting|begins|beginning|wants|wanting|needs|needing))* $"
)
_OBJECT = re.compile(r" §(\d+)")


def _is_own(match: re.Match[str], components: Sequence[CriticalComponent]) -> bool:
    """Whether it says what the ego does, and what is followed can be: a road user, not a curve."""
    if _OTHERS_ACTION.search(match.string, 0, match.start()):
        return False
    followed = _OBJECT.match(match.string, match.end()) if match.group().startswith("follow") else None
    return followed is None or components[int(followed[1])].category is ComponentCategory.CRITICAL_OBJECT


# Which plain verbs are only another word for a decision that is named as well.
_COVERED: dict[_Verb, tuple[LongitudinalDecision, ...]] = {
    _Verb.SLOW: (
        _LONG.YIELD, _LONG.LEAD_OBSTACLE_FOLLOWING, _LONG.SPEED_ADAPTATION, _LONG.GAP_SEARCHING,
        _LONG.STOP_FOR_STATIC_CONSTRAINTS, _LONG.SET_SPEED_TRACKING,
    ),
    _Verb.STOP: (_LONG.YIELD, _LONG.LEAD_OBSTACLE_FOLLOWING),
    _Verb.ACCELERATE: (
        _LONG.ACCELERATION_FOR_PASSING, _LONG.SET_SPEED_TRACKING, _LONG.GAP_SEARCHING, _LONG.LEAD_OBSTACLE_FOLLOWING,
    ),
}  # fmt: skip


def _settle_longitudinal(
    spotted: _Spotted, marked: str, components: Sequence[CriticalComponent], lateral: Iterable[str]
) -> tuple[LongitudinalDecision | None, tuple[str, ...]]:
    """One longitudinal decision out of the verbs; plain verbs are settled by their causes."""
    named = {verb for verb, _ in spotted if isinstance(verb, LongitudinalDecision)}
    problems: list[str] = []
    for verb, end in spotted:
        if isinstance(verb, LongitudinalDecision) or any(d in named for d in _COVERED[verb]):
            continue
        changes_lane = any("change" in name for name in lateral)
        meanings = {_by_cause(verb, cause, changes_lane) for cause in _causes_of(end, marked, components)} - {None}
        # A bare "stop" beside two causes is the stop that one of them demands.
        if verb is _Verb.STOP and _LONG.STOP_FOR_STATIC_CONSTRAINTS in meanings:
            meanings = {_LONG.STOP_FOR_STATIC_CONSTRAINTS}
        decision = meanings.pop() if len(meanings) == 1 else None
        if decision is None and named:
            return None, (f"two longitudinal decisions: {verb.value} and {' and '.join(sorted(named))}",)
        if decision is None:
            problems.append(f"{verb.value!r} without a cause that says which decision it is")
        else:
            named.add(decision)
    if len(named) > 1:
        return None, (f"two longitudinal decisions: {' and '.join(sorted(named))}",)
    return (named.pop() if named else None), tuple(problems)


def _causes_of(end: int, marked: str, components: Sequence[CriticalComponent]) -> Sequence[CriticalComponent]:
    """The object of the verb that ends at position `end` ("stop for …"); without an object, all components."""
    governed = re.match(r" (?:(?:for|at|before|behind|because of|due to|to|as|safely) )*§(\d+)", marked[end:])
    return (components[int(governed.group(1))],) if governed else components


def _by_cause(verb: _Verb, cause: CriticalComponent, changes_lane: bool) -> LongitudinalDecision | None:
    """The decision that a plain verb stands for, given its cause; None where the cause does not tell."""
    if verb is _Verb.ACCELERATE:
        if cause.attributes.get("motion") == "slow" and changes_lane:
            return _LONG.ACCELERATION_FOR_PASSING
        goes = cause.kind in ("green_light", "clear_lane", "straight") or cause.attributes.get("motion") == "cleared"
        return _LONG.SET_SPEED_TRACKING if goes else None
    if cause in STOPPING_LIGHTS or cause in STOP_CONTROLS or cause in LOADING_BUSES:
        return _LONG.STOP_FOR_STATIC_CONSTRAINTS
    if cause.category is ComponentCategory.CRITICAL_OBJECT:
        if cause in CROSSERS or cause.attributes.get("relative_pose") in ("crosswalk", "oncoming"):
            return _LONG.YIELD
        if cause.kind in STATIC:
            return _LONG.STOP_FOR_STATIC_CONSTRAINTS if verb is _Verb.STOP else _LONG.SPEED_ADAPTATION
        return _LONG.LEAD_OBSTACLE_FOLLOWING if cause.attributes.get("relative_pose") == "in_path" else None
    if verb is _Verb.STOP:
        stops = cause.kind in ("yield_sign", "rail_crossing", "closed_lane", "destination", "stop_line", "junction")
        return _LONG.STOP_FOR_STATIC_CONSTRAINTS if stops else None
    tells_nothing = cause.category is ComponentCategory.TRAFFIC_LIGHT or cause.kind == "clear_lane"
    return None if tells_nothing else _LONG.SPEED_ADAPTATION
