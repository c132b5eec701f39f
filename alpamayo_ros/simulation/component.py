"""From the identity of a cause to the critical component that a driver would name, in the vocabulary of `reasoning`."""

from __future__ import annotations

import math

from alpamayo_ros.simulation.actor import VEHICLES, WALKING, ActorKind, Blinker
from alpamayo_ros.simulation.longitudinal import desired_speed
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.route import LANE_END, Control, RoadEvent
from alpamayo_ros.simulation.surroundings import Neighbour, Surroundings, look_around
from alpamayo_ros.simulation.world import EGO_WIDTH, World
from alpamayo_ros.types import ComponentCategory, CriticalComponent, LateralDecision

KINDS: dict[ActorKind, str] = {
    ActorKind.SCHOOL_BUS: "school_bus",
    ActorKind.EMERGENCY: "emergency_vehicle",
    ActorKind.STROLLER: "pedestrian",
    ActorKind.CONE: "construction_cones",
    ActorKind.BARRIER: "construction_barrier",
}
PARKED: dict[ActorKind, str] = {
    ActorKind.CAR: "parked_car",
    ActorKind.VAN: "parked_van",
    ActorKind.TRUCK: "parked_truck",
    ActorKind.BUS: "parked_truck",
}
OBJECT = ComponentCategory.CRITICAL_OBJECT


def component(world: World, cause: str, home: float = 0.0, lead: bool = False) -> CriticalComponent:
    """The component that `cause` is, as it can be seen now.

    home: offset of the lane the ego vehicle is in. lead: it is known to be the one that is followed or passed.

    Raises KeyError where nothing has that identity.
    """
    me = look_around(world, 220.0)
    for other in me.neighbours:
        if other.actor.id == cause:
            return _actor(world, me, other, home, lead)
    route = world.scenario.route
    for rule in route.stops:
        if cause in (rule.id, rule.light):
            if rule.control is Control.LIGHT and rule.light is not None:
                return light_component(world, rule.light)
            if rule.control is Control.SCHOOL_BUS:
                return component(world, rule.actor or "", home)
            return CriticalComponent(ComponentCategory.YIELD_STOP_CONTROL, rule.control.value)
    for event in route.slowings:
        if event.id == cause:
            return _event(world, event)
    for goal in route.goals:
        if goal.id == cause:
            return _route(goal.id, goal.decision)
    for manoeuvre in route.manoeuvres:
        if manoeuvre.id == cause:
            return _route(manoeuvre.id, manoeuvre.decision)
    raise KeyError(f"nothing in the world is called {cause!r}")


def light_component(world: World, light: str, lamp: Lamp | None = None) -> CriticalComponent:
    """A traffic light as it shows now."""
    arrow = world.scenario.roads.light(light).arrow
    attributes = {"arrow": arrow} if arrow else {}
    shown = world.lamp(light) if lamp is None else lamp
    return CriticalComponent(ComponentCategory.TRAFFIC_LIGHT, f"{shown.value}_light", attributes)


def clear_lane(side: str = "ego") -> CriticalComponent:
    """Nothing in the way: the reason to drive at the speed one wants, or to change into a lane."""
    return CriticalComponent(ComponentCategory.LANE, "clear_lane", {"side": side})


def _actor(world: World, me: Surroundings, other: Neighbour, home: float, lead: bool) -> CriticalComponent:
    actor = other.actor
    inside = other.left > home - EGO_WIDTH / 2 and other.right < home + EGO_WIDTH / 2
    passed = other.front < me.front
    side = "left" if other.d > home else "right"
    if actor.kind is ActorKind.SCHOOL_BUS and actor.beacons:
        pose = "oncoming" if abs(other.d - home) > 1.75 else "in_path"
        return CriticalComponent(OBJECT, "school_bus", {"relative_pose": pose, "motion": "loading"})
    static = actor.still and not actor.reacts and not actor.crosses and actor.kind not in WALKING
    if static and actor.kind not in (ActorKind.SCHOOL_BUS, ActorKind.EMERGENCY):
        kind = PARKED.get(actor.kind) or KINDS.get(actor.kind, actor.kind.value)
        pose = "in_path" if inside else side
        return CriticalComponent(OBJECT, kind, {"relative_pose": _own_side(world, other) if passed else pose})
    kind = KINDS.get(actor.kind, actor.kind.value)
    if actor.kind in WALKING:
        pose, motion = _walker(world, other, inside, side)
    elif lead and actor.kind in VEHICLES and abs(other.target_d - other.d) < 0.6:
        pose, motion = _lead(world, other)
    elif actor.kind in VEHICLES:
        pose, motion = _vehicle(world, me, other, home, inside, side)
    else:
        pose, motion = _cyclist(world, other, inside, _own_side(world, other) if passed else side, passed)
    return CriticalComponent(OBJECT, kind, {"relative_pose": pose, "motion": motion})


def _walker(world: World, other: Neighbour, inside: bool, side: str) -> tuple[str, str]:
    actor = other.actor
    moving = actor.speed > 0.2
    if actor.crosses or (moving and abs(other.speed_d) > 0.5):
        for crossing in world.scenario.route.crossings:
            if crossing.start - 3.0 < other.s < crossing.stop + 3.0:
                return "crosswalk", "crossing" if moving else "waiting"
        if not moving:
            return side, "waiting"
        on_road = world.scenario.route.edges[0] < other.d < world.scenario.route.edges[1]
        if inside:
            return "in_path", "crossing"
        return _own_side(world, other), "crossing" if on_road else "entering"
    if inside:
        return "in_path", "moving" if moving else "stopped"
    return side, "moving" if moving else "stopped"


def _own_side(world: World, other: Neighbour) -> str:
    """On which side of the ego vehicle it is now."""
    ego = world.ego
    dx, dy = other.actor.x - ego.x, other.actor.y - ego.y
    return "left" if dy * math.cos(ego.yaw) - dx * math.sin(ego.yaw) > 0.0 else "right"


def _cyclist(world: World, other: Neighbour, inside: bool, side: str, passed: bool) -> tuple[str, str]:
    if abs(other.speed_d) > abs(other.speed_s):
        return ("in_path", "crossing") if inside else (side, "crossing")
    if other.speed_s < -0.5:
        return "oncoming", "moving"
    if abs(other.d) < world.scenario.route.lane_width / 2 and not passed:
        return "in_path", "slow" if other.speed_s < 0.75 * desired_speed(world) else "moving"
    return side, "moving"


def _vehicle(world: World, me: Surroundings, other: Neighbour, home: float, inside: bool, side: str) -> tuple[str, str]:
    actor = other.actor
    if actor.kind is ActorKind.EMERGENCY and other.speed_s > 1.0 and other.s < me.s:
        return "behind", "approaching"
    if inside and other.speed_s > 0.7 * actor.speed and abs(other.target_d - other.d) < 0.6:
        return _lead(world, other)
    # Who crosses and who comes towards us is told from our own heading: the route may turn.
    turned = math.cos(actor.yaw - world.ego.yaw)
    if turned < -0.6 and actor.speed > 0.3:
        return "oncoming", "moving"
    if abs(turned) < 0.75 and actor.speed > 0.3:
        return _own_side(world, other), "crossing"
    signals = actor.blinker is (Blinker.RIGHT if side == "left" else Blinker.LEFT) and abs(other.d - home) < 4.6
    towards = (signals and other.s > me.s) or (abs(other.target_d - home) < 1.2 and abs(other.d - home) > 0.7)
    if towards and actor.speed > 0.5:
        return side, "cut_in"
    if actor.speed < 0.5:
        return side, "stopped"
    if other.s < me.s and other.speed_s > me.speed + 1.5:
        return side, "approaching"
    return side, "moving"


def _lead(world: World, other: Neighbour) -> tuple[str, str]:
    actor = other.actor
    if actor.speed < 0.5:
        return "in_path", "stopped"
    if actor.acceleration < -0.5:
        return "in_path", "slowing"
    if actor.acceleration > 0.4 and actor.speed < 5.0:
        return "in_path", "pulling_away"
    return "in_path", "slow" if other.speed_s < 0.75 * desired_speed(world) else "moving"


def _event(world: World, event: RoadEvent) -> CriticalComponent:
    if event.kind in ("curve", "turn"):
        middle = (event.start + event.stop) / 2
        direction = "left" if world.scenario.route.path.curvature_at(middle) > 0 else "right"
        if event.kind == "turn":
            return CriticalComponent(ComponentCategory.ROUTING_INTENT, "turn", {"direction": direction})
        return CriticalComponent(ComponentCategory.ROAD_EVENT, "curve", {"direction": direction})
    if event.kind == "ramp":
        return CriticalComponent(ComponentCategory.ROAD_EVENT, "ramp", {"type": "off"})
    kind = "speed_bump" if event.kind == "bump" else event.kind
    return CriticalComponent(ComponentCategory.ROAD_EVENT, kind)


def _route(goal: str, decision: LateralDecision) -> CriticalComponent:
    category = ComponentCategory.ROUTING_INTENT
    side = "left" if decision.endswith("left") else "right"
    if goal == LANE_END:
        return CriticalComponent(ComponentCategory.LANE, "ending_lane")
    if goal == "goal-merge":
        return CriticalComponent(category, "merge")
    if goal == "goal-exit":
        return CriticalComponent(category, "exit", {"direction": "right"})
    if decision is LateralDecision.PULL_OVER:
        return CriticalComponent(category, "destination")
    if decision in (LateralDecision.TURN_LEFT, LateralDecision.TURN_RIGHT):
        return CriticalComponent(category, "turn", {"direction": side})
    return CriticalComponent(category, "required_lane", {"direction": side})
