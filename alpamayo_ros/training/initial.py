"""A model before it has learned anything: a shape from a file, a vocabulary from the composer, and random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.vocabulary import make_tokenizer
from alpamayo_ros.vla.config_json import config_from_json
from alpamayo_ros.vla.model import AlpamayoModel

_STD = 0.02
_EMBEDDED = 0.3
"""Size of a token's embedding: the vision tower's tokens, which come beside it, are of this size too."""
_FINEST = 8
"""Bins in the shortest wave of a bin's embedding."""


def initial_model(shape: Path, seed: int) -> AlpamayoModel:
    """The model of a shape: a `config.json` of our own form without `vocab_size` and `image_token_id`, which follow
    from the vocabulary. Raises TrainingError or CheckpointError."""
    try:
        document = json.loads(shape.read_text())
        tokenizer = make_tokenizer(document["model_type"], document["traj_vocab_size"])
        vlm = {**document["vlm_config"], "image_token_id": tokenizer.special_ids["image_pad"]}
    except OSError as error:
        raise TrainingError(f"{shape}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{shape} is no shape of a model: {error!r}") from None
    config = config_from_json({**document, "vocab_size": len(tokenizer)}, vlm)
    model = AlpamayoModel(config, tokenizer)
    draw = torch.Generator().manual_seed(seed)
    layers = {"visual": config.vision.depth, "vlm": config.language.num_hidden_layers}
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Conv3d):
            fan_in = part.weight[0].numel()
            std = 1.0 / math.sqrt(fan_in)
            if isinstance(part, nn.Conv2d):
                std *= math.sqrt(2.0)  # behind each of them half of the signal is cut off
            if name.endswith(("o_proj", "down_proj", "attn.proj", "mlp.linear_fc2")):
                # What is added to the residual stream, twice in each layer.
                std /= math.sqrt(2.0 * layers["visual" if ".visual." in name else "vlm"])
            if name in ("vlm.lm_head", "action_out_proj"):
                std = _STD
            nn.init.normal_(part.weight, 0.0, std, generator=draw)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, 0.0, _EMBEDDED if name.endswith("embed_tokens") else _STD, generator=draw)
    _order_bins(model)
    return model.eval().requires_grad_(False)


def _order_bins(model: AlpamayoModel) -> None:
    """Let the tokens of trajectories begin as numbers: neighbouring bins are alike, at the input and in what is said.

    From random rows a model would have to see every single bin many times before it knew how far one is from another.
    """
    first, width = model.tokenizer.future_bin_0, model.config.language.hidden_size
    futures, histories = model.config.future_tokens.num_bins, model.config.history_tokens.num_bins
    for start, bins in ((first, futures), (first + futures, histories)):
        waves = _waves(bins, width)
        model.vlm.model.language_model.embed_tokens.weight.data[start : start + bins] = _EMBEDDED * waves
        model.vlm.lm_head.weight.data[start : start + bins] = _STD * waves


def _waves(bins: int, width: int) -> Tensor:
    """(bins, width), of standard deviation 1: sines and cosines of wave lengths from 4 × `bins` to `_FINEST`, evenly in
    the logarithm."""
    lengths = torch.logspace(math.log10(4.0 * bins), math.log10(_FINEST), width // 2)
    angle = 2 * math.pi * torch.arange(bins)[:, None] / lengths
    return math.sqrt(2.0) * torch.cat([angle.sin(), angle.cos()], dim=1)
