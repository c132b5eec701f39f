"""Stage 1: the vision-language model learns to give its reasons and then its trajectory, as text and as tokens.

A trajectory token is nearly told by the one before: most of a loss behind true ones is learned by copying, little of it
from pictures. Of `hidden_trajectories` only the words are read, and each token is said from what was seen.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alpamayo_ros.training.corpus import Batch, Corpus
from alpamayo_ros.training.dense import DenseHead, dense_loss, dense_rows, newest
from alpamayo_ros.training.recipe import SftRecipe
from alpamayo_ros.training.sequence import (
    REASONING,
    TRAJECTORY,
    Choice,
    Ending,
    Memory,
    Sequences,
    drawn,
    make_sequences,
    select,
)
from alpamayo_ros.training.stage import Stage, Work
from alpamayo_ros.training.validation import validate
from alpamayo_ros.training.vision_stage import save_head
from alpamayo_ros.vla.model import AlpamayoModel


class SftStage(Stage):
    name = "sft"
    recipe: SftRecipe

    def __init__(self, model: AlpamayoModel, recipe: SftRecipe, head: DenseHead | None = None) -> None:
        """head: of the vision stage, where the recipe goes on with dense labels."""
        super().__init__(model, recipe)
        self.model.vlm.requires_grad_(True)
        self.dense = head is not None
        if head is not None:
            self.head = head

    def prepare(self, batch: Batch, step: int) -> Work:
        rows, grids = self.pictures(batch)
        batch, choices, draws = drawn(batch, step, self.recipe)
        hidden = torch.tensor([draw.random() < self.recipe.hidden_trajectories for draw in draws])
        # Evenly over the batch, so that every step has its part of them.
        share = self.recipe.trajectory_share
        whole = [math.floor((place + 1) * share) > math.floor(place * share) for place in batch.places]
        bins = self._bins(batch)
        groups: list[tuple[Tensor, Tensor, Sequences]] = []
        endings: tuple[tuple[bool, Ending], ...] = ((True, "whole"), (False, "trajectory_start"))
        for wanted, ending in endings:
            members = [row for row, is_whole in enumerate(whole) if is_whole == wanted]
            if members:
                sequences = self._sequences(batch, members, choices, grids, bins, ending)
                groups.append((torch.tensor(members), self._read(sequences, hidden[members]), sequences))
        parts = [sequences.parts for *_, sequences in groups]
        counts = {
            "reasoning": sum(int((part == REASONING).sum()) for part in parts),
            "trajectory": sum(int((part == TRAJECTORY).sum()) for part in parts),
        }
        inputs = {"rows": rows, "grids": grids, "groups": groups, "samples": len(batch)}
        if self.dense:
            assert batch.dense is not None
            labels = dense_rows(batch.dense, (int(grids[0, 1]), int(grids[0, 2])), self.model.config)
            inputs |= {"labels": labels.to(rows.device)}
            counts["dense"] = len(labels)
        return Work(counts, inputs)

    def _bins(self, batch: Batch) -> Tensor:
        history, future = (
            [torch.stack(parts) for parts in zip(*pairs, strict=True)]
            for pairs in ([m.history for m in batch.moments], [m.future for m in batch.moments])
        )
        return self.model.future_tokens.encode(*history, *future)

    def _sequences(
        self, batch: Batch, members: list[int], choices: list[Choice], grids: Tensor, bins: Tensor, ending: Ending
    ) -> Sequences:
        of_each = grids.reshape(len(batch), -1, 3)
        return make_sequences(
            self.model,
            [batch.moments[row] for row in members],
            [choices[row] for row in members],
            of_each[members],
            bins[members],
            ending,
            reasoning=self.recipe.reasoning > 0,
        ).to(self.model.device)

    def _read(self, sequences: Sequences, hidden: Tensor) -> Tensor:
        """The ids (R, L) that are read: of `hidden` rows (R,), the release's placeholder in place of every token."""
        tokenizer = self.model.tokenizer
        bins = sequences.ids - tokenizer.future_bin_0
        valued = (bins >= 0) & (bins < self.model.config.future_tokens.num_bins) & (sequences.parts == TRAJECTORY)
        return sequences.ids.masked_fill(valued & hidden.to(bins.device)[:, None], tokenizer.special_ids["traj_future"])

    def forward(self, work: Work) -> dict[str, Tensor]:
        grids, samples = work.inputs["grids"], work.inputs["samples"]
        features = self.model.vlm.encode_images(work.inputs["rows"], grids)
        sums = {name: features.tokens.new_zeros(()) for name in ("reasoning", "trajectory")}
        for members, read, sequences in work.inputs["groups"]:
            hidden = self.model.vlm(read, sequences.positions, Memory(), "causal", select(features, members, samples))
            # The token in a column is said by the state in the column before.
            for name, part in (("reasoning", REASONING), ("trajectory", TRAJECTORY)):
                said = sequences.parts[:, 1:] == part
                if bool(said.any()):
                    logits = self.model.vlm.logits(hidden[:, :-1][said])
                    sums[name] = sums[name] + F.cross_entropy(logits, sequences.ids[:, 1:][said], reduction="sum")
        if self.dense:
            per_camera = len(grids) // (samples * len(self.model.config.camera_roles))
            sums["dense"] = dense_loss(self.head(newest(features, len(grids), per_camera)), work.inputs["labels"])
        return sums

    def weights(self, step: int) -> dict[str, float]:
        found = {"reasoning": self.recipe.reasoning, "trajectory": self.recipe.trajectory}
        if self.dense:
            found["dense"] = self.recipe.dense * 0.5 * (1 + math.cos(math.pi * step / self.recipe.steps))
        return found

    def validate(self, corpus: Corpus) -> dict[str, float]:
        return validate(self.model, corpus, self.recipe.validation_samples, autoregressive=True)

    def save_extras(self, folder: Path, weights: dict[str, Tensor]) -> None:
        if self.dense:
            save_head(folder, weights)
