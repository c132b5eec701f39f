"""The model that ships: it loads by its name, is small, speaks the composer's language and plans a drive."""

import numpy as np
import pytest

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.policy import DrivingPolicy, find_model
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.training.vocabulary import make_tokenizer
from alpamayo_ros.types.rig import default_rig


@pytest.fixture(scope="module")
def policy():
    return DrivingPolicy.from_pretrained("alpamayo-tiny")


def test_it_is_small_and_its_vocabulary_is_what_the_code_makes(policy, tmp_path):
    folder = find_model("alpamayo-tiny")
    assert (folder / "README.md").is_file()
    assert (folder / "model.safetensors").stat().st_size < 40e6
    assert 5e6 < sum(parameter.numel() for parameter in policy.model.parameters()) < 20e6
    make_tokenizer(policy.model.config.model_type, policy.model.config.traj_vocab_size).save(tmp_path / "made.json")
    assert (tmp_path / "made.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_it_gives_reasons_that_can_be_read_and_a_plan_that_can_be_driven(policy):
    drive = Drive.by_expert("slow_lead", 3, "nominal", default_rig(160, 96), ticks=45)
    read = 0
    for tick in (20, 32, 45):
        plan = policy.plan(drive.observation(tick), num_samples=2, seed=tick)
        for sample in plan.samples:
            assert sample.complete
            read += parse(sample.reasoning).decision is not None
            path = sample.trajectory
            assert np.isfinite(path.positions).all()
            # Within reach of a car at this speed.
            farthest = 6.4 * (drive.world(tick).ego.speed + 6.4 * 3)
            assert np.linalg.norm(path.positions[:, :2], axis=1).max() < farthest
    assert read >= 5
