"""Choosing the next token: greedy, or temperature, top-k and top-p, from seeded streams.

Each row of a batch draws from a stream of its own, on the CPU, so what a row draws depends on the seed and its number
alone: not on the other rows, nor on the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.vla.errors import ModelInputError


@dataclass(frozen=True)
class Sampling:
    """temperature 0 is greedy. top_k and top_p keep the likeliest tokens only; None is off.

    The defaults are those of the released inference script.
    """

    temperature: float = 0.6
    top_p: float | None = 0.98
    top_k: int | None = None

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ModelInputError(f"temperature is {self.temperature}; it must be 0 (greedy) or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ModelInputError(f"top_p is {self.top_p}; it must be in (0, 1], or None")
        if self.top_k is not None and self.top_k < 1:
            raise ModelInputError(f"top_k is {self.top_k}; it must be 1 or more, or None")


GREEDY = Sampling(temperature=0.0, top_p=None)


class RowStreams:
    """One stream of random numbers for each row."""

    def __init__(self, seed: int, rows: int) -> None:
        self._streams = [
            np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, row)))) for row in range(rows)
        ]

    def normal(self, *shape: int) -> Tensor:
        """(rows, *shape) float32 standard normals."""
        return torch.stack([torch.from_numpy(s.standard_normal(shape, dtype=np.float32)) for s in self._streams])

    def uniform(self) -> Tensor:
        """(rows,) float64 in [0, 1)."""
        return torch.tensor([s.random() for s in self._streams], dtype=torch.float64)


def next_tokens(logits: Tensor, sampling: Sampling, streams: RowStreams) -> Tensor:
    """Ids (B,) chosen from logits (B, vocab)."""
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = distribution(logits, sampling)
    ranked, ids = probabilities.double().sort(dim=-1, descending=True)
    # Inverse transform: the first token at which the cumulated probability exceeds the draw.
    cumulated = ranked.cumsum(dim=-1)
    draw = streams.uniform().to(logits.device)[:, None] * cumulated[:, -1:]
    place = (cumulated > draw).int().argmax(dim=-1, keepdim=True)
    return ids.gather(1, place)[:, 0]


def distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """The distribution (B, vocab) that `next_tokens` draws from: temperature, then top-k, then top-p."""
    scores = logits / sampling.temperature
    if sampling.top_k is not None:
        least = scores.topk(min(sampling.top_k, scores.shape[-1]), dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        ranked, ids = scores.sort(dim=-1, descending=False)
        surplus = ranked.softmax(dim=-1).cumsum(dim=-1) <= 1 - sampling.top_p
        surplus[:, -1] = False
        scores = scores.masked_fill(surplus.scatter(1, ids, surplus), -torch.inf)
    return scores.softmax(dim=-1)
