"""What the language model reads in training: the prompt of `vla.prompt` and the answer it is to give.

    … <|cot_start|> | sentence <|cot_end|> <|traj_future_start|> <i…> × 128 <|traj_future_end|> <|im_end|>

The prompt ends before the bar; `AlpamayoModel.sample` generates what is behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.training.corpus import Batch, Moment
from alpamayo_ros.training.recipe import ImitationRecipe
from alpamayo_ros.vla.action_space import yaw_rotations
from alpamayo_ros.vla.config import ModelConfig
from alpamayo_ros.vla.decoder import KVCache
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.prompt import driving_prompt, rotary_positions
from alpamayo_ros.vla.vision import VisionFeatures

Ending = Literal["whole", "trajectory_start"]
"""How far an answer goes: to its end, or to the start of the trajectory, behind which the expert follows."""

_SLOW = 4.0
"""Metres per second; below it a lateral acceleration would be a curvature that no car has."""
_STEP = 0.1
"""Seconds between two poses of the past."""

NONE, REASONING, TRAJECTORY = range(3)
"""To which loss a token belongs."""


@dataclass(frozen=True)
class Sequences:
    """Rows of different length, padded on the right, where a causal model cannot look.

    ids: (R, L). positions: (3, R, L). parts: (R, L), to which loss each token belongs. lengths: (R,).
    """

    ids: Tensor
    positions: Tensor
    parts: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Sequences:
        return Sequences(*(part.to(device) for part in (self.ids, self.positions, self.parts, self.lengths)))


@dataclass(frozen=True)
class Choice:
    """What is drawn for one moment in one step: which sentence is learned, empty where there is none, and whether
    navigation is left out."""

    sentence: str
    navigation: str | None


def drawn(batch: Batch, step: int, recipe: ImitationRecipe) -> tuple[Batch, list[Choice], list[np.random.Generator]]:
    """What a step learns of a batch: its moments, each with another past, and the choices. What else the step draws
    comes from the generators, one for each moment."""
    draws = streams(recipe.seed, step, batch)
    moments = disguised(batch.moments, draws, recipe.history_noise_lateral, recipe.history_noise_longitudinal)
    choices = [
        choose(moment, draw, recipe.phrasing, recipe.navigation_dropout)
        for moment, draw in zip(moments, draws, strict=True)
    ]
    return replace(batch, moments=moments), choices, draws


def choose(moment: Moment, draw: np.random.Generator, phrasing: str, navigation_dropout: float) -> Choice:
    sentences = moment.label.sentences or ("",)
    which, dropped = int(draw.integers(len(sentences))), draw.random() < navigation_dropout
    sentence = sentences[which if phrasing == "drawn" else 0]
    return Choice(sentence, None if dropped else moment.navigation)


def streams(seed: int, step: int, batch: Batch) -> list[np.random.Generator]:
    """What is drawn for one sample in one step, which may have it twice, depends on nothing else: not on processes, nor
    on interruptions."""
    places = zip(batch.numbers, batch.places, strict=True)
    return [np.random.default_rng((seed, step, number, place)) for number, place in places]


def disguised(
    moments: Sequence[Moment], draws: Sequence[np.random.Generator], lateral: float, longitudinal: float
) -> tuple[Moment, ...]:
    """The moments, each with another past that leads to the same pose and speed at t0: as if the car had steered and
    accelerated by so much more, with standard deviations in m/s^2.

    How a car has moved so far tells so much of what its expert does next that a model learns little else: then it
    never corrects itself. In a past that is disguised this is no longer so, and pictures have to tell where the lane is
    and how far the line. How slowly a car comes to a stand, or drives off, stays visible.
    """
    found = []
    for moment, draw in zip(moments, draws, strict=True):
        aside, along = draw.standard_normal(2) * (lateral, longitudinal)
        xyz, rotations = moment.history
        steps = xyz.diff(dim=0).norm(dim=-1)
        before, speed = float(steps[0]) / _STEP, float(steps[-1]) / _STEP
        ages = torch.arange(len(xyz) - 1, -1, -1).to(xyz) * _STEP
        # It never came from standing backwards.
        along = min(along * min(speed / _SLOW, 1.0), before / float(ages[0]))
        xyz = xyz + 0.5 * along * ages.square()[:, None] * rotations[..., 0]
        # About the pose at t0: a past that curved by so much more ends in the same heading.
        steps = xyz.diff(dim=0).norm(dim=-1)
        behind = torch.cat([steps.flip(0).cumsum(0).flip(0), steps.new_zeros(1)])  # metres to the pose at t0
        curvature = aside / max(speed, _SLOW) ** 2
        turn = yaw_rotations(-curvature * behind)
        sideways = torch.zeros_like(xyz)
        sideways[:, 1] = 0.5 * curvature * behind.square()
        found.append(replace(moment, history=(xyz + sideways, turn @ rotations)))
    return tuple(found)


def prompt_ids(
    model: AlpamayoModel, moments: Sequence[Moment], navigation: Sequence[str | None], grids: Tensor
) -> list[list[int]]:
    """The prompt of each moment; grids: (R, pictures, 3) of its pictures; navigation: for a model that takes it."""
    config = model.config
    bins = model.history_tokens.encode(*histories(moments))
    return [
        driving_prompt(
            model.tokenizer, config, grids[row], [*config.camera_roles], bins[row],
            navigation[row] if config.takes_navigation else None,
        )
        for row in range(len(moments))
    ]  # fmt: skip


def histories(moments: Sequence[Moment]) -> tuple[Tensor, Tensor]:
    """Positions (R, 16, 3) and rotations (R, 16, 3, 3)."""
    positions, rotations = zip(*(moment.history for moment in moments), strict=True)
    return torch.stack(positions), torch.stack(rotations)


def make_sequences(
    model: AlpamayoModel,
    moments: Sequence[Moment],
    choices: Sequence[Choice],
    grids: Tensor,
    bins: Tensor,
    ending: Ending,
    *,
    reasoning: bool = True,
) -> Sequences:
    """Sequences of moments whose pictures have `grids` (R, pictures, 3) and whose futures are `bins` (R, 128).

    reasoning: with the Chain of Causation; without, the model learns to end it at once, as a part of the trajectory.
    """
    tokenizer, special = model.tokenizer, model.tokenizer.special_ids
    rows: list[tuple[list[int], list[int]]] = []
    prompts = prompt_ids(model, moments, [choice.navigation for choice in choices], grids)
    for row, choice in enumerate(choices):
        ids = prompts[row]
        parts = [NONE] * len(ids)
        said = [*(tokenizer.encode(choice.sentence) if reasoning else ()), special["cot_end"]]
        ids, parts = ids + said, parts + [REASONING if reasoning else TRAJECTORY] * len(said)
        # Where no trajectory follows, its start is not said: else one token would stand for the whole of it.
        ids, parts = [*ids, special["traj_future_start"]], [*parts, TRAJECTORY if ending == "whole" else NONE]
        if ending == "whole":
            ids += (bins[row] + tokenizer.future_bin_0).tolist()
            ids += [special["traj_future_end"], tokenizer.im_end]
            parts += [TRAJECTORY] * (bins.shape[1] + 1) + [REASONING]
        rows.append((ids, parts))
    return _padded(rows, grids, model.config, tokenizer.pad)


def _padded(rows: list[tuple[list[int], list[int]]], grids: Tensor, config: ModelConfig, pad: int) -> Sequences:
    lengths = torch.tensor([len(ids) for ids, _ in rows])
    longest = int(lengths.max())
    ids = torch.full((len(rows), longest), pad)
    parts = torch.zeros(len(rows), longest, dtype=torch.long)
    positions = torch.ones(3, len(rows), longest, dtype=torch.long)
    for row, (row_ids, row_parts) in enumerate(rows):
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
        parts[row, : len(row_ids)] = torch.tensor(row_parts)
        positions[:, row, : len(row_ids)] = rotary_positions(ids[row, : len(row_ids)], grids[row], config)
    return Sequences(ids, positions, parts, lengths)


def select(features: VisionFeatures, members: Tensor, samples: int) -> VisionFeatures:
    """The features of some of `samples` samples, whose pictures are all of one size."""

    def rows(part: Tensor) -> Tensor:
        by_sample = part.reshape(*part.shape[:-2], samples, -1, part.shape[-1])
        return by_sample[..., members, :, :].flatten(-3, -2)

    return VisionFeatures(rows(features.tokens), rows(features.deepstack))


class Memory(KVCache):
    """Keys and values as autograd wants them: nothing is written in place.

    Behind `before`, what is written comes and goes, as the expert's; without it, it is kept in `layers`.
    """

    def __init__(self, before: list[tuple[Tensor, Tensor]] | None = None) -> None:
        self.before = before
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.length = 0 if before is None else before[0][0].shape[2]

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.before is None:
            self.layers.append((keys, values))
            return keys, values
        old_keys, old_values = self.before[layer]
        return torch.cat([old_keys, keys], dim=2), torch.cat([old_values, values], dim=2)
