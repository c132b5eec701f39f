"""Whole rollouts against the original: pictures and prompt in, reasoning tokens and trajectory out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from golden_data import FOLDER, MODELS, cases, frames, inputs, model

from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.flow_matching import guided, integrate
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import AlpamayoModel, Choose, Context, Reasoning
from alpamayo_ros.vla.prompt import batch_prompts

pytestmark = pytest.mark.golden

R1, V15 = cases("e2e_r1"), cases("e2e_15")
MAX_NEW_TOKENS = 128
"""The default limit of the original."""
PADDED = [name for name in V15 if "prompt_attention_mask" in V15[name]]


@dataclass
class Rollout:
    """A rollout up to the flow."""

    model: AlpamayoModel
    pixel_values: torch.Tensor
    grid_thw: torch.Tensor
    context: Context
    reasoning: Reasoning


def pictures(case: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The case's pictures. Where a file does not say which, they are those of R1's first case."""
    first = R1["greedy_n1"]
    count, height, width = map(int, case.get("frame_n_h_w", first["frame_n_h_w"]))
    seeds = (
        case["frame_seeds"].tolist() if "frame_seeds" in case else [int(case.get("frame_seed", first["frame_seed"]))]
    )
    made = [picture for seed in seeds for picture in frames(seed, count, height, width)]
    if "frames_sha256" in case:
        stacked = np.stack([picture.transpose(2, 0, 1) for picture in made])
        assert inputs().sha(stacked) == str(case["frames_sha256"])
    return made


def greedy(logits: torch.Tensor) -> torch.Tensor:
    return logits.argmax(dim=-1)


def recorded(case: dict[str, np.ndarray]) -> Choose:
    """Says what the original sampled."""
    columns = iter(torch.from_numpy(case["gen_tokens_raw"]).long().T)
    return lambda _logits: next(columns)


def roll_out(loaded: AlpamayoModel, case: dict[str, np.ndarray]) -> Rollout:
    ids = case["prompt_ids_fused"]
    pixel_values, grid_thw = preprocess(pictures(case), loaded.config)
    if "pixel_sha256" in case:
        assert inputs().sha(pixel_values.numpy()) == str(case["pixel_sha256"])
    prompt = batch_prompts(ids.tolist(), list(grid_thw.chunk(len(ids))), loaded.config, loaded.tokenizer.pad)
    np.testing.assert_array_equal(prompt.ids, ids)
    context = loaded.read(prompt, loaded.vlm.encode_images(pixel_values, grid_thw))
    times = len(case["gen_tokens"]) // len(ids)
    limit = case["gen_tokens_raw"].shape[1] if stopped_by_the_limit(case) else MAX_NEW_TOKENS
    context = context.repeat(times, context.cache.length + MAX_NEW_TOKENS + loaded.config.action_space.n_waypoints)
    reasoning = loaded.reason(context, recorded(case) if "torch_seed" in case else greedy, limit)
    return Rollout(loaded, pixel_values, grid_thw, context, reasoning)


def stopped_by_the_limit(case: dict[str, np.ndarray]) -> bool:
    return not case["has_eos"].all() or int(case["cache_len"]) < int(case["offset"].max())


def check_reasoning(rollout: Rollout, case: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(rollout.reasoning.tokens, case["gen_tokens"])
    np.testing.assert_array_equal(rollout.reasoning.complete, case["has_eos"])
    np.testing.assert_array_equal(rollout.context.prompt_length + rollout.reasoning.length, case["offset"])
    np.testing.assert_array_equal(rollout.context.rope_delta, case["rope_deltas"][:, 0])
    assert rollout.context.cache.length == int(case["cache_len"])
    visible, _ = rollout.model._visible(rollout.context, rollout.reasoning)
    np.testing.assert_array_equal(visible, ~case["mask_blocked"][:, : visible.shape[1]])


def check_trajectory(rollout: Rollout, case: dict[str, np.ndarray], velocity, atol: float = 1e-4) -> None:
    expected = case["all_steps"]
    np.testing.assert_allclose(torch.linspace(0, 1, expected.shape[1]), case["timesteps"], atol=1e-7)
    start = torch.from_numpy(expected[:, 0])
    np.testing.assert_allclose(velocity(start, 0.0), case["v_step0"], atol=atol)
    states = integrate(velocity, start, expected.shape[1] - 1)
    np.testing.assert_allclose(torch.stack(states, dim=1), expected, atol=atol)
    times = len(expected) // len(case["hist_xyz"])
    history = [torch.from_numpy(case[f"hist_{part}"][:, 0]).repeat_interleave(times, 0) for part in ("xyz", "rot")]
    xyz, rot = rollout.model.action_space.action_to_trajectory(states[-1], *history)
    np.testing.assert_allclose(xyz, case["pred_xyz"].reshape(xyz.shape), atol=2e-3)
    np.testing.assert_allclose(rot, case["pred_rot"].reshape(rot.shape), atol=1e-3)


@pytest.mark.parametrize("name", R1)
@torch.inference_mode()
def test_r1(name):
    case = R1[name]
    rollout = roll_out(model("r1"), case)
    check_reasoning(rollout, case)
    if "cache_k" in case:
        cache = rollout.context.cache
        np.testing.assert_allclose(cache.keys[..., : cache.length, :], case["cache_k"], atol=1e-3)
        np.testing.assert_allclose(cache.values[..., : cache.length, :], case["cache_v"], atol=1e-3)
    check_trajectory(rollout, case, rollout.model.velocity(rollout.context, rollout.reasoning))


@pytest.mark.parametrize("name", [name for name in V15 if name not in PADDED and "v_step0_unguided" not in V15[name]])
@torch.inference_mode()
def test_v15(name):
    case = V15[name]
    rollout = roll_out(model("15"), case)
    check_reasoning(rollout, case)
    check_trajectory(rollout, case, rollout.model.velocity(rollout.context, rollout.reasoning))


def test_noise_temperature():
    case = V15["greedy_n3_temp"]
    ratio = case["all_steps"][:, 0] / case["noise"]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in V15 if "v_step0_unguided" in V15[name]])
@torch.inference_mode()
def test_navigation_guidance(name):
    case = V15[name]
    rollout = roll_out(model("15"), case)
    check_reasoning(rollout, case)
    loaded, tokenizer = rollout.model, rollout.model.tokenizer
    ids = case["prompt_ids_fused"][0].tolist()
    begin, end = (ids.index(tokenizer.special_ids[marker]) for marker in ("route_start", "route_end"))
    shorter = batch_prompts([ids[:begin] + ids[end + 1 :]], [rollout.grid_thw], loaded.config, tokenizer.pad)
    features = loaded.vlm.encode_images(rollout.pixel_values, rollout.grid_thw)
    other = loaded.listen(loaded.read(shorter, features), rollout.reasoning)
    assert other.cache.length == int(case["unguided_cache_len"])
    visible, offset = loaded._visible(other, rollout.reasoning)
    np.testing.assert_array_equal(visible, ~case["unguided_mask_blocked"][:, : visible.shape[1]])
    np.testing.assert_array_equal(offset + other.rope_delta, case["unguided_position_ids"][0, :, 0])
    with_route = loaded.velocity(rollout.context, rollout.reasoning)
    without_route = loaded.velocity(other, rollout.reasoning)
    start = torch.from_numpy(case["all_steps"][:, 0])
    np.testing.assert_allclose(without_route(start, 0.0), case["v_step0_unguided"], atol=1e-4)
    # The file does not store the weight; its first step is v = (1 − w) v_without + w v_with.
    step = (case["all_steps"][:, 1] - case["all_steps"][:, 0]) / np.diff(case["timesteps"])[0]
    weight = np.median((step - case["v_step0_unguided"]) / (case["v_step0"] - case["v_step0_unguided"]))
    np.testing.assert_allclose(with_route(start, 0.0), case["v_step0"], atol=1e-4)
    guided_case = case | {"v_step0": step}
    check_trajectory(rollout, guided_case, guided(with_route, without_route, round(float(weight), 3)), atol=2e-4)


@pytest.mark.parametrize("name", [name for name in PADDED if not name.endswith("R1CODE")])
def test_left_padding(name):
    """What the expert sees in a padded batch. The file does not say which pictures it was made from, so the rollout
    itself is compared row by row with unpadded ones instead (`test_properties.py`)."""
    case, loaded = V15[name], model("15")
    ids, real = case["prompt_ids_fused"], torch.from_numpy(case["prompt_attention_mask"]).bool()
    times = len(case["gen_tokens"]) // len(ids)
    tokens = torch.from_numpy(case["gen_tokens"]).long()
    begin = loaded.tokenizer.special_ids["traj_future_start"]
    length = (tokens == begin).int().argmax(dim=1) + 1
    fed = int(case["cache_len"]) - ids.shape[1]
    context = Context(
        cache=type("Filled", (), {"length": int(case["cache_len"])})(),
        prompt_length=ids.shape[1],
        is_real=torch.cat([real.repeat_interleave(times, 0), torch.ones(len(tokens), fed, dtype=torch.bool)], dim=1),
        rope_delta=torch.from_numpy(case["rope_deltas"][:, 0]),
        logits=torch.empty(0),
    )
    visible, offset = loaded._visible(context, Reasoning(tokens, torch.ones_like(length, dtype=torch.bool), length))
    np.testing.assert_array_equal(visible, ~case["mask_blocked"][:, : visible.shape[1]])
    np.testing.assert_array_equal(offset, case["offset"])
    positions = torch.arange(loaded.config.action_space.n_waypoints) + (offset + context.rope_delta)[:, None]
    np.testing.assert_array_equal(positions.expand(3, -1, -1), case["expert_position_ids"])


@pytest.mark.parametrize("release", MODELS)
@torch.inference_mode()
def test_bfloat16(release):
    """The original under CPU autocast, where normalisation layers stay bfloat16 but not on a GPU: the same constants to
    the bit, the same words, and a trajectory within what bfloat16 leaves of it."""
    case = cases("bf16")[release]
    stored = {key: value for key, value in case.items() if key.startswith("greedy")}
    case = {key.partition("/")[2]: value for key, value in stored.items()}
    loaded = load_model(FOLDER / MODELS[release], language_model=FOLDER / "vlm_tiny", dtype=torch.bfloat16)
    rollout = roll_out(loaded, case)
    np.testing.assert_array_equal(rollout.reasoning.tokens, case["gen_tokens"])
    states = integrate(
        loaded.velocity(rollout.context, rollout.reasoning), torch.from_numpy(case["noise"]), len(case["timesteps"]) - 1
    )
    history = [torch.from_numpy(case[f"hist_{part}"][:, 0]) for part in ("xyz", "rot")]
    xyz, _ = loaded.action_space.action_to_trajectory(states[-1], *history)
    error = np.linalg.norm(xyz.numpy() - case["pred_xyz"].reshape(xyz.shape), axis=-1)
    assert error.max() < 0.3
    assert error.mean() < 0.1
