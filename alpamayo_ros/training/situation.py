"""A moment of the data in the simulator: the world is driven there again, so that a plan can be tried in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alpamayo_ros.datasets.disturbance import Disturbance, DisturbedExpert
from alpamayo_ros.datasets.labels import Label
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.motion import seen_from
from alpamayo_ros.simulation.naming import removable_things
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import World
from alpamayo_ros.training.corpus import Moment, Origin
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.types import CriticalComponent
from alpamayo_ros.types.rig import Rig

_SAME = 1e-3
"""Metres between the history that was written and the one that is driven again: rounding to float32 is far below."""


@dataclass(frozen=True, eq=False)
class Situation:
    """All that a reward may know about a moment.

    world: the state at t0, from which on nothing begins that was not to be seen by then, as in what the data want to be
    learned; whoever drives on takes a copy. label: the truth that interventions found. things: what the
    pictures show and could be taken away, by identity. future: (64, 3) where the expert drove, metres, ego frame.
    """

    world: World
    label: Label
    things: dict[str, CriticalComponent]
    future: np.ndarray


def situation_of(moment: Moment, rig: Rig) -> Situation:
    """Drive to a moment again; rig: the cameras that decide what could be seen. A tenth of a second of work.

    Raises TrainingError where the simulator no longer drives as it did when the data were made.
    """
    if moment.origin is None:
        raise TrainingError(
            f"sample {moment.key} begins with a model's drive, which cannot be driven again; give rewards other data"
        )
    worlds = _worlds(moment.origin)
    history = moment.history[0].numpy()
    egos = [world.ego for world in worlds[-len(history) :]]
    again, _ = seen_from(worlds[-1].ego, egos)
    if len(again) != len(history) or float(np.abs(again - history).max()) > _SAME:
        raise TrainingError(
            f"sample {moment.key} cannot be driven again: another version of the simulator made it; make the data again"
        )
    world = replace(worlds[-1], steady_from=worlds[-1].tick)
    return Situation(world, moment.label, removable_things(worlds[-1], rig), moment.future[0].numpy())


def _worlds(origin: Origin) -> tuple[World, ...]:
    expert = Expert()
    if origin.disturbance:
        drawn = Disturbance.drawn(origin.kind, origin.seed, origin.variant, origin.disturbance)
        expert = DisturbedExpert(disturbance=drawn)
    return drive_expert(build(origin.kind, origin.seed, origin.variant), expert, ticks=origin.tick).worlds
