"""Choosing the next token: greedy, or temperature, top-k and top-p, from seeded streams.

Each row of a batch draws from a stream of its own, on the CPU, so what a row draws depends on the seed and its number
alone: not on the other rows, nor on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.vla.errors import ModelInputError

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100.0
"""Beyond these, scaled logits leave what float32 can hold."""

REASONING_STREAM, TRAJECTORY_STREAM, NOISE_STREAM = range(3)
"""What is drawn comes from streams of its own, so that how much one draws moves nothing in the others."""


@dataclass(frozen=True)
class Sampling:
    """temperature 0 is greedy. top_k and top_p keep the likeliest tokens only; None is off.

    The defaults are those of the released inference script.
    """

    temperature: float = 0.6
    top_p: float | None = 0.98
    top_k: int | None = None

    def __post_init__(self) -> None:
        if self.temperature != 0 and not MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:
            raise ModelInputError(
                f"temperature is {self.temperature}; it must be 0 (greedy) or in [{MIN_TEMPERATURE}, {MAX_TEMPERATURE}]"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ModelInputError(f"top_p is {self.top_p}; it must be in (0, 1], or None")
        if self.top_k is not None and self.top_k < 1:
            raise ModelInputError(f"top_k is {self.top_k}; it must be 1 or more, or None")


GREEDY = Sampling(temperature=0.0, top_p=None)


class RowStreams:
    """One stream of random numbers for each row; `purpose` is one of the streams above.

    seed: of all rows; or several, of equal parts of the rows, each of which is numbered from 0: what a part draws then
    does not depend on the others.
    """

    def __init__(self, seed: int | Sequence[int], rows: int, purpose: int) -> None:
        seeds = [seed] if isinstance(seed, int) else seed
        each = rows // len(seeds)
        keys = (np.random.SeedSequence((seeds[row // each], row % each, purpose)) for row in range(rows))
        self._streams = [np.random.Generator(np.random.Philox(key)) for key in keys]

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
    return drawn_tokens(logits, sampling, streams.uniform())


def drawn_tokens(logits: Tensor, sampling: Sampling, draws: Tensor) -> Tensor:
    """Ids (B,) that draws (B,) float64 in [0, 1) choose from logits (B, vocab)."""
    ids, probabilities = ranked_distribution(logits, sampling)
    # Inverse transform: the first token at which the cumulated probability exceeds the draw.
    cumulated = probabilities.double().cumsum(dim=-1)
    draw = draws[:, None] * cumulated[:, -1:]
    place = (cumulated > draw).int().argmax(dim=-1, keepdim=True)
    return ids.gather(1, place.to(ids.device))[:, 0]


def ranked_distribution(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """What `drawn_tokens` draws from: ids (B, vocab), likeliest first, and their probabilities (B, vocab) on the CPU.

    Temperature, then top-k, then top-p. On the CPU because a GPU's cumulative sums are not reproducible to the bit.
    """
    scores, ids = (logits / sampling.temperature).sort(dim=-1, descending=True, stable=True)
    if sampling.top_k is not None:
        scores[:, sampling.top_k :] = -torch.inf
    probabilities = scores.softmax(dim=-1).cpu()
    if sampling.top_p is not None and sampling.top_p < 1:
        # A token goes when it and all less likely ones together hold no more than 1 − p.
        tail = probabilities.flip(-1).cumsum(dim=-1).flip(-1)
        kept = tail > 1 - sampling.top_p
        kept[:, 0] = True
        probabilities = probabilities * kept
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return ids, probabilities
