"""The things of one scenario, and of one moment in it, as shapes in the world."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.simulation.actor import VEHICLES, WALKING, Actor, ActorKind, Blinker
from alpamayo_ros.simulation.cameras.ground import GroundRaster
from alpamayo_ros.simulation.cameras.palette import palette
from alpamayo_ros.simulation.cameras.people import draw_cyclist, draw_obstacle, draw_person
from alpamayo_ros.simulation.cameras.roadside import draw_building, draw_light_head, draw_pole, draw_rail, draw_tree
from alpamayo_ros.simulation.cameras.shapes import Batch, Shapes, gather
from alpamayo_ros.simulation.cameras.signs import draw_sign
from alpamayo_ros.simulation.cameras.sky import panorama
from alpamayo_ros.simulation.cameras.vehicles import draw_vehicle, flash_phase, flashing
from alpamayo_ros.simulation.world import Daylight, Scenario, Weather, World

Thing = tuple[Shapes, tuple[float, float, float], float]
REACH = 170.0
"""Moving things further away than this are not drawn, metres."""


class Stage:
    """What stays the same through a scenario: ground, sky, houses, trees, poles, rails."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.light = palette(scenario)
        self.night = scenario.daylight is Daylight.NIGHT
        self.lamps_on = scenario.daylight is not Daylight.DAY or scenario.weather is not Weather.CLEAR
        self.ground = GroundRaster(scenario, self.light)
        self.sky = panorama(self.light, scenario.seed)
        roads = scenario.roads
        things: list[Thing] = []
        for index, house in enumerate(roads.buildings):
            shapes = draw_building(house, self.night, index)
            things.append((shapes, (house.x, house.y, house.yaw), math.hypot(house.length, house.width) / 2))
        things += [(draw_tree(tree), (tree.x, tree.y, 0.0), tree.radius + 1.0) for tree in roads.trees]
        things += [(draw_pole(p, self.night), (p.x, p.y, p.yaw), p.arm + 1.0) for p in roads.poles]
        for rail in roads.rails:
            things += draw_rail(rail)
        self.batch = gather(things)
        self.shapes: dict[tuple[object, ...], Shapes] = {}


@dataclass(eq=False)
class Moment:
    """The moving and switching things at one tick.

    actors: by thing index, None for a light or sign. signs: thing indices. heads: light identities by thing index.
    """

    batch: Batch
    actors: list[Actor | None]
    signs: frozenset[int]
    heads: dict[int, str]


def moment(world: World, stage: Stage) -> Moment:
    """Shapes of all that may change, as it is now."""
    things: list[Thing] = []
    actors: list[Actor | None] = []
    signs: set[int] = set()
    heads: dict[int, str] = {}
    x, y = world.ego.x, world.ego.y
    for actor in world.actors:
        if abs(actor.x - x) > REACH or abs(actor.y - y) > REACH:
            continue
        things.append((_actor_shapes(actor, world.tick, stage), (actor.x, actor.y, actor.yaw), actor.length / 2))
        actors.append(actor)
    roads = world.scenario.roads
    for light in roads.lights:
        shown = world.lamp(light.id)
        for hx, hy, hz, yaw in light.heads:
            heads[len(things)] = light.id
            key = (hz, shown, light.arrow)
            if key not in stage.shapes:
                stage.shapes[key] = draw_light_head(hz, shown, light.arrow)
            things.append((stage.shapes[key], (hx, hy, yaw), 0.6))
            actors.append(None)
    for sign in roads.signs:
        if sign.id and sign.id in world.removed:
            continue
        signs.add(len(things))
        if (sign,) not in stage.shapes:
            stage.shapes[(sign,)] = draw_sign(sign)
        things.append((stage.shapes[(sign,)], (sign.x, sign.y, sign.yaw), 0.6))
        actors.append(None)
    return Moment(gather(things), actors, frozenset(signs), heads)


def _actor_shapes(actor: Actor, tick: int, stage: Stage) -> Shapes:
    """The shapes of an actor; those of vehicles and obstacles are kept, as they have few states."""
    if actor.kind in WALKING or actor.kind is ActorKind.CYCLIST:
        return draw_actor(actor, tick, stage.lamps_on)
    flash = actor.blinker is not Blinker.OFF and flashing(tick, flash_phase(actor))
    key = (actor.id, actor.braking, actor.blinker, flash, actor.beacons, actor.beacons and tick % 4 < 2, actor.still)
    if key not in stage.shapes:
        stage.shapes[key] = draw_actor(actor, tick, stage.lamps_on)
    return stage.shapes[key]


def draw_actor(actor: Actor, tick: int, lamps_on: bool) -> Shapes:
    """The shapes of any actor."""
    if actor.kind in VEHICLES:
        return draw_vehicle(actor, tick, lamps_on and not (actor.still and not actor.reacts))
    if actor.kind in WALKING:
        return draw_person(actor)
    if actor.kind is ActorKind.CYCLIST:
        return draw_cyclist(actor)
    return draw_obstacle(actor)


def shadows(moment_now: Moment, stage: Stage) -> list[np.ndarray]:
    """(M, 2) outlines on the ground of the shadows of actors: under them, and away from the sun."""
    found = []
    sun = stage.light.sun
    reach = -sun[:2] / max(float(sun[2]), 0.2) if sun.any() else np.zeros(2)
    for actor in moment_now.actors:
        if actor is None:
            continue
        c, s = math.cos(actor.yaw), math.sin(actor.yaw)
        half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [actor.length / 2, actor.width / 2]
        foot = half @ np.array([[c, s], [-s, c]]) + [actor.x, actor.y]
        if sun.any():
            # The hull of the footprint and of the roof's shadow: corners of both that stick out.
            foot = np.concatenate([foot, foot + reach * actor.height * 0.8])
        found.append(foot)
    return found
