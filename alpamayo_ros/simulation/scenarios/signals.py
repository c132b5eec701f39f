"""Junctions that are crossed straight ahead: lights, stop signs, yield signs."""

from __future__ import annotations

import math

from alpamayo_ros.simulation.actor import ActorKind
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Lamp, SignKind
from alpamayo_ros.simulation.route import Control, Crossing, Neighbour, Route, StopRule
from alpamayo_ros.simulation.scenarios.crowd import cross_traffic, oncoming, reverse, walkers
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.junction import (
    Junction,
    add_crosswalk,
    add_lights,
    add_line,
    add_sign,
    lay_crossing,
    straight,
)
from alpamayo_ros.simulation.scenarios.street import Street


def town_junction(
    draft: Draft, limit: float, distance: float, lanes: tuple[float, ...] = (0.0,), path: Path | None = None
) -> Junction:
    """A junction whose stop line is `distance` metres ahead of the front bumper; sets the route straight across."""
    width = 3.5
    theirs = tuple(max(lanes) + width * (i + 1) for i in range(len(lanes)))
    main = Street(straight(420.0), lanes, theirs, width, "city" if limit < 14.5 else "suburb")
    half = width * (2 if draft.chance(0.3) else 1)
    middle = draft.front + distance + 1.5 + 6.0 + half
    junction = lay_crossing(draft, main, middle, round(half / width))
    neighbours = [Neighbour(offset, True, stop=junction.line - 5.0) for offset in lanes]
    neighbours += [Neighbour(offset, False) for offset in theirs[:1]]
    draft.route = Route(path or main.path, limit, width, edges=main.edges, neighbours=neighbours)
    return junction


def add_stop(draft: Draft, junction: Junction, control: Control, light: str | None = None) -> str:
    """Our line, as paint and as a rule."""
    add_line(draft, junction, teeth=control is Control.YIELD_SIGN)
    rule = f"stop-{light or control.value}"
    draft.way.stops.append(StopRule(rule, junction.line, control, light))
    if control is not Control.LIGHT:
        kind = SignKind.STOP if control is Control.STOP_SIGN else SignKind.YIELD
        add_sign(draft, kind, junction.line + 0.8, junction.main.edges[0] - 0.9, rule=rule)
    return rule


def lit_crowd(draft: Draft, junction: Junction, light: str) -> None:
    """Traffic on all arms of a junction with lights; everybody obeys them."""
    main, cross = junction.main, junction.cross
    half = cross.path.length / 2
    back = reverse(main.path)
    ahead = main.path.length - junction.oncoming_line
    for car in oncoming(draft, main, 1.2, 200.0):
        # Those already in the junction are past their line.
        car.halts = ((ahead, light),) if car.s < ahead - 1.0 else ()
    halts = ((half - junction.cross_line, f"{light}-cross"),)
    north = cross_traffic(draft, cross.path, cross.ours[0], halts, draft.count(0, 3), 8.0)
    south = cross_traffic(draft, reverse(cross.path), -cross.theirs[0], halts, draft.count(0, 3), 8.0)
    assert back is not None
    for car in north + south:
        car.gives_way = True


def red_light(draft: Draft) -> None:
    """The light is red, or turns red, as we come; it turns green before we are there, or long after. Challenging: a
    late yellow, night, rain."""
    limit = draft.uniform(9.0, 14.5)
    distance = draft.braking_room(limit)
    junction = town_junction(draft, limit, distance, ((0.0,), (0.0, 3.5), (-3.5, 0.0))[draft.count(0, 2)])
    green = draft.uniform(9.5, 17.0)
    if draft.chance(0.7 if draft.hard else 0.4):
        yellow = max(distance / limit - draft.uniform(2.7, 3.4), 0.6)
        red = yellow + 2.8
        phases: tuple[tuple[float, Lamp], ...] = (
            (0.0, Lamp.GREEN),
            (yellow, Lamp.YELLOW),
            (red, Lamp.RED),
            (max(green + 1.5, red + 7.5), Lamp.GREEN),  # the crossing street gets its turn in between
        )
    else:
        phases = ((0.0, Lamp.RED), (green, Lamp.GREEN))
    light = add_lights(draft, junction, phases)
    add_stop(draft, junction, Control.LIGHT, light)
    if draft.chance(0.6):
        low, high = junction.crosswalk
        draft.way.crossings.append(Crossing(add_crosswalk(draft, junction), low, high))
    lit_crowd(draft, junction, light)
    walkers(draft, junction.main, draft.count(0, 5))


def red_light_behind_lead(draft: Draft) -> None:
    """The light is red and somebody already waits for it: the lead is the proximate cause."""
    limit = draft.uniform(9.0, 14.0)
    junction = town_junction(
        draft, limit, draft.braking_room(limit) + 14.0, (0.0,) if draft.chance(0.5) else (0.0, 3.5)
    )
    green = draft.uniform(10.0, 17.0)
    light = add_lights(draft, junction, ((0.0, Lamp.RED), (green, Lamp.GREEN)))
    add_stop(draft, junction, Control.LIGHT, light)
    s = junction.line
    for _ in range(draft.count(1, 3)):
        car = draft.add(draft.vehicle_kind(), junction.main.path, s, 0.0, 0.0, desired=limit * 0.9)
        car.s = s - 1.0 - car.length / 2
        car.halts = ((junction.line - 0.6, light),)
        s = car.s - car.length / 2 - draft.uniform(1.5, 3.0)
    lit_crowd(draft, junction, light)
    walkers(draft, junction.main, draft.count(0, 6 if draft.hard else 3))


def green_light(draft: Draft) -> None:
    """Green, and it stays green: drive on. Challenging: somebody on the crossing street runs the red light."""
    limit = draft.uniform(10.0, 14.5)
    distance = draft.braking_room(limit)
    junction = town_junction(draft, limit, distance)
    light = add_lights(draft, junction, ((0.0, Lamp.GREEN),))
    add_stop(draft, junction, Control.LIGHT, light)
    lit_crowd(draft, junction, light)
    walkers(draft, junction.main, draft.count(0, 5))
    if draft.hard:
        cross = junction.cross
        half = cross.path.length / 2
        side = draft.side()
        path, offset = (cross.path, cross.ours[0]) if side < 0 else (reverse(cross.path), -cross.theirs[0])
        runner = draft.add(ActorKind.CAR, path, half, offset, 7.0, gives_way=False, reacts=False)
        runner.s = half - 7.0 * (distance / (0.92 * limit) + draft.uniform(0.6, 1.4))
        for car in list(draft.actors):
            waits = bool(car.halts) and car.halts[0][1] == f"{light}-cross"
            if waits and car.path.length == path.length and abs(car.s - runner.s) < 60.0:
                draft.actors.remove(car)


def stop_sign(draft: Draft) -> None:
    """Stop, look, go. Challenging: crossing traffic that does not stop, to be let through first."""
    limit = draft.uniform(8.5, 12.5)
    junction = town_junction(draft, limit, draft.braking_room(limit))
    add_stop(draft, junction, Control.STOP_SIGN)
    cross = junction.cross
    half = cross.path.length / 2
    when = draft.uniform(11.5, 15.0)
    for path, offset in ((cross.path, cross.ours[0]), (reverse(cross.path), -cross.theirs[0])):
        if draft.chance(0.9 if draft.hard else 0.5):
            speed = draft.uniform(7.0, 10.0)
            draft.add(draft.vehicle_kind(), path, half - speed * when - draft.uniform(0.0, 20.0), offset, speed)
    oncoming(draft, junction.main, 0.3)
    for car in draft.actors:
        if abs(math.sin(car.yaw)) < 0.5:
            car.halts = ((junction.main.path.length - junction.middle - junction.half - 8.0, None),)
    walkers(draft, junction.main, draft.count(0, 4))


def yield_sign(draft: Draft) -> None:
    """A priority road to be crossed at a yield sign: let the crossing traffic pass. Challenging: from both sides."""
    limit = draft.uniform(8.5, 12.0)
    distance = draft.braking_room(limit)
    junction = town_junction(draft, limit, distance)
    add_stop(draft, junction, Control.YIELD_SIGN)
    cross = junction.cross
    half = cross.path.length / 2
    arrive = distance / limit + 1.2
    sides = [(cross.path, cross.ours[0]), (reverse(cross.path), -cross.theirs[0])]
    if draft.chance(0.5):
        sides.reverse()
    for index, (path, offset) in enumerate(sides):
        if index and not draft.hard:
            break
        speed = draft.uniform(7.5, 10.0)
        s = half - speed * (arrive + draft.uniform(-0.4, 1.0)) - 6.0 * index
        for _ in range(draft.count(1, 3)):
            draft.add(draft.vehicle_kind(), path, s, offset, speed)
            s -= draft.uniform(12.0, 20.0)
    walkers(draft, junction.main, draft.count(0, 4))


KINDS = {
    "red_light": red_light,
    "red_light_behind_lead": red_light_behind_lead,
    "green_light": green_light,
    "stop_sign": stop_sign,
    "yield_sign": yield_sign,
}
