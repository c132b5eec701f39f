"""Whether a drive went past a line where it had to stop.

Ours, beside the definitions of AlpaSim's scorers: these know no traffic rules, and who runs a red light unhurt has a
full scene score there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.route import Control, StopRule
from alpamayo_ros.simulation.surroundings import FRONT
from alpamayo_ros.simulation.world import World

STANDING = 0.5
"""Speed in m/s up to which a car counts as having stopped at a sign."""
BEFORE = 6.0
"""Metres before the line within which it has to have stopped."""
_ASIDE = 4.0  # metres beside the route; farther off, the car is not on the road that the line crosses
_RULES = (Control.LIGHT, Control.STOP_SIGN, Control.SCHOOL_BUS)


def missed_stops(driven: Sequence[World]) -> list[int] | None:
    """The ticks at which the front of the car crossed a line against a red light, past a school bus that is loading,
    or past a stop sign without having stood. None where there was nothing to ignore: no such line on the route, a light
    that is green all along, or a drive that ended before the first of them."""
    route = driven[0].scenario.route
    rules = [rule for rule in route.stops if _may_ask_to_stop(rule, driven[0])]
    if not rules:
        return None
    along, across = route.path.project_many(np.array([(world.ego.x, world.ego.y) for world in driven]))
    front = along + FRONT
    if not driven[-1].finished and front[-1] < min(rule.s for rule in rules):
        return None
    missed = []
    for rule in rules:
        crossed = np.flatnonzero((front[:-1] < rule.s) & (front[1:] >= rule.s) & (np.abs(across[1:]) < _ASIDE))
        if crossed.size and _had_to_stop(rule, driven, front, int(crossed[0]) + 1):
            missed.append(int(crossed[0]) + 1)
    return sorted(missed)


def _may_ask_to_stop(rule: StopRule, world: World) -> bool:
    if rule.control is Control.LIGHT and rule.light is not None:
        return any(phase.lamp is not Lamp.GREEN for phase in world.scenario.roads.light(rule.light).phases)
    return rule.control in _RULES


def _had_to_stop(rule: StopRule, driven: Sequence[World], front: np.ndarray, tick: int) -> bool:
    """Whether crossing the line at `tick` was forbidden."""
    if rule.control is Control.LIGHT and rule.light is not None:
        return driven[tick].lamp(rule.light) is Lamp.RED
    if rule.control is Control.SCHOOL_BUS:
        bus = driven[tick].actor(rule.actor or "")
        return bus is not None and bus.beacons
    speeds = np.array([world.ego.speed for world in driven[:tick]])
    return not (speeds[rule.s - front[:tick] < BEFORE] < STANDING).any()
