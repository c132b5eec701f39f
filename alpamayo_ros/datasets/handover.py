"""Drives that a model spoiled, taken over by the expert before it was too late.

A model gets into states where no expert and no random push would ever be. An evaluation in closed loop writes the
actions of every drive that went wrong; the world answers to actions only, so they lead there again. Some seconds before
the end the expert takes the wheel, and what it then does is what the model should have done (DAgger: Ross et al. 2011,
arXiv 1011.0686, with the expert's own drive in place of single labels).
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

BEFORE = (60, 40, 20)
"""Ticks before the end at which the expert takes over, each a drive of its own."""
BEHIND = 40
"""Ticks from which samples are taken behind the last of them, as after a disturbance."""


@dataclass(frozen=True)
class FailedDrive:
    """A drive up to what spoiled it. actions: acceleration (m/s^2) and curvature (1/m) of every tick."""

    kind: str
    seed: int
    variant: str
    actions: tuple[tuple[float, float], ...]

    def spans(self, first: int) -> list[range]:
        """For each drive of the expert the ticks of its samples: from where it takes over, at `first` or later, to
        where the next one does."""
        stops = [len(self.actions) - before for before in BEFORE if len(self.actions) - before >= first]
        return [range(*span) for span in zip(stops, [*stops[1:], stops[-1] + BEHIND], strict=True)] if stops else []

    def taken_over(self, tick: int) -> Episode:
        """The model's drive up to a tick, the expert's from there to the end of the scenario."""
        passenger = Passenger(actions=self.actions[:tick])
        return drive_expert(build(self.kind, self.seed, self.variant), passenger)


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


def read_failures(path: Path) -> tuple[FailedDrive, ...]:
    """The spoiled drives in the `.scenes.jsonl` that `alpamayo evaluate closed-loop` writes. Raises DatasetError."""
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found = tuple(
            FailedDrive(
                row["kind"], row["seed"], row["variant"],
                tuple((float(acceleration), float(curvature)) for acceleration, curvature in row["failure"]["actions"]),
            )
            for row in rows
            if row["loop"] == "closed_loop" and "failure" in row
        )  # fmt: skip
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} is no list of scenes ({error!r}); give the .scenes.jsonl of `alpamayo evaluate closed-loop --json`"
        ) from None
    judged = [drive for drive in found if drive.seed >= HELD_OUT]
    if judged:
        raise DatasetError(
            f"{path} has seed {judged[0].seed}: seeds from {HELD_OUT:,} on are for judging; evaluate on others"
        )
    if not found:
        raise DatasetError(f"{path} has no closed-loop drive that went wrong; there is nothing to take over")
    return found
