"""Shapes with random weights: the release's numbers, the parameters that the table says, the release's token counts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from golden_data import document

from alpamayo_ros.evaluation.latency import shapes
from alpamayo_ros.evaluation.latency.shapes import SHAPES, empty_model, fill_randomly, shape_config
from alpamayo_ros.evaluation.latency.stand_in_vocabulary import stand_in_tokenizer
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.prompt import batch_prompts, driving_prompt


@cache
def empty(name):
    return empty_model(shape_config(name), SHAPES[name].words)


@pytest.mark.golden
def test_10b_is_the_release():
    model = empty("10b")
    found = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert found == document("release_shapes_r1")
    released, config = document("release_config_reconstructed_r1"), model.config
    assert (config.vocab_size, config.min_pixels, config.max_pixels) == tuple(
        released[key] for key in ("vocab_size", "min_pixels", "max_pixels")
    )
    assert config.num_inference_steps == released["diffusion_cfg"]["num_inference_steps"]
    for part, name in ((config.action_space, "action_space_cfg"), (config.action_in_proj, "action_in_proj_cfg")):
        stated = {key: value for key, value in released[name].items() if not key.startswith("_")}
        assert {key: getattr(part, key) for key in stated} == {
            key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()
        }


def test_the_stand_in_has_the_released_ids():
    tokenizer, released = stand_in_tokenizer(), document("release_config_reconstructed_r1")
    assert len(tokenizer) == released["vocab_size"]
    assert tokenizer.future_bin_0 == released["traj_token_start_idx"]
    for name, token in released["traj_token_ids"].items():
        assert tokenizer.special_ids[f"traj_{name}"] == token
    assert tokenizer.special_ids["image_pad"] == 151655
    assert (tokenizer.pad, tokenizer.im_end) == (151643, 151645)


def parameters_by_part(model):
    """Numbers of parameters: the columns of the table, without the whole."""
    counts = dict.fromkeys(("vision", "language", "vocabulary", "expert"), 0)
    for name, parameter in model.named_parameters():
        if ".visual." in name:
            part = "vision"
        elif "embed_tokens" in name or "lm_head" in name:
            part = "vocabulary"
        else:
            part = "language" if name.startswith("vlm.") else "expert"
        counts[part] += parameter.numel()
    return counts


@pytest.mark.parametrize("name", SHAPES)
def test_the_table_says_the_truth(name):
    model = empty(name)
    for decoder in (model.config.language, model.config.expert):
        assert decoder.num_attention_heads % decoder.num_key_value_heads == 0
    counts = parameters_by_part(model)
    assert sum(counts.values()) == sum(parameter.numel() for parameter in model.parameters())
    [row] = (line for line in shapes.__doc__.splitlines() if line.startswith(f"| {name} |"))
    stated = [float(cell) for cell in row.split("|")[2:7]]
    assert stated == [round(count / 1e6, 1) for count in (*counts.values(), sum(counts.values()))]


@pytest.mark.parametrize("name", ["tiny", "10b"])
def test_a_prompt_has_the_released_length(name):
    config = empty(name).config
    picture = np.zeros((1080, 1920, 3), np.uint8)
    _, grid = preprocess([picture], config)
    assert grid.tolist() == [[1, 20, 36]]
    grids = grid.expand(16, -1)
    tokenizer = stand_in_tokenizer(SHAPES[name].words)
    assert (len(tokenizer), tokenizer.special_ids["image_pad"]) == (config.vocab_size, config.image_token_id)
    ids = driving_prompt(tokenizer, config, grids, list(config.camera_roles), torch.zeros(48, dtype=torch.long))
    assert len(ids) == 3006
    assert batch_prompts([ids], [grids], config, tokenizer.pad).rope_delta.tolist() == [-2592]


def test_random_weights_are_the_same_each_time_and_cannot_end_a_reasoning():
    one, two = (
        fill_randomly(empty_model(shape_config("tiny"), 1000), torch.device("cpu"), torch.bfloat16) for _ in range(2)
    )
    for (name, first), second in zip(one.named_parameters(), two.parameters(), strict=True):
        assert first.dtype == torch.bfloat16, name
        assert torch.equal(first, second), name
        assert bool(first.isfinite().all()), name
    head, tokenizer = one.vlm.lm_head.weight, one.tokenizer
    silent = [token for token in range(len(head)) if not head[token].any()]
    assert silent == sorted([tokenizer.im_end, tokenizer.special_ids["traj_future_start"]])
    assert float(one.action_space.accel_std) == pytest.approx(0.6796875)
