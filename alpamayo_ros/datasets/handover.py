"""Drives of a model with the expert beside it.

A model gets into states where no expert and no random push would ever be. An evaluation in closed loop writes the
actions of every drive; the world answers to actions only, so they lead there again. What the expert would do if it took
the wheel there is what the model should have done (DAgger: Ross et al. 2011, arXiv 1011.0686).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.expert import Command, Expert
from alpamayo_ros.simulation.scenarios import HELD_OUT, build
from alpamayo_ros.simulation.surroundings import look_around
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import LateralDecision

_OF_A_SCENE = ("kind", "seed", "variant", "tallies", "actions", "failure")
"""What differs between the scenes of one evaluation; the rest says what was evaluated."""


@dataclass(frozen=True)
class ModelDrive:
    """A drive to its end, or to what spoiled it. actions: acceleration (m/s^2) and curvature (1/m) of every tick."""

    kind: str
    seed: int
    variant: str
    actions: tuple[tuple[float, float], ...]

    def watched(self) -> Episode:
        """The model's drive; `minds[i]` is the expert that watched until tick i and could take the wheel there.

        What it did in its mind only, as a lane change that the model did not make, it would have to begin.
        """
        passenger = Passenger(actions=self.actions)
        drive = drive_expert(build(self.kind, self.seed, self.variant), passenger, len(self.actions))
        minds = [Expert(mind.steering, mind.memory) for mind in drive.minds]
        intents = list(drive.intents)
        for tick, mind in enumerate(minds):
            world = drive.worlds[tick]
            me = look_around(world)
            if mind.steering.is_elsewhere(me):
                mind.steering.begin_anew(me, world.scenario.route)
                intents[tick] = replace(intents[tick], lateral=LateralDecision.LANE_KEEPING, lateral_cause=None)
        return Episode(drive.worlds, tuple(minds), tuple(intents))


@dataclass
class Passenger(Expert):
    """The expert beside a driver: it watches, so that it knows the situation."""

    actions: tuple[tuple[float, float], ...] = ()

    def copy(self) -> Passenger:
        return Passenger(self.steering.copy(), self.memory.copy(), self.actions)

    def act(self, world: World) -> Command:
        command = super().act(world)
        acceleration, curvature = self.actions[world.tick]
        return Command(acceleration, curvature, command.intent, command.blinker)


def read_drives(path: Path) -> tuple[ModelDrive, ...]:
    """The drives in the `.scenes.jsonl` that `alpamayo evaluate closed-loop` writes. Raises DatasetError."""
    try:
        rows = [row for line in path.read_text().splitlines() if (row := json.loads(line))["loop"] == "closed_loop"]
        found = tuple(
            ModelDrive(
                row["kind"], row["seed"], row["variant"],
                tuple((float(acceleration), float(curvature)) for acceleration, curvature in row["actions"]),
            )
            for row in rows
        )  # fmt: skip
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} is no list of scenes ({error!r}); give the .scenes.jsonl of `alpamayo evaluate closed-loop --json`"
        ) from None
    told = {json.dumps({name: row[name] for name in sorted(row) if name not in _OF_A_SCENE}) for row in rows}
    if len(told) > 1:
        raise DatasetError(
            f"{path} has drives of {len(told)} models, settings or versions of the code; evaluate into a new file"
        )
    judged = [drive for drive in found if drive.seed >= HELD_OUT]
    if judged:
        raise DatasetError(
            f"{path} has seed {judged[0].seed}: seeds from {HELD_OUT:,} on are for judging; evaluate on others"
        )
    if not found:
        raise DatasetError(f"{path} has no drive in closed loop; there is nothing to take over")
    return found
