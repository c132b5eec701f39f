"""What a reward judges, and what a reward is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from alpamayo_ros.training.situation import Situation
from alpamayo_ros.types import PlanSample


@dataclass(frozen=True, eq=False)
class Attempt:
    """What the model said and planned in a situation."""

    situation: Situation
    sample: PlanSample


class Reward(ABC):
    """One reward."""

    name: str
    span: float
    """What the best is above the worst."""

    @abstractmethod
    def score(self, attempts: Sequence[Attempt]) -> list[float]:
        """One figure for each attempt; better is more."""
