"""Trajectory quality: a penalty for leaving the expert's way, for crashing in the simulator, and for jerk.

    r = −(l2 · min(ADE / far, 1) + collision · crashed + jerk · min(mean |jerk| / 8.37 m/s³, 1))

The three terms are the paper's (section 5.3). It has ‖Δ‖² in the first; the public recipe has ADE / 3 m and −1 from
3 m on, which keeps one wild sample from outweighing its group, and so has this. `far` is a key of the recipe because a
small model would be beyond 3 m nearly always. The unit of jerk is the public recipes' bound of comfort.

The crash is found by driving the plan: the world goes on from t0 with the plan's actions, everybody in it reacts, and
the scorer of closed loop looks at every state. Nothing begins there that was not to be seen at t0: neither plan nor
expert could know of it. At fault are hits with the front or the side; off-road counts like one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.reasoning.comfort import BOUNDS, dynamics
from alpamayo_ros.simulation.scoring import find_collision, is_off_road
from alpamayo_ros.simulation.traffic import advance
from alpamayo_ros.simulation.world import World
from alpamayo_ros.training.rewards.reward import Attempt, Reward
from alpamayo_ros.types import Trajectory


@dataclass(frozen=True)
class TrajectoryReward(Reward):
    """l2, collision, jerk: weights of the penalties, each of which is from 0 to 1. far: metres."""

    l2: float
    collision: float
    jerk: float
    far: float
    name = "trajectory"

    @property
    def span(self) -> float:  # type: ignore[override]
        return self.l2 + self.collision + self.jerk

    def score(self, attempts: Sequence[Attempt]) -> list[float]:
        return [-self._penalty(one) for one in attempts]

    def _penalty(self, attempt: Attempt) -> float:
        plan = attempt.sample.trajectory
        away = np.linalg.norm(plan.positions[:, :2] - attempt.situation.future[:, :2], axis=-1).mean()
        penalty = self.l2 * min(float(away) / self.far, 1.0)
        # Without the last three steps: there the repeated last difference would pose as a jerk.
        felt = np.abs(dynamics(plan.positions, plan.yaws)["jerk"][:-3]).mean()
        penalty += self.jerk * min(float(felt) / BOUNDS["jerk"][1], 1.0)
        if self.collision:
            penalty += self.collision * crashes(attempt.situation.world, plan)
        return penalty


def crashes(world: World, plan: Trajectory) -> bool:
    """Whether the car that drives the plan's actions hits somebody by its own fault or leaves the road."""
    world = world.copy()
    for acceleration, curvature in zip(plan.accelerations, plan.curvatures, strict=True):
        advance(world, float(acceleration), float(curvature))
        hit = find_collision(world)
        if hit is not None:
            return hit[0] != "rear"
        if is_off_road(world.ego, world.scenario.roads):
            return True
    return False
