"""Drives that go wrong for a moment, so that a sample can show how the expert finds back.

Who learns from an expert that never errs has seen no error of its own and drifts from the first one on. Here something
pushes the car for one to three seconds, smoothly, while the expert drives; then it stops, and what the expert does from
there is undisturbed: history and pictures hold the error, future and words the way out of it.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field, replace

import numpy as np

from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.expert import Command, Expert
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import DURATION, PERIOD, World

SHORTEST, LONGEST = 10, 30
"""Ticks that it lasts."""
ACCELERATION, LATERAL = 1.0, 2.5
"""The largest push at strength 1, m/s^2 along and to the side."""
RECOVERY = 40
"""Ticks after it from which samples are taken: later the car is where it would have been."""
FIRST_STOP, LAST_STOP = 20, round(DURATION / PERIOD) - RECOVERY
"""Ticks between which a disturbance ends: two seconds are before it, and all its samples behind it."""
_SLOW = 4.0


@dataclass(frozen=True)
class Disturbance:
    """A push between two ticks, `stop` excluded. acceleration, lateral: its peak, m/s^2, forward and to the left."""

    start: int
    stop: int
    acceleration: float
    lateral: float

    @classmethod
    def drawn(cls, kind: str, seed: int, variant: str, strength: float) -> Disturbance:
        """The one of a drive; the same arguments give the same one."""
        draw = np.random.default_rng((seed, zlib.crc32(f"{kind}-{variant}".encode())))
        stop = int(draw.integers(FIRST_STOP, LAST_STOP + 1))
        start = max(stop - int(draw.integers(SHORTEST, LONGEST + 1)), 0)
        along, aside = draw.uniform(-1.0, 1.0, 2) * strength
        return cls(start, stop, float(along) * ACCELERATION, float(aside) * LATERAL)

    def push(self, tick: int, speed: float) -> tuple[float, float]:
        """What is added to acceleration (m/s^2) and curvature (1/m) at a tick: nothing at standstill."""
        if not self.start <= tick < self.stop:
            return 0.0, 0.0
        share = math.sin(math.pi * (tick + 0.5 - self.start) / (self.stop - self.start)) ** 2
        share *= min(speed / _SLOW, 1.0)
        return share * self.acceleration, share * self.lateral / max(speed, _SLOW) ** 2


@dataclass
class DisturbedExpert(Expert):
    """The expert, with something that adds to what it does."""

    disturbance: Disturbance = field(default_factory=lambda: Disturbance(0, 0, 0.0, 0.0))

    def copy(self) -> DisturbedExpert:
        return DisturbedExpert(self.steering.copy(), self.memory.copy(), self.disturbance)

    def act(self, world: World) -> Command:
        ego = world.ego
        # The expert goes on from what it did itself; else it would take the push for its own and add to it.
        along, aside = self.disturbance.push(world.tick - 1, ego.speed)
        own = replace(ego, acceleration=ego.acceleration - along, curvature=ego.curvature - aside)
        command = super().act(replace(world, ego=own))
        along, aside = self.disturbance.push(world.tick, ego.speed)
        return replace(command, acceleration=command.acceleration + along, curvature=command.curvature + aside)


def drive_disturbed(kind: str, seed: int, variant: str, disturbance: Disturbance, ticks: int | None = None) -> Episode:
    """The expert drives a scenario, for `ticks` periods or to its end, disturbed once. Raises ValueError for an unknown
    scenario."""
    return drive_expert(build(kind, seed, variant), DisturbedExpert(disturbance=disturbance), ticks)
