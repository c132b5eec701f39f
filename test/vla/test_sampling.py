"""Which token comes next: the distribution, and what a row's draw depends on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.sampling import GREEDY, RowStreams, Sampling, next_tokens, ranked_distribution


def distribution(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    ids, probabilities = ranked_distribution(logits, sampling)
    return torch.zeros_like(probabilities).scatter(1, ids, probabilities)


LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, -torch.inf]])


def test_temperature():
    np.testing.assert_allclose(
        distribution(LOGITS, Sampling(0.5, top_p=None)), torch.softmax(LOGITS / 0.5, dim=-1), rtol=1e-6
    )


def test_top_k_keeps_the_likeliest():
    kept = distribution(LOGITS, Sampling(1.0, top_p=None, top_k=2))[0]
    assert (kept > 0).tolist() == [True, True, False, False, False]
    assert float(kept.sum()) == pytest.approx(1)


@given(st.floats(0.05, 1.0), st.lists(st.floats(-8, 8), min_size=2, max_size=40, unique=True))
def test_top_p_keeps_the_smallest_set_that_reaches_p(top_p, logits):
    scores = torch.tensor([logits])
    kept = distribution(scores, Sampling(1.0, top_p=top_p))[0] > 0
    full = scores.softmax(dim=-1)[0]
    ranked = full.sort(descending=True).values
    # Rounding of a float32 sum may decide about a token on the edge.
    least = int((ranked.cumsum(0) < top_p - 1e-4).sum()) + 1
    most = int((ranked.cumsum(0) < top_p + 1e-4).sum()) + 1
    assert least <= int(kept.sum()) <= most
    assert full[kept].min() >= full[~kept].max() if (~kept).any() else True


def test_draws_follow_the_distribution():
    rows, sampling = 20_000, Sampling(1.0, top_p=None)
    drawn = next_tokens(LOGITS.expand(rows, -1), sampling, RowStreams(3, rows, 0))
    share = torch.bincount(drawn, minlength=5) / rows
    np.testing.assert_allclose(share, distribution(LOGITS, sampling)[0], atol=4 * 0.5 / rows**0.5)


def test_a_row_draws_the_same_whatever_its_neighbours():
    few, many = RowStreams(7, 2, 0), RowStreams(7, 5, 0)
    assert torch.equal(few.normal(64, 2), many.normal(64, 2)[:2])
    assert torch.equal(few.uniform(), many.uniform()[:2])
    assert not torch.equal(RowStreams(8, 1, 0).uniform(), RowStreams(7, 1, 0).uniform())
    assert float(many.uniform().unique().numel()) == 5


def test_greedy_draws_nothing():
    streams = RowStreams(0, 1, 0)
    assert next_tokens(LOGITS, GREEDY, streams).tolist() == [0]
    assert torch.equal(streams.uniform(), RowStreams(0, 1, 0).uniform())


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", v) for v in (-1.0, float("nan"), float("inf"), 1e-40)] + [("top_p", 0.0), ("top_k", 0)],
)
def test_impossible_options(name, value):
    with pytest.raises(ModelInputError, match=name):
        Sampling(**{name: value})


def test_with_a_seed_of_its_own_a_prompt_draws_the_same_beside_any_others():
    together = RowStreams((7, 8), 4, 0).normal(3)
    assert torch.equal(together[:2], RowStreams(7, 2, 0).normal(3))
    assert torch.equal(together[2:], RowStreams(8, 2, 0).normal(3))
