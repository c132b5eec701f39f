"""What a driver can know at a moment of what comes: the future without what nobody could have seen by then."""

from __future__ import annotations

import math
from dataclasses import replace

from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.intervention import named_causes, without
from alpamayo_ros.simulation.visibility import visible
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types.rig import Rig

STEP = 4
"""Ticks between the moments at which is looked whether something was seen."""


def foreseen(drive: Episode, tick: int, ticks: int, rig: Rig) -> Episode:
    """A drive up to a tick, and for `ticks` periods from there what the expert does if nothing begins that is not to be
    seen by then: a light that changes, somebody who brakes, steps out or drives off. What lies ahead and was not yet in
    a picture of `rig` is not there, in the past of the drive neither; the road itself always is.

    What is learned from a moment rests on what was seen until then (causal locality, arXiv 2511.00088).
    """
    worlds = tuple(replace(world, steady_from=tick) for world in drive.worlds[: tick + 1])
    while True:
        after = drive_expert(worlds[tick], drive.minds[tick], ticks)
        unseen = [cause for cause in named_causes(after.intents) if _is_still_to_be_seen(drive, tick, cause, rig)]
        if not unseen:
            break
        for cause in unseen:
            worlds = tuple(without(world, cause) for world in worlds)
    return Episode(worlds[:tick] + after.worlds, drive.minds[:tick] + after.minds, drive.intents[:tick] + after.intents)


def _is_still_to_be_seen(drive: Episode, tick: int, cause: str, rig: Rig) -> bool:
    """Whether it lies ahead and no picture has shown it: who is hidden beside or behind the car may be there all the
    same."""
    return _lies_ahead(drive.worlds[tick], cause) and not any(
        visible(world, cause, rig) for world in drive.worlds[tick::-STEP]
    )


def _lies_ahead(world: World, cause: str) -> bool:
    actor, ego = world.actor(cause), world.ego
    if actor is None:
        return any(cause in (rule.id, rule.light) for rule in world.scenario.route.stops)
    return (actor.x - ego.x) * math.cos(ego.yaw) + (actor.y - ego.y) * math.sin(ego.yaw) > 0.0
