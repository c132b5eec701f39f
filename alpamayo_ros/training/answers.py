"""What a model said and planned itself, as its loss reads it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alpamayo_ros.training.sequence import NONE, REASONING, TRAJECTORY
from alpamayo_ros.vla.model import AlpamayoModel, Samples


@dataclass(frozen=True)
class Answers:
    """Rollouts behind their prompts, padded on the right.

    ids: (R, T). parts: (R, T), to which choice each token belongs. read: (R, T) whether later tokens can see it; where
    the trajectory's start was not said, decoding does not read what was said last.

    The start of the trajectory belongs to the reasoning, which ends by saying it; where the model did not say it,
    `AlpamayoModel.speak_action` does, and it is nobody's choice.
    """

    ids: Tensor
    parts: Tensor
    read: Tensor

    @property
    def owners(self) -> Tensor:
        """(tokens,) of which rollout each chosen token is: all of reasoning, then all of trajectories."""
        return torch.cat([(self.parts == part).nonzero()[:, 0] for part in (REASONING, TRAJECTORY)])


def answers_of(model: AlpamayoModel, samples: Samples) -> Answers:
    """The tokens of samples that were decoded autoregressively."""
    tokenizer = model.tokenizer
    begin, first = tokenizer.special_ids["traj_future_start"], tokenizer.future_bin_0
    # Exact: actions lie on the bins they were decoded from.
    bins = model.future_tokens.encode_actions(samples.action).tolist()
    said = samples.reasoning.tokens.tolist()
    rows: list[tuple[list[int], list[int]]] = []
    for row, length in enumerate(samples.reasoning.length.tolist()):
        ids, parts = said[row][:length], [REASONING] * length
        if not bool(samples.reasoning.complete[row]):
            ids, parts = [*ids, begin], [*parts, NONE]
        rows.append(([*ids, *(first + number for number in bins[row])], parts + [TRAJECTORY] * len(bins[row])))
    longest = max(len(ids) for ids, _ in rows)
    padded = torch.full((len(rows), longest), tokenizer.pad)
    kinds = torch.full((len(rows), longest), NONE)
    columns = torch.arange(longest, device=samples.reasoning.length.device)
    last = columns == samples.reasoning.length[:, None] - 1
    read = ~last | samples.reasoning.complete[:, None]
    for row, (ids, parts) in enumerate(rows):
        padded[row, : len(ids)], kinds[row, : len(ids)] = torch.tensor(ids), torch.tensor(parts)
    return Answers(padded.to(model.device), kinds.to(model.device), read.to(model.device))
