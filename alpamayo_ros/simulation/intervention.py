"""Taking one cause away: the same world, the same moment, without it. What the expert then does tells what it caused.

A cause is named by an identity: that of an actor, of a stop rule (for a light: it turns green), of a road event, or
of a goal of the route.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alpamayo_ros.simulation.constraint import Intent
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.route import Control
from alpamayo_ros.simulation.world import World

HORIZON = 64
"""Ticks over which behaviour with and without a cause is compared: those of a plan."""
SPEED_CHANGE, OFFSET_CHANGE = 0.7, 0.3
"""Differences that count, m/s and m: about what can be told from 0.4 s of driving and from a lane's width."""


def without(world: World, cause: str) -> World:
    """The world with one cause removed. Raises KeyError where nothing has that identity."""
    changed = world.copy()
    if any(actor.id == cause for actor in changed.actors):
        changed.actors = [actor for actor in changed.actors if actor.id != cause]
        return changed
    route = world.scenario.route
    for rule in route.stops:
        if cause in (rule.id, rule.light):
            if rule.control is Control.LIGHT and rule.light is not None:
                return with_lamp(world, rule.light, Lamp.GREEN)
            changed.removed = world.removed | {rule.id}
            return changed
    known = {event.id for event in route.slowings} | {goal.id for goal in route.goals}
    if cause not in known:
        raise KeyError(f"nothing in the world is called {cause!r}")
    changed.removed = world.removed | {cause}
    return changed


def with_lamp(world: World, light: str, lamp: Lamp) -> World:
    """The world with a light that shows `lamp` and keeps showing it; the crossing street's light shows the opposite."""
    changed = world.copy()
    other = Lamp.RED if lamp is Lamp.GREEN else Lamp.GREEN
    changed.lamps = {**world.lamps, light: lamp, f"{light}-cross": other}
    return changed


@dataclass(frozen=True)
class Effect:
    """What a change of the world changes in the expert's behaviour.

    speed, offset: largest difference over the horizon, m/s and m to the side. longitudinal, lateral: whether the
    behaviour on that axis differs.
    """

    speed: float
    offset: float
    longitudinal: bool
    lateral: bool

    @property
    def any(self) -> bool:
        return self.longitudinal or self.lateral


def continue_from(world: World, expert: Expert, horizon: int = HORIZON) -> Episode:
    """What the expert does from a state on."""
    return drive_expert(replace(world), expert, ticks=horizon)


def compare(factual: Episode, counterfactual: Episode) -> Effect:
    """The effect of the intervention between two continuations from the same state."""
    path = factual.worlds[0].scenario.route.path
    length = min(len(factual.worlds), len(counterfactual.worlds))
    places = [np.array([(w.ego.x, w.ego.y) for w in e.worlds[:length]]) for e in (factual, counterfactual)]
    speeds = [np.array([w.ego.speed for w in e.worlds[:length]]) for e in (factual, counterfactual)]
    (s_a, d_a), (s_b, d_b) = (path.project_many(points) for points in places)
    speed = float(np.abs(speeds[0] - speeds[1]).max())
    # Offsets are compared at the same place, not at the same time: who drives faster is not further left for it.
    reach = min(float(s_a[-1]), float(s_b[-1]))
    here = s_a[s_a <= reach + 0.5]
    offset = float(np.abs(d_a[: len(here)] - np.interp(here, s_b, d_b)).max()) if len(here) else 0.0
    plan = _final_lane(factual) != _final_lane(counterfactual)
    return Effect(speed, offset, speed > SPEED_CHANGE, offset > OFFSET_CHANGE or plan)


def _final_lane(episode: Episode) -> int:
    """Where the last plan leads, in half metres: a manoeuvre that has begun counts before it has moved the car."""
    return round(2.0 * episode.minds[-1].steering.plan.after) if episode.minds else 0


def effect_of(world: World, expert: Expert, cause: str, factual: Episode | None = None) -> Effect:
    """What removing `cause` from the world changes in what the expert does next."""
    factual = continue_from(world, expert) if factual is None else factual
    return compare(factual, continue_from(without(world, cause), expert))


def named_causes(intents: tuple[Intent, ...]) -> list[str]:
    """The identities the expert itself gives as reasons, in order of appearance."""
    found: list[str] = []
    for intent in intents:
        for cause in (intent.longitudinal_cause, intent.lateral_cause):
            if cause is not None and cause not in found:
                found.append(cause)
    return found
