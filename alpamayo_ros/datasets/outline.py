"""Where in the world a cause is: the outline of what its identity names, to be drawn or to be looked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.simulation.actor import Actor
from alpamayo_ros.simulation.route import Control, Route
from alpamayo_ros.simulation.world import World

LAMP_HOUSE = 0.55
"""Half the size of the box that is drawn around a traffic light, metres."""


@dataclass(frozen=True, eq=False)
class Outline:
    """points: (8, 3) corners of a box, the lower four first, or (N, 3) of an area on the ground; map frame, metres."""

    points: np.ndarray
    solid: bool


def outlines(world: World, cause: str) -> list[Outline]:
    """The outlines of a cause at the world's time; none for what has no place, such as the wish to turn."""
    actor = world.actor(cause)
    if actor is not None:
        return [_box(actor)]
    route = world.scenario.route
    for rule in route.stops:
        if rule.id != cause:
            continue
        if rule.control is Control.LIGHT and rule.light is not None:
            return _light(world, rule.light)
        if rule.actor is not None and (bus := world.actor(rule.actor)) is not None:
            return [_box(bus)]
        return [_stretch(route, rule.s - 0.2, rule.s + 0.3), *_signs(world, cause)]
    if any(light.id == cause for light in world.scenario.roads.lights):
        return _light(world, cause)
    found = [_stretch(route, crossing.start, crossing.stop) for crossing in route.crossings if crossing.id == cause]
    found += [_stretch(route, event.start, event.stop) for event in route.slowings if event.id == cause]
    return found + _signs(world, cause)


def _box(actor: Actor) -> Outline:
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [actor.length / 2, actor.width / 2]
    c, s = math.cos(actor.yaw), math.sin(actor.yaw)
    foot = half @ np.array([[c, s], [-s, c]]) + [actor.x, actor.y]
    return _upright(foot, 0.0, actor.height)


def _light(world: World, light: str) -> list[Outline]:
    """The housings that shine towards the ego vehicle."""
    found = []
    for x, y, z, yaw in world.scenario.roads.light(light).heads:
        if math.cos(yaw - world.ego.yaw) < -0.3:
            found.append(_upright(_square(x, y, LAMP_HOUSE), z - LAMP_HOUSE, z + LAMP_HOUSE))
    return found


def _signs(world: World, rule: str) -> list[Outline]:
    signs = [sign for sign in world.scenario.roads.signs if sign.id == rule]
    return [_upright(_square(sign.x, sign.y, 0.45), 1.7, 2.7) for sign in signs]


def _square(x: float, y: float, half: float) -> np.ndarray:
    return np.array([[x + half, y + half], [x + half, y - half], [x - half, y - half], [x - half, y + half]])


def _upright(foot: np.ndarray, bottom: float, top: float) -> Outline:
    rings = [np.column_stack([foot, np.full(4, level)]) for level in (bottom, top)]
    return Outline(np.concatenate(rings), True)


def _stretch(route: Route, start: float, stop: float) -> Outline:
    """The route's lane between two arc lengths."""
    places = np.linspace(start, stop, max(2, min(40, math.ceil((stop - start) / 2.0))))
    half = route.lane_width / 2
    left = [route.path.pose(s, half)[:2] for s in places.tolist()]
    right = [route.path.pose(s, -half)[:2] for s in places[::-1].tolist()]
    edge = np.array(left + right)
    return Outline(np.column_stack([edge, np.zeros(len(edge))]), False)
