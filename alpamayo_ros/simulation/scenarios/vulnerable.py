"""People on foot and on bicycles, and the school bus."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.simulation.actor import Actor, ActorKind, Event
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Crosswalk, SignKind
from alpamayo_ros.simulation.route import Control, Crossing, StopRule
from alpamayo_ros.simulation.scenarios.crowd import oncoming, reverse, walkers
from alpamayo_ros.simulation.scenarios.cruising import two_way
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.street import Street
from alpamayo_ros.simulation.scenarios.winding import place_sign

STEPPING_OUT = (("crosses", True), ("reacts", False))


def across(street: Street, s: float, side: int, before: float = 3.5, after: float = 4.0) -> tuple[Path, float]:
    """A straight way over the street at arc length `s` that starts on the `side` (-1 right, +1 left); and its width."""
    right, left = street.edges
    a, b = (right - before, left + after) if side < 0 else (left + before, right - after)
    ends = np.array([street.path.pose(s, a)[:2], street.path.pose(s, b)[:2]])
    return Path(ends), abs(right - left)


def walker(draft: Draft, path: Path, speed: float, kind: ActorKind = ActorKind.PEDESTRIAN, **more: object) -> Actor:
    return draft.add(kind, path, 0.3, 0.0, 0.0, **{"desired": 0.0, "reacts": False, "accelerates": 3.0, **more})


def mid_block(draft: Draft, limit: float, distance: float) -> tuple[Street, float]:
    """A street with a crosswalk `distance` metres ahead; returns the street and the crosswalk's arc length."""
    street = two_way(draft, limit, bend=0.0008)
    s = draft.front + distance
    right, left = street.edges
    ends = np.array([street.path.pose(s, right)[:2], street.path.pose(s, left)[:2]])
    draft.roads.crosswalks.append(Crosswalk("crosswalk-0", ends, 3.0))
    draft.way.crossings.append(Crossing("crosswalk-0", s - 1.5, s + 1.5))
    for actor in list(draft.actors):
        # Nobody parks on or right before a crosswalk.
        if abs(actor.path.project(*street.path.pose(s)[:2])[0] - actor.s) < 9.0:
            draft.actors.remove(actor)
    place_sign(draft, street, SignKind.CROSSWALK, s - 2.0, rule="crosswalk-0")
    return street, s


def crosswalk(draft: Draft) -> None:
    """People cross at a crosswalk: let them pass. Challenging: several, from both sides, a child or a stroller."""
    limit = draft.uniform(8.5, 13.0)
    street, s = mid_block(draft, limit, draft.braking_room(limit))
    oncoming(draft, street, 0.5)
    for _ in range(draft.count(2, 4) if draft.hard else 1):
        side = draft.side()
        path, _ = across(street, s + draft.uniform(-0.8, 0.8), side)
        kinds = (ActorKind.PEDESTRIAN, ActorKind.CHILD, ActorKind.STROLLER)
        kind = kinds[draft.count(0, 2)] if draft.hard else ActorKind.PEDESTRIAN
        speed = draft.uniform(1.1, 1.6)
        person = walker(draft, path, speed, kind)
        # The walk to the middle of our lane takes about this long.
        way = 3.5 + (street.edges[1] - 1.0 if side > 0 else -street.edges[0] - 1.0)
        lead = way / speed + draft.uniform(-0.6, 0.8)
        person.events = (Event(arrival=(s, max(lead, 4.4)), sets=(("desired", speed), *STEPPING_OUT)),)
    walkers(draft, street, draft.count(0, 4))
    for car in draft.actors:
        if car.kind not in (ActorKind.PEDESTRIAN, ActorKind.CHILD, ActorKind.STROLLER) and car.desired > 1.0:
            car.headway = 1.6


def waiting_walker(draft: Draft) -> None:
    """Somebody stands at the kerb and does not cross: pass by. Challenging: near the lane, at dusk, a phone in hand."""
    limit = draft.uniform(8.5, 12.5)
    street = two_way(draft, limit, bend=0.001)
    for _ in range(draft.count(1, 3)):
        s = draft.front + draft.uniform(35.0, 110.0)
        side = -1 if draft.chance(0.7) else 1
        path, _ = across(street, s, side, before=draft.uniform(0.5, 1.0))
        walker(draft, path, 0.0, facing=draft.uniform(-1.0, 1.0))
    oncoming(draft, street, 1.2 if draft.hard else 0.5)
    walkers(draft, street, draft.count(2, 6))


def jaywalker(draft: Draft) -> None:
    """Somebody walks into the road away from any crosswalk. Challenging: a child, from between parked cars."""
    limit = draft.uniform(8.0, 10.5) if draft.hard else draft.uniform(8.5, 12.5)
    street = two_way(draft, limit, bend=0.0008)
    s = draft.front + draft.braking_room(limit)
    side = -1 if draft.chance(0.65) else 1
    kind = ActorKind.CHILD if draft.hard and draft.chance(0.6) else ActorKind.PEDESTRIAN
    speed = draft.uniform(1.5, 2.1) if draft.hard else draft.uniform(1.2, 1.7)
    path, _ = across(street, s, side, before=0.6)
    edge = street.edges[0] if side < 0 else street.edges[1]
    for actor in list(draft.actors):
        along, aside = street.path.project(*actor.path.pose(actor.s, actor.d)[:2])
        room = 7.0 if not draft.hard else 11.0 if aside * side > 0.0 else 2.0
        if actor.still and abs(along - s) < room and actor.kind != ActorKind.PEDESTRIAN:
            draft.actors.remove(actor)
    if draft.hard:
        for delta in (-3.6, 4.2):
            kind_of_car = ActorKind.VAN if draft.chance(0.5) else ActorKind.CAR
            if street.parking[0]:
                draft.park(street.path, s + delta, edge - side * 1.15, kind=kind_of_car)
    person = walker(draft, path, speed, kind)
    way = 0.6 + abs(edge) - (0.9 if side < 0 else 0.2)
    lead = max(way / speed - draft.uniform(0.0, 0.5), 3.9 if draft.hard else 4.4)
    person.events = (Event(arrival=(s, lead), sets=(("desired", speed), *STEPPING_OUT)),)
    oncoming(draft, street, 0.4)
    walkers(draft, street, draft.count(1, 5))


def cyclist_ahead(draft: Draft) -> None:
    """A cyclist on our side: go around with room to spare. Challenging: oncoming traffic, so wait behind first."""
    limit = draft.uniform(9.5, 13.5)
    street = two_way(draft, limit, bend=0.0006, centre=None)
    speed = draft.uniform(3.6, 5.2)
    draft.add(
        ActorKind.CYCLIST, street.path, draft.front + draft.uniform(35.0, 55.0), draft.uniform(-1.15, -0.75), speed
    )
    if draft.hard:
        back, limit = reverse(street.path), draft.way.limit
        s = draft.start + draft.uniform(95.0, 130.0)
        for _ in range(draft.count(1, 3)):
            draft.add(draft.vehicle_kind(0.1), back, street.path.length - s, -3.5, limit * 0.85)
            s += draft.uniform(18.0, 30.0)
    walkers(draft, street, draft.count(0, 4))


def school_bus(draft: Draft) -> None:
    """A school bus stands on the other side with red lights flashing: stop until they go out. Challenging: a child
    runs over late."""
    limit = draft.uniform(9.0, 13.0)
    street = two_way(draft, limit, bend=0.0006)
    for actor in list(draft.actors):
        if actor.d > 0.0:
            draft.actors.remove(actor)
    s = draft.front + draft.braking_room(limit) + 4.0
    back = reverse(street.path)
    bus = draft.add(ActorKind.SCHOOL_BUS, back, street.path.length - s - 6.0, -3.5, 0.0, beacons=True, reacts=False)
    off = draft.uniform(13.0, 15.5)
    bus.events = (
        Event(after=off, sets=(("beacons", False),)),
        Event(after=off + 1.0, sets=(("desired", 8.0), ("reacts", True))),
    )
    draft.way.stops.append(StopRule("stop-school_bus", s - 4.0, Control.SCHOOL_BUS, actor=bus.id))
    for index in range(draft.count(1, 3) if draft.hard else draft.count(0, 1)):
        path, _ = across(street, s - 0.8 - index * 0.8, 1, before=1.0)  # right before the bus, which faces us
        child = walker(draft, path, 1.5, ActorKind.CHILD)
        child.events = (Event(after=6.5 + index * 0.7, sets=(("desired", 1.5), *STEPPING_OUT)),)
    walkers(draft, street, draft.count(0, 4))


KINDS = {
    "crosswalk": crosswalk,
    "waiting_walker": waiting_walker,
    "jaywalker": jaywalker,
    "cyclist_ahead": cyclist_ahead,
    "school_bus": school_bus,
}
