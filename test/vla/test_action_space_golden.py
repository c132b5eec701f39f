"""The unicycle action space against the original, in both directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_data import arrays, model, tensors

from alpamayo_ros.vla.action_space import UnicycleActionSpace, difference_matrix, unwrap

pytestmark = pytest.mark.golden

# (file prefix, dtype, position m, action, other states)
PRECISIONS = [("f32", torch.float32, 1e-3, 1e-2, 1e-3), ("f64", torch.float64, 1e-8, 1e-8, 1e-8)]


@pytest.fixture
def space() -> UnicycleActionSpace:
    return model("r1").action_space


@pytest.mark.parametrize(("prefix", "dtype", "xyz_atol", "action_atol", "state_atol"), PRECISIONS)
def test_trajectory_to_action(space, prefix, dtype, xyz_atol, action_atol, state_atol):
    data = arrays("action_space")
    motion = [t.to(dtype) for t in tensors("action_space", "hist_xyz", "hist_rot", "fut_xyz", "fut_rot")]
    states = space.states_of(*motion)
    for name, value in (
        ("theta", states.heading), ("v", states.speed), ("accel", states.accel), ("kappa", states.curvature),
        ("v0", space.speed_at_t0(*motion[:2])),
    ):  # fmt: skip
        np.testing.assert_allclose(value, data[f"{prefix}_{name}"], rtol=0, atol=state_atol, err_msg=name)
    action = space.trajectory_to_action(*motion)
    np.testing.assert_allclose(action, data[f"{prefix}_action"], rtol=0, atol=action_atol)


@pytest.mark.parametrize(("prefix", "dtype", "xyz_atol", "action_atol", "state_atol"), PRECISIONS)
@pytest.mark.parametrize(("action", "wanted"), [("{}_action", "roundtrip"), ("rand_action", "rand")])
def test_action_to_trajectory(space, prefix, dtype, xyz_atol, action_atol, state_atol, action, wanted):
    data = arrays("action_space")
    history = [t.to(dtype) for t in tensors("action_space", "hist_xyz", "hist_rot")]
    given = torch.from_numpy(data[action.format(prefix)]).to(dtype)
    xyz, rot = space.action_to_trajectory(given, *history)
    np.testing.assert_allclose(xyz, data[f"{prefix}_{wanted}_xyz"], rtol=0, atol=xyz_atol)
    np.testing.assert_allclose(rot, data[f"{prefix}_{wanted}_rot"], rtol=0, atol=state_atol)


def test_initial_speed_can_be_given(space):
    """The golden file does not store the speeds it gave; the first step reveals each: x₁ = (v₀ + v₁ cos θ₁) dt / 2."""
    data = arrays("action_space")
    history = [t.double() for t in tensors("action_space", "hist_xyz", "hist_rot")]
    action = torch.from_numpy(data["rand_action"]).double()
    wanted = data["f64_rand_xyz_v0given"]
    accel, curvature = (part[:, 0].numpy() for part in space.physical(action))
    speed, dt = np.zeros(len(wanted)), space.config.dt
    for _ in range(60):
        theta = curvature * speed * dt + curvature * accel * dt**2 / 2
        speed = (2 * wanted[:, 0, 0] / dt - accel * dt * np.cos(theta)) / (1 + np.cos(theta))
    xyz, rot = space.action_to_trajectory(action, *history, initial_speed=torch.from_numpy(speed))
    np.testing.assert_allclose(xyz, wanted, rtol=0, atol=1e-8)
    np.testing.assert_allclose(rot, data["f64_rand_rot_v0given"], rtol=0, atol=1e-8)


def test_constants_rounded_to_bfloat16_move_the_trajectory_as_in_the_release(space):
    data = arrays("action_space")
    rounded = UnicycleActionSpace(space.config, persistent=False, constants_dtype=torch.bfloat16)
    constants = [rounded.accel_mean, rounded.accel_std, rounded.curvature_mean, rounded.curvature_std]
    np.testing.assert_array_equal(torch.stack(constants), data["bf16buf_constants"])
    exact = [space.accel_mean, space.accel_std, space.curvature_mean, space.curvature_std]
    np.testing.assert_array_equal(torch.stack(exact), data["f32_constants"])
    motion = tensors("action_space", "hist_xyz", "hist_rot", "fut_xyz", "fut_rot")
    np.testing.assert_allclose(rounded.trajectory_to_action(*motion), data["bf16buf_action"], rtol=0, atol=1e-2)
    xyz, rot = rounded.action_to_trajectory(torch.from_numpy(data["rand_action"]), *motion[:2])
    np.testing.assert_allclose(xyz, data["bf16buf_rand_xyz"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(rot, data["bf16buf_rand_rot"], rtol=0, atol=1e-4)


def test_unwrap_and_differences():
    data = arrays("action_space")
    np.testing.assert_allclose(unwrap(torch.from_numpy(data["unwrap_in"])), data["unwrap_out"], atol=1e-6)
    for order in (1, 2, 3):
        matrix = difference_matrix(order, 7, torch.zeros(1, dtype=torch.float64)).numpy()
        recorded = data[f"DTD_d{order}_N7"]  # with a weight of its own, which is the first entry
        np.testing.assert_allclose(matrix.T @ matrix, recorded / recorded[0, 0], atol=1e-12)
