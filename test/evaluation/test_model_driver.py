"""A model as driver, with the golden checkpoint: random weights, but every part of a released model."""

from dataclasses import replace

import numpy as np
import pytest
from golden_data import FOLDER, MODELS

from alpamayo_ros.engine.switches import EXACT
from alpamayo_ros.evaluation.closed_loop import WARM_UP, drive_policy
from alpamayo_ros.evaluation.drivers.model import ModelDriver, picture_size
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.policy import DrivingPolicy
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.world import Variant


@pytest.fixture(scope="module")
def policy() -> DrivingPolicy:
    return DrivingPolicy.from_pretrained(FOLDER / MODELS["r1"], language_model=FOLDER / "vlm_tiny", device="cpu")


@pytest.fixture(scope="module")
def reference() -> Episode:
    return drive_expert(Scene("open_road", 0, Variant.NOMINAL).build())


def test_the_observation_is_what_the_model_was_trained_with(policy: DrivingPolicy, reference: Episode) -> None:
    driver = ModelDriver(policy, 1, 1)
    config = policy.model.config
    seen = driver.observe(reference.worlds[: WARM_UP + 1])
    width, height = picture_size(config)
    assert [int(role) for role in seen.roles] == list(config.camera_roles)
    for camera in seen.cameras:
        assert camera.images.shape == (config.frames_per_camera, height, width, 3)
        assert np.diff(camera.stamps_ns).tolist() == [100_000_000] * (config.frames_per_camera - 1)
        assert camera.stamps_ns[-1] == seen.t0_ns
    assert seen.ego_history.positions.shape == (config.history_steps, 3)
    assert (np.diff(seen.ego_history.positions[:, 0]) > 0).all()
    assert config.min_pixels <= width * height <= config.max_pixels


def test_pictures_are_drawn_once_and_are_those_of_their_time(policy: DrivingPolicy, reference: Episode) -> None:
    driver, fresh = ModelDriver(policy, 1, 1), ModelDriver(policy, 1, 1)
    before = driver.observe(reference.worlds[:20])
    after = driver.observe(reference.worlds[:21])
    again = fresh.observe(reference.worlds[:21])
    for old, new, other in zip(before.cameras, after.cameras, again.cameras, strict=True):
        np.testing.assert_array_equal(new.images, other.images)
        np.testing.assert_array_equal(old.images[1:], new.images[:-1])
        assert (new.images[0] != new.images[-1]).any()


@pytest.mark.slow
def test_the_same_plan_comes_again(policy: DrivingPolicy, reference: Episode) -> None:
    driven = reference.worlds[: WARM_UP + 1]
    one, two = (ModelDriver(policy, 1, 1).propose(driven, 64).chosen for _ in range(2))
    np.testing.assert_array_equal(one.trajectory.positions, two.trajectory.positions)
    assert one.reasoning == two.reasoning


def test_the_last_plan_of_a_drive_makes_the_next_one_faster_and_no_other(reference: Episode) -> None:
    shipped = DrivingPolicy.from_pretrained("alpamayo-tiny", device="cpu")
    driver, fresh = ModelDriver(shipped, 1, 1), ModelDriver(shipped, 1, 1)
    for end in range(WARM_UP + 1, WARM_UP + 4):
        driven = reference.worlds[:end]
        fresh.take_over(reference.minds[WARM_UP])
        one, two = driver.propose(driven, 1).chosen, fresh.propose(driven, 1).chosen
        assert one.reasoning == two.reasoning
        np.testing.assert_allclose(one.trajectory.positions, two.trajectory.positions, atol=1e-4)
    assert driver._memory.passes < fresh._memory.passes


@pytest.mark.slow
def test_a_model_drives(policy: DrivingPolicy, reference: Episode) -> None:
    driven, consistent = drive_policy(reference, ModelDriver(policy, 1, 40))
    assert len(driven) > WARM_UP + 1
    assert len(consistent) >= 1
    # Random weights say nothing that can be read.
    assert not any(consistent)


def test_a_model_that_is_not_to_speak_plans_without_words(policy: DrivingPolicy, reference: Episode) -> None:
    mute = DrivingPolicy(policy.model, policy.name, policy.revision, replace(EXACT, skip_reasoning=True))
    driver, driven = ModelDriver(mute, 1, 1, flow_steps=2), reference.worlds[: WARM_UP + 1]
    driver.take_over(reference.minds[WARM_UP])
    assert driver.propose(driven, 64).chosen.reasoning == ""
    assert not driver.explains
    assert ModelDriver(policy, 1, 1).explains


@pytest.mark.parametrize(("noise_temperature", "alike"), [(0.0, True), (1.0, False)])
def test_options_of_a_plan_reach_it(
    policy: DrivingPolicy, reference: Episode, noise_temperature: float, alike: bool
) -> None:
    mute = DrivingPolicy(policy.model, policy.name, policy.revision, replace(EXACT, skip_reasoning=True))
    driver = ModelDriver(mute, 2, 1, flow_steps=2, noise_temperature=noise_temperature)
    one, two = (it.trajectory.positions for it in driver.propose(reference.worlds[: WARM_UP + 1], 64).samples)
    assert np.array_equal(one, two) == alike
