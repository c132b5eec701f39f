"""Going around what stands in, or reaches into, the lane."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.simulation.actor import VULNERABLE, WORKS
from alpamayo_ros.simulation.constraint import Constraint, stopping
from alpamayo_ros.simulation.gap import find_gap
from alpamayo_ros.simulation.longitudinal import Corridor, is_obstacle
from alpamayo_ros.simulation.offset_plan import shift_length
from alpamayo_ros.simulation.route import Route
from alpamayo_ros.simulation.surroundings import Neighbour, Surroundings, look_around
from alpamayo_ros.simulation.visibility import in_range
from alpamayo_ros.simulation.world import EGO_WIDTH, World
from alpamayo_ros.types import LateralDecision as Lat
from alpamayo_ros.types import LongitudinalDecision as Lon

CLEARANCE, CLEARANCE_VULNERABLE, CLEARANCE_WORKS = 0.6, 1.1, 0.45
"""Lateral distance kept to parked vehicles, to cyclists and walkers, to cones and barriers, metres. (Many codes ask
for 1 to 1.5 m beside cyclists.)"""
IN_TIME = 1.5
"""Seconds at its speed, and 4 m, that the expert leaves between the end of a movement and the obstacle: who learns from
it begins later than it does."""
REACH_WORKS = 200.0
"""Works are looked at to their end, metres: what is free beside the first cones may lead into the barriers."""
CHAIN = 24.0
"""Obstacles closer than this behind each other are passed in one movement, metres."""


@dataclass(frozen=True)
class Evasion:
    """A movement around obstacles. begins: it is time; room: metres until it has to be complete.

    waits: what keeps it from beginning although it is time.
    """

    offset: float
    decision: Lat
    cause: str
    obstacles: frozenset[str]
    begins: bool
    room: float
    waits: Constraint | None = None


def clearance(other: Neighbour) -> float:
    kind = other.actor.kind
    if kind in VULNERABLE:
        return CLEARANCE_VULNERABLE
    return CLEARANCE_WORKS if kind in WORKS else CLEARANCE


def plan_evasion(
    me: Surroundings, world: World, home: float, around: frozenset[str], corridor: Corridor, desired: float
) -> Evasion | None:
    """The movement that the next obstacles ask for; None where the lane is free, or nothing helps."""
    reach = 20.0 + 8.0 * me.speed
    half = EGO_WIDTH / 2
    lane_half = world.scenario.route.lane_width / 2
    seen = me.neighbours
    if any(o.actor.kind in WORKS for o in seen):
        seen = look_around(world, REACH_WORKS).neighbours
    obstacles = [
        o
        for o in seen
        if is_obstacle(o)
        and o.front - me.rear + (0.0 if o.speed_s < 0.5 else 4.0) > -1.0
        and (o.rear - me.front < 150.0 or o.actor.kind in WORKS)
        and o.left > home - half - _reach_of(o, lane_half) - (0.1 if o.actor.id in around else 0.0)
        and o.right < home + half + _reach_of(o, lane_half) + (0.1 if o.actor.id in around else 0.0)
    ]
    obstacles.sort(key=lambda o: o.rear)
    if not obstacles or obstacles[0].rear - me.front > reach or not in_range(world, obstacles[0].actor):
        return None
    chain = [obstacles[0]]
    for other in obstacles[1:]:
        if other.rear - max(o.front for o in chain) < CHAIN:
            chain.append(other)
    first = chain[0]
    offset = _free_offset(chain, me, world.scenario.route, home)
    if offset is None:
        return None
    cause = _shaping(chain, home, offset)
    side = 1 if offset > home else -1
    outside = _leaves_lane(offset, home, world.scenario.route)
    decision = _decision(side, outside, abs(offset - home))
    room = max(first.rear - me.front - 1.0, 4.0)
    if first.speed_s > 0.5:
        # It moves on meanwhile.
        room *= me.speed / max(me.speed - first.speed_s, 0.15 * me.speed, 0.5)
    names = frozenset(o.actor.id for o in chain)
    begins = room <= shift_length(offset - home, me.speed) + 4.0 + IN_TIME * me.speed
    if first.speed_s > 0.5:
        begins |= first.rear - me.front < 10.0 + (1.2 + IN_TIME) * me.speed
    waits = None
    further = abs(offset - home) > abs(corridor(me.s + 150.0) - home) + 0.2
    if outside and begins and (further or not around & names):
        waits = _blocked_by(me, world.scenario.route, home, offset, side, chain, desired)
    return Evasion(offset, decision, cause.actor.id, names, begins, room, waits)


def _shaping(chain: list[Neighbour], home: float, offset: float) -> Neighbour:
    """The first of them that alone asks for most of the movement; works are one thing, and their first cone is it."""
    if chain[0].actor.kind in WORKS:
        return chain[0]
    for other in chain:
        keep = clearance(other) + EGO_WIDTH / 2
        alone = other.left + keep - home if offset > home else home - (other.right - keep)
        if alone > 0.75 * abs(offset - home):
            return other
    return chain[0]


def _reach_of(other: Neighbour, lane_half: float) -> float:
    # What stays outside the lane by a margin is not worth a movement.
    return min(clearance(other), lane_half - EGO_WIDTH / 2 + 0.1) if other.speed_s < 0.5 else clearance(other)


def _leaves_lane(offset: float, home: float, route: Route) -> bool:
    return abs(offset - home) + EGO_WIDTH / 2 > route.lane_width / 2 + 0.02


def _decision(side: int, outside: bool, amount: float) -> Lat:
    if outside and amount > 2.9:
        return Lat.LANE_CHANGE_LEFT if side > 0 else Lat.LANE_CHANGE_RIGHT
    if outside:
        return Lat.OUT_OF_LANE_NUDGE_LEFT if side > 0 else Lat.OUT_OF_LANE_NUDGE_RIGHT
    return Lat.IN_LANE_NUDGE_LEFT if side > 0 else Lat.IN_LANE_NUDGE_RIGHT


def _free_offset(chain: list[Neighbour], me: Surroundings, route: Route, home: float) -> float | None:
    """The smallest movement that clears all of them, within the edges of the road; a whole lane where one is near.

    Out of the lane it goes to where another lane of the same direction is, even if the shoulder is nearer: that side
    can be seen from afar, which of both is nearer by a hand's breadth cannot.
    """
    half = EGO_WIDTH / 2

    def preference(value: float) -> tuple[bool, float]:
        beside = route.neighbour(1 if value > home else -1, me.s, home)
        return _leaves_lane(value, home, route) and beside is None, abs(value - home)

    for share in (1.0, 0.6, 0.35):
        candidates = [home]
        for other in chain:
            keep = share * clearance(other) + half
            candidates += [other.left + keep, other.right - keep]
        for value in sorted(candidates, key=preference):
            if value - half < route.edges[0] + 0.1 or value + half > route.edges[1] - 0.1:
                continue
            if all(
                value - o.left >= share * clearance(o) + half - 0.01
                or o.right - value >= share * clearance(o) + half - 0.01
                for o in chain
            ):
                return _whole_lane(value, chain, route, me, home)
    return None


def _whole_lane(value: float, chain: list[Neighbour], route: Route, me: Surroundings, home: float) -> float:
    """A lane change instead of straddling two lanes of the same direction, where much of it is blocked."""
    works = chain[0].actor.kind in WORKS
    if abs(value - home) < (0.9 if works else 1.25):
        return value
    lane = route.neighbour(1 if value > home else -1, me.s, home)
    if lane is None:
        return value
    free = all(abs(o.d - lane.offset) > o.half_d + EGO_WIDTH / 2 + 0.3 for o in chain)
    return lane.offset if free else value


def _blocked_by(
    me: Surroundings, route: Route, home: float, offset: float, side: int, chain: list[Neighbour], desired: float
) -> Constraint | None:
    """Who has the right of way in the lane that the movement reaches into; the constraint is to wait for them."""
    half = EGO_WIDTH / 2
    wall = chain[0].rear - 9.0 - me.front
    end = max(o.front for o in chain) + 6.0
    pace = max(me.speed, min(desired, 7.0))
    ahead_of = max(o.speed_s for o in chain)
    duration = (end - me.front) / max(pace - ahead_of, 2.0) + (0.0 if me.speed > 3.0 else 2.5)
    wait = stopping(me.speed, wall) if wall > 0.5 else -2.5
    oncoming = route.neighbour(side, me.s, home, same_direction=False)
    if oncoming is not None:
        for other in me.neighbours:
            if other.speed_s > -0.5 or abs(other.d - offset) > other.half_d + half + 0.5 or other.front < me.front:
                continue
            if other.rear - me.front < (pace - other.speed_s) * duration + 8.0:
                return Constraint(Lon.YIELD, other.actor.id, min(wait, -0.3 if me.speed > 1.0 else 0.0))
        return None
    lane = route.neighbour(side, me.s, home)
    if lane is not None:
        threat = find_gap(me, lane.offset).obstacle(me, scale=0.8)
        if threat is not None and threat.actor.id not in {o.actor.id for o in chain}:
            return Constraint(Lon.GAP_SEARCHING, threat.actor.id, min(wait, -0.3 if me.speed > 2.0 else 0.0))
    return None
