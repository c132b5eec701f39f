"""The critical components that a sentence names, by the words that drivers and labelers have for them.

`parser` puts this first: each component leaves a numbered mark in the sentence, so that its words ("crossing", "slow",
"stop" in "stop sign") are not taken for what the ego does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alpamayo_ros.reasoning.vocabulary import STATIC, VEHICLES
from alpamayo_ros.types import ComponentCategory, CriticalComponent

_C = ComponentCategory

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
SIDE = r"(?:left|right)"
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
    ((rf"(?:on|from|in|to|along|of|at) (?:the |our |its |ego )*(?:front )?(?:adjacent )?{SIDE}(?: adjacent)?"
     rf"(?: hand)?(?: lane| side| edge| shoulder| curb)?(?: of {_ROAD})?"), "relative_pose", "side"),
    (rf"(?:blocking )?(?:the )?(?:adjacent )?{SIDE}(?: adjacent)? lane", "relative_pose", "side"),
    (rf"{SIDE} side", "relative_pose", "side"),
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
    (rf"\bfrom (?:the |our |its |ego )*{SIDE}\b", "crossing"),
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
    (rf"(?:the )?route turns (?P<direction>{SIDE}){_AHEAD}", _C.ROUTING_INTENT, "turn", {}),
    (rf"(?:the|an upcoming) (?P<direction>{SIDE}) turn{_AHEAD}", _C.ROUTING_INTENT, "turn", {}),
    (rf"(?:the )?route (?:needs|requires|uses|continues in|follows|is in) the (?P<direction>{SIDE}) lane",
     _C.ROUTING_INTENT, "required_lane", {}),
    (rf"the (?P<direction>{SIDE}) lane on the route", _C.ROUTING_INTENT, "required_lane", {}),
    (rf"(?:the )?route merges(?: onto the (?:main road|highway))?{_AHEAD}", _C.ROUTING_INTENT, "merge", {}),
    (r"the merge(?: ahead| on the route)", _C.ROUTING_INTENT, "merge", {}),
    (rf"(?:the )?route exits(?: to)?(?: the)? (?P<direction>{SIDE}){_AHEAD}", _C.ROUTING_INTENT, "exit", {}),
    (rf"the (?P<direction>{SIDE}) exit{_AHEAD}", _C.ROUTING_INTENT, "exit", {}),
    (rf"(?:the )?route (?:continues|goes|leads) straight{_AHEAD}|the straight route{_AHEAD}",
     _C.ROUTING_INTENT, "straight", {}),
    (rf"(?:the |our )?destination(?: is)?(?: at the curb)?{_AHEAD}", _C.ROUTING_INTENT, "destination", {}),
    # The route as a plain purpose; it says no more than that.
    (r"(?:to )?(?:follow(?:ing)?|proceed(?:ing)? along|continu(?:e|ing) along|stay(?:ing)? on) the (?:planned )?route",
     _C.ROUTING_INTENT, "route", {}),
    (rf"(?:the )?road(?: ahead)? (?:curves|bends|turns)(?: to)?(?: the)?(?: (?P<direction>{SIDE}))?{_AHEAD}",
     _C.ROAD_EVENT, "curve", {}),
    ((rf"{_THERE}(?:(?P<direction>{SIDE})(?: hand)? )?(?:curves?|bends?|curv(?:y|ing|ed) road|road curvature)"
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
    ((rf"{_THERE}(?P<side>{SIDE}) lane(?: ahead)? is (?:clear|open|free)(?: ahead)?|{_THERE}(?:clear|open|free) "
     rf"(?P<side_>{SIDE}) lane(?: ahead)?"), _C.LANE, "clear_lane", {}),
    ((rf"{_THERE}(?:lane|road|way|path|intersection)(?: ahead)? (?:is (?:clear|open|free)|clears)(?: ahead)?"
      rf"|{_THERE}(?:clear|open|free) (?:lane|road)(?: ahead)?"), _C.LANE, "clear_lane", {"side": "ego"}),
    ((rf"{_THERE}(?:lane )?line on the (?P<side>{SIDE}) is solid|{_THERE}solid (?:lane )?line (?:on|to) the "
     rf"(?P<side_>{SIDE})"), _C.LANE, "solid_line", {}),
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


def read_components(sentence: str) -> tuple[str, tuple[CriticalComponent, ...]]:
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
            side = re.search(SIDE, found.group()) if value == "side" else None
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
