"""Turns at junctions, pulling over, and making way for an emergency vehicle."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.simulation.actor import ActorKind, Event
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.route import Control, Crossing, Goal, Manoeuvre, Neighbour, Route, Stage
from alpamayo_ros.simulation.scenarios.crowd import cross_traffic, oncoming, parked_row, reverse, walkers
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.junction import (
    Junction,
    add_crosswalk,
    add_lights,
    add_side_crosswalk,
    turn_path,
)
from alpamayo_ros.simulation.scenarios.obstacles import plain_street
from alpamayo_ros.simulation.scenarios.signals import add_stop, town_junction
from alpamayo_ros.simulation.scenarios.vulnerable import STEPPING_OUT, walker
from alpamayo_ros.types import LateralDecision as Lat


def turning(draft: Draft, side: int, green: bool) -> tuple[Junction, float, float, str | None]:
    """A junction where the route turns; returns it, where the turn begins and ends, and the light."""
    limit = draft.uniform(8.5, 12.5)
    junction = town_junction(draft, limit, draft.braking_room(limit))
    path, start, stop = turn_path(junction, side)
    old = draft.way
    neighbours = [Neighbour(3.5, False, stop=junction.line)]
    draft.route = Route(path, limit, 3.5, edges=(-8.0, 8.0), neighbours=neighbours, stops=old.stops)
    word = "left" if side > 0 else "right"
    decision = Lat.TURN_LEFT if side > 0 else Lat.TURN_RIGHT
    draft.way.manoeuvres.append(Manoeuvre(f"goal-turn-{word}", decision, start, stop))
    draft.way.stages.append(Stage(f"Turn {word}", start, stop))
    light = None
    if green:
        light = add_lights(draft, junction, ((0.0, Lamp.GREEN),))
        add_stop(draft, junction, Control.LIGHT, light)
    low, high = junction.crosswalk
    draft.way.crossings.append(Crossing(add_crosswalk(draft, junction), low, high))
    return junction, start, stop, light


def left_turn(draft: Draft) -> None:
    """Turn left; oncoming traffic goes first. Challenging: more of it, and somebody walks where we turn to."""
    junction, _, stop, light = turning(draft, +1, draft.chance(0.7))
    back = reverse(junction.main.path)
    meet = junction.middle + (junction.middle - draft.front) * draft.uniform(0.75, 1.1)
    for _ in range(draft.count(2, 4) if draft.hard else draft.count(0, 2)):
        speed = draft.way.limit * draft.uniform(0.8, 0.92)
        draft.add(draft.vehicle_kind(0.1), back, junction.main.path.length - meet, -3.5, speed)
        meet += draft.uniform(16.0, 30.0)
    if draft.hard:
        _walker_at_side(draft, junction, +1, stop)
    _halted(draft, junction, light)
    walkers(draft, junction.main, draft.count(0, 4))


def right_turn(draft: Draft) -> None:
    """Turn right. Challenging: people cross the street that we turn into."""
    junction, _, stop, light = turning(draft, -1, draft.chance(0.6))
    if draft.hard or draft.chance(0.4):
        _walker_at_side(draft, junction, -1, stop)
    oncoming(draft, junction.main, 0.6, 160.0)
    _halted(draft, junction, light)
    walkers(draft, junction.main, draft.count(0, 4))


def _halted(draft: Draft, junction: Junction, light: str | None) -> None:
    """Crossing traffic that waits: at red, or at its own stop line."""
    cross = junction.cross
    half = cross.path.length / 2
    halts = ((half - junction.cross_line, f"{light}-cross" if light else None),)
    cross_traffic(draft, cross.path, cross.ours[0], halts, draft.count(0, 2), 7.0)
    cross_traffic(draft, reverse(cross.path), -cross.theirs[0], halts, draft.count(0, 2), 7.0)


def _walker_at_side(draft: Draft, junction: Junction, side: int, stop: float) -> None:
    """Somebody on the crosswalk over the street that the route turns into."""
    _, y = add_side_crosswalk(draft, junction, side)
    s, _ = draft.way.path.project(junction.middle + side * 1.75, y)
    draft.way.crossings.append(Crossing(f"crosswalk-side{side}", s - 1.5, s + 1.5))
    for _ in range(draft.count(1, 2)):
        way = 1 if draft.chance(0.5) else -1
        reach = junction.half + 3.0
        ends = np.array([[junction.middle - way * reach, y], [junction.middle + way * reach, y]])
        ends[:, 1] += draft.uniform(-0.7, 0.7)
        speed = draft.uniform(1.1, 1.5)
        person = walker(draft, Path(ends), speed)
        to_lane = reach + way * side * 1.75 - 1.0
        lead = to_lane / speed + draft.uniform(-0.5, 1.5)
        person.events = (Event(arrival=(s, max(lead, 2.5)), sets=(("desired", speed), *STEPPING_OUT)),)


def pull_over(draft: Draft) -> None:
    """The destination is at the kerb: pull over and stop. Challenging: into a gap between parked cars, in bad sight."""
    street = plain_street(draft, draft.uniform(8.5, 12.0))
    stop = draft.front + draft.way.limit * draft.uniform(8.0, 10.0)
    draft.way.goals.append(Goal("goal-destination", Lat.PULL_OVER, -2.35, draft.start + 10.0, stop))
    draft.way.stages.append(Stage("Pull over on the right", stop, stop + 10.0))
    if draft.hard:
        parked_row(draft, street, -1, draft.start, stop - 52.0, 0.8)
        parked_row(draft, street, -1, stop + 10.0, stop + 70.0, 0.8)
    parked_row(draft, street, 1, draft.start, stop + 60.0, 0.4)
    oncoming(draft, street, 1.2 if draft.hard else 0.6)
    walkers(draft, street, draft.count(0, 5))


def emergency_oncoming(draft: Draft) -> None:
    """An emergency vehicle comes towards us in the middle of the road: to the right, slowly, until it is past.
    Challenging: it passes a queue, at night or in rain."""
    street = plain_street(draft, draft.uniform(9.0, 13.0))
    limit = draft.way.limit
    back = reverse(street.path)
    speed = draft.uniform(13.0, 16.0)
    when = draft.uniform(6.0, 9.0)
    s = draft.front + when * limit * 0.8 + when * speed
    offset = -2.1 if draft.hard else -2.6
    ambulance = draft.add(ActorKind.EMERGENCY, back, street.path.length - s, offset, speed, beacons=True)
    ambulance.gives_way, ambulance.reacts = False, False
    if draft.hard:
        # Those whom it passes have pulled over on their side.
        place = s - draft.uniform(25.0, 60.0)
        for _ in range(draft.count(1, 3)):
            draft.add(draft.vehicle_kind(0.0), back, street.path.length - place, -5.6, 1.5)
            place -= draft.uniform(10.0, 18.0)
    walkers(draft, street, draft.count(0, 4))


def emergency_crossing(draft: Draft) -> None:
    """Our light is green, but an emergency vehicle crosses on red: let it through. Challenging: hidden longer, rain."""
    limit = draft.uniform(9.5, 13.5)
    distance = draft.braking_room(limit)
    junction = town_junction(draft, limit, distance)
    light = add_lights(draft, junction, ((0.0, Lamp.GREEN),))
    add_stop(draft, junction, Control.LIGHT, light)
    cross = junction.cross
    half = cross.path.length / 2
    side = draft.side()
    path, offset = (cross.path, cross.ours[0]) if side < 0 else (reverse(cross.path), -cross.theirs[0])
    speed = draft.uniform(6.0, 8.5) if draft.hard else draft.uniform(5.0, 7.0)
    when = distance / (0.92 * limit) + draft.uniform(0.7, 1.6)
    ambulance = draft.add(ActorKind.EMERGENCY, path, half - speed * when, offset, speed, beacons=True)
    ambulance.gives_way, ambulance.reacts = False, False
    oncoming(draft, junction.main, 0.4, 140.0)
    walkers(draft, junction.main, draft.count(0, 4))


KINDS = {
    "left_turn": left_turn,
    "right_turn": right_turn,
    "pull_over": pull_over,
    "emergency_oncoming": emergency_oncoming,
    "emergency_crossing": emergency_crossing,
}
