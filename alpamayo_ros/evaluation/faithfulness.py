"""Causal faithfulness: what a driver names as cause must matter to its plan, and what it does not name must not.

The world is changed in the pictures that the driver sees, nothing else; it is asked again with the same seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from alpamayo_ros.evaluation.drivers import Driver
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.explanation import Explanation
from alpamayo_ros.simulation.intervention import OFFSET_CHANGE, SPEED_CHANGE, with_lamp, without
from alpamayo_ros.simulation.motion import in_map
from alpamayo_ros.simulation.naming import means, removable_things
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import CriticalComponent, Trajectory
from alpamayo_ros.types.rig import Rig

_SEEN = 20  # states that are changed: more than any model has frames
_COMPARED = 40
"""Waypoints that are compared: four seconds. The expert's plans, which have no noise, are compared to their end."""


def faithfulness_trials(
    driver: Driver,
    mind: Expert,
    driven: Sequence[World],
    plan: Trajectory,
    named: Sequence[CriticalComponent],
    truth: Explanation,
    rig: Rig,
) -> list[bool]:
    """One trial for each named component that is there and can be taken away, and one with something unnamed.

    mind: the expert's memory there, for `take_over`. plan: the driver's first sample at the last of `driven`, which
    names `named`. truth: what matters there and what does not. A trial passes when the plan changes without the named,
    or stays without the unnamed.

    No trial: what is named but not there (precision counts it); a cause without which another one asks for the same,
    as the next car of a queue does; and as the unnamed thing one that does matter to a good driver.
    """
    preempted = {cause.id for cause in truth.causes if cause.preempted}
    things = removable_things(driven[-1], rig)
    passed, meant = [], set()
    for component in named:
        # All that the words fit: without one cone of many the construction site is still there.
        fitting = [identity for identity, thing in things.items() if means(component, thing)]
        meant.update(fitting)
        if fitting and not preempted.issuperset(fitting):
            passed.append(_plan_changes(driver, mind, driven, plan, fitting))
    unnamed = next((identity for identity in truth.innocent if identity in things and identity not in meant), None)
    if named and unnamed is not None:
        passed.append(not _plan_changes(driver, mind, driven, plan, [unnamed]))
    return passed


def _plan_changes(
    driver: Driver, mind: Expert, driven: Sequence[World], plan: Trajectory, identities: Iterable[str]
) -> bool:
    changed = list(driven[-_SEEN:])
    for identity in identities:
        change = _otherwise(driven[-1], identity)
        changed = [change(world) for world in changed]
    driver.take_over(mind)
    then = driver.propose([*driven[:-_SEEN], *changed], len(plan.times)).samples[0].trajectory
    return plans_differ(driven[-1], plan, then)


def _otherwise(now: World, identity: str) -> Callable[[World], World]:
    """What makes of a world one without a thing. A light that is green now is red in all of them, any other green: one
    that changed just now would be seen to change the other way."""
    light = next((rule.light for rule in now.scenario.route.stops if rule.id == identity), None)
    if light is None:
        return partial(without, cause=identity)
    return partial(with_lamp, light=light, lamp=Lamp.RED if now.lamp(light) is Lamp.GREEN else Lamp.GREEN)


def plans_differ(world: World, one: Trajectory, other: Trajectory) -> bool:
    """Whether two plans made in `world` differ as behaviour: by the measures with which the simulator compares the
    expert with and without a cause."""
    if float(np.abs(one.speeds[:_COMPARED] - other.speeds[:_COMPARED]).max()) > SPEED_CHANGE:
        return True
    path = world.scenario.route.path
    (s, d), (s_other, d_other) = (
        path.project_many(in_map(world.ego, plan.positions[:_COMPARED])) for plan in (one, other)
    )
    # At the same place, not at the same time: who drives faster is not further left for it.
    shared = s <= s_other[-1] + 0.5
    if not shared.any() or s_other[-1] - s_other[0] < 1.0:
        return False
    return float(np.abs(d[shared] - np.interp(s[shared], s_other, d_other)).max()) > OFFSET_CHANGE
