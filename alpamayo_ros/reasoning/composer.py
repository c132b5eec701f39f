"""From a decision and its causes to one sentence in the style of the published traces: verb phrase, reason.

Every sentence is built from three tables (verb phrases alone, verb phrases that take their cause as an object, and the
wordings of `vocabulary`), so whatever is said can be read back by `parser.parse`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from alpamayo_ros.reasoning.causes import (
    CONTROLS,
    EVENTS,
    GREEN_LIGHTS,
    IN_PATH_BLOCKERS,
    LANES,
    LEADS,
    LOADING_BUSES,
    OBJECTS,
    ODDS,
    ROUTES,
    STOPPING_LIGHTS,
    AnyDecision,
    Selector,
    can_occur,
    causes_within,
    explains_no_change,
    may_cause,
    unexplained,
)
from alpamayo_ros.reasoning.vocabulary import (
    RIDERS,
    SIDES,
    STATIC,
    VEHICLES,
    Surface,
    VocabularyError,
    describe,
    spoken,
    surface,
)
from alpamayo_ros.types import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LateralDecision,
    LongitudinalDecision,
)

# Length of a trace in words. Released traces run 9 to 15; the project asks for 8 to 18.
MIN_WORDS, MAX_WORDS = 8, 18
MAX_COMPONENTS = 2
# Enough variety to learn from; more would only be permutations of the same words.
MAX_PHRASINGS = 12

_LONG = LongitudinalDecision
_LAT = LateralDecision
_CONNECTIVES = ("because", "since")

# One decision, two states of the car: it reaches the target speed, or has it already.
_RESUME, _HOLD = "resume the target speed", "hold the target speed"
RESUMED = 1.0  # m/s; who gains more over the horizon resumes a speed, and does not hold it

# Verb phrases that stand alone; the reason follows as a clause. The shortest comes last: it is for full sentences.
_BARE: dict[AnyDecision, tuple[str, ...]] = {
    _LONG.SET_SPEED_TRACKING: (_RESUME, _HOLD, "proceed"),
    _LONG.LEAD_OBSTACLE_FOLLOWING: ("keep a safe following distance", "keep a safe following gap", "keep a safe gap"),
    _LONG.SPEED_ADAPTATION: ("adapt the speed", "adjust the speed", "adapt speed"),
    _LONG.GAP_SEARCHING: ("adjust speed to find a gap", "adjust speed to open a gap", "find a gap"),
    _LONG.ACCELERATION_FOR_PASSING: ("accelerate to pass", "accelerate to overtake", "overtake"),
    _LONG.YIELD: ("yield the right of way", "give way", "yield"),
    _LONG.STOP_FOR_STATIC_CONSTRAINTS: ("come to a stop", "stop and hold", "stop"),
    _LAT.LANE_KEEPING: ("keep lane", "stay in the lane", "keep lane"),
    _LAT.MERGE_SPLIT: ("merge into the traffic", "merge into traffic", "merge"),
    _LAT.PULL_OVER: ("pull over to the curb", "pull over"),
    _LAT.MANEUVER_ABORT: ("abort the maneuver and re-center", "abort the maneuver"),
    **{_LAT(f"out_of_lane_nudge_{s}"): (f"nudge {s} out of the lane", f"nudge {s} over the line")
       for s in SIDES},
    **{_LAT(f"in_lane_nudge_{s}"): (f"nudge to the {s}", f"nudge {s} within the lane", f"nudge {s}")
       for s in SIDES},
    **{_LAT(f"lane_change_{s}"): (f"change lanes to the {s}", f"change to the {s} lane", f"change lanes {s}")
       for s in SIDES},
    **{_LAT(f"turn_{s}"): (f"make a {s} turn", f"turn {s}") for s in SIDES},
}  # fmt: skip

_FOR_EXITS = ("split off the main road", "split off")
_EXITS = (
    Selector(ComponentCategory.ROUTING_INTENT, ("exit",)),
    Selector(ComponentCategory.ROAD_EVENT, ("ramp",), {"type": ("off",)}),
)
_STOPPED_OR_CUTTING_IN = Selector(ComponentCategory.CRITICAL_OBJECT, (), {"motion": ("stopped", "cut_in")})
_MERGING = Selector(ComponentCategory.CRITICAL_OBJECT, (), {"motion": ("merging",)})
_STOPPED = Selector(ComponentCategory.CRITICAL_OBJECT, (), {"motion": ("stopped",)})
_BLOCKERS = Selector(ComponentCategory.CRITICAL_OBJECT, STATIC)
_AHEAD = Selector(ComponentCategory.CRITICAL_OBJECT, (*VEHICLES, *RIDERS), {"relative_pose": ("in_path",)})
_DRIVEN_THROUGH = (
    Selector(ComponentCategory.ROAD_EVENT, ("curve", "narrowing")),
    Selector(ComponentCategory.ODD, ("construction_zone",)),
)

_Row = tuple[tuple[Selector, ...], tuple[str, ...]]


def _sided(s: str) -> dict[AnyDecision, tuple[_Row, ...]]:
    """The rows of the lateral decisions toward side `s`."""
    return {
        _LAT(f"out_of_lane_nudge_{s}"): (
            ((OBJECTS,), (f"nudge {s} out of the lane to increase clearance from", f"nudge {s} over the line to pass",
                          f"straddle the {s} line past")),
            ((EVENTS, ODDS), (f"nudge {s} out of the lane through", f"straddle the {s} line through")),
        ),
        _LAT(f"in_lane_nudge_{s}"): (
            ((OBJECTS,), (f"nudge to the {s} to increase clearance from", f"nudge {s} within the lane past",
                          f"nudge {s} past")),
            ((EVENTS, ODDS), (f"nudge {s} within the lane through", f"nudge {s} through")),
        ),
        _LAT(f"lane_change_{s}"): (
            ((*IN_PATH_BLOCKERS, _AHEAD, _STOPPED, _BLOCKERS),
             (f"change lanes to the {s} to pass", f"change to the {s} lane to pass", f"change lanes {s} past")),
            ((OBJECTS, Selector(ComponentCategory.ROUTING_INTENT, ("exit", "turn"))),
             (f"change lanes to the {s} for", f"change to the {s} lane for")),
            ((Selector(ComponentCategory.LANE, ("ending_lane", "closed_lane")), ODDS),
             (f"change lanes to the {s} before", f"change to the {s} lane before")),
        ),
        _LAT(f"turn_{s}"): (((GREEN_LIGHTS,), (f"turn {s} on", f"make a {s} turn on")),),
    }  # fmt: skip


# Verb phrases that end in a preposition or transitive verb and take the cause as their object, by decision and kind of
# cause. The first row that holds the cause is taken; a cause in no row is given as a clause only.
_TRANSITIVE: dict[AnyDecision, tuple[_Row, ...]] = {
    _LONG.LEAD_OBSTACLE_FOLLOWING: (
        ((_STOPPED_OR_CUTTING_IN,), ("keep a safe distance from", "keep a safe gap to", "keep a gap to")),
        ((LEADS,), ("follow", "keep a safe gap to", "keep a safe distance from")),
    ),
    _LONG.SPEED_ADAPTATION: (
        ((EVENTS, ODDS, ROUTES, LANES), ("adapt the speed for", "slow down to a safe speed for", "slow down for")),
        ((OBJECTS,), ("adapt the speed for", "adapt speed for")),
    ),
    _LONG.GAP_SEARCHING: (
        ((_MERGING,), ("adjust speed to open a gap for", "open a gap for")),
        ((OBJECTS,), ("adjust speed to find a gap behind", "search for a gap behind", "find a gap behind")),
        ((Selector(ComponentCategory.ROUTING_INTENT, ("merge",)), LANES, EVENTS),
         ("adjust speed to find a gap before", "search for a gap before", "find a gap before")),
    ),
    _LONG.ACCELERATION_FOR_PASSING: (
        ((LEADS,), ("accelerate to pass", "accelerate to overtake", "overtake")),
    ),
    _LONG.YIELD: (
        ((CONTROLS, EVENTS), ("yield at", "give way at")),
        ((OBJECTS,), ("yield to", "give way to", "slow down and yield to")),
    ),
    _LONG.STOP_FOR_STATIC_CONSTRAINTS: (
        ((STOPPING_LIGHTS, LOADING_BUSES), ("stop for", "come to a stop for", "stop and hold for")),
        ((CONTROLS, ROUTES, ODDS), ("stop at", "come to a stop at")),
        ((LANES, _BLOCKERS), ("stop before", "come to a stop before")),
    ),
    _LAT.LANE_KEEPING: ((_DRIVEN_THROUGH, ("keep lane through", "stay in the lane through")),),
    _LAT.PULL_OVER: (
        ((ROUTES,), ("pull over to the curb at", "pull over at")),
        ((OBJECTS,), ("pull over to the curb for", "pull over for")),
    ),
    _LAT.MANEUVER_ABORT: (
        ((OBJECTS, LANES), ("abort the maneuver and re-center for", "abort the maneuver for")),
    ),
    **_sided("left"),
    **_sided("right"),
}  # fmt: skip

_NO_CHANGE = ("continue without a change", "make no change to the speed or path")


def phrasings(decision: Decision, components: Sequence[CriticalComponent]) -> tuple[str, ...]:
    """The sentences for `decision` with `components` as its causes: 1 to 12, in a fixed order.

    components: one or two, all canonical. Those that are said alike are named once. The order is kept where any
        sentence of that order fits; else the other one is taken.

    Raises VocabularyError when a component has no wording or causes neither decision, when the two decisions do not go
    together, when there is no component or more than two, or when no sentence of 8 to 18 words can hold them all.
    """
    components = tuple({describe(spoken(component)): component for component in components}.values())
    if not 1 <= len(components) <= MAX_COMPONENTS:
        raise VocabularyError(f"a trace names one or two causes, not {len(components)}; keep the proximate ones")
    if not can_occur(decision.longitudinal, decision.lateral):
        raise VocabularyError(f"{decision.longitudinal} does not go with the lateral decision {decision.lateral}")
    decided: list[AnyDecision] = [d for d in (decision.longitudinal, decision.lateral) if d is not None]
    for component in components:
        surface(component)
        if not (causes_within(component, decision) if decided else explains_no_change(component)):
            raise VocabularyError(f"{describe(component)} causes none of {[str(d) for d in decided] or 'no change'}")
    if missing := unexplained(decision, components):
        raise VocabularyError(
            f"no cause of {[str(part) for part in missing]} among {[describe(c) for c in components]}"
        )
    for ordered in (components, components[::-1]):
        if sentences := _fitting(decision, ordered):
            return sentences[:MAX_PHRASINGS]
    named = " and ".join(describe(c) for c in components)
    raise VocabularyError(f"no sentence of {MIN_WORDS} to {MAX_WORDS} words says {decision} because of {named}")


def compose(decision: Decision, components: Sequence[CriticalComponent], variant: int) -> str:
    """One sentence for `decision` caused by `components`; `variant` (any non-negative integer) selects the phrasing.

    Raises VocabularyError as `phrasings` does.
    """
    sentences = phrasings(decision, components)
    return sentences[variant % len(sentences)]


def suits_speed(sentence: str, gain: float) -> bool:
    """Whether a sentence of `phrasings` says "resume" and "hold" as it is.

    gain: how much faster than now the car becomes over the horizon, m/s.
    """
    return (_HOLD if gain > RESUMED else _RESUME) not in sentence.lower()


def _fitting(decision: Decision, components: Sequence[CriticalComponent]) -> tuple[str, ...]:
    """All sentences of the right length that name `components` in this order."""
    surfaces = [surface(component) for component in components]
    parts: tuple[AnyDecision | None, ...] = (decision.longitudinal, decision.lateral)
    decided = [part for part in parts if part is not None]
    if not decided:
        found = [f"{verb} {reason}" for verb in _NO_CHANGE for reason in _reasons(surfaces, _CONNECTIVES[0])]
    elif decision.longitudinal is None or decision.lateral is None:
        found = list(_one_decision(decided[0], components, surfaces))
    else:
        found = list(_two_decisions(decision.longitudinal, decision.lateral, components, surfaces))
    return tuple(dict.fromkeys(_finish(s) for s in found if MIN_WORDS <= len(s.split()) <= MAX_WORDS))


def _finish(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."


def _bare(decision: AnyDecision, components: Sequence[CriticalComponent]) -> tuple[str, ...]:
    """Verb phrases for `decision`. Merge and split are one decision; the cause tells which word is right."""
    if decision is _LAT.MERGE_SPLIT and any(c in selector for c in components for selector in _EXITS):
        return _FOR_EXITS
    return _BARE[decision]


def _unchained(verbs: Sequence[str]) -> tuple[str, ...]:
    return tuple(verb for verb in verbs if " and " not in verb)


def _transitive(decision: AnyDecision, component: CriticalComponent) -> tuple[str, ...]:
    if not may_cause(component, decision):
        return ()
    for selectors, verbs in _TRANSITIVE.get(decision, ()):
        if any(component in selector for selector in selectors):
            return verbs
    return ()


def _reasons(surfaces: Sequence[Surface], connective: str) -> Iterator[str]:
    """Clauses of all `surfaces`, joined: "because … and …"."""
    for clauses in product(*(s.clauses for s in surfaces)):
        yield f"{connective} {' and '.join(clauses)}"


def _object_phrases(verbs: Sequence[str], surfaces: Sequence[Surface]) -> Iterator[str]:
    """Verbs with noun phrases as objects, joined: "yield to … and …"."""
    for verb, phrases in product(verbs, product(*(s.phrases for s in surfaces))):
        yield f"{verb} {' and '.join(phrases)}"


def _with_clauses(heads: Sequence[str], surfaces: Sequence[Surface]) -> Iterator[str]:
    for i, head in enumerate(heads):
        for reason in _reasons(surfaces, _CONNECTIVES[i % 2]):
            yield f"{head} {reason}"


def _interleave(*streams: Iterator[str]) -> Iterator[str]:
    """One from each in turn, so that neighboring variants differ in form and not only in a word."""
    rows = [list(stream) for stream in streams]
    for i in range(max((len(row) for row in rows), default=0)):
        yield from (row[i] for row in rows if i < len(row))


def _shared_transitive(decision: AnyDecision, components: Sequence[CriticalComponent]) -> tuple[str, ...]:
    """Verb phrases that take every component as object."""
    options = [_transitive(decision, c) for c in components]
    return tuple(v for v in options[0] if all(v in other for other in options[1:]))


def _one_decision(
    decision: AnyDecision, components: Sequence[CriticalComponent], surfaces: Sequence[Surface]
) -> Iterator[str]:
    streams = [
        _object_phrases(_shared_transitive(decision, components), surfaces),
        _with_clauses(_bare(decision, components), surfaces),
    ]
    if len(components) == 2:
        heads = tuple(_object_phrases(_transitive(decision, components[0]), surfaces[:1]))
        streams.insert(1, _with_clauses(heads, surfaces[1:]))
    return _interleave(*streams)


def _two_decisions(
    longitudinal: LongitudinalDecision,
    lateral: LateralDecision,
    components: Sequence[CriticalComponent],
    surfaces: Sequence[Surface],
) -> Iterator[str]:
    # Two decisions are joined by "and"; a verb phrase that has one of its own would make a chain.
    bare = {d: _unchained(_bare(d, components)) for d in (longitudinal, lateral)}
    # Lane keeping is said first, as in the published traces; the other pairs are said in either order.
    orders: list[tuple[AnyDecision, AnyDecision]] = [(lateral, longitudinal)]
    if lateral is not _LAT.LANE_KEEPING:
        orders.append((longitudinal, lateral))
    streams: list[Iterator[str]] = []
    for first, second in orders:
        # The second decision takes all causes as objects: "keep lane and yield to …".
        verbs = [f"{b} and {v}" for v in _unchained(_shared_transitive(second, components)) for b in bare[first]]
        streams.append(_object_phrases(verbs, surfaces))
        if len(components) == 2:
            firsts = tuple(_object_phrases(_unchained(_transitive(first, components[0])), surfaces[:1]))
            # Each decision takes its own cause: "yield to … and nudge left past …".
            seconds = tuple(_object_phrases(_unchained(_transitive(second, components[1])), surfaces[1:]))
            streams.append(f"{one} and {two}" for one, two in product(firsts, seconds))
            # The first takes its cause as object, the second gives its as a clause: "stop for … and … because …".
            if may_cause(components[1], second):
                heads = tuple(f"{one} and {b}" for one in firsts for b in bare[second])
                streams.append(_with_clauses(heads, surfaces[1:]))
            # Both causes behind the second decision: "keep lane and follow … because …".
            heads = tuple(
                f"{b} and {two}"
                for two in _object_phrases(_unchained(_transitive(second, components[0])), surfaces[:1])
                for b in bare[first]
            )
            streams.append(_with_clauses(heads, surfaces[1:]))
        heads = tuple(f"{a} and {b}" for a, b in product(bare[first], bare[second]))
        streams.append(_with_clauses(heads, surfaces))
    return _interleave(*streams)
