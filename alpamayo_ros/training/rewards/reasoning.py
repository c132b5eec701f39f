"""Reasoning quality: the grade of a critic, from 0 to 1.

The grade is divided by the best one, and that is all. A public recipe has a sign error in this place, by which worse
text is rewarded more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from alpamayo_ros.training.rewards.reward import Attempt, Reward
from alpamayo_ros.training.situation import Situation

BEST = 5.0
"""The grade of flawless reasoning; 0 is the worst (paper, section 5.3)."""


class Critic(ABC):
    """Who grades a trace for behaviour consistency and causal quality."""

    at_once = 1
    """How many grades it may be asked for at the same time."""

    @abstractmethod
    def grade(self, text: str, situation: Situation) -> float:
        """From 0 to `BEST`. Raises TrainingError where there is none to be had."""


class ReasoningReward(Reward):
    name, span = "reasoning", 1.0

    def __init__(self, critic: Critic) -> None:
        self.critic = critic

    def score(self, attempts: Sequence[Attempt]) -> list[float]:
        with ThreadPoolExecutor(self.critic.at_once) as threads:
            grades = threads.map(lambda one: self.critic.grade(one.sample.reasoning, one.situation), attempts)
            return [grade / BEST for grade in grades]
