from dataclasses import replace

import numpy as np

from alpamayo_ros.training.rewards.consistency import ConsistencyReward
from alpamayo_ros.types import PlanSample


def test_the_expert_does_what_it_says(by_expert):
    assert ConsistencyReward().score(by_expert) == [1.0] * len(by_expert)


def test_words_that_the_motion_belies_are_worth_nothing(by_expert):
    attempt = by_expert[0]
    for text in (
        "Change to the left lane since the lead car is slow.",
        "Make a right turn because the route turns right.",
        "Mumble.",
    ):
        said = replace(attempt, sample=PlanSample(attempt.sample.trajectory, text, complete=True))
        assert ConsistencyReward().score([said]) == [0.0], text


def test_the_lanes_of_the_world_are_witness(by_expert):
    """A shift of one lane is a lane change, which nobody spoke of."""
    attempt = next(one for one in by_expert if str(one.situation.label.decision.lateral) == "lane_keeping")
    plan = attempt.sample.trajectory
    aside = np.zeros_like(plan.positions)
    aside[:, 1] = np.linspace(0.0, 3.5, len(aside))
    shifted = replace(
        attempt, sample=replace(attempt.sample, trajectory=replace(plan, positions=plan.positions + aside))
    )
    assert ConsistencyReward().score([shifted]) == [0.0]
