"""Changing lanes: to overtake, to follow the route, into a gap, and not after all; ramps on and off a highway."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.simulation.actor import Blinker, Event
from alpamayo_ros.simulation.longitudinal import WEATHER_SPEED
from alpamayo_ros.simulation.path import Path, shift
from alpamayo_ros.simulation.road import Area, Ground, Lane, Marking, Paint, SignKind
from alpamayo_ros.simulation.route import LANE_END, Goal, Manoeuvre, Neighbour, RoadEvent, Route, Stage
from alpamayo_ros.simulation.scenarios.crowd import stream
from alpamayo_ros.simulation.scenarios.cruising import gentle_road, highway
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.street import Street, lay
from alpamayo_ros.simulation.scenarios.winding import place_sign
from alpamayo_ros.types import LateralDecision as Lat

WIDTH = 3.6


def overtake(draft: Draft) -> None:
    """A slow lead and a free lane on the left: pass it. Challenging: faster traffic on the left to be let by first."""
    lanes = (0.0, WIDTH) if draft.chance(0.6) else (-WIDTH, 0.0, WIDTH)
    street = highway(draft, lanes, draft.uniform(16.0, 21.0))
    limit = draft.way.limit
    draft.way.passing = True
    lead = draft.add(draft.vehicle_kind(0.45), street.path, 0.0, 0.0, limit * draft.uniform(0.55, 0.68))
    lead.s = draft.front + lead.length / 2 + draft.uniform(45.0, 70.0)
    if draft.hard:
        fast = draft.add(
            draft.vehicle_kind(0.0), street.path, draft.start - draft.uniform(20.0, 45.0), WIDTH, limit * 1.08
        )
        fast.desired = limit * 1.08
    if -WIDTH in lanes:
        stream(draft, street.path, -WIDTH, draft.start + 20.0, draft.start + 160.0, limit * 0.6, (25.0, 50.0))


def route_lane_change(draft: Draft) -> None:
    """The route asks for the lane beside us and there is room. Challenging: bad sight, traffic in both lanes."""
    side = draft.side()
    street = highway(draft, (0.0, side * WIDTH), draft.uniform(13.0, 19.0))
    limit = draft.way.limit
    begin = draft.front + limit * draft.uniform(2.0, 5.0)
    _ask(draft, side, begin, begin + limit * 9.0)
    draft.add(draft.vehicle_kind(0.2), street.path, draft.front + draft.uniform(50.0, 75.0), 0.0, limit * 0.92)
    far = begin + 60.0
    stream(draft, street.path, side * WIDTH, far, far + 120.0, limit * 0.95, (35.0, 60.0))
    if draft.hard:
        stream(draft, street.path, side * WIDTH, draft.start - 110.0, draft.start - 55.0, limit * 0.92, (25.0, 50.0))


def blocked_lane_change(draft: Draft) -> None:
    """The route asks for the lane beside us and it is taken: find a gap. Challenging: smaller gaps, slower stream."""
    side = draft.side()
    street = highway(draft, (0.0, side * WIDTH), draft.uniform(13.0, 18.0))
    limit = draft.way.limit
    begin = draft.front + limit * draft.uniform(1.5, 3.0)
    _ask(draft, side, begin, begin + limit * 12.0)
    pace = limit * (draft.uniform(0.7, 0.8) if draft.hard else draft.uniform(0.8, 0.88))
    gaps = (22.0, 28.0) if draft.hard else (26.0, 38.0)
    # The stream drops back while we come up to `begin`; there it has to be beside us.
    drop = (limit * 0.93 - pace) * (begin - draft.front) / limit
    cars = stream(draft, street.path, side * WIDTH, draft.start - 70.0 + drop, draft.start + 75.0 + drop, pace, gaps)
    for car in cars:
        car.headway = 1.0


def _ask(draft: Draft, side: int, begin: float, by: float) -> None:
    decision = Lat.LANE_CHANGE_LEFT if side > 0 else Lat.LANE_CHANGE_RIGHT
    draft.way.goals.append(Goal("goal-lane", decision, side * WIDTH, begin, by))
    word = "left" if side > 0 else "right"
    draft.way.navigation = f"Change to the {word} lane"
    draft.way.stages.append(Stage(f"Change to the {word} lane", by, by))


def aborted_lane_change(draft: Draft) -> None:
    """We begin to change lanes, and somebody from the lane beyond takes the place: go back. Challenging: in bad sight,
    and later."""
    side = draft.side()
    street = highway(draft, (0.0, side * WIDTH, side * 2 * WIDTH), draft.uniform(14.0, 19.0))
    limit = draft.way.limit
    begin = draft.front + limit * draft.uniform(2.5, 4.5)
    _ask(draft, side, begin, begin + limit * 12.0)
    # Beside us when we begin, whatever the weather makes of the speed.
    draft.speed = limit * 0.95
    pace = limit * WEATHER_SPEED[draft.weather] * 0.975
    taker = draft.add(draft.vehicle_kind(0.15), street.path, 0.0, side * 2 * WIDTH, pace, reacts=False)
    taker.s = draft.front + draft.uniform(-3.5, 1.5)
    drift = side * (0.3 if draft.hard else 0.2)
    blinker = Blinker.RIGHT if side > 0 else Blinker.LEFT
    taker.events = (
        Event(drift=drift, sets=(("blinker", blinker),), shift=(side * WIDTH, 3.0)),
        Event(after=17.0, sets=(("blinker", Blinker.OFF), ("reacts", True))),
    )
    draft.add(draft.vehicle_kind(), street.path, draft.front + draft.uniform(70.0, 90.0), 0.0, limit * 0.95)


def lane_drop(draft: Draft) -> None:
    """Our lane ends: fit into the one beside it like a zipper. Challenging: dense traffic."""
    side = 1
    base = gentle_road(draft, 700.0, 0.0006)
    limit = draft.uniform(13.0, 17.0)
    end = draft.front + limit * draft.uniform(9.0, 11.0)
    # Ours is the one that ends: the street proper is laid beside it.
    street = Street(
        base, (side * WIDTH, side * 2 * WIDTH), (), WIDTH, "highway", shoulder=2.6, open_right=(0.0, end + 40.0)
    )
    draft.route = Route(base, limit, WIDTH, edges=(-1.8 - 2.0, street.edges[1]))
    draft.way.neighbours = [Neighbour(0.0, True, stop=end), Neighbour(WIDTH, True), Neighbour(2 * WIDTH, True)]
    _extra_lane(draft, street, 0.0, end, 40.0)
    lay(draft, street)
    draft.way.goals.append(Goal(LANE_END, Lat.LANE_CHANGE_LEFT, WIDTH, draft.front + limit * 2.0, end - 5.0))
    draft.way.stages.append(Stage("Change to the left lane", end, end))
    for distance in (120.0, 60.0):
        x = draft.front + distance if distance < end - draft.front else end - 20.0
        place_sign(draft, Street(base, (0.0,), (), WIDTH, shoulder=2.6), SignKind.MERGE, x, rule=LANE_END)
    gaps = (18.0, 28.0) if draft.hard else (28.0, 45.0)
    stream(draft, base, WIDTH, draft.start - 60.0, draft.start + 110.0, limit * 0.82, gaps)
    stream(draft, base, 2 * WIDTH, draft.start - 40.0, draft.start + 150.0, limit * 0.95, (30.0, 60.0))


def _extra_lane(draft: Draft, street: Street, start: float, stop: float, taper: float) -> None:
    """A lane along the right of the street that fades out over `taper` metres after `stop`, with its shoulder."""
    path, right = street.path, street.right
    roads = draft.roads
    roads.lanes.append(Lane("extra", path.offset(right - WIDTH / 2).part(start, stop + taper / 2), WIDTH))
    edge = path.part(start, stop + taper).offset(shift(stop - start, stop - start + taper, right - WIDTH, right))
    line = path.part(start, stop + taper)
    inner = line.edge(right + 0.2, 0.0, line.length)
    for out, ground in ((4.6, Ground.GRAVEL), (2.6, Ground.ASPHALT)):
        outer = edge.edge(-out, 0.0, edge.length)
        roads.areas.append(Area(_band(inner, outer), ground))
    roads.lanes.append(Lane("extra-shoulder", edge.offset(-1.3), 2.6))
    roads.markings.append(Marking(edge.edge(0.12, 0.0, edge.length), Paint.SOLID_WHITE))
    roads.markings.append(Marking(path.edge(right, start, stop), Paint.SHORT_DASHES))


def _band(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    return np.concatenate([inner, outer[::-1]])


def on_ramp(draft: Draft) -> None:
    """From a ramp on to the highway: match its speed, take a gap. Challenging: dense traffic, a short lane."""
    limit = draft.uniform(17.0, 22.0)
    base = gentle_road(draft, 900.0, 0.0004)
    join_from = draft.start + draft.uniform(45.0, 70.0)
    lane_end = join_from + (draft.uniform(150.0, 180.0) if draft.hard else draft.uniform(190.0, 240.0))
    street = Street(
        base, (0.0, WIDTH), (), WIDTH, "highway", shoulder=2.6, open_right=(join_from - 50.0, lane_end + 45.0)
    )
    lay(draft, street)
    profile = shift(join_from - 95.0, join_from, -17.0, -WIDTH)
    way = base.offset(profile)
    draft.route = Route(way, limit, WIDTH, edges=(-1.8 - 2.0, WIDTH * 1.5))
    draft.way.neighbours = [Neighbour(0.0, True, stop=lane_end), Neighbour(WIDTH, True, start=join_from)]
    _ramp(draft, way, join_from - 100.0, join_from - 20.0)
    _extra_lane(draft, street, join_from - 21.0, lane_end, 45.0)
    draft.way.goals.append(Goal("goal-merge", Lat.MERGE_SPLIT, WIDTH, join_from + 8.0, lane_end - 5.0))
    draft.way.stages.append(Stage("Merge on to the highway", lane_end, lane_end))
    draft.speed = limit * draft.uniform(0.68, 0.8)
    pace = limit * draft.uniform(0.85, 0.92)
    gaps = (24.0, 34.0) if draft.hard else (32.0, 55.0)
    stream(draft, base, 0.0, draft.start - 70.0, draft.start + 90.0, pace, gaps)
    stream(draft, base, WIDTH, draft.start - 60.0, draft.start + 160.0, limit * 0.98, (35.0, 70.0))


def _ramp(draft: Draft, way: Path, start: float, stop: float) -> None:
    street = Street(way.part(start, stop), (0.0,), (), WIDTH, "ramp", shoulder=1.8)
    lay(draft, street)


def off_ramp(draft: Draft) -> None:
    """The route leaves the highway: over to the exit lane, slow down on the ramp. Challenging: a slow truck ahead."""
    limit = draft.uniform(17.0, 22.0)
    base = gentle_road(draft, 900.0, 0.0004)
    begin = draft.front + limit * draft.uniform(2.5, 4.0)
    leave = begin + draft.uniform(75.0, 95.0)
    street = Street(base, (0.0, WIDTH), (), WIDTH, "highway", shoulder=2.6, open_right=(begin - 20.0, leave + 75.0))
    first, second = shift(begin, begin + 62.0, 0.0, -WIDTH), shift(leave, leave + 100.0, 0.0, -15.0)
    way = base.offset(lambda s: first(s) + second(s))
    draft.route = Route(way, limit, WIDTH, edges=(-1.8 - 2.0, 1.8))
    draft.way.manoeuvres.append(Manoeuvre("goal-exit", Lat.MERGE_SPLIT, begin, leave + 60.0))
    draft.way.stages.append(Stage("Take the exit on the right", begin + 30.0, leave + 60.0))
    draft.way.events.append(RoadEvent("ramp-0", "ramp", leave + 45.0, leave + 200.0, limit * draft.uniform(0.5, 0.62)))
    _exit_lane(draft, street, begin, leave)
    _ramp(draft, way, leave + 55.0, leave + 260.0)
    lay(draft, street)  # last: its trees keep clear of what is there
    place_sign(draft, street, SignKind.EXIT, begin - 10.0)
    place_sign(draft, Street(way, (0.0,), (), WIDTH, shoulder=2.4), SignKind.LIMIT, leave + 30.0, rule="ramp-0")
    stream(draft, base, WIDTH, draft.start - 60.0, draft.start + 160.0, limit * 0.98, (35.0, 70.0))
    if draft.hard:
        draft.add(draft.vehicle_kind(0.9), way, draft.front + draft.uniform(45.0, 60.0), 0.0, limit * 0.72)
    stream(draft, base, 0.0, leave + 40.0, leave + 160.0, limit * 0.95, (35.0, 70.0))


def _exit_lane(draft: Draft, street: Street, begin: float, leave: float) -> None:
    path, right = street.path, street.right
    roads = draft.roads
    stop = leave + 62.0
    edge = path.part(begin - 10.0, stop)
    widen, away = shift(0.0, 55.0, 0.0, -WIDTH), shift(leave - begin + 10.0, leave - begin + 110.0, 0.0, -15.0)
    outer = edge.offset(lambda s: right + widen(s) + away(s))
    inner = path.edge(right + 0.2, begin - 10.0, stop)
    for out, ground in ((4.0, Ground.GRAVEL), (2.4, Ground.ASPHALT)):
        roads.areas.append(Area(_band(inner, outer.edge(-out, 0.0, outer.length)), ground))
    roads.lanes.append(Lane("exit", outer.offset(WIDTH / 2), WIDTH + 0.2))
    roads.lanes.append(Lane("exit-shoulder", outer.offset(-1.2), 2.4))
    roads.lanes.append(Lane("gore", outer.offset(WIDTH + 1.0), 2.4))
    roads.markings.append(Marking(outer.edge(0.12, 0.0, outer.length), Paint.SOLID_WHITE))
    roads.markings.append(Marking(path.edge(right, begin + 10.0, leave + 10.0), Paint.SHORT_DASHES))


KINDS = {
    "overtake": overtake,
    "route_lane_change": route_lane_change,
    "blocked_lane_change": blocked_lane_change,
    "aborted_lane_change": aborted_lane_change,
    "lane_drop": lane_drop,
    "on_ramp": on_ramp,
    "off_ramp": off_ramp,
}
