"""Driving along: an open road, a lead that is slow, that brakes, that queues, and somebody who cuts in."""

from __future__ import annotations

from alpamayo_ros.simulation.actor import ActorKind, Blinker, Event
from alpamayo_ros.simulation.path import Path, trace
from alpamayo_ros.simulation.road import Paint, SignKind
from alpamayo_ros.simulation.route import Neighbour, Route
from alpamayo_ros.simulation.scenarios.crowd import oncoming, parked_row, stream, walkers
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.junction import add_sign
from alpamayo_ros.simulation.scenarios.street import Street, lay


def gentle_road(draft: Draft, length: float, bend: float) -> Path:
    """A road with gentle bends of up to `bend` 1/m."""
    pieces = [(draft.start + draft.uniform(10.0, 60.0), 0.0)]
    total = pieces[0][0]
    while total < length:
        piece = draft.uniform(40.0, 110.0)
        pieces.append((piece, draft.uniform(-bend, bend)))
        total += piece
    return trace(pieces, ease=30.0)


def two_way(
    draft: Draft, limit: float, length: float = 420.0, bend: float = 0.002, centre: Paint | None = None
) -> Street:
    """A street with one lane each way; sets the route along it."""
    verge = "city" if limit < 13.0 else "suburb"
    paint = centre or (Paint.DOUBLE_YELLOW if draft.chance(0.5) else Paint.DASHED_YELLOW)
    parking = (2.3, 2.3) if verge == "city" and draft.chance(0.6) else (0.0, 0.0)
    street = Street(gentle_road(draft, length, bend), (0.0,), (3.5,), 3.5, verge, parking, 0.0, paint)
    draft.route = Route(street.path, limit, edges=street.edges, neighbours=[Neighbour(3.5, False)])
    lay(draft, street)
    if parking[0]:
        parked_row(draft, street, -1, draft.start - 20.0, draft.start + 240.0)
        parked_row(draft, street, 1, draft.start - 20.0, draft.start + 240.0)
    return street


def highway(
    draft: Draft, lanes: tuple[float, ...], limit: float, length: float = 800.0, bend: float = 0.0008
) -> Street:
    """One carriageway of a highway; `lanes` are the offsets of its lanes from ours. Sets the route along it."""
    street = Street(gentle_road(draft, length, bend), lanes, (), 3.6, "highway", shoulder=2.6)
    neighbours = [Neighbour(offset, True) for offset in lanes]
    draft.route = Route(street.path, limit, 3.6, edges=street.edges, neighbours=neighbours)
    lay(draft, street)
    return street


def city_limit(draft: Draft) -> float:
    return (8.3, 11.1, 13.9)[draft.count(0, 2)]


def open_road(draft: Draft) -> None:
    """Nothing ahead: reach the speed limit and hold it. Challenging: bad weather, busy roadside."""
    street = two_way(draft, city_limit(draft), bend=0.0015)
    draft.speed = draft.way.limit * draft.uniform(0.35, 0.75)
    oncoming(draft, street, 1.5 if draft.hard else 0.6)
    walkers(draft, street, draft.count(3, 8) if draft.hard else draft.count(0, 3))
    x, y, yaw = street.path.pose(draft.start + 25.0, street.edges[0] - 0.8)
    add_sign(draft, SignKind.LIMIT, x, y, yaw + 3.14159, str(round(draft.way.limit * 3.6 / 5) * 5))


def slow_lead(draft: Draft) -> None:
    """A slower vehicle ahead on a two-way road. Challenging: a truck, a bend, rain."""
    street = two_way(draft, draft.uniform(11.0, 16.0), bend=0.003 if draft.hard else 0.0012)
    kind = ActorKind.TRUCK if draft.hard and draft.chance(0.5) else draft.vehicle_kind()
    speed = draft.way.limit * draft.uniform(0.5, 0.72)
    lead = draft.add(kind, street.path, draft.front + draft.uniform(28.0, 60.0), 0.0, speed)
    lead.s += lead.length / 2
    oncoming(draft, street, 2.0 if draft.hard else 0.8)
    walkers(draft, street, draft.count(0, 4))


def braking_lead(draft: Draft) -> None:
    """The lead brakes, often to standstill, and goes on. Challenging: harder and closer, for something unseen."""
    street = two_way(draft, draft.uniform(9.0, 14.0), bend=0.0012)
    limit = draft.way.limit
    headway = draft.uniform(1.5, 1.9) if draft.hard else draft.uniform(1.9, 2.6)
    lead = draft.add(draft.vehicle_kind(), street.path, draft.front, 0.0, limit * 0.95)
    lead.s += lead.length / 2 + headway * limit * 0.92 + 2.0
    when = draft.uniform(3.0, 8.0)
    brakes = draft.uniform(3.5, 4.8) if draft.hard else draft.uniform(2.0, 3.0)
    slow = 0.0 if draft.chance(0.6) else limit * draft.uniform(0.2, 0.45)
    lead.events = (
        Event(after=when, sets=(("desired", slow), ("brakes", brakes))),
        Event(after=when + draft.uniform(6.0, 8.0), sets=(("desired", limit * 0.9), ("brakes", 2.5))),
    )
    oncoming(draft, street, 2.0 if draft.hard else 0.8)
    walkers(draft, street, draft.count(0, 4))


def queue(draft: Draft) -> None:
    """Traffic ahead stands or crawls, and we come up to its end. Challenging: behind a bend, in bad weather."""
    lanes = (0.0, 3.6) if draft.chance(0.5) else (0.0, -3.6)
    street = highway(draft, lanes, draft.uniform(15.0, 20.0), bend=0.0025 if draft.hard else 0.0008)
    pace = draft.uniform(0.0, 2.5)
    tail = draft.front + draft.uniform(75.0, 120.0)
    for offset in lanes:
        for car in stream(draft, street.path, offset, tail, tail + 110.0, max(pace, 0.0), (3.0, 7.0)):
            car.desired = pace if offset == 0.0 else pace + draft.uniform(0.0, 0.8)
            if draft.chance(0.6):
                car.events = (Event(after=draft.uniform(12.0, 17.0), sets=(("desired", pace + 5.0),)),)


def cut_in(draft: Draft) -> None:
    """A vehicle from the lane beside us moves in with little room. Challenging: slower, closer, no long signal."""
    lanes = ((0.0, 3.6), (0.0, -3.6), (-3.6, 0.0, 3.6))[draft.count(0, 2)]
    street = highway(draft, lanes, draft.uniform(15.0, 21.0))
    limit = draft.way.limit
    lane = lanes[0] if lanes[0] != 0.0 else lanes[-1]
    speed = limit * (draft.uniform(0.72, 0.82) if draft.hard else draft.uniform(0.8, 0.88))
    cutter = draft.add(draft.vehicle_kind(0.2), street.path, 0.0, lane, speed, reacts=False)
    signal = draft.uniform(2.5, 5.0)
    delay = draft.uniform(0.6, 1.0) if draft.hard else draft.uniform(1.2, 2.0)
    # So far ahead that this gap is left when it begins to move over.
    gap = draft.uniform(9.0, 14.0) if draft.hard else draft.uniform(13.0, 20.0)
    pace = limit * (0.94 if draft.weather == "clear" else 0.86)
    cutter.s = draft.front + cutter.length / 2 + gap + max(pace - speed, 0.0) * (signal + delay)
    blinker = Blinker.RIGHT if lane > 0 else Blinker.LEFT
    cutter.events = (
        Event(after=signal, sets=(("blinker", blinker),)),
        Event(after=signal + delay, shift=(0.0, draft.uniform(2.8, 3.6) if draft.hard else draft.uniform(3.4, 4.4))),
        Event(after=signal + delay + 4.6, sets=(("blinker", Blinker.OFF), ("reacts", True), ("desired", limit * 0.92))),
    )
    ahead = draft.add(draft.vehicle_kind(), street.path, cutter.s + draft.uniform(75.0, 110.0), 0.0, limit * 0.95)
    ahead.desired = limit * 0.95
    for offset in lanes:
        if offset not in (0.0, lane):
            stream(draft, street.path, offset, draft.start - 60.0, draft.start + 150.0, limit * 0.92, (25.0, 60.0))


KINDS = {
    "open_road": open_road,
    "slow_lead": slow_lead,
    "braking_lead": braking_lead,
    "queue": queue,
    "cut_in": cut_in,
}
