"""Vision tower and language model against the original, stage by stage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_data import arrays, inputs, model

from alpamayo_ros.vla.decoder import KVCache, interleaved_mrope
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.prompt import PromptBatch, batch_prompts
from alpamayo_ros.vla.vision import VisionFeatures

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    return arrays("vlm")


@pytest.fixture(scope="module")
def pixels(data) -> tuple[torch.Tensor, torch.Tensor]:
    frames = [
        inputs().gen_frame(int(seed), int(h), int(w))
        for seed, (h, w) in zip(data["frame_seeds"], data["frame_sizes"], strict=True)
    ]
    assert [inputs().sha(frame) for frame in frames] == data["frame_sha256"].tolist()
    pixel_values, grid_thw = preprocess([frame.transpose(1, 2, 0) for frame in frames], model("r1").config)
    assert inputs().sha(pixel_values.numpy()) == str(data["pixel_sha256"])
    return pixel_values, grid_thw


@pytest.fixture(scope="module")
def prompt(data, pixels) -> PromptBatch:
    loaded = model("r1")
    return batch_prompts(data["input_ids_fused"].tolist(), [pixels[1]], loaded.config, loaded.tokenizer.pad)


@pytest.fixture(scope="module")
@torch.inference_mode()
def features(pixels) -> VisionFeatures:
    return model("r1").vlm.encode_images(*pixels)


def assert_close(value: torch.Tensor, expected: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(value, expected, rtol=0, atol=atol)


@torch.inference_mode()
def test_vision_tower_stages(data, pixels):
    tower, rows = model("r1").vlm.model.visual, data["vis_rows"]
    grids = [(int(h), int(w)) for _, h, w in pixels[1]]
    embedded, position = tower.patch_embed(pixels[0]), tower.position_embedding(grids)
    assert_close(embedded[rows], data["vis_patch_embed_rows"], 1e-4)
    assert_close(position[rows], data["vis_pos_embed_rows"], 1e-5)
    cos, sin = tower.rotary(grids)
    half = cos.shape[1] // 2
    assert_close(cos[rows, :half], np.cos(data["vis_rot_freqs_rows"]), 1e-5)
    assert_close(sin[rows, :half], np.sin(data["vis_rot_freqs_rows"]), 1e-5)
    hidden = embedded + position
    for number, block in enumerate(tower.blocks):
        hidden = block(hidden, cos, sin, [h * w for h, w in grids])
        if number == 0:
            assert_close(hidden[rows], data["vis_block0_rows"], 1e-4)
    assert_close(hidden[rows], data["vis_block_last_rows"], 1e-4)


def test_vision_features(data, features):
    assert_close(features.tokens, data["vis_out"], 1e-4)
    assert_close(features.deepstack, data["vis_deepstack"], 1e-4)


@torch.inference_mode()
def test_language_model(data, prompt, features):
    loaded = model("r1")
    np.testing.assert_array_equal(prompt.positions, data["position_ids"])
    assert prompt.rope_delta.tolist() == data["rope_delta"][:, 0].tolist()
    rows = data["logit_rows"]
    cos, sin = interleaved_mrope(prompt.positions, loaded.config.language, torch.float32)
    assert_close(cos[0, 0, rows], data["rope_cos_rows"], 1e-5)
    assert_close(sin[0, 0, rows], data["rope_sin_rows"], 1e-5)
    length = prompt.ids.shape[1]
    cache = KVCache.empty(loaded.config.language, 1, length, loaded.device, loaded.dtype)
    outputs: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _module, _given, output: outputs.append(output[0, rows]))
        for layer in loaded.vlm.model.language_model.layers
    ]
    hidden = loaded.vlm(prompt.ids, prompt.positions, cache, "causal", features)[0]
    for hook in hooks:
        hook.remove()
    assert_close(torch.stack(outputs), data["layer_out_rows_before_deepstack"], 1e-3)
    assert_close(hidden, data["last_hidden_state"], 1e-3)
    assert_close(loaded.vlm.logits(hidden[rows]), data["logits"], 2e-3)
    for layer in (int(key.removeprefix("cache_k_l")) for key in data if key.startswith("cache_k_l")):
        assert_close(cache.keys[layer, 0], data[f"cache_k_l{layer}"], 1e-3)
        assert_close(cache.values[layer, 0], data[f"cache_v_l{layer}"], 1e-3)


@torch.inference_mode()
def test_text_only(data):
    loaded = model("r1")
    ids = torch.from_numpy(data["text_only_ids"]).long()
    positions = torch.arange(ids.shape[1]).expand(3, 1, -1)
    cache = KVCache.empty(loaded.config.language, 1, ids.shape[1], loaded.device, loaded.dtype)
    assert_close(loaded.vlm.logits(loaded.vlm(ids, positions, cache, "causal"))[0], data["text_only_logits"], 2e-3)


@torch.inference_mode()
def test_greedy_decoding(data, prompt, features):
    loaded = model("r1")
    count = len(data["greedy_tokens"])
    context = loaded.read(prompt, features).repeat(1, prompt.ids.shape[1] + count)
    first = loaded.tokenizer.future_bin_0
    tokens: list[int] = []
    while True:
        assert int(context.logits.argmax()) == data["greedy_unmasked_argmax"][len(tokens)]
        masked = context.logits.clone()
        masked[:, first : first + loaded.config.traj_vocab_size] = -torch.inf
        top, token = masked.max(dim=-1)
        assert_close(top[0], data["greedy_top_logit"][len(tokens)], 2e-3)
        if (recorded := f"greedy_logits_step{len(tokens)}") in data:
            assert_close(context.logits[0], data[recorded], 2e-3)
        tokens.append(int(token))
        if len(tokens) == count:
            break
        loaded.feed(context, token[:, None], torch.ones(1, 1, dtype=torch.bool))
    assert tokens == data["greedy_tokens"].tolist()
    assert context.cache.length == int(data["greedy_cache_len"])
    assert loaded.tokenizer.decode(tokens, skip_special=False) == str(data["greedy_text"])
