"""Vocabulary, prompts, history fusion and rotary positions against the original."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from golden_data import arrays, document, model, tensors

from alpamayo_ros.vla.prompt import (
    CAMERA_NAMES,
    batch_prompts,
    driving_prompt,
    question_prompt,
    rotary_positions,
)

pytestmark = pytest.mark.golden

NAMES = [key.removesuffix("_text") for key in arrays("prompt") if key.endswith("_text")]
TINY, REAL = ([name for name in NAMES if name.startswith(size)] for size in ("tiny", "real"))


@pytest.mark.parametrize(("release", "ids"), [("r1", "special_token_ids_r1"), ("15", "special_token_ids_1_5")])
def test_vocabulary(release, ids):
    tokenizer, expected = model(release).tokenizer, document("golden_tokens")["tiny"]
    assert len(tokenizer) == expected["vocab_size"]
    assert tokenizer.special_ids == expected[ids]
    assert tokenizer.future_bin_0 == expected["traj_token_start_idx"]
    assert (tokenizer.pad, tokenizer.im_end) == (expected["pad_token_id"], expected["eos_token_id"])
    assert {name: tokenizer.token_id(name) for name in expected["qwen_added"]} == expected["qwen_added"]
    assert {k: tokenizer.special_ids[f"traj_{k}"] for k in expected["traj_token_ids"]} == expected["traj_token_ids"]


def test_encode_and_decode():
    tokenizer = model("r1").tokenizer
    for case in document("golden_tokens")["tiny"]["encode"]:
        assert tokenizer.encode(case["text"]) == case["ids"]
        assert tokenizer.decode(case["ids"], skip_special=True) == case["decode_skip"]


@pytest.mark.parametrize("name", TINY)
def test_prompt(name):
    data = {key.removeprefix(f"{name}_"): value for key, value in arrays("prompt").items() if key.startswith(name)}
    text, grid = str(data["text"]), torch.from_numpy(data["grid_thw"])
    loaded = model("r1" if "_r1_" in name else "15")
    named = [role for role, camera in enumerate(CAMERA_NAMES) if f"{camera}: " in text]
    config = dataclasses.replace(loaded.config, include_camera_ids=bool(named), include_frame_nums="frame 0 " in text)
    cameras = named or [0]  # which ones does not matter where none is named
    if question := re.search(r"<\|question_start\|>(.*)<\|question_end\|>", text, re.S):
        ids = question_prompt(loaded.tokenizer, config, grid, cameras, question[1])
    else:
        index = int(arrays("prompt")["hist_traj_index"])
        xyz, rot = (part[index : index + 1] for part in tensors("action_space", "hist_xyz", "hist_rot"))
        route = re.search(r"<\|route_start\|>(.*)<\|route_end\|>", text, re.S)
        bins = loaded.history_tokens.encode(xyz, rot)[0]
        ids = driving_prompt(loaded.tokenizer, config, grid, cameras, bins, route[1] if route else None)
    np.testing.assert_array_equal(ids, data["fused_ids"])
    batch = batch_prompts([ids], [grid], config, loaded.tokenizer.pad)
    np.testing.assert_array_equal(batch.positions[:, 0], data["position_ids"])
    assert int(batch.rope_delta) == int(data["rope_delta"].item())


def test_route_span():
    """The prompt without navigation is the one with its route taken out, markers included."""
    data, tokenizer = arrays("prompt"), model("15").tokenizer
    with_route = data["tiny_15_4f_cams_nav_input_ids"].tolist()
    begin, end = (tokenizer.special_ids[name] for name in ("route_start", "route_end"))
    span = [with_route.index(begin), with_route.index(end)]
    assert span == data["tiny_nav_span"].tolist()
    assert with_route[: span[0]] + with_route[span[1] + 1 :] == data["tiny_nav_removed_ids"].tolist()


def test_left_padding():
    data, loaded = arrays("prompt"), model("15")
    ids, real = data["tiny_padded_input_ids"], data["tiny_padded_attention_mask"].astype(bool)
    grid = torch.from_numpy(data["tiny_padded_grid_thw"])
    prompts = [row[mask].tolist() for row, mask in zip(ids, real, strict=True)]
    grids, rest = [], grid
    for prompt in prompts:
        tokens = prompt.count(loaded.config.image_token_id)
        merged = loaded.config.vision.spatial_merge_size**2
        count = (rest.prod(dim=1) // merged).cumsum(0).tolist().index(tokens) + 1
        grids.append(rest[:count])
        rest = rest[count:]
    batch = batch_prompts(prompts, grids, loaded.config, loaded.tokenizer.pad)
    np.testing.assert_array_equal(batch.ids, ids)
    np.testing.assert_array_equal(batch.is_real, real)
    np.testing.assert_array_equal(batch.positions, data["tiny_padded_position_ids"])
    np.testing.assert_array_equal(batch.rope_delta, data["tiny_padded_rope_delta"][:, 0])


@pytest.mark.parametrize("name", REAL)
def test_release_vocabulary(name):
    """Prompts in the released vocabulary, whose merges are not at hand: positions and fused history."""
    data = {key.removeprefix(f"{name}_"): value for key, value in arrays("prompt").items() if key.startswith(name)}
    known = document("golden_tokens")["real"]
    config = dataclasses.replace(model("r1").config, image_token_id=known["special_token_ids_r1"]["image_pad"])
    ids = torch.from_numpy(data["fused_ids"]).long()
    positions = rotary_positions(ids, torch.from_numpy(data["grid_thw"]), config)
    np.testing.assert_array_equal(positions, data["position_ids"])
    assert int(positions.max()) + 1 - len(ids) == int(data["rope_delta"].item())
    placeholders = data["input_ids"] == known["traj_token_ids"]["history"]
    np.testing.assert_array_equal(ids[~placeholders], data["input_ids"][~placeholders])
    if placeholders.any():
        index = int(arrays("prompt")["hist_traj_index"])
        xyz, rot = (part[index : index + 1] for part in tensors("action_space", "hist_xyz", "hist_rot"))
        bins = model("r1").history_tokens.encode(xyz, rot)[0]
        first_history_bin = model("r1").config.future_tokens.num_bins
        np.testing.assert_array_equal(ids[placeholders], bins + known["traj_token_start_idx"] + first_history_bin)
