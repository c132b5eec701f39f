"""The vision-language model against transformers' Qwen3-VL, in the proportions of the 8B one.

head_dim 128, three rotary sections, three deepstack layers, vision heads of 72.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from golden_data import frames, model

from alpamayo_ros.vla.config import DecoderConfig, VisionConfig
from alpamayo_ros.vla.decoder import KVCache
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.prompt import rotary_positions
from alpamayo_ros.vla.vision_language import VisionLanguageModel

transformers = pytest.importorskip("transformers")

LANGUAGE = DecoderConfig(
    hidden_size=256,
    intermediate_size=512,
    num_hidden_layers=5,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=128,
    rope_theta=5e6,
    mrope_section=(24, 20, 20),
)
VISION = VisionConfig(
    depth=6,
    hidden_size=144,
    num_heads=2,
    intermediate_size=300,
    out_hidden_size=256,
    deepstack_visual_indexes=(1, 3, 4),
)
VOCAB, IMAGE, START, END = 1000, 990, 991, 992


def reference() -> torch.nn.Module:
    text = dataclasses.asdict(LANGUAGE)
    section = list(text.pop("mrope_section"))
    config = transformers.Qwen3VLConfig(
        text_config={
            **text,
            "vocab_size": VOCAB,
            "rope_scaling": {"rope_type": "default", "mrope_interleaved": True, "mrope_section": section},
        },
        vision_config={**dataclasses.asdict(VISION), "deepstack_visual_indexes": list(VISION.deepstack_visual_indexes)},
        image_token_id=IMAGE,
        video_token_id=993,
        vision_start_token_id=START,
        vision_end_token_id=END,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    built = transformers.Qwen3VLForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return built


@torch.inference_mode()
def test_prefill_and_decoding():
    oracle = reference()
    config = dataclasses.replace(
        model("r1").config, language=LANGUAGE, vision=VISION, vocab_size=VOCAB, image_token_id=IMAGE
    )
    ours = VisionLanguageModel(config).eval()
    ours.load_state_dict(oracle.state_dict())
    pixel_values, grid = preprocess([*frames(1, 1, 320, 576), *frames(2, 1, 480, 640)], config)
    pictures = [[START, *[IMAGE] * int(count), END] for count in grid.prod(dim=1) // 4]
    ids = torch.tensor([[5, 6, 7, *pictures[0], 8, *pictures[1], 9, 10, 11]])

    positions = rotary_positions(ids[0], grid, config)[:, None]
    cache = KVCache.empty(LANGUAGE, 1, ids.shape[1] + 6, ids.device, torch.float32)
    logits = ours.logits(ours(ids, positions, cache, "causal", ours.encode_images(pixel_values, grid)))
    expected = oracle(input_ids=ids, pixel_values=pixel_values, image_grid_thw=grid, use_cache=True)
    np.testing.assert_allclose(logits, expected.logits, atol=2e-3)

    cache.length = ids.shape[1]
    token, past = logits[:, -1:].argmax(-1), expected.past_key_values
    place = int(positions.max()) + 1
    for step in range(5):
        hidden = ours(token, torch.full((3, 1, 1), place + step), cache, _see_all(cache.length + 1))
        cache.length += 1
        expected = oracle(
            input_ids=token,
            past_key_values=past,
            cache_position=torch.tensor([ids.shape[1] + step]),
            position_ids=torch.full((3, 1, 1), place + step),
        )
        np.testing.assert_allclose(ours.logits(hidden), expected.logits, atol=2e-3)
        token = expected.logits[:, -1:].argmax(-1)


def _see_all(columns: int) -> torch.Tensor:
    return torch.ones(1, 1, 1, columns, dtype=torch.bool)
