"""Properties of the network and its geometry that hold for any weights and inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden_data import frames, model, tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.vla.action_space import unwrap, yaw_rotations
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import Guidance, Samples
from alpamayo_ros.vla.prompt import batch_prompts, driving_prompt
from alpamayo_ros.vla.sampling import GREEDY, Sampling

SPACE = model("r1").action_space
FUTURE, HISTORY = model("r1").future_tokens, model("r1").history_tokens
STEP = (FUTURE.config.dims_max[0] - FUTURE.config.dims_min[0]) / (FUTURE.config.num_bins - 1)

smooth_actions = st.tuples(
    st.floats(-1.5, 1.5), st.floats(0.2, 1.5), st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(0.2, 1.0)
)


def straight_history(speed: float) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.arange(-15, 1, dtype=torch.float64) * 0.1 * speed
    xyz = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], dim=-1)[None]
    return xyz, torch.eye(3, dtype=torch.float64).expand(1, 16, 3, 3)


@given(smooth_actions, st.floats(8, 30))
@settings(deadline=None, max_examples=60)
def test_action_to_trajectory_to_action(wave, speed):
    """The way back is a smoothing fit: smooth actions come back within its bias, and drive the same path."""
    amplitude, frequency, phase, turn, turn_frequency = wave
    t = torch.arange(64, dtype=torch.float64) * 0.1
    action = torch.stack(
        [amplitude * torch.sin(frequency * t + phase), turn * torch.cos(turn_frequency * t) * 20 / speed**1.5], dim=-1
    )[None]
    history = straight_history(speed)
    xyz, rot = SPACE.action_to_trajectory(action, *history)
    again, _ = SPACE.action_to_trajectory(SPACE.trajectory_to_action(*history, xyz, rot), *history)
    assert float((again - xyz).norm(dim=-1).max()) < 0.25


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=1, max_size=64))
def test_future_tokens_are_within_half_a_bin(values):
    action = torch.tensor(values, dtype=torch.float32)[None]
    decoded = FUTURE.decode_actions(FUTURE.encode_actions(action))
    assert float((decoded - action).abs().max()) <= STEP / 2 * 1.001


@given(st.lists(st.tuples(st.floats(-4, 4), st.floats(-4, 4), st.floats(-10, 10)), min_size=1, max_size=16))
def test_history_tokens_are_within_half_a_bin_a_step(steps):
    xyz = torch.tensor(steps, dtype=torch.float64).cumsum(0)[None]
    bins = HISTORY.encode(xyz, torch.eye(3).expand(1, len(steps), 3, 3))
    low, high = (torch.tensor(limit) for limit in (HISTORY.config.ego_xyz_min, HISTORY.config.ego_xyz_max))
    width = (high - low) / (HISTORY.config.num_bins - 1)
    half = width / 2
    decoded = bins.reshape(-1, 3) * width + low
    assert bool(((decoded - torch.tensor(steps)).abs() <= half * 1.001 + 1e-5).all())


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=64))
def test_rotations_are_orthonormal(yaw):
    rotations = yaw_rotations(torch.tensor(yaw, dtype=torch.float64))
    np.testing.assert_allclose(rotations @ rotations.mT, np.broadcast_to(np.eye(3), rotations.shape), atol=1e-12)
    np.testing.assert_allclose(torch.linalg.det(rotations), np.ones(len(yaw)), atol=1e-12)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=64))
def test_unwrap_undoes_wrapping(steps):
    angle = torch.tensor(steps, dtype=torch.float64).cumsum(0)
    wrapped = torch.atan2(angle.sin(), angle.cos())
    expected = angle - angle[0] + wrapped[0]
    np.testing.assert_allclose(unwrap(wrapped), expected, atol=1e-9)


def test_initial_speed_of_a_steady_drive():
    for speed in (0.0, 3.0, 30.0):
        assert float(SPACE.speed_at_t0(*straight_history(speed))) == pytest.approx(speed, abs=1e-2)


# ---------------------------------------------------------------- rows of a batch

REQUESTS = [(6, [0, 1], None), (33, [2], "Turn left in 40 m"), (12, [1], None)]
"""(history, cameras, navigation) of three prompts with different lengths, one picture a camera."""


def parts(index: int):
    loaded, (history, cameras, navigation) = model("15"), REQUESTS[index]
    xyz, rot = (part[history : history + 1] for part in tensors("action_space", "hist_xyz", "hist_rot"))
    pictures = frames(index + 1, len(cameras), 320, 576)
    pixel_values, grid = preprocess(pictures, loaded.config)
    bins = loaded.history_tokens.encode(xyz, rot)[0]
    ids = driving_prompt(loaded.tokenizer, loaded.config, grid, cameras, bins, navigation)
    return ids, grid, pixel_values, xyz, rot


def sample(rows: list[int], num_samples: int = 1, **options) -> Samples:
    loaded = model("15")
    ids, grids, pixels, xyz, rot = zip(*map(parts, rows), strict=True)
    defaults = {"seed": 5, "sampling": GREEDY, "max_new_tokens": 24, "num_flow_steps": 3}
    return loaded.sample(
        batch_prompts(list(ids), list(grids), loaded.config, loaded.tokenizer.pad),
        torch.cat(pixels),
        torch.cat(grids),
        torch.cat(xyz),
        torch.cat(rot),
        num_samples=num_samples,
        **defaults | options,
    )


def noise_free(rows: list[int], **options) -> Samples:
    """Noise belongs to the row's number; without it a row may be compared with itself at another place."""
    return sample(rows, noise_temperature=0.0, **options)


@pytest.mark.parametrize("autoregressive", [False, True])
def test_a_row_depends_neither_on_its_neighbours_nor_on_their_padding(autoregressive):
    together = noise_free([0, 1, 2], autoregressive=autoregressive)
    for row in (0, 1, 2):
        alone = noise_free([row], autoregressive=autoregressive)
        length = int(alone.reasoning.length)
        assert int(together.reasoning.length[row]) == length
        assert torch.equal(together.reasoning.tokens[row, :length], alone.reasoning.tokens[0, :length])
        np.testing.assert_allclose(together.xyz[row], alone.xyz[0], atol=2e-4)


def test_an_unfinished_row_depends_on_nothing_else_either():
    """With a limit of 3 tokens the rows are cut off before their trajectories begin."""
    together = noise_free([0, 1, 2], max_new_tokens=3)
    assert not together.reasoning.complete.all()
    for row in (0, 1, 2):
        np.testing.assert_allclose(together.xyz[row], noise_free([row], max_new_tokens=3).xyz[0], atol=2e-4)


@pytest.mark.parametrize("autoregressive", [False, True])
def test_sample_number_j_is_the_same_however_many_are_asked_for(autoregressive):
    few, many = (
        sample([0], num_samples=count, sampling=Sampling(0.8, 0.95), autoregressive=autoregressive) for count in (2, 4)
    )
    for row in (0, 1):
        length = int(few.reasoning.length[row])
        assert torch.equal(few.reasoning.tokens[row, :length], many.reasoning.tokens[row, :length])
    np.testing.assert_allclose(few.xyz, many.xyz[:2], atol=2e-4)
    assert len({tuple(row) for row in many.reasoning.tokens.tolist()}) > 1


def test_same_seed_same_bits_and_another_seed_another_plan():
    options = {"num_samples": 2, "sampling": Sampling(0.8, 0.95)}
    one, two, other = sample([0], **options), sample([0], **options), sample([0], **options, seed=6)
    assert torch.equal(one.xyz, two.xyz)
    assert torch.equal(one.reasoning.tokens, two.reasoning.tokens)
    assert not torch.equal(one.xyz, other.xyz)


def test_trajectory_tokens_never_appear_in_reasoning():
    first = model("15").tokenizer.future_bin_0
    said = sample([0, 1], num_samples=3, sampling=Sampling(3.0, None)).reasoning.tokens
    assert not ((said >= first) & (said < first + model("15").config.traj_vocab_size)).any()


def test_spoken_trajectory_is_what_one_pass_over_the_whole_text_says():
    """Token by token through the cache, or all at once: the same 128 greedy trajectory tokens."""
    loaded = model("15")
    ids, grid, pixel_values, *_ = parts(0)
    spoken = noise_free([0], autoregressive=True)
    said = spoken.reasoning.tokens[0, : int(spoken.reasoning.length)].tolist()
    assert bool(spoken.reasoning.complete)
    bins = loaded.future_tokens.encode_actions(spoken.action)[0]
    first, num_bins = loaded.tokenizer.future_bin_0, loaded.config.future_tokens.num_bins
    with torch.inference_mode():
        prompt = batch_prompts([ids + said + (bins + first).tolist()], [grid], loaded.config, loaded.tokenizer.pad)
        context = loaded.read(prompt, loaded.vlm.encode_images(pixel_values, grid))
        # `read` keeps only the last logits; one token less at a time gives those of a few places.
        for place in (0, 1, 64, 127):
            shorter = batch_prompts(
                [prompt.ids[0, : place - 128].tolist()], [grid], loaded.config, loaded.tokenizer.pad
            )
            context = loaded.read(shorter, loaded.vlm.encode_images(pixel_values, grid))
            assert int(context.logits[0, first : first + num_bins].argmax()) == int(bins[place])
    assert math.isfinite(float(spoken.xyz.sum()))


def test_guidance_of_weight_one_changes_nothing():
    ids, grid, *_ = parts(1)
    loaded = model("15")
    begin, end = (loaded.tokenizer.special_ids[name] for name in ("route_start", "route_end"))
    shorter = ids[: ids.index(begin)] + ids[ids.index(end) + 1 :]
    prompt = batch_prompts([shorter], [grid], loaded.config, loaded.tokenizer.pad)
    plain = sample([1])
    np.testing.assert_allclose(sample([1], guidance=Guidance(prompt, 1.0)).xyz, plain.xyz, atol=1e-4)
    assert not np.allclose(sample([1], guidance=Guidance(prompt, 3.0)).xyz, plain.xyz, atol=1e-2)
