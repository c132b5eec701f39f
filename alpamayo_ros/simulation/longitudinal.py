"""The expert's limits along the route: leads, road events, lines and lights. Crossing traffic is in `conflict`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from alpamayo_ros.simulation.actor import VULNERABLE, WALKING, Blinker
from alpamayo_ros.simulation.constraint import Constraint, stopping
from alpamayo_ros.simulation.following import Idm
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.route import Control, StopRule
from alpamayo_ros.simulation.surroundings import Neighbour, Surroundings
from alpamayo_ros.simulation.world import EGO_WIDTH, Weather, World
from alpamayo_ros.types import LongitudinalDecision as Lon

IDM = Idm(headway=1.5, standstill=4.0, acceleration=1.5, braking=2.0)
"""Its standstill gap is larger than the model's usual 2 m: who learns from it stops a metre or two later."""
STANDOFF = 3.5
"""Where the front bumper stands before a line, metres: who learns from it stops later."""
YIELD_SPEED = 4.0
"""At which a yield line is reached when nobody is in sight, m/s."""
BEGIN_BRAKING = 1.15
"""Constant deceleration that must have become necessary before the expert brakes for something that stands, m/s^2."""
WEATHER_SPEED = {Weather.CLEAR: 1.0, Weather.RAIN: 0.9, Weather.FOG: 0.8}
"""Share of the speed limit that is driven. Cf. FHWA Road Weather Management: free-flow speed falls by 6 to 17 % in
heavy rain and more in low visibility."""

Corridor = Callable[[float], float]
"""Planned offset of the ego vehicle at an arc length of the route."""


@dataclass
class Memory:
    """What the longitudinal planner has begun or finished: identities of lines, events and actors."""

    braking_for: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    stood_since: dict[str, float] = field(default_factory=dict)
    yielding: dict[str, float] = field(default_factory=dict)
    seen_since: dict[str, float] = field(default_factory=dict)

    def copy(self) -> Memory:
        return Memory(
            set(self.braking_for),
            set(self.passed),
            dict(self.stood_since),
            dict(self.yielding),
            dict(self.seen_since),
        )


def desired_speed(world: World) -> float:
    """The speed the expert would drive at on an empty road, m/s."""
    return world.scenario.route.limit * WEATHER_SPEED[world.scenario.weather]


def lead_constraint(
    me: Surroundings, corridor: Corridor, desired: float, skip: set[str], skirted: frozenset[str] = frozenset()
) -> Constraint | None:
    """Follow the closest one in the corridor; yield to one that is about to cut in; stop behind what only stands.

    skip: not in the way; skirted: obstacles that are being driven around, to which less room is enough.
    """
    best: Constraint | None = None
    for other in me.neighbours:
        actor = other.actor
        if other.front < me.front or actor.id in skip:
            continue
        if actor.kind in WALKING and abs(other.speed_d) > 0.4:
            continue
        near = corridor(other.s)
        room = other.half_d + EGO_WIDTH / 2 + (0.05 if actor.id in skirted else 0.25)
        inside = abs(other.d - near) < room
        towards = Blinker.LEFT if other.d < near else Blinker.RIGHT
        signals = actor.blinker is towards and abs(other.d - near) < 4.6 and other.rear > me.front
        cutting = not inside and other.speed_s > 0.5 and (signals or abs(other.target_d - near) < room - 0.3)
        if not inside and not cutting:
            continue
        if inside and actor.speed > 0.5 and other.speed_s < 0.6 * actor.speed:
            continue  # crossing or oncoming: a matter of right of way
        gap = other.rear - me.front
        along = max(other.speed_s, 0.0)
        if inside:
            wish = IDM.follow_calmly(me.speed, desired, gap, other.speed_s, actor.acceleration)
            # Still turning in from another lane: the right of way is being granted, nobody is followed yet.
            turning_in = abs(other.target_d - other.d) > 0.7 and abs(other.d - near) > 0.9
            decision = Lon.YIELD if turning_in and actor.blinker is not Blinker.OFF else Lon.LEAD_OBSTACLE_FOLLOWING
            if along < 0.5:
                wish = _stand_behind(me, gap, wish)
                if is_obstacle(other):
                    decision = Lon.STOP_FOR_STATIC_CONSTRAINTS
        else:
            relaxed = Idm(0.9, 2.0, IDM.acceleration, 2.5)
            wish = relaxed.follow_calmly(me.speed, desired, max(gap, 1.0), other.speed_s, actor.acceleration)
            decision = Lon.YIELD
        if best is None or wish < best.acceleration:
            closing = max(me.speed - other.speed_s, 0.0)
            best = Constraint(decision, actor.id, wish, hard=closing * closing > 6.0 * max(gap - 1.0, 0.5))
    return best


def _stand_behind(me: Surroundings, gap: float, wish: float) -> float:
    """Behind something that stands: brake late and evenly as for a line, not early and long as IDM does."""
    room = gap - IDM.standstill
    if room <= 0.3:
        return min(wish, -1.5)
    needed = me.speed * me.speed / (2.0 * room)
    return stopping(me.speed, room) if needed > 0.9 else max(wish, -0.4)


def road_event_constraints(me: Surroundings, world: World, memory: Memory) -> list[Constraint]:
    """Slow down for curves, bumps, ramps and narrow places."""
    found = []
    for event in world.scenario.route.slowings:
        if event.id in world.removed or me.s > event.stop or event.start - me.s > 120.0:
            continue
        room = event.start - me.s - 1.5
        if room <= 0.0:
            wish = max(min(1.2 * (event.speed - me.speed), IDM.free(me.speed, event.speed)), -2.0)
            found.append(Constraint(Lon.SPEED_ADAPTATION, event.id, wish))
            continue
        needed = (me.speed * me.speed - event.speed * event.speed) / (2.0 * room)
        if needed > BEGIN_BRAKING or (event.id in memory.braking_for and needed > 0.25):
            memory.braking_for.add(event.id)
            found.append(Constraint(Lon.SPEED_ADAPTATION, event.id, -1.06 * needed))
        elif event.id in memory.braking_for or (room < 2.5 * me.speed and me.speed > 0.92 * event.speed):
            # Slow enough already: do not speed up again just before it.
            found.append(Constraint(Lon.SPEED_ADAPTATION, event.id, 0.6 * (event.speed - me.speed)))
    return found


def stop_constraints(me: Surroundings, world: World, memory: Memory) -> tuple[list[Constraint], float]:
    """Red and yellow lights, stop signs, a school bus; and the arc length of the first line that stops the car anyway.

    A yield line alone stops nobody, but it is approached slowly.
    """
    found = []
    line = math.inf
    for rule in world.scenario.route.stops:
        gap = rule.s - me.front
        if gap < -1.0 or gap > 100.0 or rule.id in memory.passed or rule.id in world.removed:
            continue
        if rule.control is Control.YIELD_SIGN:
            # Slowly enough to be able to wait, whoever may come: houses hide the crossing street.
            needed = (me.speed * me.speed - YIELD_SPEED**2) / (2.0 * max(gap, 1.0))
            if gap > 0.0 and (needed > BEGIN_BRAKING or (rule.id in memory.braking_for and needed > 0.2)):
                memory.braking_for.add(rule.id)
                found.append(Constraint(Lon.YIELD, rule.id, -1.06 * needed))
            elif gap > 0.0 and rule.id in memory.braking_for:
                found.append(Constraint(Lon.YIELD, rule.id, 0.6 * (YIELD_SPEED - me.speed)))
            continue
        if not _must_stop(rule, me, gap, world, memory):
            memory.braking_for.discard(rule.id)
            continue
        line = min(line, rule.s)
        room = gap - STANDOFF
        needed = me.speed * me.speed / (2.0 * max(room, 0.3))
        if needed > BEGIN_BRAKING or rule.id in memory.braking_for or room < 3.0:
            memory.braking_for.add(rule.id)
            wish = stopping(me.speed, room) if room > 0.3 else -1.5
            found.append(Constraint(Lon.STOP_FOR_STATIC_CONSTRAINTS, rule.id, min(wish, 0.15 * room)))
    return found, line


def _must_stop(rule: StopRule, me: Surroundings, gap: float, world: World, memory: Memory) -> bool:
    if rule.control is Control.LIGHT and rule.light is not None:
        lamp = world.lamp(rule.light)
        if lamp is Lamp.GREEN:
            return False
        if rule.id not in memory.braking_for and me.speed * me.speed / (2.0 * max(gap, 0.2)) > 3.2:
            # Too late to stop: cross on yellow (dilemma zone).
            memory.passed.add(rule.id)
            return False
        return True
    if rule.control is Control.SCHOOL_BUS:
        bus = world.actor(rule.actor or "")
        return bus is not None and bus.beacons
    if me.speed < 0.15 and gap < STANDOFF + 1.0:
        since = memory.stood_since.setdefault(rule.id, world.time)
        if world.time - since >= 1.0:
            memory.passed.add(rule.id)
            return False
    return True


def is_obstacle(other: Neighbour) -> bool:
    """Whether it is something to go around: it stands for good, or is a slow cyclist or walker along the road."""
    actor = other.actor
    if actor.still and not actor.reacts and not actor.crosses:
        return True
    along = actor.kind in VULNERABLE and other.speed_s > 0.3 and abs(other.speed_d) < 0.3 and not actor.crosses
    return along and actor.speed < 7.0
