"""Stage 2: the action expert learns flow matching behind the frozen vision-language model.

x_t = t · x + (1 − t) · ε with t = 0.999 · (1 − Beta(1.5, 1)); the expert is to say x − ε, as in the released recipe.

What a wrong curvature does grows with the square of the speed. With `weighting` "acceleration" it counts as the lateral
acceleration that it makes, against the longitudinal one of the same row. With "motion" the errors of speed and position
that follow from both accelerations count beside them: a small one that does not change its sign leads far away, and a
car that was to stop reverses. The weights depend on nothing but what the expert reads, so what it is to say in the end,
the mean of x − ε, stays the same.

On the road the expert reads what the model says, which is not always true; one that never read a wrong sentence does
what it says, whatever is to be seen. With `own_words`, a part of the rows is read behind the model's own sentence, as
are all that no true one suits, and what is right to do there stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.training.answers import own_sentences
from alpamayo_ros.training.corpus import Batch, Corpus, Moment
from alpamayo_ros.training.recipe import ExpertRecipe
from alpamayo_ros.training.sequence import Choice, Memory, Sequences, drawn, make_sequences, select
from alpamayo_ros.training.stage import Stage, Work
from alpamayo_ros.training.validation import validate
from alpamayo_ros.vla.model import AlpamayoModel

_LATEST, _ALPHA = 0.999, 1.5
_LEAST, _MOST = 1.0, 10.0
"""Bounds of the weight of curvature: a slow car in a tight bend has to keep its lane too, and a very fast one is not
all there is to learn."""
_SPEED, _POSITION = 0.5, 0.05
"""How squared errors of speed and position count beside those of acceleration, 1/s² and 1/s⁴. An acceleration that is
wrong by 1 for all of 6.4 s is wrong in speed by 14 in the mean square, in position by 91."""


class ExpertStage(Stage):
    name = "expert"
    recipe: ExpertRecipe

    def __init__(self, model: AlpamayoModel, recipe: ExpertRecipe) -> None:
        super().__init__(model, recipe)
        self.wordless = recipe.own_words > 0
        for part in (model.expert, model.action_in_proj, model.action_out_proj):
            part.requires_grad_(True)

    def prepare(self, batch: Batch, step: int) -> Work:
        rows, grids = self.pictures(batch)
        batch, choices, draws = drawn(batch, step, self.recipe)
        history, future = (
            [torch.stack(parts) for parts in zip(*pairs, strict=True)]
            for pairs in ([m.history for m in batch.moments], [m.future for m in batch.moments])
        )
        space = self.model.action_space
        action, speed = space.trajectory_to_action(*history, *future), space.speed_at_t0(*history)
        sequences = self._sequences(batch.moments, choices, grids)
        times = self.recipe.times_per_sample
        # Beta(1.5, 1) by its inverse distribution function.
        moments = torch.from_numpy(np.stack([_LATEST * (1.0 - draw.random(times) ** (1.0 / _ALPHA)) for draw in draws]))
        noise = torch.stack([torch.from_numpy(draw.standard_normal((times, *action.shape[1:]))) for draw in draws])
        device = self.model.device
        inputs = {
            "rows": rows,
            "grids": grids,
            "sequences": sequences.to(device),
            "action": action.to(device),
            "times": moments.float().to(device),
            "noise": noise.float().to(device),
            "weights": self.action_weights(speed).to(device),
            "own": [
                row
                for row, (draw, choice) in enumerate(zip(draws, choices, strict=True))
                if draw.random() < self.recipe.own_words or (self.wordless and not choice.sentence)
            ],
            "moments": batch.moments,
            "choices": choices,
        }
        return Work({"flow": noise.numel()}, inputs)

    def _sequences(self, moments: Sequence[Moment], choices: Sequence[Choice], grids: Tensor) -> Sequences:
        return make_sequences(
            self.model, moments, choices, grids.reshape(len(moments), -1, 3),
            torch.empty(len(moments), 0, dtype=torch.long), "trajectory_start", reasoning=self.recipe.reasoning > 0,
        )  # fmt: skip

    @torch.no_grad()
    def act(self, work: Work) -> Work:
        """Look at the pictures, and put the model's own sentences where they are to be read. Where it comes to no end,
        the true one stays."""
        inputs, own = work.inputs, work.inputs["own"]
        features = self.model.vlm.encode_images(inputs["rows"], inputs["grids"])
        inputs = {**inputs, "features": features}
        if not own:
            return replace(work, inputs=inputs)
        moments, choices = inputs["moments"], list(inputs["choices"])
        grids = inputs["grids"].reshape(len(moments), -1, 3)[own]
        navigation = [choices[row].navigation for row in own]
        of_own = select(features, torch.tensor(own), len(moments))
        said = own_sentences(self.model, of_own, grids, [moments[row] for row in own], navigation)
        for row, sentence in zip(own, said, strict=True):
            if sentence is not None:
                choices[row] = replace(choices[row], sentence=sentence)
        sequences = self._sequences(moments, choices, inputs["grids"]).to(self.model.device)
        return replace(work, inputs={**inputs, "sequences": sequences})

    def action_weights(self, speed: Tensor) -> Tensor:
        """(B, 1, 1, 2): how an error of acceleration and one of curvature count at a speed (B,) in m/s."""
        weights = torch.ones(len(speed), 1, 1, 2)
        if self.recipe.weighting != "uniform":
            space = self.model.action_space
            lateral = speed.square() * space.curvature_std.to(speed) / space.accel_std.to(speed)
            weights[..., 1] = lateral.square().clamp(_LEAST, _MOST)[:, None, None]
        return weights

    def forward(self, work: Work) -> dict[str, Tensor]:
        model, sequences, times = self.model, work.inputs["sequences"], work.inputs["times"]
        with torch.no_grad():
            read = Memory()
            model.vlm(sequences.ids, sequences.positions, read, "causal", work.inputs["features"])
        repeats, noise = times.shape[1], work.inputs["noise"].flatten(0, 1)
        action = work.inputs["action"].repeat_interleave(repeats, dim=0)
        moment = times.flatten()
        mixed = moment[:, None, None] * action + (1.0 - moment)[:, None, None] * noise
        layers = [tuple(part.repeat_interleave(repeats, dim=0) for part in layer) for layer in read.layers]
        steps = action.shape[1]
        column = torch.arange(sequences.ids.shape[1], device=action.device)
        visible = column < sequences.lengths[:, None]
        visible = torch.cat([visible, visible.new_ones(len(visible), steps)], dim=1).repeat_interleave(repeats, dim=0)
        mask = None if bool(visible.all()) else visible[:, None, None].expand(-1, 1, steps, -1)
        last = sequences.positions[0].gather(1, sequences.lengths[:, None] - 1)
        positions = (last + 1 + torch.arange(steps, device=action.device)).repeat_interleave(repeats, dim=0)
        embedded = model.action_in_proj(mixed, moment)
        memory = Memory([(keys, values) for keys, values in layers])
        said = model.action_out_proj(model.expert(embedded, positions.expand(3, -1, -1), memory, mask))
        error = (said.float() - (action - noise)).unflatten(0, (-1, repeats))
        return {"flow": self.squared_errors(error * work.inputs["weights"].sqrt())}

    def squared_errors(self, error: Tensor) -> Tensor:
        """The sum of all that counts, of weighted errors of the action (B, times, 64, 2)."""
        total = error.square().sum()
        if self.recipe.weighting == "motion":
            step = self.model.action_space.config.dt
            speed = error.cumsum(dim=2) * step
            position = speed.cumsum(dim=2) * step
            total = total + _SPEED * speed.square().sum() + _POSITION * position.square().sum()
        return total

    def weights(self, step: int) -> dict[str, float]:
        return {"flow": 1.0}

    def validate(self, corpus: Corpus) -> dict[str, float]:
        return validate(self.model, corpus, self.recipe.validation_samples, autoregressive=False)
