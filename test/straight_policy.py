"""A policy of known answers in place of a network: straight on at the speed it had, in no time, or as slow as asked."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np

from alpamayo_ros.reasoning.gate import judge
from alpamayo_ros.reasoning.selection import select
from alpamayo_ros.types import Observation, Plan, PlanSample, Trajectory
from alpamayo_ros.vla.errors import ModelInputError

ROLES = (0, 1, 2, 6)
WORDS = "Keep the current speed and lane since the lane ahead is clear."


class StraightPolicy:
    """words: what it says. seconds: how long a plan takes. seen: every observation that it was given."""

    def __init__(self, words: str = WORDS, seconds: float = 0.0, takes_navigation: bool = False) -> None:
        self.name, self.revision = "straight", "0" * 12
        self.words, self.seconds = words, seconds
        self.seen: list[Observation] = []
        config = SimpleNamespace(
            camera_roles=ROLES,
            any_camera_subset=False,
            frames_per_camera=4,
            history_steps=16,
            takes_navigation=takes_navigation,
        )
        self.model = SimpleNamespace(config=config, device="cpu")

    def check_navigation(self, text: str) -> None:
        if not self.model.config.takes_navigation:
            raise ModelInputError("trained without navigation")

    def plan(self, observation: Observation, *, num_samples: int, seed: int, may_reverse: bool, **options) -> Plan:
        self.seen.append(observation)
        time.sleep(self.seconds)
        history = observation.ego_history
        speed = float(np.linalg.norm(history.positions[-1] - history.positions[-2])) * 10
        times = 0.1 * np.arange(1, 65)
        positions = np.zeros((64, 3))
        positions[:, 0] = speed * times
        flat = np.zeros(64)
        path = Trajectory(times, positions, np.tile(np.eye(3), (64, 1, 1)), flat + speed, flat, flat)
        samples = (PlanSample(path, self.words, complete=True),) * num_samples
        found = tuple(judge(sample, history, may_reverse=may_reverse) for sample in samples)
        return Plan(
            observation.t0_ns, samples, found, *select(samples, found), seed, self.name, self.revision, {"plan": 1.0}
        )
