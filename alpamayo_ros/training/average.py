"""The mean of several models' weights.

Models trained on from the same one lie close enough that their mean is a model too, often a better one than each: what
one learned from new data and what another had not forgotten (Wortsman et al. 2022, arXiv 2203.05482 and 2109.01903).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.config_json import config_to_json
from alpamayo_ros.vla.model import AlpamayoModel


def mean_model(folders: Sequence[Path]) -> AlpamayoModel:
    """The model of the mean weights, float32; a folder that is named twice counts twice. Two models are in memory at a
    time. Raises TrainingError for models that differ in more than weights, or CheckpointError."""
    if len(folders) < 2:
        raise TrainingError("a mean needs two models at least; give --model more than once")
    mean = load_model(folders[0], dtype=torch.float32)
    for folder in folders[1:]:
        other = load_model(folder, dtype=torch.float32)
        _check_alike(mean, other, folders[0], folder)
        for mine, theirs in zip(mean.parameters(), other.parameters(), strict=True):
            mine.add_(theirs)
    for mine in mean.parameters():
        mine.div_(len(folders))
    return mean


def _check_alike(one: AlpamayoModel, other: AlpamayoModel, first: Path, folder: Path) -> None:
    # How weights are stored is no difference.
    documents = [config_to_json(dataclasses.replace(model.config, weights_dtype="float32")) for model in (one, other)]
    names = sorted({*documents[0], *documents[1]})
    differing = [name for name in names if documents[0].get(name) != documents[1].get(name)]
    if differing:
        raise TrainingError(
            f"{first} and {folder} have different {', '.join(differing)} in config.json; a mean is of models that were "
            "trained on from one"
        )
    if one.tokenizer.vocabulary() != other.tokenizer.vocabulary():
        raise TrainingError(
            f"{first} and {folder} have different vocabularies; a mean is of models that were trained on from one"
        )
