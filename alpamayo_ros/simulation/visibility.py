"""Whether a cause could be seen: in a camera's picture, near enough for the weather and the lens, not hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alpamayo_ros.simulation.actor import VEHICLES, Actor, ActorKind, Blinker
from alpamayo_ros.simulation.route import Control
from alpamayo_ros.simulation.world import Daylight, Weather, World
from alpamayo_ros.types.rig import Rig

RANGE: dict[Weather, float] = {Weather.CLEAR: 110.0, Weather.RAIN: 80.0, Weather.FOG: 55.0}
"""Metres within which things can be told apart in each weather: about where haze takes half of the contrast."""
NIGHT_RANGE = 60.0
"""The same for things without lamps of their own at night."""
SMALLEST = math.radians(0.22)
"""Angle a thing must fill to be told: a good pixel of the 30 degree camera at 160 pixels."""
HISTORY = 20
"""Ticks of history that a label may rest on: two seconds."""

Point = tuple[float, float, float]


def visible_in_history(history: Sequence[World], cause: str, rig: Rig, step: int = 4) -> bool:
    """Whether `cause` was seen in the last two seconds of a drive (oldest first, 0.1 s apart)."""
    recent = list(history)[-HISTORY - 1 :][::-1]
    return any(visible(world, cause, rig) for world in recent[::step])


def visible(world: World, cause: str, rig: Rig) -> bool:
    """Whether at least one camera of the rig shows `cause` now. What follows from the route is always known.

    Raises KeyError where nothing has that identity.
    """
    actor = world.actor(cause)
    if actor is not None:
        return _actor_visible(world, actor, rig)
    route = world.scenario.route
    if cause in {goal.id for goal in route.goals} | {manoeuvre.id for manoeuvre in route.manoeuvres}:
        return True
    for rule in route.stops:
        if cause not in (rule.id, rule.light):
            continue
        if rule.control is Control.SCHOOL_BUS:
            bus = world.actor(rule.actor or "")
            return bus is not None and _actor_visible(world, bus, rig)
        if rule.light is not None:
            heads = world.scenario.roads.light(rule.light).heads
            return any(_point_visible(world, (x, y, z), 0.8, rig, True) for x, y, z, _ in heads)
        signs = [sign for sign in world.scenario.roads.signs if sign.id == rule.id]
        return any(_point_visible(world, (sign.x, sign.y, 2.3), 0.8, rig, False) for sign in signs)
    for event in route.slowings:
        if event.id == cause:
            if event.kind == "turn":
                return True  # the route's own
            announced = [sign for sign in world.scenario.roads.signs if sign.id == cause]
            told = any(_point_visible(world, (sign.x, sign.y, 2.3), 0.8, rig, False) for sign in announced)
            return told or _road_visible(world, event.start, event.stop, rig)
    raise KeyError(f"nothing in the world is called {cause!r}")


def in_sight(world: World, actor: Actor) -> bool:
    """Whether a driver could see an actor from the windscreen, whichever way the cameras look."""
    ego = world.ego
    eye = (ego.x + 1.5 * math.cos(ego.yaw), ego.y + 1.5 * math.sin(ego.yaw), 1.4)
    if math.hypot(actor.x - ego.x, actor.y - ego.y) > RANGE[world.scenario.weather]:
        return False
    c, s = math.cos(actor.yaw) * actor.length * 0.45, math.sin(actor.yaw) * actor.length * 0.45
    height = 0.8 * actor.height
    return any(
        not _hidden(world, eye, (actor.x + k * c, actor.y + k * s, height), actor.id)
        for k in ((0.0, 1.0) if actor.length > 1.0 else (0.0,))
    )


def in_range(world: World, actor: Actor) -> bool:
    """Whether an actor is near enough for the weather and the light to be told apart."""
    return math.hypot(actor.x - world.ego.x, actor.y - world.ego.y) <= _sight(world, _has_lamps(actor))


def _sight(world: World, lit: bool) -> float:
    reach = RANGE[world.scenario.weather]
    return min(reach, NIGHT_RANGE) if world.scenario.daylight is Daylight.NIGHT and not lit else reach


def _has_lamps(actor: Actor) -> bool:
    """Whether lamps of its own are drawn at night: people and cyclists have none, who is parked only what blinks."""
    driven = actor.speed > 0.5 or actor.reacts or actor.blinker is not Blinker.OFF
    return actor.beacons or (actor.kind in VEHICLES and driven)


def _actor_visible(world: World, actor: Actor, rig: Rig) -> bool:
    lamps = _has_lamps(actor)
    size = max(actor.height, actor.width) if actor.kind is not ActorKind.CONE else 0.8
    c, s = math.cos(actor.yaw), math.sin(actor.yaw)
    for along in (0.0, -0.45, 0.45):
        x, y = actor.x + along * actor.length * c, actor.y + along * actor.length * s
        for height in (0.8 * actor.height, 0.4 * actor.height):
            if _point_visible(world, (x, y, height), size, rig, lamps, actor.id):
                return True
    return False


def _road_visible(world: World, start: float, stop: float, rig: Rig) -> bool:
    """A stretch of road counts as seen when its beginning or its first metres are, or when one is on it."""
    path, ego = world.scenario.route.path, world.ego
    s, _ = path.project(ego.x, ego.y)
    if start - 5.0 <= s <= stop:
        return True
    for at in (start, start + 6.0, start + 12.0):
        x, y, _ = path.pose(at)
        if _point_visible(world, (x, y, 0.1), 3.0, rig, False):
            return True
    return False


def _point_visible(world: World, point: Point, size: float, rig: Rig, lit: bool, owner: str = "") -> bool:
    ego = world.ego
    away = math.hypot(point[0] - ego.x, point[1] - ego.y)
    if away > _sight(world, lit) or size / max(away, 1.0) < SMALLEST:
        return False
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    dx, dy = point[0] - ego.x, point[1] - ego.y
    local = np.array([dx * c + dy * s, dy * c - dx * s, point[2]])
    for camera in rig.cameras.values():
        if not bool(camera.sees(local)):
            continue
        px, py, pz = camera.position
        eye = (ego.x + px * c - py * s, ego.y + px * s + py * c, float(pz))
        if not _hidden(world, eye, point, owner):
            return True
    return False


def _hidden(world: World, eye: Point, point: Point, owner: str) -> bool:
    """Whether another actor or a house stands in the line of sight."""
    boxes = [
        (a.x, a.y, a.yaw, a.length, a.width, a.height)
        for a in world.actors
        if a.id != owner and a.height > 0.9 and abs(a.x - eye[0]) + abs(a.y - eye[1]) < 160.0
    ]
    boxes += [(h.x, h.y, h.yaw, h.length, h.width, h.height) for h in world.scenario.roads.buildings]
    if not boxes:
        return False
    table = np.array(boxes)
    c, s = np.cos(table[:, 2]), np.sin(table[:, 2])
    ends = []
    for x, y, _ in (eye, point):
        dx, dy = x - table[:, 0], y - table[:, 1]
        ends.append((dx * c + dy * s, dy * c - dx * s))
    # The line of sight in each box's own frame, cut by the two pairs of sides (slab method).
    enter, leave = np.zeros(len(table)), np.ones(len(table))
    for axis, half in ((0, table[:, 3] / 2 - 0.05), (1, table[:, 4] / 2 - 0.05)):
        a, b = ends[0][axis], ends[1][axis]
        delta = np.where(np.abs(b - a) < 1e-9, 1e-9, b - a)
        first, second = (-half - a) / delta, (half - a) / delta
        enter = np.maximum(enter, np.minimum(first, second))
        leave = np.minimum(leave, np.maximum(first, second))
    crossed = enter < leave
    # Over the roof one sees: the height of the line where it enters and leaves.
    low = np.minimum(eye[2] + (point[2] - eye[2]) * enter, eye[2] + (point[2] - eye[2]) * leave)
    return bool((crossed & (low < table[:, 5]) & (leave < 0.999) & (enter > 1e-6)).any())
