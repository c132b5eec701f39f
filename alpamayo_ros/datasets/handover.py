"""Drives of a model, which the expert takes over again and again.

A model gets into states where no expert and no random push would ever be. An evaluation in closed loop writes the
actions of every drive; the world answers to actions only, so they lead there again. Every two seconds the expert takes
the wheel, and what it then does is what the model should have done (DAgger: Ross et al. 2011, arXiv 1011.0686, with
the expert's own drive in place of single labels).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.expert import Command, Expert
from alpamayo_ros.simulation.scenarios import HELD_OUT, build
from alpamayo_ros.simulation.world import World

BETWEEN = 20
"""Ticks between the takeovers, each of which is a drive of its own; the last one is so many ticks before the end."""
BEHIND = 40
"""Ticks from which samples are taken behind the last takeover, as after a disturbance, if the scenario has as many."""


_OF_A_SCENE = ("kind", "seed", "variant", "tallies", "actions", "failure")
"""What differs between the scenes of one evaluation; the rest says what was evaluated."""


@dataclass(frozen=True)
class ModelDrive:
    """A drive to its end, or to what spoiled it. actions: acceleration (m/s^2) and curvature (1/m) of every tick."""

    kind: str
    seed: int
    variant: str
    actions: tuple[tuple[float, float], ...]

    def spans(self, first: int, last: int) -> list[range]:
        """For each drive of the expert the ticks of its samples: from where it takes over, at `first` at the earliest
        and `last` at the latest, to where the next one does."""
        stops = range(len(self.actions) - BETWEEN, first - 1, -BETWEEN)[::-1]
        return [range(stop, stop + (BEHIND if stop == stops[-1] else BETWEEN)) for stop in stops if stop <= last]

    def taken_over(self, tick: int, ticks: int | None = None) -> Episode:
        """The model's drive up to a tick, the expert's from there, to the end of the scenario or of `ticks` periods."""
        passenger = Passenger(actions=self.actions[:tick])
        return drive_expert(build(self.kind, self.seed, self.variant), passenger, ticks)


@dataclass
class Passenger(Expert):
    """The expert beside a driver: it watches, so that it knows the situation, and acts when `actions` are used up."""

    actions: tuple[tuple[float, float], ...] = ()

    def copy(self) -> Passenger:
        return Passenger(self.steering.copy(), self.memory.copy(), self.actions)

    def act(self, world: World) -> Command:
        command = super().act(world)
        if world.tick >= len(self.actions):
            return command
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
