"""The optimisers of a stage: AdamW for everything, or Muon for the matrices inside transformer blocks and AdamW for the
rest.

Muon makes the momentum of a matrix orthogonal before it takes the step. Embeddings, heads and convolutions are no such
matrices, its authors say. Its steps have the size of AdamW's, so both go by one learning rate.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from alpamayo_ros.training.muon import Muon
from alpamayo_ros.training.stage import Stage

_BLOCKS = (".layers.", ".blocks.")


def optimisers(stage: Stage) -> list[Optimizer]:
    """Of all that the stage trains. Matrices decay, the rest does not. Each group says how its rate is scaled."""
    recipe = stage.recipe
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for name, parameter in stage.named_parameters():
        if parameter.requires_grad:
            inside = recipe.optimiser == "muon" and parameter.ndim == 2 and any(block in name for block in _BLOCKS)
            scale = recipe.vision_rate if ".visual." in name else 1.0
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((inside, scale, decay), []).append(parameter)
    by_muon, by_adamw = (
        [
            {"params": parameters, "scale": scale, "weight_decay": decay}
            for (inside, scale, decay), parameters in groups.items()
            if inside == wanted
        ]
        for wanted in (True, False)
    )
    found: list[Optimizer] = [AdamW(by_adamw, lr=recipe.learning_rate, betas=(0.9, recipe.beta_2))]
    if by_muon:
        found.append(Muon(by_muon, lr=recipe.learning_rate, precision=getattr(torch, recipe.precision)))
    return found


def set_rate(chosen: Iterable[Optimizer], rate: float) -> None:
    for optimiser in chosen:
        for group in optimiser.param_groups:
            group["lr"] = rate * group["scale"]
