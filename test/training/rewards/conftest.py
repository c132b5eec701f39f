"""A situation made by hand, and the moments of a dataset with what the expert said and drove there."""

import pytest

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.labels import CauseLabel, Label
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.training.rewards.reward import Attempt
from alpamayo_ros.training.situation import Situation, situation_of
from alpamayo_ros.types import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LateralDecision,
    LongitudinalDecision,
    PlanSample,
)
from alpamayo_ros.types.rig import default_rig

WALKER = CriticalComponent(
    ComponentCategory.CRITICAL_OBJECT, "pedestrian", {"relative_pose": "crosswalk", "motion": "crossing"}
)
BUS = CriticalComponent(ComponentCategory.CRITICAL_OBJECT, "bus", {"relative_pose": "right", "motion": "stopped"})


@pytest.fixture
def crossing():
    """A pedestrian on the crosswalk, for whom the car yields, and a bus that stands aside."""
    cause = CauseLabel("pedestrian-0", WALKER, True, False, True, False, True)
    decision = Decision(LongitudinalDecision.YIELD, LateralDecision.LANE_KEEPING)
    label = Label(
        decision, (WALKER,), ("Keep lane and yield to the pedestrian in the crosswalk.",), (cause,), ("bus-0",)
    )
    world = build("crosswalk", 0, "nominal").begin()
    return Situation(world, label, {"pedestrian-0": WALKER, "bus-0": BUS}, None)


@pytest.fixture(scope="session")
def by_expert(data, corpus):
    """Attempts in which the expert's own words and deeds are tried."""
    rig, futures = default_rig(), {sample.key: sample.future for sample in Dataset.open(data)}
    return [
        Attempt(situation_of(moment, rig), PlanSample(futures[moment.key], moment.label.sentences[0], complete=True))
        for moment in corpus.moments
    ]
