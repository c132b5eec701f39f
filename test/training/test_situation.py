"""The simulator drives to a moment again, disturbed or not, and says so where it cannot."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alpamayo_ros.datasets.drive import FUTURE, HISTORY
from alpamayo_ros.datasets.handover import ModelDrive
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.production import write_dataset
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.motion import seen_from, trajectory_of
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.traffic import advance
from alpamayo_ros.training.corpus import Corpus, Moment, Origin, find_shards
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.rewards.trajectory import crashes
from alpamayo_ros.training.situation import situation_of
from alpamayo_ros.types.rig import DEFAULT_ROLES, default_rig

RIG = default_rig()


def test_the_world_is_that_of_the_sample(corpus):
    moment = corpus.moments[1]
    situation = situation_of(moment, RIG)
    assert situation.world.tick == moment.origin.tick
    causes = {cause.identity for cause in moment.label.causes if cause.observed and cause.identity}
    assert {name for name in causes if name.split("-")[0] in ("car", "van", "truck", "pedestrian")} <= set(
        situation.things
    )
    origin = moment.origin
    driven = drive_expert(build(origin.kind, origin.seed, origin.variant), ticks=origin.tick + 64).worlds
    place, _ = seen_from(situation.world.ego, [world.ego for world in driven[origin.tick + 1 :]])
    np.testing.assert_allclose(situation.future, place, atol=1e-4)  # kept as float32


def test_nothing_begins_that_was_not_to_be_seen():
    """The lead brakes after t0, so the plan that the data want to be learned would end in it."""
    drive = drive_expert(build("braking_lead", 7, "challenging"), ticks=61)
    expected = foreseen(drive, 60, FUTURE, RIG).worlds[60:]
    plan = trajectory_of(expected[0].ego, [world.ego for world in expected[1:]])
    assert crashes(drive.worlds[60], plan)
    history = seen_from(drive.worlds[60].ego, [world.ego for world in drive.worlds[60 - HISTORY + 1 : 61]])
    origin = Origin("braking_lead", 7, "challenging", 60, 0.0)
    moment = Moment(
        "braking_lead", origin, {}, 4, False, None, None,
        tuple(map(torch.from_numpy, history)), (torch.from_numpy(plan.positions), torch.from_numpy(plan.rotations)),
    )  # fmt: skip
    assert not crashes(situation_of(moment, RIG).world, plan)


def test_a_disturbed_drive_is_disturbed_again(tmp_path):
    plan = DatasetPlan((5, 5), ("sharp_curve",), ("nominal",), DEFAULT_ROLES[:1], (64, 32), every=20, disturbance=2.0)
    list(write_dataset(plan, tmp_path / "data"))
    disturbed = Corpus(find_shards([tmp_path / "data"], unfinished=False), (0,))
    moment = disturbed.moments[0]
    assert moment.origin.disturbance == 2.0
    situation = situation_of(moment, RIG)
    # Driven on with the expert's actions it is where the sample says.
    world = situation.world.copy()
    before = world.ego
    advance(world, 0.0, 0.0)
    place, _ = seen_from(before, [world.ego])
    assert np.linalg.norm(place[0] - situation.future[0]) < 0.05
    undisturbed = replace(moment, origin=replace(moment.origin, disturbance=0.0))
    with pytest.raises(TrainingError, match="cannot be driven again: another version of the simulator"):
        situation_of(undisturbed, RIG)


def test_a_drive_that_a_model_began_gives_no_rewards(tmp_path):
    driven = ModelDrive("open_road", 5, "nominal", ((0.0, 0.001),) * 90)
    plan = DatasetPlan((5, 5), ("open_road",), ("nominal",), DEFAULT_ROLES[:1], (64, 32), every=10, driven=(driven,))
    list(write_dataset(plan, tmp_path / "data"))
    moment = Corpus(find_shards([tmp_path / "data"], unfinished=False), (0,)).moments[0]
    assert moment.origin is None
    with pytest.raises(TrainingError, match="begins with a model's drive"):
        situation_of(moment, RIG)
