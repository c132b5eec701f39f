"""What may cause what: the causes that each decision admits, and which decisions go together.

Alpamayo-R1 (arXiv 2511.00088, Table 1) defines each decision by when it applies and what it excludes; the tables here
make that concrete over the canonical vocabulary. Composing, reading and quality checks all rest on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alpamayo_ros.reasoning.vocabulary import PEOPLE, RIDERS, SIDES, STATIC, VEHICLES, canonical_components
from alpamayo_ros.types import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LateralDecision,
    LongitudinalDecision,
)

AnyDecision = LongitudinalDecision | LateralDecision

_OBJECT = ComponentCategory.CRITICAL_OBJECT
_LIGHT = ComponentCategory.TRAFFIC_LIGHT
_CONTROL = ComponentCategory.YIELD_STOP_CONTROL
_EVENT = ComponentCategory.ROAD_EVENT
_LANE = ComponentCategory.LANE
_ROUTE = ComponentCategory.ROUTING_INTENT
_ODD = ComponentCategory.ODD


@dataclass(frozen=True)
class Selector:
    """A set of components: one category, and for kind and each named attribute the values that belong (none: all)."""

    category: ComponentCategory
    kinds: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, component: CriticalComponent) -> bool:
        return (
            component.category == self.category
            and (not self.kinds or component.kind in self.kinds)
            and all(component.attributes.get(name, "") in values for name, values in self.attributes.items())
        )


def _objects(poses: tuple[str, ...] = (), motions: tuple[str, ...] = (), kinds: tuple[str, ...] = ()) -> Selector:
    attributes = {name: values for name, values in (("relative_pose", poses), ("motion", motions)) if values}
    return Selector(_OBJECT, kinds, attributes)


OBJECTS = Selector(_OBJECT)
CONTROLS = Selector(_CONTROL)
EVENTS = Selector(_EVENT)
LANES = Selector(_LANE)
ROUTES = Selector(_ROUTE)
ODDS = Selector(_ODD)
# A lead: the closest in-path entity of the same flow (Table 1).
LEADS = _objects(("in_path",), ("moving", "slow", "slowing", "stopped", "pulling_away"), VEHICLES + RIDERS)
# Road users whose right of way, or whose movement into the path, makes the ego wait.
CROSSERS = _objects(motions=("crossing", "entering", "waiting", "cut_in", "merging", "reversing"))
STOPPING_LIGHTS = Selector(_LIGHT, ("red_light", "yellow_light"))
GREEN_LIGHTS = Selector(_LIGHT, ("green_light",))
GREEN_BALLS = Selector(_LIGHT, ("green_light",), {"arrow": ("",)})  # lights without an arrow
STOP_CONTROLS = Selector(_CONTROL, ("stop_sign", "all_way_stop", "two_way_stop", "stop_line"))
LOADING_BUSES = _objects(motions=("loading",))
IN_PATH_BLOCKERS = (
    _objects(("in_path",), kinds=STATIC),
    _objects(("in_path",), ("stopped",)),
    _objects(("in_path",), ("reversing",), VEHICLES),
)
WEATHER = Selector(_ODD, ("fog", "rain", "snow"))


def _nudge_causes(away_from: str) -> tuple[Selector, ...]:
    """What a nudge clears: blockers in the path, or something on the side that the nudge moves away from."""
    return (
        *IN_PATH_BLOCKERS,
        _objects(("in_path",), ("slow", "moving"), RIDERS + PEOPLE),
        _objects((away_from,), kinds=STATIC),
        _objects((away_from,), ("stopped", "moving", "reversing", "waiting", "entering", "approaching", "cut_in")),
        Selector(_EVENT, ("narrowing",)),
        Selector(_ODD, ("construction_zone",)),
        # Oncoming traffic passes on the left: right-hand traffic.
        *((_objects(("oncoming",), ("moving", "crossing")),) if away_from == "left" else ()),
    )


def _lane_change_causes(side: str) -> tuple[Selector, ...]:
    return (
        *IN_PATH_BLOCKERS,
        _objects(("in_path",), ("slow", "slowing", "moving"), VEHICLES + RIDERS),
        # Making room for a merging vehicle, or moving over for one that stands beside the lane.
        _objects(tuple(s for s in SIDES if s != side), ("merging", "stopped")),
        _objects(tuple(s for s in SIDES if s != side), kinds=STATIC),
        _objects(("behind",)),
        Selector(_LANE, ("ending_lane", "closed_lane")),
        Selector(_LANE, ("clear_lane",), {"side": (side,)}),
        Selector(_ROUTE, ("required_lane", "exit", "turn"), {"direction": (side,)}),
        Selector(_ODD, ("construction_zone",)),
    )


def _turn_causes(side: str) -> tuple[Selector, ...]:
    return (
        Selector(_ROUTE, ("turn",), {"direction": (side,)}),
        Selector(_LIGHT, ("green_light",), {"arrow": (side,)}),
        GREEN_BALLS,
    )


# Which components may be the cause of which decision (Table 1's definitions, made concrete). Lane keeping is the
# lowest-priority lateral decision: said alone it goes with any reason, as in the published traces.
CAUSES: dict[AnyDecision, tuple[Selector, ...]] = {
    LongitudinalDecision.SET_SPEED_TRACKING: (
        Selector(_LANE, ("clear_lane",), {"side": ("ego",)}),
        GREEN_LIGHTS,
        Selector(_ROUTE, ("straight",)),
        _objects(motions=("cleared", "pulling_away")),
    ),
    LongitudinalDecision.LEAD_OBSTACLE_FOLLOWING: (
        LEADS,
        _objects(motions=("cut_in",), kinds=VEHICLES),
        STOPPING_LIGHTS,
    ),
    LongitudinalDecision.SPEED_ADAPTATION: (
        Selector(_EVENT),
        Selector(_ROUTE, ("turn", "exit", "merge")),
        Selector(_ODD, ("construction_zone", "school_zone", "rail_crossing", "fog", "rain", "snow")),
        Selector(_LANE, ("closed_lane",)),
        _objects(kinds=STATIC),
        _objects(SIDES, ("moving", "stopped"), RIDERS + PEOPLE),
        _objects(SIDES, ("stopped",), VEHICLES),
    ),
    LongitudinalDecision.GAP_SEARCHING: (
        _objects(SIDES, ("moving", "merging", "approaching", "cut_in"), VEHICLES),
        Selector(_ROUTE, ("merge", "required_lane", "exit")),
        Selector(_LANE, ("ending_lane", "closed_lane")),
        Selector(_EVENT, ("ramp", "narrowing")),
    ),
    LongitudinalDecision.ACCELERATION_FOR_PASSING: (_objects(("in_path",), ("slow",), VEHICLES + RIDERS),),
    LongitudinalDecision.YIELD: (
        CROSSERS,
        _objects(("oncoming",), ("moving", "crossing")),
        _objects(("in_path",), ("stopped", "moving"), (*PEOPLE, "animal")),
        _objects((*SIDES, "behind"), ("approaching",)),
        _objects(SIDES, ("moving",), RIDERS + VEHICLES),
        Selector(_CONTROL, ("yield_sign", "all_way_stop")),
        Selector(_EVENT, ("roundabout", "crosswalk")),
    ),
    LongitudinalDecision.STOP_FOR_STATIC_CONSTRAINTS: (
        STOPPING_LIGHTS,
        STOP_CONTROLS,
        Selector(_CONTROL, ("yield_sign",)),
        LOADING_BUSES,
        Selector(_ODD, ("rail_crossing",)),
        Selector(_LANE, ("closed_lane",)),
        Selector(_ROUTE, ("destination",)),
        _objects(("in_path",), kinds=STATIC),
    ),
    LateralDecision.LANE_KEEPING: tuple(Selector(category) for category in ComponentCategory),
    LateralDecision.MERGE_SPLIT: (
        Selector(_ROUTE, ("merge", "exit")),
        Selector(_EVENT, ("ramp",)),
        Selector(_LANE, ("ending_lane",)),
    ),
    LateralDecision.OUT_OF_LANE_NUDGE_LEFT: _nudge_causes("right"),
    LateralDecision.OUT_OF_LANE_NUDGE_RIGHT: _nudge_causes("left"),
    LateralDecision.IN_LANE_NUDGE_LEFT: _nudge_causes("right"),
    LateralDecision.IN_LANE_NUDGE_RIGHT: _nudge_causes("left"),
    LateralDecision.LANE_CHANGE_LEFT: _lane_change_causes("left"),
    LateralDecision.LANE_CHANGE_RIGHT: _lane_change_causes("right"),
    LateralDecision.PULL_OVER: (
        Selector(_ROUTE, ("destination",)),
        _objects(motions=("approaching",), kinds=("emergency_vehicle",)),
        _objects(("oncoming",), kinds=("emergency_vehicle",)),
    ),
    LateralDecision.TURN_LEFT: _turn_causes("left"),
    LateralDecision.TURN_RIGHT: _turn_causes("right"),
    LateralDecision.MANEUVER_ABORT: (
        _objects(SIDES, ("moving", "approaching", "cut_in", "merging"), (*VEHICLES, *RIDERS)),
        _objects(("oncoming",), ("moving",)),
        _objects(("in_path",), ("pulling_away", "crossing")),
        Selector(_LANE, ("closed_lane", "ending_lane", "solid_line")),
    ),
}

# What may be a reason to keep the lane when another reason already explains the speed.
_CAUSES_OF_LANE_KEEPING_BESIDE_SPEED = (
    Selector(_EVENT, ("curve", "narrowing")),
    Selector(_ODD, ("construction_zone",)),
    Selector(_LANE, ("solid_line",)),
    _objects((*SIDES, "oncoming"), ("moving", "approaching")),
)

# A light says why the lead stops, and explains nothing where no lead is named.
_ONLY_BESIDE: dict[AnyDecision, Selector] = {LongitudinalDecision.LEAD_OBSTACLE_FOLLOWING: STOPPING_LIGHTS}

# Decisions that need no cause of their own beside an explained decision on the other axis: the two fallbacks of
# Table 1, and those that follow from the route.
_SELF_EVIDENT = (
    LongitudinalDecision.SET_SPEED_TRACKING,
    LateralDecision.LANE_KEEPING,
    LateralDecision.TURN_LEFT,
    LateralDecision.TURN_RIGHT,
    LateralDecision.MERGE_SPLIT,
)

# No change of behavior on either axis: only what says that the way is free.
CAUSES_OF_NO_CHANGE = (
    Selector(_LANE, ("clear_lane",), {"side": ("ego",)}),
    Selector(_ROUTE, ("straight",)),
    GREEN_BALLS,
)

_TURNS = {LateralDecision.TURN_LEFT: "left", LateralDecision.TURN_RIGHT: "right"}
_NUDGES_OUT = (LateralDecision.OUT_OF_LANE_NUDGE_LEFT, LateralDecision.OUT_OF_LANE_NUDGE_RIGHT)
_LANE_CHANGES = (LateralDecision.LANE_CHANGE_LEFT, LateralDecision.LANE_CHANGE_RIGHT)

# Longitudinal decisions that go with some lateral decisions only: passing needs a lateral plan, and gap searching
# serves a lane change or a merge (Table 1).
_PARTNERS: dict[LongitudinalDecision, tuple[LateralDecision | None, ...]] = {
    LongitudinalDecision.ACCELERATION_FOR_PASSING: (*_LANE_CHANGES, *_NUDGES_OUT),
    LongitudinalDecision.GAP_SEARCHING: (
        None, LateralDecision.LANE_KEEPING, LateralDecision.MERGE_SPLIT, *_LANE_CHANGES,
    ),
}  # fmt: skip


def can_occur(longitudinal: LongitudinalDecision | None, lateral: LateralDecision | None) -> bool:
    """Whether the two decisions go together."""
    return longitudinal is None or lateral in _PARTNERS.get(longitudinal, (lateral,))


def may_cause(component: CriticalComponent, decision: AnyDecision) -> bool:
    """Whether `component` may be the cause of `decision`, taken alone."""
    return any(component in selector for selector in CAUSES[decision])


def allowed_causes(decision: AnyDecision) -> tuple[CriticalComponent, ...]:
    """Every canonical component that may cause `decision`, in a fixed order."""
    return tuple(component for component in canonical_components() if may_cause(component, decision))


def causes_within(component: CriticalComponent, decision: Decision) -> tuple[AnyDecision, ...]:
    """The parts of `decision` that `component` may cause, the longitudinal one first."""
    parts: list[AnyDecision] = []
    if _belongs_to_another_turn(component, decision):
        return ()
    if decision.longitudinal is not None and may_cause(component, decision.longitudinal):
        parts.append(decision.longitudinal)
    if decision.lateral is not None:
        beside = decision.longitudinal is not None and decision.lateral is LateralDecision.LANE_KEEPING
        selectors = _CAUSES_OF_LANE_KEEPING_BESIDE_SPEED if beside else CAUSES[decision.lateral]
        if any(component in selector for selector in selectors):
            parts.append(decision.lateral)
    return tuple(parts)


def _belongs_to_another_turn(component: CriticalComponent, decision: Decision) -> bool:
    """An arrow or a route that turns to the other side says nothing about this turn."""
    side = _TURNS.get(decision.lateral) if decision.lateral is not None else None
    to = component.attributes.get("arrow")
    if component.category is _ROUTE and component.kind == "turn":
        to = component.attributes.get("direction")
    return side is not None and to in SIDES and to != side


def explains_no_change(component: CriticalComponent) -> bool:
    """Whether `component` is a reason to change nothing on either axis."""
    return any(component in selector for selector in CAUSES_OF_NO_CHANGE)


def unexplained(decision: Decision, components: Sequence[CriticalComponent]) -> tuple[AnyDecision, ...]:
    """The parts of `decision` that need a cause and have none among `components`."""
    caused = {
        part
        for component in components
        for part in causes_within(component, decision)
        if part not in _ONLY_BESIDE or component not in _ONLY_BESIDE[part]
    }
    parts = [part for part in (decision.longitudinal, decision.lateral) if part is not None]
    return tuple(part for part in parts if part not in caused and not (caused and part in _SELF_EVIDENT))
