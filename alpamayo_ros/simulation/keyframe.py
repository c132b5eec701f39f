"""Where in a drive a decision is to be explained: the reactive and proactive rules of Alpamayo-R1 (Table 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from alpamayo_ros.simulation.actor import VULNERABLE, WALKING, Actor, Blinker
from alpamayo_ros.simulation.constraint import Intent
from alpamayo_ros.simulation.decision import AHEAD_WHILE_CRUISING, axes
from alpamayo_ros.simulation.episode import Episode
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.surroundings import FRONT, REAR
from alpamayo_ros.simulation.visibility import in_sight
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import LateralDecision as Lat
from alpamayo_ros.types import LongitudinalDecision as Lon

HISTORY, FUTURE = 20, 64
"""Ticks that must lie before and behind a keyframe: 2 s of history, and the 6.4 s of a plan."""
BEFORE = 5
"""A reactive keyframe lies this many ticks before the change of behaviour: 0.5 s."""
OFF_CENTRE = 0.12
"""Metres from the lane's centre that count as having left it."""
KERB_REACH = 50.0
"""Metres ahead within which somebody at the kerb is taken for one who may want to cross."""


class Rule(StrEnum):
    """Which rule made a keyframe."""

    LEAD = "lead"
    STOP = "stop"
    RESUME = "resume"
    YIELD = "yield"
    CUT_IN = "cut_in"
    ROAD_EVENT = "road_event"
    LANE_CHANGE = "lane_change"
    NUDGE = "nudge"
    NUDGE_PREPARATION = "nudge_preparation"
    PULL_OVER = "pull_over"
    ABORT = "abort"
    MERGE = "merge"
    CURVE = "curve"
    GAP = "gap"
    PASSING = "passing"
    TURN = "turn"
    INTERSECTION = "intersection"
    NOT_YIELDED = "not_yielded"
    CRUISE = "cruise"


@dataclass(frozen=True)
class Keyframe:
    """A tick to explain, or the first of a range that ends with `last` (proactive rules)."""

    tick: int
    rule: Rule
    last: int

    @property
    def reactive(self) -> bool:
        return self.last == self.tick


def find_keyframes(drive: Episode) -> list[Keyframe]:
    """All keyframes of a drive with enough history and future, ascending; no two reactive ones on the same tick."""
    found = [*_longitudinal(drive), *_lateral(drive), *_intersections(drive), *_preparations(drive), *_waiting(drive)]
    end = len(drive.intents) - FUTURE
    inside: list[Keyframe] = []
    # Where both begin, a change of behaviour says more than a range.
    for frame in sorted(found, key=lambda frame: (max(frame.tick, HISTORY), not frame.reactive, frame.rule)):
        tick, last = max(frame.tick, HISTORY), min(frame.last, end)
        if frame.reactive and frame.tick != tick:
            continue
        if tick > end or last < tick or any(tick == other.tick for other in inside):
            continue
        inside.append(Keyframe(tick, frame.rule, tick if frame.reactive else last))
    if not inside and len(drive.intents) > HISTORY + FUTURE:
        inside.append(Keyframe(HISTORY, Rule.CRUISE, end))
    return inside


def _longitudinal(drive: Episode) -> list[Keyframe]:
    values, _ = axes(drive.intents)
    found: list[Keyframe] = []
    for tick in range(1, len(values)):
        (now, cause), (before, _) = values[tick], values[tick - 1]
        if now == before:
            continue
        world = drive.worlds[tick]
        at = tick - BEFORE
        stop = _run_end(values, tick)
        if now == Lon.SET_SPEED_TRACKING:
            if world.ego.speed < 1.5:
                found.append(_one(max(at, _lamp_tick(drive, tick, Lamp.GREEN)), Rule.RESUME))
        elif now == Lon.STOP_FOR_STATIC_CONSTRAINTS:
            onset = max(_lamp_tick(drive, tick, Lamp.YELLOW), _lamp_tick(drive, tick, Lamp.RED))
            found.append(_one(max(at, onset), Rule.STOP))
        elif now == Lon.LEAD_OBSTACLE_FOLLOWING:
            found.append(_one(at, Rule.LEAD))
        elif now == Lon.YIELD:
            signal = _signal_tick(drive, tick, cause)
            if signal is not None:
                found.append(_one(signal, Rule.CUT_IN))
            else:
                found.append(_one(max(at, _step_tick(drive, tick, cause)), Rule.YIELD))
        elif now == Lon.SPEED_ADAPTATION:
            if (cause or "").startswith("curve"):
                found.append(Keyframe(at, Rule.CURVE, stop))
            else:
                found.append(_one(at, Rule.ROAD_EVENT))
        elif now == Lon.GAP_SEARCHING:
            found.append(Keyframe(max(at, 0), Rule.GAP, stop - 1))
        elif now == Lon.ACCELERATION_FOR_PASSING:
            found.append(_one(at, Rule.PASSING))
    return found


LATERAL_RULES: dict[str, Rule] = {
    Lat.LANE_CHANGE_LEFT: Rule.LANE_CHANGE,
    Lat.LANE_CHANGE_RIGHT: Rule.LANE_CHANGE,
    Lat.MERGE_SPLIT: Rule.MERGE,
    Lat.PULL_OVER: Rule.PULL_OVER,
    Lat.MANEUVER_ABORT: Rule.ABORT,
    Lat.TURN_LEFT: Rule.TURN,
    Lat.TURN_RIGHT: Rule.TURN,
    Lat.IN_LANE_NUDGE_LEFT: Rule.NUDGE,
    Lat.IN_LANE_NUDGE_RIGHT: Rule.NUDGE,
    Lat.OUT_OF_LANE_NUDGE_LEFT: Rule.NUDGE,
    Lat.OUT_OF_LANE_NUDGE_RIGHT: Rule.NUDGE,
}


def _lateral(drive: Episode) -> list[Keyframe]:
    _, values = axes(drive.intents)
    path = drive.worlds[0].scenario.route.path
    found: list[Keyframe] = []
    for tick in range(1, len(values)):
        now = values[tick][0]
        if now == values[tick - 1][0] or now not in LATERAL_RULES:
            continue
        rule = LATERAL_RULES[now]
        if rule in (Rule.TURN, Rule.ABORT):
            found.append(_one(tick - BEFORE, rule))
            continue
        # The change of behaviour is where the car leaves the centre, a little after the decision.
        start = path.project(drive.worlds[tick].ego.x, drive.worlds[tick].ego.y)[1]
        onset = tick
        while onset < min(tick + 15, len(values) - 1):
            ego = drive.worlds[onset].ego
            if abs(path.project(ego.x, ego.y)[1] - start) > OFF_CENTRE:
                break
            onset += 1
        found.append(_one(onset - BEFORE, rule))
    return found


def _intersections(drive: Episode) -> list[Keyframe]:
    """Passing an intersection on green without stopping: from the line to the exit."""
    found: list[Keyframe] = []
    route = drive.worlds[0].scenario.route
    for rule in route.stops:
        if rule.light is None:
            continue
        inside = [
            tick
            for tick, world in enumerate(drive.worlds[:-1])
            if rule.s < route.path.project(world.ego.x, world.ego.y)[0] + FRONT < rule.s + 20.0 + REAR + FRONT
        ]
        if inside and all(_cruising(drive.intents[tick], drive.worlds[tick]) for tick in inside):
            found.append(Keyframe(inside[0], Rule.INTERSECTION, inside[-1]))
    return found


def _preparations(drive: Episode) -> list[Keyframe]:
    """Before a nudge: while its cause is in sight, up to its start."""
    _, values = axes(drive.intents)
    found: list[Keyframe] = []
    for tick in range(1, len(values)):
        now, cause = values[tick]
        if now == values[tick - 1][0] or LATERAL_RULES.get(now) is not Rule.NUDGE:
            continue
        first = tick
        while first > max(tick - AHEAD_WHILE_CRUISING, 0) and values[first - 1][0] == Lat.LANE_KEEPING:
            world = drive.worlds[first - 1]
            actor = world.actor(cause or "")
            if actor is None or not in_sight(world, actor):
                break
            first -= 1
        if first < tick:
            found.append(Keyframe(first, Rule.NUDGE_PREPARATION, tick - 1))
    return found


def _waiting(drive: Episode) -> list[Keyframe]:
    """Somebody who might cross and does not, and for whom nobody waits: from when it is seen to when it is passed."""
    values, _ = axes(drive.intents)
    path = drive.worlds[0].scenario.route.path
    yielded = {cause for decision, cause in values if decision == Lon.YIELD}
    found: list[Keyframe] = []
    for one in drive.worlds[0].actors:
        if one.kind not in VULNERABLE or one.id in yielded or not _leads_across(one, path):
            continue
        seen = [tick for tick in range(len(values)) if _at_the_kerb(drive.worlds[tick], one.id)]
        # The first stay only: who has walked on is no longer waiting.
        last = next((a for a, b in pairwise(seen) if b > a + 1), seen[-1] if seen else 0)
        if seen:
            found.append(Keyframe(seen[0], Rule.NOT_YIELDED, last))
    return found


def _leads_across(actor: Actor, path: Path) -> bool:
    """Whether an actor's own path leads from one side of the route to the other."""
    sides = [path.project(*actor.path.pose(s)[:2])[1] for s in (0.0, actor.path.length)]
    return sides[0] * sides[1] < 0.0


def _at_the_kerb(world: World, name: str) -> bool:
    """Whether somebody stands near ahead, in sight."""
    actor, path = world.actor(name), world.scenario.route.path
    if actor is None or actor.speed > 0.2:
        return False
    away = path.project(actor.x, actor.y)[0] - path.project(world.ego.x, world.ego.y)[0] - FRONT
    return 0.0 < away < KERB_REACH and in_sight(world, actor)


def _cruising(intent: Intent, world: World) -> bool:
    free = intent.longitudinal is Lon.SET_SPEED_TRACKING and intent.lateral is Lat.LANE_KEEPING
    return free and world.ego.speed > 3.0


def _one(tick: int, rule: Rule) -> Keyframe:
    return Keyframe(tick, rule, tick)


def _run_end(values: Sequence[tuple[str, str | None]], tick: int) -> int:
    end = tick
    while end < len(values) and values[end][0] == values[tick][0]:
        end += 1
    return end


def _lamp_tick(drive: Episode, tick: int, lamp: Lamp) -> int:
    """When the route's light last turned to `lamp` before `tick`; -1 where it did not."""
    world = drive.worlds[tick]
    for rule in world.scenario.route.stops:
        if rule.light is not None and world.lamp(rule.light) is lamp:
            return math.ceil(world.scenario.roads.light(rule.light).since(world.time) * 10 - 1e-6)
    return -1


def _step_tick(drive: Episode, tick: int, cause: str | None) -> int:
    """Since when the one who is yielded to has been in sight at `tick` (and walking, if on foot), `BEFORE` ticks at
    most back; -1 for other causes. Before that there was nothing to see."""
    actor = drive.worlds[tick].actor(cause or "")
    if actor is None:
        return -1
    for first in range(tick, max(tick - BEFORE, 1), -1):
        world = drive.worlds[first - 1]
        earlier = world.actor(actor.id)
        if earlier is None or (earlier.kind in WALKING and earlier.speed < 0.2) or not in_sight(world, earlier):
            return first
    return tick - BEFORE


def _signal_tick(drive: Episode, tick: int, cause: str | None) -> int | None:
    """For somebody who cuts in: when its indicator came on, else when it left its lane's centre. None for others."""
    actor = drive.worlds[tick].actor(cause or "")
    if (
        actor is None
        or actor.crosses
        or (abs(actor.shift_to - actor.shift_from) < 1.0 and actor.blinker is Blinker.OFF)
    ):
        return None
    first = tick
    while first > 0:
        earlier = drive.worlds[first - 1].actor(actor.id)
        if earlier is None or (earlier.blinker is Blinker.OFF and earlier.d == earlier.shift_to):
            break
        first -= 1
    return first
