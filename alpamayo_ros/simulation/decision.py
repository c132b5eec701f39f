"""Which decision the expert takes at a moment of a drive: the first action from there on, one per axis at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alpamayo_ros.simulation.constraint import Intent
from alpamayo_ros.simulation.lateral import NUDGES
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import Decision, LateralDecision, LongitudinalDecision

AHEAD = 8
"""Ticks within which a change counts as the first action: keyframes lie 0.5 s before it, and drivers do not flicker."""
AHEAD_ON_ROUTE = 38
"""The same for turns, merges, lane changes and stops that the route asks for: they are known long before."""
AHEAD_OF_A_NUDGE = 20
"""The same for nudges, which are prepared while their cause is in sight. Longer, and little of it is in the plan."""
SHORTEST = 4
"""Runs shorter than this many ticks are taken as part of what came before."""
STILL = 0.3
"""Below this speed (m/s) over the whole of `AHEAD` the car does not steer: no lateral decision."""
STEADY = 0.5
"""A change of speed below this (m/s in 3 s) is holding it."""
GAINED = 1.0
"""Who gains this much (m/s in 3 s) does not slow for the road: he drives up to what it allows."""

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
    (lon, lon_cause), _ = first_action(longitudinal, tick)
    (lat, lat_cause), lat_from = first_action(lateral, tick)
    if lat == LateralDecision.LANE_KEEPING:
        # What the route asks for is known before it is done, and so is what is gone around.
        for later in range(tick + 1, min(tick + AHEAD_ON_ROUTE, len(lateral))):
            nudges = lateral[later][0] in NUDGES and later <= tick + AHEAD_OF_A_NUDGE
            if nudges or (lateral[later][1] or "").startswith("goal"):
                (lat, lat_cause), lat_from = lateral[later], later
                break
    speeds = [world.ego.speed for world in worlds[tick : tick + 31]]
    chosen_lon: LongitudinalDecision | None = LongitudinalDecision(lon)
    chosen_lat: LateralDecision | None = LateralDecision(lat)
    if max(speeds[: AHEAD + 1]) < STILL and lat_from <= tick + AHEAD:
        chosen_lat, lat_cause = None, None
    keeping = chosen_lat in (None, LateralDecision.LANE_KEEPING)
    gains = speeds[-1] - speeds[0] > GAINED and min(speeds) > speeds[0] - STEADY
    if chosen_lon is LongitudinalDecision.SPEED_ADAPTATION and gains:
        chosen_lon, lon_cause = LongitudinalDecision.SET_SPEED_TRACKING, None
    if chosen_lon is LongitudinalDecision.SET_SPEED_TRACKING and not keeping and max(speeds) - min(speeds) < STEADY:
        chosen_lon = None
    if chosen_lon is LongitudinalDecision.ACCELERATION_FOR_PASSING and max(speeds) - min(speeds) < STEADY:
        chosen_lon = None  # fast enough to pass
    if chosen_lat is LateralDecision.MANEUVER_ABORT and chosen_lon in FOR_A_CHANGE:
        chosen_lon = None  # it served the lane change that is being given up
    return Taken(Decision(chosen_lon, chosen_lat), lon_cause, lat_cause)
