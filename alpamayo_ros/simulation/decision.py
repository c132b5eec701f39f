"""Which decision the expert takes at a moment of a drive: the first action from there on, one per axis at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alpamayo_ros.reasoning.causes import can_occur
from alpamayo_ros.simulation.constraint import Intent
from alpamayo_ros.simulation.lateral import LANE_CHANGES
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import Decision, LateralDecision, LongitudinalDecision

AHEAD = 8
"""Ticks within which a change counts as the first action: keyframes lie 0.5 s before it, and drivers do not flicker."""
AHEAD_WHILE_CRUISING = 40
"""The same for who keeps lane or speed until then: what comes is the first that he does. Longer, and little of it is in
the 6.4 s of a plan."""
SHORTEST = 4
"""Runs shorter than this many ticks are taken as part of what came before."""
STILL = 0.3
"""Below this speed (m/s) over the whole of `AHEAD` the car does not steer: no lateral decision."""
STEADY = 0.5
"""A change of speed below this (m/s in 3 s) is holding it."""
GAINED = 1.0
"""Who gains this much (m/s in 3 s) slows for nothing any more: he drives up to what the road allows;"""
BEGUN = 0.25
"""if this much of it (m/s) is within `AHEAD`: before it he waits."""
BRAKES = 0.8
"""Who loses this much (m/s within `AHEAD`) does not drive on yet, whatever comes next."""

NEARLY_THERE = 0.8
"""Metres left of a lane change, and"""
NEARLY_ROUND = 0.2
"""radians left of a turn, that make it keeping the lane: a plan does not show more of it."""

TURNS = (LateralDecision.TURN_LEFT, LateralDecision.TURN_RIGHT)
FOR_A_CHANGE = (LongitudinalDecision.GAP_SEARCHING, LongitudinalDecision.ACCELERATION_FOR_PASSING)

Axis = tuple[str, str | None]


@dataclass(frozen=True)
class Taken:
    """The decision at a tick, and the identities of the expert's reasons."""

    decision: Decision
    longitudinal_cause: str | None
    lateral_cause: str | None


def settle(values: Sequence[Axis]) -> list[Axis]:
    """The sequence without runs of a decision that are shorter than `SHORTEST`; causes within a run are kept."""
    settled: list[Axis] = []
    start = 0
    for index in range(1, len(values) + 1):
        if index < len(values) and values[index][0] == values[start][0]:
            continue
        run = list(values[start:index])
        short = index - start < SHORTEST and settled and index < len(values)
        settled += [settled[-1]] * len(run) if short else run
        start = index
    return settled


def axes(intents: Sequence[Intent]) -> tuple[list[Axis], list[Axis]]:
    """Settled (decision, cause) of both axes at each tick."""
    longitudinal = settle([(intent.longitudinal.value, intent.longitudinal_cause) for intent in intents])
    lateral = settle([(intent.lateral.value, intent.lateral_cause) for intent in intents])
    return longitudinal, lateral


def first_action(values: Sequence[Axis], tick: int) -> tuple[Axis, int]:
    """What happens first from `tick` on: the first change of decision within `AHEAD` ticks, else what goes on."""
    now = values[tick]
    for later in range(tick + 1, min(tick + AHEAD + 1, len(values))):
        if values[later][0] != now[0]:
            return values[later], later
    return now, tick


def run_start(values: Sequence[Axis], tick: int) -> int:
    """The tick at which the decision that holds at `tick` began."""
    start = tick
    while start > 0 and values[start - 1][0] == values[tick][0]:
        start -= 1
    return start


def decide(worlds: Sequence[World], intents: Sequence[Intent], tick: int) -> Taken:
    """The decision at `tick` of a drive. `worlds` has one state more than `intents`.

    The longitudinal part is None where the speed is simply held beside a lateral action; the lateral part is None where
    the car stands.
    """
    longitudinal, lateral = axes(intents)
    (lon, lon_cause), lon_from = first_action(longitudinal, tick)
    (lat, lat_cause), lat_from = first_action(lateral, tick)
    if lat_from == tick and _is_nearly_over(worlds, lateral, tick):
        lat, lat_cause = LateralDecision.LANE_KEEPING, None
    if lat == LateralDecision.LANE_KEEPING:
        (lat, lat_cause), lat_from = _next_movement(lateral, tick) or ((lat, lat_cause), lat_from)
    if lon == LongitudinalDecision.SET_SPEED_TRACKING:
        lon, lon_cause = _next_slowing(worlds, longitudinal, lon_from, LateralDecision(lat)) or (lon, lon_cause)
    speeds = [world.ego.speed for world in worlds[tick : tick + 31]]
    soon = speeds[min(AHEAD, len(speeds) - 1)] - speeds[0]
    if lon == LongitudinalDecision.SET_SPEED_TRACKING and lon_from > tick and soon < -BRAKES:
        lon, lon_cause = longitudinal[tick]
    chosen_lon: LongitudinalDecision | None = LongitudinalDecision(lon)
    chosen_lat: LateralDecision | None = LateralDecision(lat)
    if max(speeds[: AHEAD + 1]) < STILL and lat_from <= tick + AHEAD:
        chosen_lat, lat_cause = None, None
    keeping = chosen_lat in (None, LateralDecision.LANE_KEEPING)
    gains = soon > BEGUN and speeds[-1] - speeds[0] > GAINED and min(speeds) > speeds[0] - STEADY
    if chosen_lon in (LongitudinalDecision.SPEED_ADAPTATION, LongitudinalDecision.YIELD) and gains:
        chosen_lon, lon_cause = LongitudinalDecision.SET_SPEED_TRACKING, None
    if chosen_lon is LongitudinalDecision.ACCELERATION_FOR_PASSING and keeping:
        chosen_lon, lon_cause = LongitudinalDecision.SET_SPEED_TRACKING, None  # it has passed into the other lane
    if chosen_lon is LongitudinalDecision.SET_SPEED_TRACKING and not keeping and max(speeds) - min(speeds) < STEADY:
        chosen_lon = None
    if chosen_lon is LongitudinalDecision.ACCELERATION_FOR_PASSING and max(speeds) - min(speeds) < STEADY:
        chosen_lon = None  # fast enough to pass
    if chosen_lat is LateralDecision.MANEUVER_ABORT and chosen_lon in FOR_A_CHANGE:
        chosen_lon = None  # it served the lane change that is being given up
    return Taken(Decision(chosen_lon, chosen_lat), lon_cause, lat_cause)


def _next_movement(lateral: Sequence[Axis], tick: int) -> tuple[Axis, int] | None:
    """What leaves the lane within `AHEAD_WHILE_CRUISING` behind what goes on, and when it begins."""
    for later in range(tick + 1, min(tick + AHEAD_WHILE_CRUISING + 1, len(lateral))):
        if lateral[later][0] not in (LateralDecision.LANE_KEEPING, lateral[tick][0]):
            return lateral[later], later
    return None


def _next_slowing(
    worlds: Sequence[World], longitudinal: Sequence[Axis], tick: int, lateral: LateralDecision
) -> Axis | None:
    """For whom or what one slows within `AHEAD_WHILE_CRUISING`, if the speed is held until then."""
    for later in range(tick + 1, min(tick + AHEAD_WHILE_CRUISING + 1, len(longitudinal))):
        if abs(worlds[later].ego.speed - worlds[tick].ego.speed) > STEADY:
            return None
        decision = longitudinal[later][0]
        if decision != LongitudinalDecision.SET_SPEED_TRACKING:
            return longitudinal[later] if can_occur(LongitudinalDecision(decision), lateral) else None
    return None


def _is_nearly_over(worlds: Sequence[World], lateral: Sequence[Axis], tick: int) -> bool:
    """Whether little is left of the lane change or turn that is under way at `tick`."""
    decision = lateral[tick][0]
    end = next((t for t in range(tick, len(lateral)) if lateral[t][0] != decision), len(lateral))
    now, then = worlds[tick].ego, worlds[end].ego
    if decision in TURNS:
        return abs(math.remainder(then.yaw - now.yaw, math.tau)) < NEARLY_ROUND
    if decision not in LANE_CHANGES:
        return False
    path, start = worlds[tick].scenario.route.path, worlds[run_start(lateral, tick)].ego
    begin, here, there = (path.project(ego.x, ego.y)[1] for ego in (start, now, then))
    # Who takes an exit stays on the route, which itself leaves the lane.
    return abs(there - here) < NEARLY_THERE < abs(there - begin)
