"""The expert's lateral planner: one manoeuvre at a time, each begun for a named cause."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from alpamayo_ros.simulation.actor import ActorKind
from alpamayo_ros.simulation.constraint import Constraint
from alpamayo_ros.simulation.evasion import Evasion, plan_evasion
from alpamayo_ros.simulation.gap import find_gap, search_gap
from alpamayo_ros.simulation.longitudinal import IDM
from alpamayo_ros.simulation.offset_plan import OffsetPlan, shift_length
from alpamayo_ros.simulation.route import Goal, Route
from alpamayo_ros.simulation.surroundings import Neighbour, Surroundings
from alpamayo_ros.simulation.world import EGO_WIDTH, World
from alpamayo_ros.types import LateralDecision as Lat
from alpamayo_ros.types import LongitudinalDecision as Lon

REST = 6.5
"""Seconds after an abort before the same goal is tried again."""
ELSEWHERE = 1.0
"""Metres beside a planned movement from which on it is not the one that is driven."""
EDGE_ROOM = 0.8
"""Metres left to the edge of the road while an emergency vehicle is let past."""
LANE_CHANGES = frozenset({Lat.LANE_CHANGE_LEFT, Lat.LANE_CHANGE_RIGHT, Lat.MERGE_SPLIT})
NUDGES = frozenset(
    {
        Lat.IN_LANE_NUDGE_LEFT,
        Lat.IN_LANE_NUDGE_RIGHT,
        Lat.OUT_OF_LANE_NUDGE_LEFT,
        Lat.OUT_OF_LANE_NUDGE_RIGHT,
    }
)


@dataclass
class Steering:
    """What the lateral planner remembers.

    home: offset of the lane it is in. origin: the lane it came from while a lane change runs. around: the obstacles
    of the present nudge. passed: the lead it overtakes. reached: goals that are done. aborted_at: time of the last
    abort. waits: why a manoeuvre that is wanted does not begin yet.
    """

    plan: OffsetPlan
    home: float = 0.0
    decision: Lat = Lat.LANE_KEEPING
    cause: str | None = None
    origin: float = 0.0
    around: frozenset[str] = frozenset()
    ahead: frozenset[str] = frozenset()
    passed: str | None = None
    reached: set[str] = field(default_factory=set)
    aborted_at: float = -1e9
    waits: Constraint | None = None

    def copy(self) -> Steering:
        return replace(self, reached=set(self.reached))

    def corridor(self, s: float) -> float:
        """Planned offset at arc length `s`."""
        return self.plan.at(s)[0]

    def move(self, me: Surroundings, offset: float, decision: Lat, cause: str | None, room: float = math.inf) -> None:
        """Begin to go to `offset`, continuing smoothly from the present movement."""
        before, slope, bend = self.plan.at(me.s)
        if self.plan.done(me.s):
            before, slope, bend = me.d, math.tan(min(max(me.heading, -0.5), 0.5)), 0.0
        length = shift_length(offset - before, me.speed, room)
        self.plan = OffsetPlan(me.s, me.s + length, before, offset, slope, bend)
        self.decision, self.cause = decision, cause

    def is_elsewhere(self, me: Surroundings) -> bool:
        """Whether the car is neither where this movement has it now nor where it ends: somebody else drives."""
        if self.decision is Lat.PULL_OVER:
            return False
        return min(abs(me.d - self.plan.at(me.s)[0]), abs(me.d - self.plan.after)) > ELSEWHERE

    def begin_anew(self, me: Surroundings, route: Route) -> None:
        """Into the lane that the car is in, with all goals open that are not there."""
        beside = [lane for lane in route.neighbours if lane.same_direction and lane.start <= me.s < lane.stop]
        self.home = min([0.0, *(lane.offset for lane in beside)], key=lambda offset: abs(offset - me.d))
        self.origin = self.home
        changes = [goal for goal in route.goals if goal.decision is not Lat.PULL_OVER]
        self.reached -= {goal.id for goal in changes if abs(goal.offset - self.home) > ELSEWHERE}
        self.passed, self.around = None, frozenset()
        # A plan that is done, so that the movement begins with the car's own heading.
        self.plan = OffsetPlan(me.s - 1.0, me.s, me.d, me.d)
        self.move(me, self.home, Lat.LANE_KEEPING, None)


def steer(me: Surroundings, world: World, mind: Steering, desired: float) -> list[Constraint]:
    """Decide on the lateral manoeuvre for this period; returns what it asks of the speed."""
    route = world.scenario.route
    mind.waits = None
    mind.ahead = frozenset()
    if mind.decision in LANE_CHANGES and not mind.plan.done(me.s):
        return _continue_lane_change(me, world, mind)
    if mind.decision in LANE_CHANGES or (mind.decision is Lat.MANEUVER_ABORT and mind.plan.done(me.s)):
        mind.decision, mind.cause, mind.around = Lat.LANE_KEEPING, None, frozenset()
    emergency = _emergency(me, world)
    if emergency is not None:
        return _give_way(me, route, mind, emergency)
    if mind.decision is Lat.PULL_OVER and (mind.cause or "").startswith("goal"):
        return []
    if mind.decision is Lat.PULL_OVER:
        mind.move(me, mind.home, Lat.LANE_KEEPING, None)
        return []
    goal = _open_goal(me, world, mind)
    if goal is not None and mind.decision not in NUDGES:
        return _pursue(goal, me, world, mind, desired)
    evasion = plan_evasion(me, world, mind.home, mind.around, mind.corridor, desired)
    if evasion is None:
        if mind.decision in NUDGES:
            mind.around = frozenset()
            mind.move(me, mind.home, Lat.LANE_KEEPING, None)
        elif goal is None:
            _consider_passing(me, world, mind, desired)
        return []
    return _evade(evasion, me, mind)


def _evade(evasion: Evasion, me: Surroundings, mind: Steering) -> list[Constraint]:
    mind.waits = evasion.waits
    if evasion.waits is not None:
        return [evasion.waits]
    if not evasion.begins and mind.decision not in NUDGES:
        mind.ahead = evasion.obstacles
        return []
    moved = abs(evasion.offset - mind.plan.after)
    wide, wider = mind.plan.after - mind.home, evasion.offset - mind.home
    if mind.decision in NUDGES and wide * wider > 0.0 and abs(wider) < abs(wide):
        moved = 0.0  # no use in going halfway back between two obstacles
    if evasion.decision in LANE_CHANGES:
        mind.origin, mind.home = mind.home, evasion.offset
        mind.around = evasion.obstacles
        mind.move(me, evasion.offset, evasion.decision, evasion.cause, evasion.room)
    elif moved > 0.1:
        decision = evasion.decision
        mind.around = evasion.obstacles
        mind.move(me, evasion.offset, decision, evasion.cause, evasion.room)
    else:
        mind.around |= evasion.obstacles
        if mind.decision in NUDGES and mind.cause not in evasion.obstacles:
            mind.cause = evasion.cause
    return []


def _continue_lane_change(me: Surroundings, world: World, mind: Steering) -> list[Constraint]:
    """Go on, or go back while the line is not crossed and the gap closes."""
    if abs(me.d - mind.origin) < 0.75 and abs(mind.home - mind.origin) > 2.0:
        threat = find_gap(me, mind.home).obstacle(me, scale=0.5)
        if threat is not None and mind.cause != threat.actor.id:
            mind.home = mind.origin
            mind.aborted_at = world.time
            mind.move(me, mind.origin, Lat.MANEUVER_ABORT, threat.actor.id)
            mind.passed = None
    return []


def _emergency(me: Surroundings, world: World) -> Neighbour | None:
    """An emergency vehicle that comes up from behind or towards us along the road, until it is past."""
    for other in me.neighbours:
        actor = other.actor
        if actor.kind is not ActorKind.EMERGENCY or not actor.beacons or abs(other.d - me.d) > 8.0:
            continue
        if other.speed_s < -2.0 and -2.0 < other.front - me.rear < 95.0:
            return other
        faster = other.speed_s > 2.0 and actor.speed > me.speed - 1.0
        if faster and other.front - me.rear > -60.0 and other.rear < me.front + 12.0:
            return other
    return None


def _give_way(me: Surroundings, route: Route, mind: Steering, other: Neighbour) -> list[Constraint]:
    """To the right edge and slowly, until the emergency vehicle is past."""
    edge = route.edges[0] + EGO_WIDTH / 2 + EDGE_ROOM
    if mind.decision is not Lat.PULL_OVER:
        mind.around = frozenset()
        mind.move(me, min(edge, mind.home), Lat.PULL_OVER, other.actor.id)
    wish = max(-1.6, 0.6 * (2.0 - me.speed))
    return [Constraint(Lon.YIELD, other.actor.id, wish)]


def _open_goal(me: Surroundings, world: World, mind: Steering) -> Goal | None:
    for goal in world.scenario.route.goals:
        if goal.id in mind.reached or goal.id in world.removed or me.s < goal.start:
            continue
        if world.time - mind.aborted_at < REST:
            continue
        return goal
    return None


def _pursue(goal: Goal, me: Surroundings, world: World, mind: Steering, desired: float) -> list[Constraint]:
    if goal.decision is Lat.PULL_OVER:
        away = goal.stop - me.front - shift_length(goal.offset - mind.home, 0.6 * me.speed) - 8.0
        if away <= 0.0:
            mind.reached.add(goal.id)
            mind.move(me, goal.offset, Lat.PULL_OVER, goal.id, max(goal.stop - me.front - 4.0, 6.0))
        return []
    threat = find_gap(me, goal.offset).obstacle(me)
    if threat is None and me.speed > 1.0:
        mind.reached.add(goal.id)
        mind.origin, mind.home = mind.home, goal.offset
        mind.move(me, goal.offset, goal.decision, goal.id, max(goal.stop - me.s, 12.0))
        return []
    found = search_gap(me, goal.offset, desired, goal.id)
    mind.waits = found
    end = goal.stop - me.front
    if end < 60.0:
        needed = me.speed * me.speed / (2.0 * max(end - 2.0, 0.3))
        if needed > 1.6:
            found = replace(found, acceleration=max(min(found.acceleration, -needed), -3.9))
    return [found]


def _consider_passing(me: Surroundings, world: World, mind: Steering, desired: float) -> None:
    """Overtake a slow lead by a lane change to the left, where the route allows it."""
    route = world.scenario.route
    if mind.passed is not None:
        lead = next((o for o in me.neighbours if o.actor.id == mind.passed), None)
        if lead is None or lead.front < me.rear - 3.0:
            mind.passed = None
        return
    if not route.passing or world.time - mind.aborted_at < 4.0 or me.speed < 3.0:
        return
    lead = find_gap(me, mind.home).lead
    if lead is None or lead.speed_s > 0.8 * desired or lead.rear - me.front > 3.2 * me.speed:
        return
    if IDM.follow(me.speed, desired, lead.rear - me.front, me.speed - lead.speed_s) > IDM.free(me.speed, desired) - 0.3:
        return
    lane = route.neighbour(+1, me.s, mind.home)
    if lane is None:
        return
    gap = find_gap(me, lane.offset)
    if gap.obstacle(me) is not None or (gap.lead is not None and gap.lead.speed_s < lead.speed_s + 1.5):
        return
    mind.passed = lead.actor.id
    mind.origin, mind.home = mind.home, lane.offset
    mind.move(me, lane.offset, Lat.LANE_CHANGE_LEFT, lead.actor.id)
