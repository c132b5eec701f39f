"""Choosing tokens as `vla.sampling` does, at any position and many at once.

What is drawn belongs to a row and a position, so that a position that is looked at twice gets the same draw. Most
draws fall among the likeliest tokens, for which the rest need not be sorted. The short way is taken only where float32
rounding cannot make a difference; all other draws go the long way, through `drawn_tokens`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.vla.sampling import RowStreams, Sampling, drawn_tokens

LIKELIEST = 64
MARGIN = 2e-5
"""Of probability, to any border between tokens: more than what float32 sums over a vocabulary differ by."""


class Chooser:
    def __init__(self, sampling: Sampling, streams: RowStreams, *, quick: bool) -> None:
        self._sampling, self._streams, self._quick = sampling, streams, quick
        self._draws: list[Tensor] = []

    def choose(self, logits: Tensor, first: int) -> Tensor:
        """Tokens (B, T) at the positions from `first`, from logits (B, T, vocab)."""
        if self._sampling.temperature == 0:
            return logits.argmax(dim=-1)
        rows, count, vocab = logits.shape
        while len(self._draws) < first + count:
            self._draws.append(self._streams.uniform())
        draws = torch.stack(self._draws[first : first + count], dim=1).flatten()
        flat = logits.reshape(-1, vocab)
        if not self._quick:
            return drawn_tokens(flat, self._sampling, draws).reshape(rows, count)
        chosen, settled = _quickly(flat, self._sampling, draws.numpy())
        rest = torch.from_numpy(np.flatnonzero(~settled))
        tokens = torch.from_numpy(chosen).to(logits.device)
        if len(rest):
            tokens[rest.to(logits.device)] = drawn_tokens(flat[rest.to(logits.device)], self._sampling, draws[rest])
        return tokens.reshape(rows, count)


def _quickly(logits: Tensor, sampling: Sampling, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (N,) of logits (N, vocab), and whether they are settled."""
    width = min(LIKELIEST, logits.shape[1])
    scores = logits / sampling.temperature
    top, ids = scores.topk(width, dim=-1)
    # Below the largest, as in a softmax: of scores of thousands, the logarithm of their sum is too coarse in float32.
    total = (scores - top[:, :1]).logsumexp(dim=-1, keepdim=True)
    # One transfer from the device.
    parts = torch.stack([(top - top[:, :1] - total).exp().double(), top.double(), ids.double()])
    likely, ranked, tokens = parts.cpu().numpy()
    settled = np.ones(len(likely), dtype=bool)
    whole = np.ones((len(likely), 1))
    if sampling.top_k is not None:
        settled &= sampling.top_k <= width
        likely = likely[:, : sampling.top_k]
        whole = likely.sum(axis=1, keepdims=True)
    after = likely.cumsum(axis=1)
    kept_sum = whole
    if sampling.top_p is not None and sampling.top_p < 1:
        # A token stays when it and all less likely ones together hold more than 1 − p of what top-k left.
        spare = (whole - (after - likely)) / whole - (1 - sampling.top_p)
        settled &= (np.abs(spare[:, 1:]) > MARGIN).all(axis=1)
        kept = spare > 0
        kept[:, 0] = True
        settled &= ~kept[:, -1] | (whole[:, 0] <= after[:, -1] + MARGIN)
        likely = likely * kept
        after = likely.cumsum(axis=1)
        kept_sum = after[:, -1:]
    target = draws[:, None] * kept_sum
    settled &= (np.abs(after - target) > MARGIN).all(axis=1) & (target < after[:, -1:])[:, 0]
    place = (after > target).argmax(axis=1)
    row = np.arange(len(place))
    # Equal scores are ranked by id, which the short way does not look at.
    before, behind = np.maximum(place - 1, 0), np.minimum(place + 1, width - 1)
    settled &= (place == 0) | (ranked[row, before] != ranked[row, place])
    settled &= (place < width - 1) & (ranked[row, behind] != ranked[row, place])
    return tokens[row, place].astype(np.int64), settled
