"""Things that stand in, or reach into, the lane: parked and broken-down vehicles, debris, construction."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.simulation.actor import SIZES, ActorKind
from alpamayo_ros.simulation.road import Paint, SignKind
from alpamayo_ros.simulation.route import Neighbour, Route
from alpamayo_ros.simulation.scenarios.crowd import oncoming, reverse, stream, walkers
from alpamayo_ros.simulation.scenarios.cruising import gentle_road, highway
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.street import Street, lay
from alpamayo_ros.simulation.scenarios.winding import place_sign


def plain_street(draft: Draft, limit: float, parking: float = 2.3) -> Street:
    """A two-way town street with empty parking strips; sets the route."""
    centre = Paint.DASHED_YELLOW
    street = Street(gentle_road(draft, 420.0, 0.0008), (0.0,), (3.5,), 3.5, "city", (parking, parking), 0.0, centre)
    draft.route = Route(street.path, limit, edges=street.edges, neighbours=[Neighbour(3.5, False)])
    lay(draft, street)
    return street


def badly_parked(draft: Draft) -> None:
    """A parked vehicle reaches a little into our lane from the right: move over within the lane. Challenging: several,
    with traffic coming towards us."""
    street = plain_street(draft, draft.uniform(8.5, 12.5))
    s = draft.front + draft.steering_room(draft.way.limit)
    for _ in range(draft.count(2, 3) if draft.hard else 1):
        kind = ActorKind.VAN if draft.chance(0.3) else ActorKind.CAR
        width = SIZES[kind][1]
        reach = draft.uniform(0.62, 0.92)
        draft.park(street.path, s, -1.75 + reach - width / 2, kind=kind, width=width, hazard=draft.chance(0.3))
        s += draft.uniform(10.0, 18.0)
    oncoming(draft, street, 1.6 if draft.hard else 0.5)
    walkers(draft, street, draft.count(0, 5))


def over_the_line(draft: Draft) -> None:
    """A vehicle that stands on the other side reaches over the centre line: move right within the lane. Challenging:
    a truck, and cars that pass it towards us."""
    street = plain_street(draft, draft.uniform(8.5, 12.5))
    s = draft.front + draft.steering_room(draft.way.limit)
    back = reverse(street.path)
    kind = ActorKind.TRUCK if draft.hard else ActorKind.CAR
    width = SIZES[kind][1]
    reach = draft.uniform(0.66, 0.92)
    draft.park(back, street.path.length - s, -(1.75 - reach + width / 2), kind=kind, width=width, hazard=True)
    walkers(draft, street, draft.count(0, 5))


def double_parked(draft: Draft) -> None:
    """A vehicle stands in our lane: around it over the centre line. Challenging: let oncoming traffic pass first."""
    street = plain_street(draft, draft.uniform(8.5, 12.0))
    limit = draft.way.limit
    distance = draft.steering_room(limit)
    s = draft.front + distance
    kind = (ActorKind.CAR, ActorKind.VAN)[draft.count(0, 1)]
    width = SIZES[kind][1]
    draft.park(
        street.path, s, -1.75 + draft.uniform(1.3, 1.8) - width / 2, kind=kind, width=width, hazard=draft.chance(0.8)
    )
    if draft.hard:
        back = reverse(street.path)
        meet = s + 0.85 * distance * draft.uniform(0.8, 1.3)
        for _ in range(draft.count(1, 3)):
            draft.add(draft.vehicle_kind(0.1), back, street.path.length - meet, -3.5, limit * 0.85)
            meet += draft.uniform(16.0, 28.0)
    walkers(draft, street, draft.count(0, 5))


def breakdown_left(draft: Draft) -> None:
    """A vehicle has broken down half on the left shoulder: over the right line around it, and back. Challenging: with
    traffic on our right."""
    street = highway(draft, (0.0, -3.6), draft.uniform(14.0, 18.0), bend=0.0006)
    limit = draft.way.limit
    s = draft.front + draft.steering_room(limit)
    width = SIZES[ActorKind.CAR][1]
    draft.park(street.path, s, 1.8 - draft.uniform(1.05, 1.4) + width / 2, kind=ActorKind.CAR, width=width, hazard=True)
    if draft.hard:
        stream(draft, street.path, -3.6, s + 45.0, s + 150.0, limit * 0.9, (30.0, 50.0))
        stream(draft, street.path, -3.6, draft.start - 90.0, draft.start - 45.0, limit * 0.85, (30.0, 50.0))
    else:
        stream(draft, street.path, -3.6, s + 40.0, s + 150.0, limit * 0.95, (40.0, 70.0))


def debris(draft: Draft) -> None:
    """Something lies in the lane. Challenging: at night or in rain, with traffic beside."""
    street = highway(draft, (0.0, 3.6) if draft.chance(0.5) else (0.0, -3.6), draft.uniform(13.0, 17.0), bend=0.0006)
    s = draft.front + draft.steering_room(draft.way.limit)
    draft.add(ActorKind.DEBRIS, street.path, s, draft.side() * draft.uniform(0.25, 0.6), reacts=False)
    if draft.hard:
        lane = street.ours[1]
        stream(draft, street.path, lane, draft.start + 60.0, draft.start + 190.0, draft.way.limit * 0.95, (40.0, 70.0))


def construction(draft: Draft) -> None:
    """Cones close our lane: change to the free one. Challenging: in rain or at night, with traffic to fit into."""
    side = draft.side()
    street = highway(draft, (0.0, side * 3.6), draft.uniform(13.0, 17.0), bend=0.0006)
    limit = draft.way.limit
    begin = draft.front + draft.steering_room(limit)
    # The taper runs from the far edge of our lane towards the free one.
    for index, s in enumerate(np.arange(0.0, 24.0, 4.0)):
        draft.add(ActorKind.CONE, street.path, begin + float(s), side * (-1.6 + 2.7 * index / 5), reacts=False)
    for s in np.arange(26.0, 60.0, 2.4):
        draft.add(ActorKind.BARRIER, street.path, begin + float(s), side * 1.15, reacts=False, beacons=bool(s == 26.0))
    draft.park(street.path, begin + 45.0, -side * 0.6, kind=ActorKind.TRUCK, hazard=True, beacons=False)
    place_sign(draft, street, SignKind.WORKS, begin - 55.0)
    place_sign(draft, street, SignKind.WORKS, begin - 25.0)
    if draft.hard:
        stream(draft, street.path, side * 3.6, draft.start - 50.0, draft.start + 60.0, limit * 0.85, (24.0, 40.0))
    else:
        stream(draft, street.path, side * 3.6, draft.start + 60.0, draft.start + 160.0, limit * 0.95, (40.0, 70.0))


KINDS = {
    "badly_parked": badly_parked,
    "over_the_line": over_the_line,
    "double_parked": double_parked,
    "breakdown_left": breakdown_left,
    "debris": debris,
    "construction": construction,
}
