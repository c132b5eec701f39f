"""Right of way: who will cross the expert's corridor, when, and who goes first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.simulation.actor import VULNERABLE, WALKING, Actor, ActorKind
from alpamayo_ros.simulation.constraint import Constraint, stopping
from alpamayo_ros.simulation.longitudinal import STANDOFF, Corridor, Memory
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.surroundings import FRONT, REAR, Neighbour, Surroundings
from alpamayo_ros.simulation.visibility import in_sight
from alpamayo_ros.simulation.world import EGO_WIDTH, World
from alpamayo_ros.types import LongitudinalDecision as Lon

HORIZON = 8.0
TICK = 0.4
"""How far ahead others are predicted on their own paths, and in which steps, seconds."""
REACTION = 0.4
"""Seconds for which somebody has to be in sight before the expert yields: nothing is done for causes unseen."""
ACCELERATION = 1.3
"""With which the expert counts on getting through, m/s^2."""


@dataclass(frozen=True)
class Conflict:
    """An actor is in the corridor from `enters` to `leaves` seconds from now, between two arc lengths."""

    enters: float
    leaves: float
    start: float
    stop: float


def predict(actor: Actor, world: World) -> np.ndarray:
    """(T, 3) x, y, yaw every TICK seconds from now: along its path at its speed, or at the speed it wants if it is
    about to move; it waits where it has to."""
    times = np.arange(0.0, HORIZON, TICK)
    speed = actor.speed
    if actor.crosses and actor.kind in WALKING:
        speed = max(speed, actor.desired, 1.2)
    end = math.inf
    for place, light in actor.halts:
        bound = place - actor.length / 2
        if bound > actor.s - 0.5 and (light is None or world.lamp(light) != Lamp.GREEN):
            needed = speed * speed / (2.0 * max(bound - actor.s, 0.2))
            if needed < 4.5:
                end = min(end, bound)
    ahead = np.minimum(actor.s + speed * times, max(end, actor.s))
    if actor.accelerates and actor.kind not in WALKING and actor.desired > speed:
        gained = np.minimum(0.5 * times, actor.desired - speed) * times * 0.7
        ahead = np.minimum(actor.s + speed * times + gained, max(end, actor.s))
    return actor.path.poses(ahead, actor.shift_to)


def find_conflict(other: Neighbour, world: World, corridor: Corridor) -> Conflict | None:
    """When and where a predicted actor is in the corridor; None if never."""
    actor, path = other.actor, world.scenario.route.path
    poses = predict(actor, world)
    s, d = path.project_many(poses[:, :2])
    angle = poses[:, 2] - path.yaw_at(s)
    cosine, sine = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    half_s = (cosine * actor.length + sine * actor.width) / 2
    half_d = (sine * actor.length + cosine * actor.width) / 2
    margin = 0.9 if actor.kind in VULNERABLE else 0.6
    planned = np.array([corridor(value) for value in s.tolist()])
    inside = np.abs(d - planned) < half_d + EGO_WIDTH / 2 + margin
    # Beyond its ends a path has no width to be in.
    inside &= (s > 0.0) & (s < path.length)
    if not inside.any():
        return None
    where = np.flatnonzero(inside)
    # One stay at a time: the first one.
    gaps = np.flatnonzero(np.diff(where) > 1)
    if len(gaps):
        where = where[: gaps[0] + 1]
    return Conflict(
        where[0] * TICK,
        (where[-1] + 1) * TICK,
        # A corner reaches further along the bent route than the box around the middle says.
        float((s - half_s)[where].min()) - 0.2 * actor.length,
        float((s + half_s)[where].max()),
    )


def crosses_route(other: Neighbour) -> bool:
    """Whether an actor is one to grant or claim right of way: it moves across, or comes the other way."""
    actor = other.actor
    if actor.crosses:
        # Seen to walk, or waiting where people cross.
        return actor.gait > 0.25 or actor.kind not in WALKING
    if actor.speed < 0.3 and actor.desired < 0.3:
        return False
    if actor.kind is ActorKind.EMERGENCY and abs(other.d) < 8.0 and abs(other.speed_s) > 0.8 * actor.speed:
        return False  # along the road: the lateral planner makes way
    return abs(other.speed_d) > 0.8 * abs(other.speed_s) or other.speed_s < -0.5


def yield_constraints(
    me: Surroundings,
    world: World,
    corridor: Corridor,
    memory: Memory,
    desired: float,
    line: float = math.inf,
    settled: str | None = None,
) -> list[Constraint]:
    """Give way to those who will be in the corridor first, or whom the rule protects.

    What happens beyond `line`, where the car has to stop in any case, is not the reason for stopping. `settled` is the
    actor for whom a lateral manoeuvre already makes way.
    """
    found = []
    for other in me.neighbours:
        if other.actor.id == settled or not crosses_route(other) or other.front < me.rear - 25.0:
            memory.yielding.pop(other.actor.id, None)
            continue
        conflict = find_conflict(other, world, corridor)
        if conflict is None or conflict.stop < me.front or conflict.start > min(line, me.front + 90.0):
            memory.yielding.pop(other.actor.id, None)
            continue
        already = other.actor.id in memory.yielding
        if not already and not _noticed(other.actor, world, memory):
            continue
        if conflict.enters > 0.1 and other.actor.speed < 0.3 and not other.actor.crosses:
            continue  # it stands and waits itself
        wall = _wall(conflict, me, world)
        room = wall - me.front
        pace = _pace(conflict, me, world, desired)
        if not _must_yield(other, conflict, me, room, already, pace):
            memory.yielding.pop(other.actor.id, None)
            continue
        needed = me.speed * me.speed / (2.0 * max(room, 0.3))
        if not already and room > 0.3 and needed < 1.0:
            continue  # there is time
        memory.yielding[other.actor.id] = wall
        wish = stopping(me.speed, room) if room > 0.3 else -2.0 - me.speed
        found.append(
            Constraint(
                Lon.YIELD, other.actor.id, max(min(wish, 0.15 * room), -8.0), hard=needed > 3.2 and me.speed > 3.0
            )
        )
    return found


def _pace(conflict: Conflict, me: Surroundings, world: World, desired: float) -> float:
    """The speed that the bends and bumps on the way through the conflict leave."""
    for event in world.scenario.route.slowings:
        if event.start < conflict.stop and event.stop > me.s and event.id not in world.removed:
            desired = min(desired, event.speed)
    return desired


def _noticed(actor: Actor, world: World, memory: Memory) -> bool:
    """Whether an actor has been in sight for the time it takes to react."""
    if not in_sight(world, actor):
        memory.seen_since.pop(actor.id, None)
        return False
    since = memory.seen_since.setdefault(actor.id, world.time)
    # Somebody on foot was watched before; that the walk has begun took time to tell already.
    return actor.kind in WALKING or world.time - since >= REACTION


def _wall(conflict: Conflict, me: Surroundings, world: World) -> float:
    """Where the front bumper stands: before the crosswalk or line that belongs to the conflict, else before it.

    With room to spare: who learns from it stops later.
    """
    wall = conflict.start - 3.4
    for crossing in world.scenario.route.crossings:
        if crossing.start - 2.0 < conflict.stop and crossing.stop > conflict.start - 1.0:
            wall = min(wall, crossing.start - 3.0)
    for rule in world.scenario.route.stops:
        if rule.s > me.front and rule.s < wall and wall - rule.s < 16.0 and rule.id not in world.removed:
            wall = rule.s - STANDOFF
    return wall


def _time_to(distance: float, speed: float, desired: float) -> float:
    """Seconds to cover `distance` metres, accelerating to the desired speed."""
    if distance <= 0.0:
        return 0.0
    top = max(desired, speed)
    ramp = (top * top - speed * speed) / (2.0 * ACCELERATION)
    if distance < ramp:
        return (math.sqrt(speed * speed + 2.0 * ACCELERATION * distance) - speed) / ACCELERATION
    return (top - speed) / ACCELERATION + (distance - ramp) / top


def _must_yield(
    other: Neighbour, conflict: Conflict, me: Surroundings, room: float, already: bool, desired: float
) -> bool:
    """Who goes first. The one who is already there does; with enough time to spare the expert does."""
    enter = _time_to(conflict.start - me.s - FRONT, me.speed, desired)
    leave = _time_to(conflict.stop - me.s + REAR, me.speed, desired)
    vulnerable = other.actor.kind in VULNERABLE
    spare = 1.6 if vulnerable else 1.3
    if already:
        spare += 0.8
    if me.front > conflict.start + 0.5:
        # Already inside: leaving is safer than standing there, unless the other blocks the way.
        return conflict.enters < 0.1 and other.s > me.front
    if leave + spare < conflict.enters:
        return False
    # Behind it: free once it has left, with a little time.
    if conflict.leaves + (0.6 if vulnerable else 0.7) + (0.9 if already else 0.0) < enter:
        return False
    return not (not already and room < me.speed * me.speed / (2.0 * 7.0) and leave < conflict.enters + 0.3)
