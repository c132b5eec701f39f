"""What a stage of training is: a module whose forward gives sums of losses. The stages are beside this file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from alpamayo_ros.training.corpus import Batch, Corpus
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.recipe import Recipe
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import AlpamayoModel


@dataclass(frozen=True)
class Work:
    """Some samples, ready for the network. counts: of what each loss is the mean over, by loss; inputs: by stage."""

    counts: dict[str, int]
    inputs: dict[str, Any]


class Stage(nn.Module, ABC):
    """One stage. What it trains has `requires_grad`, everything else has not."""

    name: str
    dense = False
    """Whether it reads dense labels."""
    wordless = False
    """Whether it can learn from samples that have no sentence."""
    passes = 1
    """Optimiser steps on the same samples, all within one step of the run."""

    def __init__(self, model: AlpamayoModel, recipe: Recipe) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.recipe = recipe

    def check(self, corpus: Corpus) -> None:
        """Before the first step, of the data to train on and those to validate on. Raises TrainingError for data that
        this stage cannot use."""

    @abstractmethod
    def prepare(self, batch: Batch, step: int) -> Work:
        """What the forward takes. What is drawn depends on the step, and on each sample's number and place alone."""

    def act(self, work: Work) -> Work:
        """What the newest weights make of prepared work, before they learn from it: for a stage whose model learns
        from what it does itself. `prepare` runs ahead and does not see them."""
        return work

    @abstractmethod
    def forward(self, work: Work) -> dict[str, Tensor]:
        """The sum of each loss over what `work.counts` counts."""

    @abstractmethod
    def weights(self, step: int) -> dict[str, float]:
        """The weight of the mean of each loss in this step."""

    @abstractmethod
    def validate(self, corpus: Corpus) -> dict[str, float]:
        """Figures on samples that are not trained on."""

    def save_extras(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Write what is trained beside the model; `weights` are those of the stage."""

    def pictures(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Patch rows of a batch and its grids (pictures, 3), on the model's device. Raises TrainingError for pictures
        of several shapes."""
        rows, grids = preprocess(batch.images, self.model.config)
        if not bool((grids == grids[0]).all()):
            raise TrainingError("the data hold pictures of several shapes; train on datasets of one --size")
        return rows.to(self.model.device), grids


def chosen_numbers(corpus: Corpus, count: int) -> list[int]:
    """So many numbers, evenly over a corpus, always the same ones."""
    count = min(count, len(corpus))
    return np.linspace(0, len(corpus) - 1, count).round().astype(int).tolist()
