"""From free model text back to a decision and its causes, or a plain statement that it cannot be read.

The reader works in three passes over the normalized sentence: components first (each one replaced by a numbered mark),
then verb phrases (each replaced by a mark of its own), then what is left: words that carry no meaning here are
dropped, and every other word is reported. Nothing is filled in from what a sentence of that kind usually says.

Two readings are conventions, not guesses. A nudge that names no line is an in-lane nudge. "Slow", "stop" and
"accelerate" are decisions only together with their cause: one slows for a curve (speed adaptation), behind a lead
(following) or for somebody who crosses (yield); without a cause they stay unread.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum

from alpamayo_ros.reasoning.causes import CROSSERS, LOADING_BUSES, STOP_CONTROLS, STOPPING_LIGHTS
from alpamayo_ros.reasoning.vocabulary import STATIC, VEHICLES
from alpamayo_ros.types import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LateralDecision,
    LongitudinalDecision,
    ParsedTrace,
    ReadStatus,
)

# A trace is one sentence of some 15 words. Longer text is something else, and reading it piecewise would be a guess.
MAX_WORDS = 60
# Of a sentence that is read partly, at most this many words, or this share of all, may remain unknown.
MAX_UNKNOWN_WORDS, MAX_UNKNOWN_SHARE = 2, 0.25

_LONG = LongitudinalDecision
_LAT = LateralDecision
_C = ComponentCategory


def parse(text: str) -> ParsedTrace:
    """Read `text`. Never raises on any string; what cannot be read is UNPARSED with the reason."""
    sentence = _normalize(text)
    words = sentence.replace(",", " ").split()
    if not words:
        return _unread(text, (), "the text is empty")
    if len(words) > MAX_WORDS:
        return _unread(text, (), f"{len(words)} words; a trace is one sentence, at most {MAX_WORDS} are read")
    if negation := _NEGATION.search(_NO_CHANGE.sub(" ", sentence)):
        return _unread(text, (), f"a negation is not read: {negation.group().strip()!r}")
    marked, components = _read_components(_ASIDES.sub(" ", sentence))
    decision, rest, problems = _read_decision(marked, components)
    if decision is None:
        return _unread(text, components, *problems)
    unknown = [word for word in re.findall(r"[^\s,§\d]+", rest) if word not in _FILLERS]
    if len(unknown) > max(MAX_UNKNOWN_WORDS, MAX_UNKNOWN_SHARE * len(words)):
        return _unread(text, components, f"too many words not understood: {' '.join(unknown)!r}")
    if unknown:
        problems = (*problems, f"not understood: {' '.join(unknown)!r}")
    if _DANGLING.search(marked):
        problems = (*problems, "an 'and' joins nothing")
    if not components:
        problems = (*problems, "no cause is named")
    status = ReadStatus.PARTLY_PARSED if problems else ReadStatus.PARSED
    return ParsedTrace(text, status, decision, components, problems)


def _unread(text: str, components: tuple[CriticalComponent, ...], *problems: str) -> ParsedTrace:
    return ParsedTrace(text, ReadStatus.UNPARSED, None, components, problems)


def _normalize(text: str) -> str:
    """Lower case; sentence marks become commas, other punctuation spaces; the ego is no component."""
    sentence = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    sentence = re.sub(r"[.;:!?\n,—–]+", " , ", sentence)
    sentence = re.sub(r"n't\b", " not", sentence)
    sentence = re.sub(r"[^\w\s,]|[_§]", " ", sentence)
    sentence = re.sub(r"\b(?:the |our |my )?(?:ego|own)(?: (?:vehicle|car)s?)?\b", " ego ", sentence)
    return re.sub(r"\s+", " ", sentence).strip(" ,")


_NEGATION = re.compile(r"\b(?:not|never|no longer|no need|without|instead of|rather than|avoid|unless|if)\b")
# Turns of phrase that add no decision: a step of later (the decision is the first one), and how something is done.
_ASIDES = re.compile(
    r"\b(?:before (?:proceeding|continuing|going|resuming)|at a safe speed|to pass over|continuing to"
    r"|maintaining clearance|out of the way)\b"
)
# "Turn left and because …": a verb is missing.
_DANGLING = re.compile(r"^and\b|\band (?:because|since|as|and|for|to)\b|\band$")
_NO_CHANGE = re.compile(
    r"\b(?:continue without (?:a |any )?change|(?:make |with )?no change(?: to| of| in)?"
    r"(?: the)?(?: speed)?(?: (?:or|and)(?: the)? path)?)\b"
)

# --- components -----------------------------------------------------------------------------------------------------

# Nouns of critical objects, the longest first wherever one ends in another.
_NOUNS: tuple[tuple[str, str], ...] = (
    ("school_bus", r"school bus(?:es)?"),
    ("emergency_vehicle",
     r"(?:emergency|police|rescue) (?:vehicle|car)s?|ambulances?|fire ?(?:truck|engine)s?"),
    ("construction_cones", r"(?:(?:construction|traffic|safety|work zone) )?cones?"),
    ("construction_barrier", r"(?:(?:construction|concrete|traffic|road) )?(?:barriers?|barricades?)"),
    ("road_worker", r"(?:(?:road|construction) )?workers?|flaggers?"),
    ("scooter_rider", r"(?:e )?scooter(?: rider)?s?"),
    ("motorcycle", r"motor(?:cycle|bike|cyclist)s?"),
    ("cyclist", r"(?:bi)?cyclists?|bicycles?|bikes?"),
    ("child", r"child(?:ren)?|kids?"),
    ("pedestrian", r"pedestrians?|persons?|people|joggers?"),
    ("truck", r"(?:pickup |delivery |semi |box )?trucks?|lorr(?:y|ies)|trailers?"),
    ("bus", r"buses|bus(?! stops?\b)|coach(?:es)?"),
    ("van", r"(?:mini)?vans?"),
    ("car", r"cars?|sedans?|suvs?|hatchbacks?|taxis?"),
    ("animal", r"animals?|deer|dogs?|cows?|moose"),
    ("debris", r"debris"),
    ("vehicle", r"vehicles?|(?<=cross )traffic|(?<=crossing )traffic|(?<=oncoming )traffic|lead(?!ing)|leader"),
)  # fmt: skip
_SIDE = r"(?:left|right)"
_ROAD = r"(?:the |our |its |ego |same |a )*(?:lane|road|path|street|roadway)"

# Modifiers of an object: pattern, attribute, value ("side" stands for the side in the match). The first value found for
# an attribute counts, so the more telling pattern stands above: on the right *ahead* is on the right.
_MODIFIERS: tuple[tuple[str, str, str], ...] = (
    (r"(?:with|has|have|and) its (?:red )?(?:stop arm|lights)(?: out| extended| flashing)?", "motion", "loading"),
    (rf"(?:turning|crossing) across {_ROAD}", "motion", "crossing"),
    (rf"(?:cutting|cuts?|cut) in(?:to {_ROAD})?", "motion", "cut_in"),
    (rf"(?:merging|merges)(?: in(?:to {_ROAD})?)?", "motion", "merging"),
    (r"(?:leaving|left|cleared|has left|has cleared)(?= the crosswalk)", "motion", "cleared"),
    (r"(?:is |are )?(?:waiting to cross|about to cross|waiting)", "motion", "waiting"),
    (rf"(?:stepping|running|walking) (?:out|(?:in|on)to {_ROAD})|entering(?: {_ROAD}|(?= from))", "motion", "entering"),
    (rf"(?:crossing|crosses|cross)(?: {_ROAD}| the intersection)?", "motion", "crossing"),
    (r"(?:backing (?:out|up|in)|reversing|reverses|backing)", "motion", "reversing"),
    (r"(?:pull(?:ing|s) away|accelerating away|starting to move|moving off|speeding up)", "motion", "pulling_away"),
    (r"(?:slowing down|slowing|slows down|slows|decelerating|decelerates|braking|brakes)", "motion", "slowing"),
    (r"(?:double )?park(?:ed|ing)", "motion", "parked"),
    (r"(?:stopped|stationary|standing|stalled|queued|halted|at a standstill)", "motion", "stopped"),
    (r"(?:approaching|approaches|closing in|coming)(?: fast| quickly)?", "motion", "approaching"),
    (r"(?:slow moving|slower|(?:driving|riding|moving|traveling) slowly|slowly|slow)", "motion", "slow"),
    (r"(?:driving|drives|riding|rides|walking|walks|moving|moves|traveling)", "motion", "moving"),
    (r"(?:occupying|occupies)(?: the (?:adjacent|target) lane)?", "motion", "moving"),
    (r"(?:in|at|on|into|through|leaving|near) (?:the |a )?(?:pedestrian )?crosswalk|the crosswalk",
     "relative_pose", "crosswalk"),
    (r"oncoming|in the (?:oncoming|opposite) lane|from the opposite direction", "relative_pose", "oncoming"),
    ((rf"(?:on|from|in|to|along|of|at) (?:the |our |its |ego )*(?:front )?(?:adjacent )?{_SIDE}(?: adjacent)?"
     rf"(?: hand)?(?: lane| side| edge| shoulder| curb)?(?: of {_ROAD})?"), "relative_pose", "side"),
    (rf"(?:blocking )?(?:the )?(?:adjacent )?{_SIDE}(?: adjacent)? lane", "relative_pose", "side"),
    (rf"{_SIDE} side", "relative_pose", "side"),
    (r"from behind|behind(?! the| a| an| §)|behind ego", "relative_pose", "behind"),
    (rf"blocking {_ROAD}|(?:partially |partly )?obstructing {_ROAD}", "relative_pose", "in_path"),
    (rf"(?:ahead|in front(?: of ego| of us)?|(?:in|on) {_ROAD}|lead(?:ing)?|preceding)", "relative_pose", "in_path"),
    (rf"(?:encroaching|encroaches|intruding|protruding|extending) (?:in|on)to {_ROAD}", "relative_pose", "in_path"),
)  # fmt: skip
# Words inside a description that add nothing to it.
_GLUE = (
    r"(?:is|are|has|have|that|which|who|currently|also|just|been|fully|partially|partly|temporarily)\b"
    r"|encroaching|encroaches|intruding|protruding|extending|blocking the (?:adjacent|target) lane"
    r"|(?:off|at|by|near) the curb"
)
_ADJECTIVES = (
    r"(?:lead|leading|preceding|slower|slowing|slow moving|slow|stopped|stationary|stalled|double parked|parked"
    r"|oncoming|crossing|cross|cut in|cutting in|merging|reversing|approaching|waiting|standing|moving"
    r"|left side|right side|left lane|right lane"
    r"|black|white|gray|grey|silver|blue|red|yellow|green|orange|large|small|big|other|nearby)"
)
_ARTICLES = r"(?:the|a|an|another|any|one|two|several|some)"
_POSTMODIFIER = "|".join(f"(?:{pattern})" for pattern, _, _ in _MODIFIERS)
_OBJECTS = re.compile(
    rf"\b(?:there (?:is|are) )?(?:{_ARTICLES} )?(?P<before>(?:{_ADJECTIVES} )*)"
    rf"(?:{'|'.join(f'(?P<{kind}>{noun})' for kind, noun in _NOUNS)})\b"
    rf"(?P<after>(?: (?:{_POSTMODIFIER}|{_GLUE})(?![\w]))*)"
)
_COMPILED_MODIFIERS = [(re.compile(rf"\b(?:{p})(?!\w)"), name, value) for p, name, value in _MODIFIERS]
# What a pose implies when no motion is said: a lead drives in the ego's flow, oncoming traffic drives, who is in a
# crosswalk crosses, who is at one waits, who comes from a side crosses, and a vehicle that blocks the lane stands.
_IMPLIED_MOTION: tuple[tuple[str, str], ...] = (
    (r"\blead(?:ing)?\b|\bpreceding\b", "moving"),
    (r"\b(?:in|into|through|on) (?:the |a )?(?:pedestrian )?crosswalk", "crossing"),
    (r"\b(?:at|near) (?:the |a )?(?:pedestrian )?crosswalk", "waiting"),
    (r"\boncoming\b|\bopposite\b", "moving"),
    (rf"\bfrom (?:the |our |its |ego )*{_SIDE}\b", "crossing"),
    (r"\bcross\b", "crossing"),
    (r"\b(?:left|right)(?: adjacent)? lane\b", "moving"),
    (rf"\b(?:blocking|obstructing) {_ROAD}", "stopped"),
)

_THERE = r"(?:there (?:is|are) )?(?:(?:the|a|an|upcoming|approaching) )*"
_AHEAD = r"(?: is| are)?(?: (?:ahead|in front|(?:in|on) the road(?: ahead)?|on the route|at the intersection))*"
_COLORS = r"(?P<color>red|yellow red|yellow|amber|green)"
_LAMP = r"(?:traffic )?(?:light|signal|arrow)s?"
_ARROW = r"(?:(?P<arrow>left|right) (?:turn )?)?"
_LAMP_PLACE = r"(?P<place>(?: (?:ahead|intersection|at the (?:intersection|stop line|wait line|line)|in front))*)"
_ALL = r"(?:all|four|4)"

# What is no critical object: pattern, category (None: no component), kind, fixed attributes. A named group gives an
# attribute of that name. In order: what comes first takes its words away from what follows. Lights and signs are read
# before objects, since "red" may also be the color of a car and "stop" a verb; the rest after them.
_Fixtures = tuple[tuple[str, ComponentCategory | None, str, dict[str, str]], ...]
_LIGHTS_AND_SIGNS: _Fixtures = (
    (rf"(?:the |a |an )?{_COLORS} (?:light )?{_ARROW}{_LAMP}{_LAMP_PLACE}", _C.TRAFFIC_LIGHT, "{color}_light", {}),
    (rf"(?:the |a |an )?{_ARROW}{_LAMP}{_LAMP_PLACE} (?:is|are|turns|turned|has turned|shows|stays) {_COLORS}",
     _C.TRAFFIC_LIGHT, "{color}_light", {}),
    (rf"{_THERE}{_ALL} way (?:stop|intersection)(?: signs?)?{_AHEAD}", _C.YIELD_STOP_CONTROL, "all_way_stop", {}),
    (rf"{_THERE}(?:two|2) way stop(?: signs?)?{_AHEAD}", _C.YIELD_STOP_CONTROL, "two_way_stop", {}),
    (rf"{_THERE}stop signs?{_AHEAD}", _C.YIELD_STOP_CONTROL, "stop_sign", {}),
    (rf"{_THERE}(?:yield|give way) signs?{_AHEAD}", _C.YIELD_STOP_CONTROL, "yield_sign", {}),
    (rf"{_THERE}stop line{_AHEAD}", _C.YIELD_STOP_CONTROL, "stop_line", {}),
)  # fmt: skip
_FIXTURES: _Fixtures = (
    (rf"(?:the )?route turns (?P<direction>{_SIDE}){_AHEAD}", _C.ROUTING_INTENT, "turn", {}),
    (rf"(?:the|an upcoming) (?P<direction>{_SIDE}) turn{_AHEAD}", _C.ROUTING_INTENT, "turn", {}),
    (rf"(?:the )?route (?:needs|requires|uses|continues in|follows|is in) the (?P<direction>{_SIDE}) lane",
     _C.ROUTING_INTENT, "required_lane", {}),
    (rf"the (?P<direction>{_SIDE}) lane on the route", _C.ROUTING_INTENT, "required_lane", {}),
    (rf"(?:the )?route merges(?: onto the (?:main road|highway))?{_AHEAD}", _C.ROUTING_INTENT, "merge", {}),
    (r"the merge(?: ahead| on the route)", _C.ROUTING_INTENT, "merge", {}),
    (rf"(?:the )?route exits(?: to)?(?: the)? (?P<direction>{_SIDE}){_AHEAD}", _C.ROUTING_INTENT, "exit", {}),
    (rf"the (?P<direction>{_SIDE}) exit{_AHEAD}", _C.ROUTING_INTENT, "exit", {}),
    (rf"(?:the )?route (?:continues|goes|leads) straight{_AHEAD}|the straight route{_AHEAD}",
     _C.ROUTING_INTENT, "straight", {}),
    (rf"(?:the |our )?destination(?: is)?(?: at the curb)?{_AHEAD}", _C.ROUTING_INTENT, "destination", {}),
    # The route as a plain purpose; it says no more than that.
    (r"(?:to )?(?:follow(?:ing)?|proceed(?:ing)? along|continu(?:e|ing) along|stay(?:ing)? on) the (?:planned )?route",
     _C.ROUTING_INTENT, "route", {}),
    (rf"(?:the )?road(?: ahead)? (?:curves|bends|turns)(?: to)?(?: the)?(?: (?P<direction>{_SIDE}))?{_AHEAD}",
     _C.ROAD_EVENT, "curve", {}),
    ((rf"{_THERE}(?:(?P<direction>{_SIDE})(?: hand)? )?(?:curves?|bends?|curv(?:y|ing|ed) road|road curvature)"
     rf"{_AHEAD}"), _C.ROAD_EVENT, "curve", {}),
    (rf"{_THERE}(?:speed )?(?:bump|hump)s?{_AHEAD}", _C.ROAD_EVENT, "speed_bump", {}),
    (rf"(?:the )?(?:road|lane)(?: ahead)? narrows{_AHEAD}|{_THERE}narrow(?:ing| section| road| passage){_AHEAD}",
     _C.ROAD_EVENT, "narrowing", {}),
    (rf"{_THERE}(?:roundabout|traffic circle){_AHEAD}", _C.ROAD_EVENT, "roundabout", {}),
    (rf"{_THERE}(?P<type>on|off) ramp{_AHEAD}", _C.ROAD_EVENT, "ramp", {}),
    (rf"{_THERE}exit ramp{_AHEAD}", _C.ROAD_EVENT, "ramp", {"type": "off"}),
    (rf"(?:the )?road(?: ahead)? slopes (?P<direction>down|up){_AHEAD}", _C.ROAD_EVENT, "grade", {}),
    (rf"{_THERE}(?P<direction>down|up)hill(?: grade| slope)?{_AHEAD}", _C.ROAD_EVENT, "grade", {}),
    (rf"{_THERE}(?:rail|railroad|railway|train|level) (?:crossing|tracks?){_AHEAD}", _C.ODD, "rail_crossing", {}),
    (rf"{_THERE}(?:construction (?:zone|site|area|work)|work zone|road ?works?(?: zone)?|construction){_AHEAD}",
     _C.ODD, "construction_zone", {}),
    (rf"{_THERE}school zone{_AHEAD}", _C.ODD, "school_zone", {}),
    (rf"{_THERE}(?:dense |thick )?fog(?: ahead| limits the view| reduces visibility)*", _C.ODD, "fog", {}),
    (rf"{_THERE}(?:heavy )?rain(?: on the road| makes the road slippery| limits the view)*", _C.ODD, "rain", {}),
    (rf"{_THERE}(?:heavy )?snow(?: on the road| makes the road slippery| limits the view)*", _C.ODD, "snow", {}),
    (rf"{_THERE}lane(?: ahead)? is closed(?: ahead)?|{_THERE}(?:lane closure|closed lane){_AHEAD}",
     _C.LANE, "closed_lane", {}),
    (rf"{_THERE}lane(?: ahead)? (?:ends|is ending)(?: ahead)?|{_THERE}(?:lane end|ending lane|lane drop){_AHEAD}",
     _C.LANE, "ending_lane", {}),
    ((rf"{_THERE}(?P<side>{_SIDE}) lane(?: ahead)? is (?:clear|open|free)(?: ahead)?|{_THERE}(?:clear|open|free) "
     rf"(?P<side_>{_SIDE}) lane(?: ahead)?"), _C.LANE, "clear_lane", {}),
    ((rf"{_THERE}(?:lane|road|way|path|intersection)(?: ahead)? (?:is (?:clear|open|free)|clears)(?: ahead)?"
      rf"|{_THERE}(?:clear|open|free) (?:lane|road)(?: ahead)?"), _C.LANE, "clear_lane", {"side": "ego"}),
    ((rf"{_THERE}(?:lane )?line on the (?P<side>{_SIDE}) is solid|{_THERE}solid (?:lane )?line (?:on|to) the "
     rf"(?P<side_>{_SIDE})"), _C.LANE, "solid_line", {}),
    # A place where something is done is no cause; "for the intersection" and "there is an intersection" are.
    (r"(?:at|through|in|into|before|after|across|entering|passing) (?:the |an )?(?:intersection|junction)",
     None, "", {}),
    (rf"{_THERE}(?:intersection|junction){_AHEAD}", _C.ROAD_EVENT, "junction", {}),
    (rf"{_THERE}(?:pedestrian |zebra )?crosswalks?{_AHEAD}|{_THERE}(?:pedestrian|zebra) crossing{_AHEAD}",
     _C.ROAD_EVENT, "crosswalk", {}),
)  # fmt: skip
_COMPILED_FIRST, _COMPILED_REST = (
    [(re.compile(rf"\b(?:{pattern})(?!\w)"), category, kind, fixed) for pattern, category, kind, fixed in table]
    for table in (_LIGHTS_AND_SIGNS, _FIXTURES)
)


def _read_components(sentence: str) -> tuple[str, tuple[CriticalComponent, ...]]:
    """The sentence with each component replaced by §0, §1, … in order of appearance, and the components."""
    found: list[CriticalComponent | None] = []

    def mark(component: CriticalComponent | None) -> str:
        found.append(component)
        return f"§{len(found) - 1}"

    marked = sentence
    for pattern, category, kind, fixed in _COMPILED_FIRST:
        marked = pattern.sub(lambda m: mark(_fixture(m, category, kind, fixed)), marked)  # noqa: B023 (used at once)
    marked = _OBJECTS.sub(lambda m: mark(_object(m)), marked)
    for pattern, category, kind, fixed in _COMPILED_REST:
        marked = pattern.sub(lambda m: mark(_fixture(m, category, kind, fixed)), marked)  # noqa: B023 (used at once)
    return _renumber(marked, found)


def _renumber(marked: str, found: Sequence[CriticalComponent | None]) -> tuple[str, tuple[CriticalComponent, ...]]:
    """Marks numbered by appearance; marks of places, and of what was already named, carry no new component."""
    ordered: list[CriticalComponent] = []

    def number(match: re.Match[str]) -> str:
        component = found[int(match.group(1))]
        if component is None:
            return " "
        if component not in ordered:
            ordered.append(component)
        return f" §{ordered.index(component)} "

    text = re.sub(r"§(\d+)", number, marked)
    return re.sub(r"\s+", " ", text).strip(), tuple(ordered)


def _fixture(
    match: re.Match[str], category: ComponentCategory | None, kind: str, fixed: dict[str, str]
) -> CriticalComponent | None:
    if category is None:
        return None
    groups = {name.rstrip("_"): value for name, value in match.groupdict().items() if value}
    color, place = groups.pop("color", ""), groups.pop("place", "")
    # A light that is named yellow and red has been seen yellow (autolabeler: yellow is never dropped).
    kind = kind.format(color={"amber": "yellow", "yellow red": "yellow"}.get(color, color))
    attributes = {**fixed, **groups} | ({"wait_line": "stop_line"} if "line" in place else {})
    return CriticalComponent(category, kind, attributes)


def _object(match: re.Match[str]) -> CriticalComponent:
    kind = next(name for name, _ in _NOUNS if match.group(name))
    description = f"{match.group('before')} {match.group('after')}"
    if match.group(kind).startswith("lead"):
        description += " lead"
    attributes: dict[str, str] = {}
    for pattern, name, value in _COMPILED_MODIFIERS:
        if name not in attributes and (found := pattern.search(description)):
            side = re.search(_SIDE, found.group()) if value == "side" else None
            attributes[name] = side.group() if side else value
    if "motion" not in attributes:
        for implied, motion in _IMPLIED_MOTION:
            if re.search(implied, description):
                attributes["motion"] = motion
                break
    return _settle(kind, attributes)


def _settle(kind: str, attributes: dict[str, str]) -> CriticalComponent:
    """Bring kind and attributes into canonical form."""
    motion, pose = attributes.get("motion"), attributes.get("relative_pose")
    if motion == "parked":
        kind = {"vehicle": "parked_car"}.get(kind, f"parked_{kind}" if f"parked_{kind}" in STATIC else kind)
        attributes["motion"] = "stopped"
    if kind in STATIC:
        attributes.pop("motion", None)  # what never moves has no motion to speak of
    elif pose == "oncoming" and motion == "approaching":
        attributes["motion"] = "moving"
    elif motion == "crossing" and kind in VEHICLES and pose == "crosswalk":
        del attributes["relative_pose"]
    return CriticalComponent(_C.CRITICAL_OBJECT, kind, attributes)


# --- decisions ------------------------------------------------------------------------------------------------------


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

_TOWARD = r"(?: slightly| gently| over)?(?: out)?(?: to| toward| towards)?(?: the)?"
_LATERAL: tuple[tuple[str, str], ...] = (
    ((rf"(?:abort|cancel|abandon){_E}(?: (?:the|its|planned|left|right))*(?: (?:lane change|merge|nudge|maneuver|turn"
      rf"|pass|overtake))?(?: to the {_SIDE})?(?: and re center)?|re center(?:ing)?|return{_E} to the lane center"),
     "maneuver_abort"),
    ((rf"(?:chang|switch){_E}(?: the)?(?: lanes?)?{_TOWARD} (?P<side>{_SIDE})(?: adjacent)?(?: lane)?"
      rf"|lane change{_TOWARD} (?P<side_>{_SIDE})|(?P<side__>{_SIDE}) lane change"
      rf"|mov{_E}(?: over)?(?: into| to) the (?P<side___>{_SIDE})(?: adjacent)? lane"), "lane_change_{side}"),
    (rf"straddl{_E}(?: the)? (?P<side>{_SIDE})(?: lane)? line", "out_of_lane_nudge_{side}"),
    ((rf"(?:nudg|edg|shift|veer|bias|mov){_E}{_TOWARD} (?P<side>{_SIDE})(?: slightly)?"
      rf"(?P<crossing> (?:out of{_THE} lane|(?:over|across|past|beyond){_THE} (?:lane |center |left |right )*"
      rf"(?:line|marking)s?))?(?: (?:within|inside|in){_THE} lane)?"), "nudge_{side}"),
    (rf"(?:mak{_E} a )?slight (?P<side>{_SIDE})ward (?:adjustment|shift)", "nudge_{side}"),
    ((rf"(?:mak{_E} |tak{_E} )?(?:a |the )?(?P<side>{_SIDE})(?: hand)? turn|turn{_E}{_TOWARD} (?P<side_>{_SIDE})"),
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

# Words that change nothing in what is read. Hedges and vague words are among them: whether a trace may use them is a
# question of quality, not of meaning.
_FILLERS = frozenset(
    """
    a an the and or but because since as so to of for at in on with while when before after past around from by
    until is are be being been there this that which its it our ego we us will must should can due then again also
    both ahead front side behind near nearby upcoming approach approaching current same path route road clearance
    increase increasing create creating gain gaining more pass passes passing get navigate navigating under
    through across along into toward towards safe safely safety carefully cautiously slightly gently smoothly
    immediately slowly up down further possible potential potentially likely cautious order proceed proceeding
    allow allowing sufficient room space
    """.split()
)


def _read_decision(
    marked: str, components: Sequence[CriticalComponent]
) -> tuple[Decision | None, str, tuple[str, ...]]:
    """The decision (None if unread), what is left of the text, and what stands in the way of reading it wholly."""
    if _NO_CHANGE.search(marked):
        rest = _NO_CHANGE.sub(" ", marked)
        other, rest, _ = _read_verbs(rest)
        return (Decision(), rest, ()) if not other else (None, rest, ("says 'no change' and a decision",))
    verbs, rest, lateral = _read_verbs(marked)
    if "lane_keeping" in lateral and any(name.startswith("in_lane_nudge") for name in lateral):
        lateral.remove("lane_keeping")  # a nudge within the lane keeps it
    longitudinal, problems = _settle_longitudinal(verbs, marked, components, lateral)
    if len(lateral) > 1:
        return None, rest, (f"two lateral decisions: {' and '.join(lateral)}",)
    if any(problem.startswith("two ") for problem in problems):
        return None, rest, problems
    if longitudinal is None and not lateral:
        return None, rest, problems or ("no driving decision is named",)
    return Decision(longitudinal, _LAT(lateral[0]) if lateral else None), rest, problems


_Spotted = list[tuple[LongitudinalDecision | _Verb, int]]


def _read_verbs(marked: str) -> tuple[_Spotted, str, list[str]]:
    """Longitudinal verbs with their positions, the text without any verb phrase, and the lateral decisions."""
    lateral: list[str] = []
    spotted: _Spotted = []
    rest = marked

    def blank(match: re.Match[str]) -> str:
        keep = _OTHERS_ACTION.search(match.string, 0, match.start())
        return match.group() if keep else " " * len(match.group())  # positions stay what they are

    for pattern, name in _COMPILED_LATERAL:
        for match in _own(pattern, rest):
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
        spotted.extend((verb, match.end()) for match in _own(pattern_, rest))
        rest = pattern_.sub(blank, rest)
    return spotted, rest, lateral


# "… the car turning left", "the truck is going to stop": a verb right behind a component is what that one does.
_OTHERS_ACTION = re.compile(r"§\d+(?: (?:is|are|will|has|have|that|which|who|to|going|also))* $")


def _own(pattern: re.Pattern[str], text: str) -> Iterable[re.Match[str]]:
    """The matches that say what the ego does."""
    return (match for match in pattern.finditer(text) if not _OTHERS_ACTION.search(text, 0, match.start()))


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
    if cause.category is _C.CRITICAL_OBJECT:
        if cause in CROSSERS or cause.attributes.get("relative_pose") in ("crosswalk", "oncoming"):
            return _LONG.YIELD
        if cause.kind in STATIC:
            return _LONG.STOP_FOR_STATIC_CONSTRAINTS if verb is _Verb.STOP else _LONG.SPEED_ADAPTATION
        return _LONG.LEAD_OBSTACLE_FOLLOWING if cause.attributes.get("relative_pose") == "in_path" else None
    if verb is _Verb.STOP:
        stops = cause.kind in ("yield_sign", "rail_crossing", "closed_lane", "destination", "stop_line", "junction")
        return _LONG.STOP_FOR_STATIC_CONSTRAINTS if stops else None
    tells_nothing = cause.category is _C.TRAFFIC_LIGHT or cause.kind == "clear_lane"
    return None if tells_nothing else _LONG.SPEED_ADAPTATION
