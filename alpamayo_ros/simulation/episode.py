"""Running a scenario: a driver, the world, and what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alpamayo_ros.simulation.constraint import Intent
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.traffic import advance
from alpamayo_ros.simulation.world import Scenario, World

Stop = Callable[[World], bool]


@dataclass(frozen=True, eq=False)
class Episode:
    """A drive of the expert: `worlds[i]` is the state at tick i, `minds[i]` the expert before it acted there and
    `intents[i]` what it did from there to the next state. The last state has no intent."""

    worlds: tuple[World, ...]
    minds: tuple[Expert, ...]
    intents: tuple[Intent, ...]


def drive_expert(
    start: World | Scenario, expert: Expert | None = None, ticks: int | None = None, stop: Stop | None = None
) -> Episode:
    """Let the expert drive to the end of the scenario, or for `ticks` periods, even beyond it, or until `stop` says
    so."""
    world = start.begin() if isinstance(start, Scenario) else start.copy()
    expert = Expert() if expert is None else expert.copy()
    worlds: list[World] = [world.copy()]
    minds: list[Expert] = []
    intents: list[Intent] = []
    while not world.finished if ticks is None else len(intents) < ticks:
        minds.append(expert.copy())
        command = expert.act(world)
        advance(world, command.acceleration, command.curvature, command.blinker)
        worlds.append(world.copy())
        intents.append(command.intent)
        if stop is not None and stop(world):
            break
    return Episode(tuple(worlds), tuple(minds), tuple(intents))
