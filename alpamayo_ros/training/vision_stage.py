"""Stage 0: the vision tower learns to see from dense labels. From text alone it hardly does."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alpamayo_ros.training.corpus import Batch, Corpus
from alpamayo_ros.training.dense import DenseHead, dense_loss, dense_rows, newest
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.recipe import VisionRecipe
from alpamayo_ros.training.sight_score import SightScore
from alpamayo_ros.training.stage import Stage, Work, chosen_numbers
from alpamayo_ros.vla.model import AlpamayoModel

DENSE_HEAD = "dense_head.safetensors"
"""Beside the weights of a model whose vision tower was trained so."""


class VisionStage(Stage):
    name = "vision"
    dense = True

    def __init__(self, model: AlpamayoModel, recipe: VisionRecipe) -> None:
        super().__init__(model, recipe)
        self.model.vlm.model.visual.requires_grad_(True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.head = DenseHead(model.config.vision).to(model.device)

    def prepare(self, batch: Batch, step: int) -> Work:
        rows, grids = self.pictures(batch)
        assert batch.dense is not None
        per_camera = len(grids) // (len(batch) * len(self.model.config.camera_roles))
        labels = dense_rows(batch.dense, (int(grids[0, 1]), int(grids[0, 2])), self.model.config)
        inputs = {"rows": rows, "grids": grids, "labels": labels.to(rows.device), "per_camera": per_camera}
        return Work({"dense": len(labels)}, inputs)

    def forward(self, work: Work) -> dict[str, Tensor]:
        return {"dense": dense_loss(self._outputs(work), work.inputs["labels"])}

    def _outputs(self, work: Work) -> Tensor:
        features = self.model.vlm.encode_images(work.inputs["rows"], work.inputs["grids"])
        return self.head(newest(features, len(work.inputs["grids"]), work.inputs["per_camera"]))

    def weights(self, step: int) -> dict[str, float]:
        return {"dense": 1.0}

    @torch.no_grad()
    def validate(self, corpus: Corpus) -> dict[str, float]:
        numbers, score, loss, count = chosen_numbers(corpus, self.recipe.validation_samples), SightScore(), 0.0, 0
        for start in range(0, len(numbers), self.recipe.micro_batch):
            batch = corpus.batch(numbers[start : start + self.recipe.micro_batch], dense=True)
            work = self.prepare(batch, 0)
            outputs, labels = self._outputs(work), work.inputs["labels"]
            score.add(outputs, labels)
            loss += float(dense_loss(outputs, labels))
            count += len(labels)
        return {"dense": loss / count, **score.figures()}

    def save_extras(self, folder: Path, weights: dict[str, Tensor]) -> None:
        save_head(folder, weights)


def save_head(folder: Path, weights: dict[str, Tensor]) -> None:
    """Write the head that is among the weights of a stage."""
    of_head = {name.removeprefix("head."): part for name, part in weights.items() if name.startswith("head.")}
    save_file({name: part.detach().cpu().contiguous() for name, part in of_head.items()}, folder / DENSE_HEAD)


def load_head(model: AlpamayoModel, folder: Path) -> DenseHead:
    """The head that the vision stage left in a model folder. Raises TrainingError."""
    head = DenseHead(model.config.vision)
    try:
        head.load_state_dict(load_file(folder / DENSE_HEAD))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise TrainingError(
            f"{folder / DENSE_HEAD} is missing or of another model ({str(error).splitlines()[0]}); "
            "begin with `alpamayo train vision`, or set dense = 0 in the recipe"
        ) from None
    return head.to(model.device)
