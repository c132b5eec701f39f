"""The expert driver: sees all that moves, drives in the action space of the policy, and can say why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from alpamayo_ros.simulation.conflict import yield_constraints
from alpamayo_ros.simulation.constraint import Constraint, Intent, stopping
from alpamayo_ros.simulation.lateral import LANE_CHANGES, NUDGES, Steering, steer
from alpamayo_ros.simulation.longitudinal import (
    IDM,
    Memory,
    desired_speed,
    is_obstacle,
    lead_constraint,
    road_event_constraints,
    stop_constraints,
)
from alpamayo_ros.simulation.offset_plan import OffsetPlan
from alpamayo_ros.simulation.surroundings import Surroundings, look_around
from alpamayo_ros.simulation.visibility import in_range
from alpamayo_ros.simulation.world import MAX_CURVATURE, PERIOD, World
from alpamayo_ros.types import LateralDecision as Lat
from alpamayo_ros.types import LongitudinalDecision as Lon

JERK, HARD_JERK = 3.2, 9.0
"""How fast the acceleration may change, m/s^3: within the comfort bound of 4.13, and when it has to be."""
NOTICEABLE = 0.25
"""A constraint counts as the reason for the speed when it costs this much acceleration, m/s^2."""


@dataclass(frozen=True)
class Command:
    """One action, and what it is for."""

    acceleration: float
    curvature: float
    intent: Intent
    blinker: str = "off"


@dataclass
class Expert:
    """A driver with memory; `copy` forks it, for example to see what it would do without a cause."""

    steering: Steering = field(default_factory=lambda: Steering(OffsetPlan(-1.0, 0.0, 0.0, 0.0)))
    memory: Memory = field(default_factory=Memory)

    def copy(self) -> Expert:
        return Expert(self.steering.copy(), self.memory.copy())

    def act(self, world: World) -> Command:
        """The action for the next period."""
        me = look_around(world)
        desired = desired_speed(world)
        mind = self.steering
        limits = steer(me, world, mind, desired)
        corridor = mind.corridor
        # Nothing is done for what stands there unseen.
        unseen = {o.actor.id for o in me.neighbours if is_obstacle(o) and not in_range(world, o.actor)}
        skip = set(mind.ahead) | unseen
        if mind.passed and abs(me.d - mind.origin) > 1.2:
            skip.add(mind.passed)
        lead = lead_constraint(me, corridor, desired, skip, mind.around)
        if lead is not None:
            limits.append(lead)
        if mind.decision in LANE_CHANGES and abs(me.d - mind.home) > 1.0 and mind.decision is not Lat.MANEUVER_ABORT:
            # Until the line is crossed the one ahead in the old lane still counts.
            old = lead_constraint(me, lambda s: me.d, desired, skip | mind.around)
            if old is not None and old.acceleration < -1.0:
                limits.append(old)
        limits += road_event_constraints(me, world, self.memory)
        stops, line = stop_constraints(me, world, self.memory)
        limits += stops
        limits += yield_constraints(me, world, corridor, self.memory, desired, line, mind.cause)
        limits += self._standstill_goal(me, world)
        free = IDM.free(me.speed, desired)
        tightest = min(limits, key=lambda limit: limit.acceleration, default=None)
        wish = free if tightest is None else min(free, tightest.acceleration)
        acceleration = self._smooth(wish, world, tightest is not None and tightest.hard)
        return Command(
            acceleration,
            self._curvature(me, world),
            self._intent(me, world, tightest, free),
            _blinker(mind, me, world),
        )

    def _standstill_goal(self, me: Surroundings, world: World) -> list[Constraint]:
        found = []
        for goal in world.scenario.route.goals:
            if goal.decision is Lat.PULL_OVER and goal.id not in world.removed and me.s > goal.start:
                room = goal.stop - me.front
                if me.speed * me.speed / (2.0 * max(room, 0.3)) > 1.0 or goal.id in self.memory.braking_for:
                    self.memory.braking_for.add(goal.id)
                    wish = stopping(me.speed, room) if room > 0.3 else -1.5
                    found.append(Constraint(Lon.STOP_FOR_STATIC_CONSTRAINTS, goal.id, min(wish, 0.15 * room)))
        return found

    def _smooth(self, wish: float, world: World, hard: bool) -> float:
        ego = world.ego
        if ego.speed < 1.6 and wish < 0.0 and not hard:
            # Let the brake go before the wheels stand: no nod at the end.
            wish = max(wish, -(0.28 + 0.9 * ego.speed))
        urgent = hard or wish < -4.2
        fall = HARD_JERK if urgent else JERK
        return min(max(wish, ego.acceleration - fall * PERIOD, -8.0), ego.acceleration + JERK * PERIOD)

    def _curvature(self, me: Surroundings, world: World) -> float:
        """Feed-forward of the planned curve plus feedback on offset and heading, both over arc length.

        e'' = -e / l^2 - 2 e' / l is critically damped with length l.
        """
        path = world.scenario.route.path
        # The interval's curvature acts from here to the next state: take the plan in its middle.
        ahead = me.s + me.speed * PERIOD / 2.0
        offset, slope, bend = self.steering.plan.at(ahead)
        road = path.curvature_at(ahead)
        stretch = max(1.0 - road * offset, 0.3)
        wanted = road / stretch + bend / (1.0 + slope * slope) ** 1.5
        now, slope_now, _ = self.steering.plan.at(me.s)
        length = max(4.0, 0.9 * me.speed)
        error, turn = me.d - now, me.heading - math.atan(slope_now / stretch)
        wanted -= error / length**2 + 2.0 * math.sin(turn) / length
        before = world.ego.curvature
        # Yaw acceleration is speed times the rate of the curvature: kept below about 1.3 rad/s^2.
        rate = min(0.035, 0.13 / max(me.speed, 1.0))
        return min(max(wanted, before - rate, -MAX_CURVATURE), before + rate, MAX_CURVATURE)

    def _intent(self, me: Surroundings, world: World, tightest: Constraint | None, free: float) -> Intent:
        mind = self.steering
        lateral, lateral_cause = mind.decision, mind.cause
        if lateral is Lat.LANE_KEEPING:
            for manoeuvre in world.scenario.route.manoeuvres:
                if manoeuvre.start - 2.0 < me.front and me.s < manoeuvre.stop:
                    lateral, lateral_cause = manoeuvre.decision, manoeuvre.id
        elif lateral in NUDGES and mind.plan.done(me.s) and abs(mind.plan.after - mind.home) < 0.05:
            lateral, lateral_cause = Lat.LANE_KEEPING, None
        if tightest is not None and tightest.acceleration < free - NOTICEABLE:
            return Intent(
                tightest.decision, tightest.cause, lateral, lateral_cause, min(free, 1.5) - tightest.acceleration
            )
        if mind.passed is not None and lateral in (Lat.LANE_CHANGE_LEFT, Lat.LANE_CHANGE_RIGHT):
            return Intent(Lon.ACCELERATION_FOR_PASSING, mind.passed, lateral, lateral_cause)
        return Intent(Lon.SET_SPEED_TRACKING, None, lateral, lateral_cause)


def _blinker(mind: Steering, me: Surroundings, world: World) -> str:
    for manoeuvre in world.scenario.route.manoeuvres:
        if manoeuvre.start - 3.0 * max(me.speed, 4.0) < me.s < manoeuvre.stop:
            return "left" if manoeuvre.decision is Lat.TURN_LEFT else "right"
    if mind.decision in LANE_CHANGES or mind.decision in NUDGES or mind.decision is Lat.PULL_OVER:
        away = mind.plan.after - me.d
        if abs(away) > 0.4:
            return "left" if away > 0 else "right"
    for goal in world.scenario.route.goals:
        if goal.id not in mind.reached and goal.start < me.s:
            return "left" if goal.offset > mind.home else "right"
    return "off"
