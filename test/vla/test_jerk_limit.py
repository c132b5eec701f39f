"""A plan may begin with the acceleration that the car has: what it then keeps, and what it gives up."""

import numpy as np
import pytest
import torch
from golden_data import model
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.vla.jerk_limit import EMERGENCY, limit_jerk

SPACE = model("r1").action_space
JERK = 3.5


def normalised(accelerations: np.ndarray, curvature: float = 0.01) -> torch.Tensor:
    wanted = torch.from_numpy(np.atleast_2d(accelerations))
    bend = torch.full_like(wanted, curvature)
    parts = (wanted - SPACE.accel_mean) / SPACE.accel_std, (bend - SPACE.curvature_mean) / SPACE.curvature_std
    return torch.stack(parts, dim=-1).float()


def limited(accelerations: np.ndarray, speed: float, now: float) -> tuple[np.ndarray, np.ndarray]:
    """Accelerations (64,) and speeds (65,) of the limited plan."""
    action = normalised(accelerations)
    found = limit_jerk(SPACE, action, torch.tensor([speed]), torch.tensor([now]), JERK)
    assert torch.equal(found[..., 1], action[..., 1])
    states = SPACE.rollout(found.double(), torch.tensor([speed]).double())
    return states.accel[0].numpy(), states.speed[0].numpy()


@given(
    seed=st.integers(0, 10_000),
    speed=st.floats(0.0, 25.0),
    now=st.floats(-5.0, 3.0),
    size=st.floats(0.1, 2.5),
)
@settings(deadline=None)
def test_nothing_jumps_but_for_an_emergency_or_a_stand(seed, speed, now, size):
    wanted = size * np.random.default_rng(seed).standard_normal(64)
    planned = SPACE.rollout(normalised(wanted).double(), torch.tensor([speed]).double()).speed[0].numpy()
    driven, speeds = limited(wanted, speed, now)
    jerk = np.diff(driven, prepend=now) / 0.1
    slowest = np.minimum(planned[1:], 0.0) if speed < 0.1 else np.zeros(64)
    assert np.all((jerk < JERK + 1e-3) | (speeds[:-1] + 0.1 * (driven - 1e-4) < slowest))
    hardest = np.array([wanted[tick : tick + 10].min() for tick in range(64)])
    assert np.all((jerk > -JERK - 1e-3) | (hardest < EMERGENCY + 1e-4))
    # Who drives forward does not reverse, who stands no faster than planned.
    assert np.all(speeds[1:] >= slowest - 1e-3)


def test_what_a_jump_costs_is_gained_again():
    wanted = np.full(64, -1.5)
    driven, speeds = limited(wanted, 15.0, 0.5)
    assert driven[0] == pytest.approx(0.5 - 0.35, abs=1e-4)
    planned = 15.0 - 0.15 * np.arange(65)
    assert abs(speeds - planned).max() < 0.7
    np.testing.assert_allclose(speeds[30:], planned[30:], atol=0.02)


def test_a_plan_within_the_limit_keeps_its_bits():
    wanted = np.sin(np.arange(64) * 0.1)
    action = normalised(wanted)
    found = limit_jerk(SPACE, action, torch.tensor([10.0]), torch.tensor([0.0]), JERK)
    assert torch.equal(found, action)


def test_an_emergency_is_not_held_up():
    driven, speeds = limited(np.full(64, -6.0), 20.0, 1.0)
    np.testing.assert_allclose(driven[:33], -6.0, atol=1e-4)
    np.testing.assert_allclose(speeds[35:], 0.0, atol=1e-5)


@pytest.mark.parametrize("hardest", [-4.5, -6.0, -8.0])
def test_nor_is_one_on_its_way_there(hardest):
    """As the simulator's expert brakes hard: by 9 m/s³ more and more."""
    wanted = np.maximum(-0.9 * np.arange(1, 65), hardest)
    driven, _ = limited(wanted, 20.0, 0.0)
    np.testing.assert_allclose(driven[:28], wanted[:28], atol=1e-4)
    late = np.where(np.arange(64) < 30, -0.9, hardest)
    driven, _ = limited(late, 20.0, 0.5)
    assert driven[0] == pytest.approx(0.15, abs=1e-4), "an emergency in three seconds is none yet"


def test_who_comes_to_a_stand_stays_there():
    wanted = np.where(np.arange(64) < 20, -2.0, 0.0)
    driven, speeds = limited(wanted, 4.0, -2.0)
    assert speeds.min() > -1e-6
    np.testing.assert_allclose(speeds[25:], 0.0, atol=1e-5)
    assert driven[21:].max() < 0.5


def test_a_stop_that_overshoots_is_a_stop():
    wanted = np.where(np.arange(64) < 20, -2.0, np.where(np.arange(64) < 25, -0.8, 0.05))
    _, speeds = limited(wanted, 4.0, -2.0)
    np.testing.assert_allclose(speeds[22:], 0.0, atol=1e-5)


def test_who_stands_may_reverse():
    wanted = np.where(np.arange(64) < 20, -0.5, 0.0)
    _, speeds = limited(wanted, 0.0, 0.0)
    np.testing.assert_allclose(speeds[30:], -1.0, atol=0.02)


@pytest.mark.parametrize(("speed", "jerk"), [(12.0, 0.0), (12.0, 2.0), (6.0, -2.0)])
def test_poses_tell_the_acceleration_of_the_last_step(speed, jerk):
    """In the tenths of a second before t0 the car accelerated by 1.0 m/s² and what `jerk` had added by then."""
    accelerations = 1.0 + jerk * 0.1 * np.arange(-14, 1)
    speeds = speed + 0.1 * np.concatenate([[0.0], np.cumsum(accelerations)])
    driven = np.concatenate([[0.0], np.cumsum(0.05 * (speeds[1:] + speeds[:-1]))])
    xyz = torch.zeros(1, 16, 3)
    xyz[0, :, 0] = torch.from_numpy(driven - driven[-1])
    _, found = SPACE.motion_at_t0(xyz, torch.eye(3).expand(1, 16, 3, 3))
    assert found.tolist() == pytest.approx([1.0], abs=0.03)
