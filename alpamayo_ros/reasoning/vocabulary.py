"""The vocabulary of the Chain of Causation: which components there are, and how each is said.

The categories and their attributes are those of Alpamayo-R1 (arXiv 2511.00088, Table 2). The paper leaves the content
open; the kinds and states here are the canonical set of our own simulator. Outside it a component may still
exist (the parser may even return one), but it has no wording, and `surface` says so.

Emergency vehicles and school buses are critical objects here, although Table 2 also lists them under ODD: they have a
pose and a motion, and one thing must have one representation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alpamayo_ros.types import ComponentCategory, CriticalComponent

_OBJECT = ComponentCategory.CRITICAL_OBJECT
_LIGHT = ComponentCategory.TRAFFIC_LIGHT
_CONTROL = ComponentCategory.YIELD_STOP_CONTROL
_EVENT = ComponentCategory.ROAD_EVENT
_LANE = ComponentCategory.LANE
_ROUTE = ComponentCategory.ROUTING_INTENT
_ODD = ComponentCategory.ODD

SIDES = ("left", "right")

# Attributes of Table 2 that a labeler may fill in and that a trace never says: to say how sure one is would be a
# hedge, and the paper's annotation economy leaves the rest out.
UNSPOKEN_ATTRIBUTES: dict[ComponentCategory, dict[str, tuple[str, ...]]] = {
    _OBJECT: {"uncertainty": ("low", "high")},
    _LIGHT: {"visibility": ("clear", "partly_occluded")},
    _CONTROL: {"location": ("at_line", "before_line")},
    _EVENT: {},
    _LANE: {"line": ("dashed", "solid"), "count": ("1", "2", "3", "4"), "usable_width": ("full", "reduced")},
    _ROUTE: {},
    _ODD: {},
}


class VocabularyError(ValueError):
    """A component or decision that the canonical vocabulary has no words for; the message names it."""


@dataclass(frozen=True)
class Surface:
    """The wordings of one component, in lower case: noun phrases, the shortest first, and finite clauses."""

    phrases: tuple[str, ...]
    clauses: tuple[str, ...]


@dataclass(frozen=True)
class _Kind:
    """A kind of critical object: its noun, its verb forms, and the groups of states it can be in."""

    noun: str
    states: tuple[str, ...]
    be: str = "is"


_KINDS: dict[str, _Kind] = {
    "vehicle": _Kind("vehicle", ("traffic",)),
    "car": _Kind("car", ("traffic",)),
    "van": _Kind("van", ("traffic",)),
    "truck": _Kind("truck", ("traffic",)),
    "bus": _Kind("bus", ("traffic",)),
    "motorcycle": _Kind("motorcycle", ("traffic",)),
    "school_bus": _Kind("school bus", ("traffic", "school_bus")),
    "emergency_vehicle": _Kind("emergency vehicle", ("traffic", "emergency")),
    "cyclist": _Kind("cyclist", ("crossing", "crosswalk", "riding")),
    "scooter_rider": _Kind("scooter rider", ("crossing", "crosswalk", "riding")),
    "pedestrian": _Kind("pedestrian", ("crossing", "crosswalk", "walking")),
    "child": _Kind("child", ("crossing", "crosswalk", "walking")),
    "road_worker": _Kind("road worker", ("crossing", "walking")),
    "animal": _Kind("animal", ("crossing", "animal")),
    "parked_car": _Kind("parked car", ("static",)),
    "parked_van": _Kind("parked van", ("static",)),
    "parked_truck": _Kind("parked truck", ("static",)),
    "construction_cones": _Kind("construction cones", ("static",), be="are"),
    "construction_barrier": _Kind("construction barrier", ("static",)),
    "debris": _Kind("debris", ("static",)),
}

VEHICLES = ("vehicle", "car", "van", "truck", "bus", "motorcycle", "school_bus", "emergency_vehicle")
RIDERS = ("cyclist", "scooter_rider")
PEOPLE = ("pedestrian", "child", "road_worker")
STATIC = tuple(kind for kind, entry in _KINDS.items() if "static" in entry.states)


def _doing(
    *participles: str,
    who: str = "{n}",
    short: tuple[str, ...] = (),
    clauses: tuple[str, ...] = (),
    shortest: str = "",
) -> Surface:
    """ "the car crossing …" and "the car is crossing …" for each participle; `short` and `clauses` are put in front.

    shortest: a further noun phrase, for full sentences.
    """
    return Surface(
        (*(*short, *(f"the {who} {p}" for p in participles))[:2], *((shortest,) if shortest else ())),
        (*clauses, *(f"the {who} {{be}} {p}" for p in participles))[:2],
    )


_STANDING = _doing("standing ahead", "standing in the lane ahead")
_CROSSING = _doing("crossing from the {s}", "crossing the road from the {s}", shortest="the {n} from the {s}")
_COMING = ("the oncoming {n} is approaching",)

# (relative_pose, motion) -> wording. A pose of "side" stands for left and right. {n}: noun, {s}: side, {be}: is or are.
_STATES: dict[str, dict[tuple[str, str | None], Surface]] = {
    "traffic": {
        ("in_path", "moving"): _doing(
            "driving ahead", "moving in the lane ahead", who="lead {n}", short=("the lead {n}",)
        ),
        ("in_path", "slow"): _doing(
            "driving slowly ahead",
            who="lead {n}",
            short=("the slow lead {n}",),
            clauses=("the lead {n} ahead is slow",),
        ),
        ("in_path", "slowing"): _doing(
            "slowing down ahead", "braking ahead", who="lead {n}", short=("the slowing lead {n}",)
        ),
        ("in_path", "stopped"): _doing(
            "stopped in the lane ahead", short=("the stopped {n} ahead",), clauses=("the {n} ahead is stopped",)
        ),
        ("in_path", "pulling_away"): _doing("pulling away", "pulling away ahead", who="lead {n}"),
        ("in_path", "reversing"): _doing(
            "reversing in the lane ahead", short=("the reversing {n} ahead",), clauses=("the {n} ahead is reversing",)
        ),
        ("side", "moving"): _doing(
            "driving in the {s} lane",
            short=("the {n} in the {s} lane",),
            clauses=("the {n} occupies the {s} lane",),
            shortest="the {s}-lane {n}",
        ),
        ("side", "approaching"): _doing("approaching in the {s} lane", shortest="the approaching {s}-lane {n}"),
        ("side", "cut_in"): _doing(
            "cutting in from the {s}",
            clauses=("the {n} cuts in from the {s} lane",),
            shortest="the {s}-side cut-in {n}",
        ),
        ("side", "merging"): _doing(
            "merging from the {s}", "merging from the {s} lane", shortest="the merging {s}-side {n}"
        ),
        ("side", "crossing"): _CROSSING,
        ("side", "stopped"): _doing(
            "stopped on the {s}",
            "stopped on the {s} side",
            short=("the stopped {n} on the {s}",),
            shortest="the stopped {s}-side {n}",
        ),
        ("side", "reversing"): _doing(
            "reversing from the {s}", "backing out from the {s}", shortest="the reversing {s}-side {n}"
        ),
        ("oncoming", "moving"): _doing("driving in the oncoming lane", short=("the oncoming {n}",), clauses=_COMING),
        ("oncoming", "crossing"): _doing("turning across the lane", "turning across the road", who="oncoming {n}"),
    },
    "school_bus": {
        ("in_path", "loading"): Surface(
            ("the lead {n} with its stop arm out",),
            ("the {n} ahead has its stop arm out", "the lead {n} has its stop arm out"),
        ),
        ("oncoming", "loading"): Surface(
            ("the oncoming {n} with its stop arm out",), ("the oncoming {n} has its stop arm out",)
        ),
    },
    "emergency": {("behind", "approaching"): _doing("approaching from behind")},
    "riding": {
        ("in_path", "moving"): _doing("riding ahead", "riding in the lane ahead"),
        ("in_path", "slow"): _doing(
            "riding slowly ahead", short=("the slow {n} ahead",), clauses=("the {n} ahead is slow",)
        ),
        ("side", "moving"): _doing("riding on the {s}", "riding along the {s} edge"),
        ("oncoming", "moving"): _doing("riding in the oncoming lane", short=("the oncoming {n}",), clauses=_COMING),
    },
    "crossing": {
        ("in_path", "crossing"): _doing("crossing ahead", "crossing the road ahead"),
        ("side", "crossing"): _CROSSING,
    },
    "crosswalk": {
        ("crosswalk", "crossing"): _doing(
            "crossing in the crosswalk", short=("the {n} in the crosswalk",), clauses=("the {n} is in the crosswalk",)
        ),
        ("crosswalk", "waiting"): _doing("waiting at the crosswalk", short=("the {n} at the crosswalk",)),
        ("crosswalk", "cleared"): Surface(
            ("the {n} leaving the crosswalk",), ("the {n} has left the crosswalk", "the {n} has cleared the crosswalk")
        ),
    },
    "walking": {
        ("in_path", "moving"): _doing("walking ahead", "walking in the lane ahead"),
        ("in_path", "stopped"): _STANDING,
        ("side", "moving"): _doing("walking on the {s}", "walking along the {s} edge"),
        ("side", "stopped"): _doing("standing on the {s}", "standing on the {s} side"),
        ("side", "waiting"): _doing("waiting on the {s}", "waiting to cross from the {s}"),
        ("side", "entering"): _doing(
            "stepping out from the {s}", "stepping into the road from the {s}", shortest="the {n} entering from the {s}"
        ),
    },
    "animal": {("in_path", "stopped"): _STANDING},
    "static": {
        ("in_path", None): _doing("blocking the lane", "blocking the lane ahead", short=("the {n} ahead",)),
        ("side", None): _doing(
            "encroaching into the lane from the {s}",
            "on the {s} side of the lane",
            short=("the {n} on the {s}",),
            shortest="the {s}-side {n}",
        ),
    },
}

_Attributes = tuple[tuple[str, str], ...]


def _there(noun: str, article: str = "a") -> Surface:
    return Surface((f"the {noun} ahead",), (f"there is {article} {noun} ahead", f"{article} {noun} is ahead"))


def _by(name: str, values: tuple[str, ...], phrases: tuple[str, ...], *clauses: str) -> dict[_Attributes, Surface]:
    """One wording for each value of one attribute; {v} is the value."""
    return {
        ((name, v),): Surface(tuple(p.format(v=v) for p in phrases), tuple(c.format(v=v) for c in clauses))
        for v in values
    }


def _light(color: str) -> dict[_Attributes, Surface]:
    states: dict[_Attributes, Surface] = {}
    for arrow in ("", *SIDES):
        lamp = f"{arrow}-turn arrow" if arrow else "traffic light"
        kind: _Attributes = (("arrow", arrow),) if arrow else ()
        short = (f"the {color} {lamp}",) if arrow else (f"the {color} light",)
        states[kind] = Surface(
            (*short, f"the {color} {lamp} ahead"), (f"the {lamp} ahead is {color}", f"the {lamp} is {color}")
        )
        states[(*kind, ("wait_line", "stop_line"))] = Surface(
            (f"the {color} {lamp} at the stop line",), (f"the {lamp} at the stop line is {color}",)
        )
    return states


# category -> kind -> attributes -> wording, for everything that is not a critical object.
_FIXTURES: dict[ComponentCategory, dict[str, dict[_Attributes, Surface]]] = {
    _LIGHT: {f"{color}_light": _light(color) for color in ("red", "yellow", "green")},
    _CONTROL: {
        "stop_sign": {(): _there("stop sign")},
        "all_way_stop": {(): _there("all-way stop", "an")},
        "two_way_stop": {(): _there("two-way stop")},
        "yield_sign": {(): _there("yield sign")},
        "stop_line": {(): _there("stop line")},
    },
    _EVENT: {
        "curve": _by(
            "direction", SIDES, ("the {v} curve ahead", "the {v} curve in the road ahead"),
            "the road ahead curves {v}", "the road curves to the {v} ahead",
        ),
        "speed_bump": {(): _there("speed bump")},
        "narrowing": {(): Surface(("the narrow section ahead",), ("the road narrows ahead", "the road ahead narrows"))},
        "roundabout": {(): _there("roundabout")},
        "ramp": _by(
            "type", ("on", "off"), ("the {v}-ramp ahead",), "there is an {v}-ramp ahead", "an {v}-ramp is ahead",
        ),
        "junction": {(): _there("intersection", "an")},
        "crosswalk": {(): _there("crosswalk")},
        "grade": _by("direction", ("down", "up"), ("the {v}hill grade ahead",), "the road ahead slopes {v}"),
    },
    _LANE: {
        "clear_lane": {
            (("side", "ego"),): Surface(
                ("the clear lane ahead",), ("the lane ahead is clear", "the lane is clear ahead")
            ),
            **_by("side", SIDES, ("the clear {v} lane",), "the {v} lane is clear"),
        },
        "ending_lane": {(): Surface(("the lane end ahead",), ("the lane ends ahead", "the lane ahead ends"))},
        "closed_lane": {
            (): Surface(("the lane closure ahead",), ("the lane ahead is closed", "the lane is closed ahead"))
        },
        "solid_line": _by("side", SIDES, ("the solid line on the {v}",), "the lane line on the {v} is solid"),
    },
    _ROUTE: {
        "turn": _by(
            "direction", SIDES, ("the {v} turn ahead", "the {v} turn on the route"),
            "the route turns {v} ahead", "the route turns {v} at the intersection",
        ),
        "required_lane": _by(
            "direction", SIDES, ("the {v} lane on the route",),
            "the route needs the {v} lane", "the route continues in the {v} lane",
        ),
        "merge": {
            (): Surface(("the merge ahead",), ("the route merges ahead", "the route merges onto the main road ahead"))
        },
        "exit": _by(
            "direction", SIDES, ("the {v} exit ahead",),
            "the route exits to the {v}", "the route exits to the {v} ahead",
        ),
        "straight": {
            (): Surface(
                ("the straight route ahead",), ("the route continues straight", "the route goes straight ahead")
            )
        },
        "destination": {
            (): Surface(
                ("the destination ahead", "the destination at the curb"),
                ("the destination is ahead", "the destination is at the curb ahead"),
            )
        },
    },
    _ODD: {
        "construction_zone": {(): _there("construction zone")},
        "rail_crossing": {(): _there("railroad crossing")},
        "school_zone": {(): _there("school zone")},
        "fog": {(): Surface(("the fog ahead",), ("fog limits the view ahead", "the fog limits the view"))},
        "rain": {(): Surface(("the rain on the road",), ("rain makes the road slippery", "the rain limits the view"))},
        "snow": {(): Surface(("the snow on the road",), ("snow makes the road slippery", "the snow limits the view"))},
    },
}  # fmt: skip

_Key = tuple[ComponentCategory, str, _Attributes]


def _object_surfaces() -> Iterator[tuple[_Key, Surface]]:
    for kind, entry in _KINDS.items():
        for group in entry.states:
            for (pose, motion), surface in _STATES[group].items():
                for side in SIDES if pose == "side" else ("",):
                    attributes = {"relative_pose": side or pose} | ({"motion": motion} if motion else {})
                    words = {"n": entry.noun, "s": side, "be": entry.be}
                    yield (
                        (_OBJECT, kind, tuple(sorted(attributes.items()))),
                        Surface(
                            tuple(p.format(**words) for p in surface.phrases),
                            tuple(c.format(**words) for c in surface.clauses),
                        ),
                    )


_SURFACES: dict[_Key, Surface] = dict(_object_surfaces()) | {
    (category, kind, tuple(sorted(attributes))): surface
    for category, kinds in _FIXTURES.items()
    for kind, states in kinds.items()
    for attributes, surface in states.items()
}


def spoken(component: CriticalComponent) -> CriticalComponent:
    """`component` without the attributes that a trace never says (see UNSPOKEN_ATTRIBUTES)."""
    silent = UNSPOKEN_ATTRIBUTES[component.category]
    return CriticalComponent(
        component.category, component.kind, {k: v for k, v in component.attributes.items() if k not in silent}
    )


def surface(component: CriticalComponent) -> Surface:
    """How `component` is said. Raises VocabularyError when the canonical vocabulary has no words for it."""
    key = (component.category, component.kind, tuple(sorted(spoken(component).attributes.items())))
    found = _SURFACES.get(key)
    if found is None:
        states = [dict(known[2]) for known in _SURFACES if known[:2] == key[:2]]
        raise VocabularyError(
            f"no wording for {describe(component)}; canonical states of this kind: {states or 'none'}"
        )
    return found


def canonical_components() -> tuple[CriticalComponent, ...]:
    """Every component that has words, each once, in a fixed order."""
    return tuple(CriticalComponent(category, kind, dict(attributes)) for category, kind, attributes in _SURFACES)


def describe(component: CriticalComponent) -> str:
    """A short technical name for messages, for example `critical_object/car(motion=stopped, relative_pose=in_path)`."""
    attributes = ", ".join(f"{k}={v}" for k, v in sorted(component.attributes.items()))
    return f"{component.category}/{component.kind}({attributes})"
