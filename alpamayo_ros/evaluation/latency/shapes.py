"""Models of stated shapes with random weights: how fast a shape is does not depend on what it has learned.

Everything but the widths is the release's (`config/alpamayo_r1_10b.json`): pictures of 320×576 from 1080p, 180 tokens
each, a prompt of 3006 tokens, 64 action tokens, 10 flow steps. Millions of parameters:

| shape | vision | language layers | vocabulary | expert | whole | widths of |
|---|---|---|---|---|---|---|
| tiny | 3.2 | 3.1 | 2.6 | 2.2 | 11.1 | alpamayo-tiny, without its stem and tubelets |
| 0.5b | 133.7 | 145.5 | 199.3 | 48.0 | 526.4 | our own choice: no Qwen3-VL is as small |
| 3b | 407.0 | 1409.4 | 637.7 | 473.4 | 2927.5 | Qwen3-VL-2B |
| 10b | 576.4 | 6946.1 | 1275.5 | 2280.6 | 11078.5 | the release, Qwen3-VL-8B |

language layers: with their final norm. vocabulary: embeddings and output head, which are not tied. expert: with the
projections of its actions. The expert has half the language model's hidden size, and 0.672 of four times that in its
MLP, as the release has.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from alpamayo_ros.evaluation.latency.stand_in_vocabulary import QWEN_SIZE, stand_in_tokenizer
from alpamayo_ros.shipped import shipped_folders
from alpamayo_ros.vla.config import ModelConfig
from alpamayo_ros.vla.config_json import config_from_json
from alpamayo_ros.vla.model import AlpamayoModel

RELEASE = "alpamayo_r1_10b.json"
_STD = 0.02
"""Of random weights; Qwen3's initializer_range."""
_FIELD_STD = 1e-4
"""Of the expert's last layer: with the Fourier features before it a field of `_STD` is so steep that rounding grows
tenfold with each flow step, and equal results could not be told from others."""


@dataclass(frozen=True)
class Shape:
    """What differs from the release, part by part. words: tokens of the bare vocabulary."""

    vision: dict[str, Any] = dataclasses.field(default_factory=dict)
    language: dict[str, Any] = dataclasses.field(default_factory=dict)
    expert: dict[str, Any] = dataclasses.field(default_factory=dict)
    words: int = QWEN_SIZE


def _decoder(hidden: int, layers: int, heads: int, kv_heads: int, head_dim: int, intermediate: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "intermediate_size": intermediate,
    }


def _vision(hidden: int, depth: int, heads: int, intermediate: int, deepstack: tuple[int, ...]) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "depth": depth,
        "num_heads": heads,
        "intermediate_size": intermediate,
        "deepstack_visual_indexes": deepstack,
    }


_ROPE_64 = {"mrope_section": (12, 10, 10)}
"""Rotary sections of a head of 64; the release's add up to the half of 128."""

SHAPES = {
    "tiny": Shape(
        _vision(192, 3, 3, 384, (1,)),
        _decoder(256, 4, 4, 2, 64, 768) | _ROPE_64,
        _decoder(192, 4, 4, 2, 64, 512) | _ROPE_64,
        words=1000,
    ),
    "0.5b": Shape(
        _vision(768, 12, 12, 3072, (3, 6, 9)),
        _decoder(640, 24, 12, 2, 64, 2560) | _ROPE_64,
        _decoder(320, 24, 6, 2, 64, 1720) | _ROPE_64,
    ),
    "3b": Shape(
        _vision(1024, 24, 16, 4096, (5, 11, 17)),
        _decoder(2048, 28, 16, 8, 128, 6144),
        _decoder(1024, 28, 8, 8, 128, 4128),
    ),
    "10b": Shape(),
}


def shape_config(name: str) -> ModelConfig:
    """The configuration of a shape in `SHAPES`."""
    [path, *_] = (folder / RELEASE for folder in shipped_folders("config"))
    document = json.loads(path.read_text())
    release = config_from_json(document, document["vlm_config"])
    shape = SHAPES[name]
    language = dataclasses.replace(release.language, **shape.language)
    shift = shape.words - QWEN_SIZE  # all that the release adds to the vocabulary stands behind Qwen's words
    return dataclasses.replace(
        release,
        vision=dataclasses.replace(release.vision, **shape.vision, out_hidden_size=language.hidden_size),
        language=language,
        expert=dataclasses.replace(release.expert, **shape.expert),
        vocab_size=release.vocab_size + shift,
        image_token_id=release.image_token_id + shift,
    )


def empty_model(config: ModelConfig, words: int) -> AlpamayoModel:
    """A model without memory for its weights; its constants have their values."""
    with torch.device("meta"):
        return AlpamayoModel(config, stand_in_tokenizer(words))


def fill_randomly(model: AlpamayoModel, device: torch.device, dtype: torch.dtype, seed: int = 0) -> AlpamayoModel:
    """Give an empty model random weights, made where they are to be. It never ends its reasoning by itself."""
    draw = torch.Generator(device).manual_seed(seed)
    for place, parameter in list(model.named_parameters()):
        owner, _, leaf = place.rpartition(".")
        made = torch.empty(parameter.shape, device=device, dtype=dtype)
        if parameter.dim() == 1:
            made.fill_(1.0 if leaf == "weight" else 0.0)
        else:
            made.normal_(0.0, _FIELD_STD if place == "action_out_proj.weight" else _STD, generator=draw)
        setattr(model.get_submodule(owner), leaf, nn.Parameter(made, requires_grad=False))
    # Logits of exactly 0: among thousands of random ones they are never the largest, and next to never drawn.
    for token in (model.tokenizer.im_end, model.tokenizer.special_ids["traj_future_start"]):
        model.vlm.lm_head.weight[token] = 0.0
    return model.to(device).eval()
