"""How the other road users move: events, car following, lane changing, waiting at lights."""

from __future__ import annotations

import math

import numpy as np

from alpamayo_ros.simulation.actor import VEHICLES, VULNERABLE, WALKING, Actor, Blinker, Event
from alpamayo_ros.simulation.following import Idm, mobil
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.world import EGO_LENGTH, EGO_WIDTH, PERIOD, Ego, World, drive

MOBIL_PERIOD = 10
"""Ticks between two considerations of a lane change by the same driver."""


def advance(world: World, acceleration: float, curvature: float, blinker: str = "off") -> None:
    """Move the world on by one period with the ego vehicle's action. All others answer to the present state."""
    leaders = _leaders(world)
    ego_s, ego_d = world.scenario.route.path.project(world.ego.x, world.ego.y)
    for actor in world.actors:
        if actor.events and (not world.steady or actor.blinker in (Blinker.LEFT, Blinker.RIGHT)):
            _fire_events(actor, world, ego_s, ego_d)
        if actor.lanes and not world.steady and (world.tick + len(actor.id) + ord(actor.id[-1])) % MOBIL_PERIOD == 0:
            _consider_lane_change(actor, world)
    time = world.time + PERIOD
    for index, actor in enumerate(world.actors):
        _move(actor, _acceleration(actor, world, leaders.get(index)), time)
    world.ego = drive(world.ego, acceleration, curvature, blinker)
    world.tick += 1


def _fire_events(actor: Actor, world: World, ego_s: float, ego_d: float) -> None:
    rest = []
    for event in actor.events:
        if not _due(event, actor, world, ego_s, ego_d):
            rest.append(event)
            continue
        for name, value in event.sets:
            setattr(actor, name, value)
        if event.shift is not None:
            actor.begin_shift(event.shift[0], event.shift[1], world.time)
    actor.events = tuple(rest)


def _due(event: Event, actor: Actor, world: World, ego_s: float, ego_d: float) -> bool:
    if event.after is not None and world.time < event.after:
        return False
    if event.near is not None and math.hypot(actor.x - world.ego.x, actor.y - world.ego.y) > event.near:
        return False
    if event.light is not None and world.lamp(event.light[0]) != event.light[1]:
        return False
    if event.drift is not None and ego_d * math.copysign(1.0, event.drift) < abs(event.drift):
        return False
    if event.arrival is not None:
        place, seconds = event.arrival
        return place - ego_s < seconds * max(world.ego.speed, 0.5)
    return True


def _leaders(world: World) -> dict[int, tuple[float, float]]:
    """For each actor with something ahead of it on its own path: gap in metres and speed along the path."""
    actors = world.actors
    if not actors:
        return {}
    centre = world.ego.centre
    places = np.array([(actor.x, actor.y) for actor in actors] + [centre])
    yaws = np.array([actor.yaw for actor in actors] + [world.ego.yaw])
    speeds = np.array([actor.speed for actor in actors] + [world.ego.speed])
    halves = np.array([(actor.length / 2, actor.width / 2) for actor in actors] + [(EGO_LENGTH / 2, EGO_WIDTH / 2)])
    by_path: dict[int, list[int]] = {}
    paths: dict[int, Path] = {}
    for index, actor in enumerate(actors):
        if actor.reacts and (actor.speed > 0.05 or actor.desired > 0.05):
            by_path.setdefault(id(actor.path), []).append(index)
            paths[id(actor.path)] = actor.path
    found: dict[int, tuple[float, float]] = {}
    for key, members in by_path.items():
        path = paths[key]
        places_along, d = path.project_many(places)
        angle = yaws - path.yaw_at(places_along)
        cosine, sine = np.cos(angle), np.sin(angle)
        along = np.abs(cosine) * halves[:, 0] + np.abs(sine) * halves[:, 1]
        across = np.abs(sine) * halves[:, 0] + np.abs(cosine) * halves[:, 1]
        for index in members:
            actor = actors[index]
            # Judge overlap at the offset the driver is going to, so that a lane change looks at the new lane.
            s = places_along if path.turn is None else actor.s + np.mod(places_along - actor.s, path.turn)
            reach = np.minimum(np.abs(d - actor.d), np.abs(d - actor.shift_to)) - across - actor.width / 2
            gap = s - along - (actor.s + actor.length / 2)
            ahead = (s > actor.s + 0.5) & (reach < 0.25) & (gap < 90.0)
            ahead[index] = False
            if not actor.gives_way:
                ahead &= halves[:, 0] > 0.6
            if ahead.any():
                best = int(np.where(ahead, gap, np.inf).argmin())
                found[index] = (float(gap[best]), float(speeds[best] * cosine[best]))
    return found


def _acceleration(actor: Actor, world: World, leader: tuple[float, float] | None) -> float:
    if actor.kind in WALKING:
        blocked = _walks_into(actor, world.ego)
        target = 0.0 if blocked else actor.desired
        return min(max((target - actor.speed) / 0.3, -4.0), 3.0)
    idm = Idm(actor.headway, 1.8, actor.accelerates, actor.brakes)
    wish = idm.free(actor.speed, actor.desired) if actor.desired > 0.05 else -actor.brakes
    if leader is not None:
        gap, speed = leader
        wish = min(wish, idm.follow(actor.speed, max(actor.desired, 0.5), gap, actor.speed - speed))
    for place, light in actor.halts:
        gap = place - actor.s - actor.length / 2
        if gap < -0.5 or (light is not None and world.lamp(light) == Lamp.GREEN):
            continue
        needed = actor.speed * actor.speed / (2.0 * max(gap, 0.2))
        if light is not None and world.lamp(light) == Lamp.YELLOW and needed > 3.0:
            continue
        if needed > 1.2 or gap < 2.0:
            wish = min(wish, -needed if gap > 0.3 else -actor.brakes)
    return max(wish, -9.0)


def _walks_into(actor: Actor, ego: Ego) -> bool:
    """Whether the next metre of a walk ends at the side of the ego vehicle."""
    heading = actor.yaw - actor.facing
    x = actor.x + 0.9 * math.cos(heading) - ego.centre[0]
    y = actor.y + 0.9 * math.sin(heading) - ego.centre[1]
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    ahead, left = x * c + y * s, y * c - x * s
    return abs(left) < EGO_WIDTH / 2 + 0.5 and -EGO_LENGTH / 2 - 0.4 < ahead < EGO_LENGTH / 2 + 0.4


def _move(actor: Actor, acceleration: float, time: float) -> None:
    if actor.speed == 0.0 and actor.desired == 0.0 and actor.d == actor.shift_to:
        actor.acceleration = 0.0
        return
    before = actor.speed
    actor.speed = max(0.0, before + acceleration * PERIOD)
    actor.acceleration = (actor.speed - before) / PERIOD
    moved = (before + actor.speed) / 2.0 * PERIOD
    actor.s += moved
    sideways = actor.follow_shift(time)
    actor.gait += math.hypot(moved, sideways)
    actor.x, actor.y, yaw = actor.path.pose(actor.s, actor.d)
    steer = math.atan2(sideways, max(moved, 0.05)) if actor.kind not in WALKING else 0.0
    actor.yaw = yaw + actor.facing + min(max(steer, -0.35), 0.35)


def _consider_lane_change(actor: Actor, world: World) -> None:
    """MOBIL over the lanes beside the actor's own; the ego vehicle counts as traffic."""
    if actor.d != actor.shift_to:
        return
    if actor.blinker is not Blinker.HAZARD:
        actor.blinker = Blinker.OFF
    idm = Idm(actor.headway, 1.8, actor.accelerates, actor.brakes)
    others = [
        (other.s, other.d, other.speed, other.length)
        for other in world.actors
        if other is not actor and other.path is actor.path and other.kind in VEHICLES | VULNERABLE
    ]
    ego_s, ego_d = actor.path.project(*world.ego.centre)
    others.append((ego_s, ego_d, world.ego.speed, EGO_LENGTH))

    def nearest(lane: float, ahead: bool) -> tuple[float, float] | None:
        """Gap and speed of the next one on the lane."""
        best: tuple[float, float] | None = None
        for s, d, speed, length in others:
            if abs(d - lane) < 1.6 and (s > actor.s) == ahead:
                gap = abs(s - actor.s) - (length + actor.length) / 2
                if best is None or gap < best[0]:
                    best = (gap, speed)
        return best

    def drive_behind(lead: tuple[float, float] | None, speed: float, desired: float) -> float:
        if lead is None:
            return idm.free(speed, desired)
        return idm.follow(speed, desired, lead[0], speed - lead[1]) if lead[0] > 0.5 else -9.0

    now = drive_behind(nearest(actor.d, True), actor.speed, actor.desired)
    for lane in actor.lanes:
        if not 2.0 < abs(lane - actor.d) < 5.0:
            continue
        follower = nearest(lane, False)
        follower_now = follower_then = 0.0
        if follower is not None:
            follower_then = drive_behind((follower[0], actor.speed), follower[1], follower[1] + 1.0)
        then = drive_behind(nearest(lane, True), actor.speed, actor.desired)
        if mobil(now, then, follower_now, follower_then, 0.3, -0.3) > 0.0:
            actor.blinker = Blinker.LEFT if lane > actor.d else Blinker.RIGHT
            actor.begin_shift(lane, 4.0, world.time + 1.0)
            return
