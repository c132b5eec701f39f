"""Which things of the world a component in a sentence means."""

from __future__ import annotations

from collections.abc import Sequence

from alpamayo_ros.reasoning.vocabulary import VEHICLES, spoken
from alpamayo_ros.simulation.component import component
from alpamayo_ros.simulation.lane_track import home_lane
from alpamayo_ros.simulation.visibility import visible
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import CriticalComponent
from alpamayo_ros.types.rig import Rig

REACH = 110.0
"""Metres within which things are looked for."""


def means(named: CriticalComponent, true: CriticalComponent) -> bool:
    """Whether `named` describes `true`: the same kind, and no stated attribute that differs. "vehicle" is any one."""
    if named.category != true.category:
        return False
    if named.kind != true.kind and not (named.kind == "vehicle" and true.kind in VEHICLES):
        return False
    stated, real = spoken(named).attributes, spoken(true).attributes
    return all(real.get(name) == value for name, value in stated.items())


def count_matches(named: Sequence[CriticalComponent], true: Sequence[CriticalComponent]) -> int:
    """How many of `named` mean one of `true`, each of which is given away once."""
    left, found = list(true), 0
    for one in named:
        match = next((other for other in left if means(one, other)), None)
        if match is not None:
            left.remove(match)
            found += 1
    return found


def said_once(components: Sequence[CriticalComponent]) -> list[CriticalComponent]:
    """Without those that are said like one before: a sentence names them once."""
    known = [spoken(one) for one in components]
    return [one for place, one in enumerate(components) if known[place] not in known[:place]]


def removable_things(world: World, rig: Rig) -> dict[str, CriticalComponent]:
    """What the pictures show now and an intervention can take out of them: actors, lights and stop signs, as they
    would be named, by identity. The route and the shape of the road stay."""
    ego, home = world.ego, home_lane(world)
    near = [actor.id for actor in world.actors if abs(actor.x - ego.x) < REACH and abs(actor.y - ego.y) < REACH]
    rules = [rule.id for rule in world.scenario.route.stops if rule.actor is None]
    return {name: component(world, name, home) for name in (*near, *rules) if visible(world, name, rig)}
