"""CoC-action consistency: 1 where the plan does what its words say, on both axes, else 0 (paper, section 5.3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from alpamayo_ros.simulation.agreement import is_consistent
from alpamayo_ros.training.rewards.reward import Attempt, Reward


class ConsistencyReward(Reward):
    name, span = "consistency", 1.0

    def score(self, attempts: Sequence[Attempt]) -> list[float]:
        return [float(is_consistent(one.situation.world, one.sample)) for one in attempts]
