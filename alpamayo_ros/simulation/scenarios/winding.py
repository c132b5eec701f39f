"""Road events: bends, bumps, narrow places, a roundabout."""

from __future__ import annotations

import math

import numpy as np

from alpamayo_ros.simulation.actor import ActorKind
from alpamayo_ros.simulation.path import Path, trace
from alpamayo_ros.simulation.road import Area, Ground, Lane, LaneKind, Marking, Paint, PaintedBar, SignKind
from alpamayo_ros.simulation.route import Control, Neighbour, RoadEvent, Route, StopRule
from alpamayo_ros.simulation.scenarios.crowd import oncoming, walkers
from alpamayo_ros.simulation.scenarios.cruising import two_way
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.junction import add_sign
from alpamayo_ros.simulation.scenarios.street import Street, lay


def place_sign(draft: Draft, street: Street, kind: SignKind, s: float, text: str = "", rule: str = "") -> None:
    """A sign on the right of the street at arc length `s`."""
    x, y, yaw = street.path.pose(s, street.edges[0] - 0.9)
    add_sign(draft, kind, x, y, yaw + math.pi, text, rule)


def sharp_curve(draft: Draft) -> None:
    """A bend that cannot be taken at the speed limit. Challenging: sharper, wet, an S-bend."""
    limit = draft.uniform(15.0, 20.0)
    side = draft.side()
    radius = draft.uniform(32.0, 50.0) if draft.hard else draft.uniform(45.0, 75.0)
    angle = draft.uniform(0.7, 1.4)
    begin = draft.start + limit * draft.uniform(5.5, 8.0)
    pieces = [(begin, 0.0), (radius * angle, side / radius), (25.0, 0.0)]
    if draft.hard:
        pieces += [(radius * angle * 0.8, -side / radius)]
    path = trace([*pieces, (260.0, 0.0)], ease=16.0)
    street = Street(path, (0.0,), (3.5,), 3.5, "suburb", centre=Paint.DOUBLE_YELLOW)
    draft.route = Route(path, limit, edges=street.edges, neighbours=[Neighbour(3.5, False)])
    lay(draft, street)
    place_sign(draft, street, SignKind.CURVE_LEFT if side > 0 else SignKind.CURVE_RIGHT, begin - 35.0, rule="curve-0")
    oncoming(draft, street, 1.2 if draft.hard else 0.5, 260.0)


def speed_bump(draft: Draft) -> None:
    """A hump across the road. Challenging: several, at night, people beside the road."""
    street = two_way(draft, draft.uniform(8.5, 12.5), bend=0.0012)
    at = draft.front + draft.braking_room(draft.way.limit)
    for index in range(2 if draft.hard else 1):
        s = at + index * draft.uniform(45.0, 60.0)
        right, left = street.right, street.left
        draft.roads.areas.append(Area(street.path.strip(right + 0.3, left - 0.3, s, s + 3.6), Ground.BUMP))
        draft.way.events.append(RoadEvent(f"bump-{index}", "bump", s - 1.0, s + 4.5, draft.uniform(3.6, 4.6)))
        place_sign(draft, street, SignKind.BUMP, s - 1.0, rule=f"bump-{index}")
    oncoming(draft, street, 0.8)
    walkers(draft, street, draft.count(2, 6) if draft.hard else draft.count(0, 3))


def narrow_bridge(draft: Draft) -> None:
    """The road narrows between barriers: slow down. Challenging: with a truck coming towards us."""
    street = two_way(draft, draft.uniform(13.0, 17.0), bend=0.0008)
    begin = draft.front + draft.braking_room(draft.way.limit) * 0.9
    end = begin + draft.uniform(35.0, 50.0)
    for s in np.arange(begin, end, 2.2):
        for d in (-1.75 - 0.15, 1.75 + 3.5 + 0.15):
            draft.add(ActorKind.BARRIER, street.path, float(s), d, reacts=False, beacons=bool(s == begin))
    draft.way.events.append(RoadEvent("narrowing-0", "narrowing", begin - 2.0, end, draft.uniform(6.5, 8.0)))
    place_sign(draft, street, SignKind.NARROW, begin - 30.0, rule="narrowing-0")
    cars = oncoming(draft, street, 1.6 if draft.hard else 0.4)
    for car in cars:
        car.desired = car.speed = min(car.speed, 8.5)


def roundabout(draft: Draft) -> None:
    """Give way to those who are in the circle, then drive through it slowly. Challenging: more of them."""
    limit = draft.uniform(9.0, 13.0)
    before = draft.front + draft.braking_room(limit)
    radius, bend = 13.5, 0.62
    arcs = [(11.0 * bend, -1 / 11.0), (radius * 2 * bend, 1 / radius), (11.0 * bend, -1 / 11.0)]
    path = trace([(before, 0.0), *arcs, (160.0, 0.0)], ease=4.0)
    middle_s = before + 11.0 * bend + radius * bend
    x, y, _ = path.pose(middle_s, radius)
    street = Street(path, (0.0,), (), 3.6, "none")
    draft.route = Route(path, limit, 3.6, edges=(-1.8, 1.8))
    circle = np.linspace(0.0, 2 * math.pi, 61)
    ring = np.stack([np.cos(circle), np.sin(circle)], axis=1)
    areas = draft.roads.areas
    outer = ring * (radius + 3.6) + [x, y]
    inner = ring * (radius - 3.4) + [x, y]
    for angle in (0.0, math.pi / 2, math.pi, -math.pi / 2):
        c, s = math.cos(angle), math.sin(angle)
        # Our lane is at y = 0: the middle of our street lies half a lane to its left.
        ox, oy = (x, 1.75) if abs(c) > 0.5 else (x, y)
        arm = Path(np.array([[ox + 14.0 * c, oy + 14.0 * s], [ox + 210.0 * c, oy + 210.0 * s]]))
        # From where it meets the ring: that of our way lies off the middle, where the ring is farther in.
        lay(draft, Street(arm, (-1.75,), (1.75,), 3.5, "suburb"), 0.0 if abs(c) > 0.5 else 2.5)
    areas.append(Area(outer, Ground.ASPHALT))
    areas.append(Area(inner, Ground.MEDIAN))
    draft.roads.lanes.append(Lane("ring", Path(ring * radius + [x, y]), 7.2, LaneKind.JUNCTION))
    through = path.part(before - 4.0, before + sum(length for length, _ in arcs) + 4.0)
    draft.roads.lanes.append(Lane("way", through, 5.0, LaneKind.JUNCTION))
    draft.roads.markings.append(Marking(inner, Paint.SOLID_WHITE))
    line = before - 3.0
    ends = np.array([path.pose(line, -1.5)[:2], path.pose(line, 1.5)[:2]])
    draft.roads.bars.append(PaintedBar("line-0", ends, True))
    draft.way.stops.append(StopRule("stop-yield_sign", line, Control.YIELD_SIGN))
    place_sign(draft, street, SignKind.YIELD, line, rule="stop-yield_sign")
    place_sign(draft, street, SignKind.ROUNDABOUT, line - 25.0, rule="roundabout-0")
    draft.way.events.append(RoadEvent("roundabout-0", "roundabout", before - 2.0, before + 30.0, 5.0))
    turns = 2.5  # so that a car can go on for the whole scenario
    angles = np.linspace(0.0, 2 * math.pi * turns, 300)
    count, first = draft.count(2, 4) if draft.hard else draft.count(0, 2), draft.uniform(0.0, 2 * math.pi)
    for index in range(count):
        # Anywhere in a part of the ring of its own.
        start = first + (index + draft.uniform(0.2, 0.8)) * 2 * math.pi / count
        way = Path(np.stack([x + radius * np.cos(angles + start), y + radius * np.sin(angles + start)], axis=1), turns)
        draft.add(draft.vehicle_kind(0.0), way, 0.5, 0.0, 5.0)


KINDS = {
    "sharp_curve": sharp_curve,
    "speed_bump": speed_bump,
    "narrow_bridge": narrow_bridge,
    "roundabout": roundabout,
}
