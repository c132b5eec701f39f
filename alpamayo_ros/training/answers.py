"""What a model said and planned itself, as its loss reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alpamayo_ros.policy import reasoning_text
from alpamayo_ros.training.corpus import Moment
from alpamayo_ros.training.sequence import NONE, REASONING, TRAJECTORY, prompt_ids
from alpamayo_ros.vla.model import AlpamayoModel, Samples
from alpamayo_ros.vla.prompt import batch_prompts
from alpamayo_ros.vla.vision import VisionFeatures

LONGEST = 48
"""Tokens of reasoning; a sentence of 18 words has fewer."""


@dataclass(frozen=True)
class Answers:
    """Rollouts behind their prompts, padded on the right.

    ids: (R, T). parts: (R, T), to which choice each token belongs.

    The start of the trajectory belongs to the reasoning, which ends by saying it. Where the model did not say it,
    `AlpamayoModel.speak_action` did; it is nobody's choice, and nor is the trajectory behind it, which is left out.
    """

    ids: Tensor
    parts: Tensor

    @property
    def owners(self) -> Tensor:
        """(tokens,) of which rollout each chosen token is: all of reasoning, then all of trajectories."""
        return torch.cat([(self.parts == part).nonzero()[:, 0] for part in (REASONING, TRAJECTORY)])


@torch.no_grad()
def own_sentences(
    model: AlpamayoModel,
    features: VisionFeatures,
    grids: Tensor,
    moments: Sequence[Moment],
    navigation: Sequence[str | None],
) -> list[str | None]:
    """What the model says of moments (R), greedy; None where it comes to no end. features, grids: (R, pictures, 3), of
    their pictures."""
    prompts = prompt_ids(model, moments, navigation, grids)
    prompt = batch_prompts(prompts, list(grids), model.config, model.tokenizer.pad)
    context = model.read(prompt, features, LONGEST + 1)
    reasoning = model.reason(context, lambda logits: logits.argmax(dim=-1), LONGEST)
    return [
        reasoning_text(model, tokens) if complete else None
        for tokens, complete in zip(reasoning.tokens, reasoning.complete.tolist(), strict=True)
    ]


def answers_of(model: AlpamayoModel, samples: Samples) -> Answers:
    """The tokens of samples that were decoded autoregressively."""
    tokenizer = model.tokenizer
    # Exact: actions lie on the bins they were decoded from.
    planned = (tokenizer.future_bin_0 + model.future_tokens.encode_actions(samples.action)).tolist()
    said = samples.reasoning.tokens.tolist()
    rows: list[tuple[list[int], list[int]]] = []
    for row, length in enumerate(samples.reasoning.length.tolist()):
        bins = planned[row] if bool(samples.reasoning.complete[row]) else []
        rows.append((said[row][:length] + bins, [REASONING] * length + [TRAJECTORY] * len(bins)))
    longest = max(len(ids) for ids, _ in rows)
    padded = torch.full((len(rows), longest), tokenizer.pad)
    kinds = torch.full((len(rows), longest), NONE)
    for row, (ids, parts) in enumerate(rows):
        padded[row, : len(ids)], kinds[row, : len(ids)] = torch.tensor(ids), torch.tensor(parts)
    return Answers(padded.to(model.device), kinds.to(model.device))
