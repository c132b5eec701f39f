"""The arithmetic of GRPO against the same written out by hand."""

import math

import pytest
import torch

from alpamayo_ros.training.policy_loss import advantages, clipped_objective, divergence


def test_an_advantage_is_what_is_above_the_groups_mean():
    rewards = torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])
    assert advantages(rewards, normalise=False).tolist() == [[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]]
    scaled = advantages(rewards, normalise=True)
    assert scaled[0].tolist() == pytest.approx([part / math.sqrt(7.0) for part in (-2.0, -1.0, 3.0)])
    assert scaled[1].tolist() == [0.0, 0.0, 0.0]


def by_hand(now, before, advantage, low, high):
    ratio = math.exp(now - before)
    bounded = max(1 - low, min(ratio, 1 + high))
    return min(ratio * advantage, bounded * advantage)


CASES = [
    (now, before, advantage)
    for now, before in ((-1.0, -1.0), (-1.0, -1.2), (-1.0, -1.24), (-1.0, -1.4), (-1.4, -1.0), (-1.1, -1.0))
    for advantage in (2.0, -2.0, 0.0)
]


def test_the_objective_is_clipped_as_written_out_by_hand():
    now, before, advantage = (torch.tensor(column, dtype=torch.float64) for column in zip(*CASES, strict=True))
    gain, clipped = clipped_objective(now, before, advantage, 0.2, 0.28)
    assert gain.tolist() == pytest.approx([by_hand(*case, 0.2, 0.28) for case in CASES])
    ratios = (now - before).exp()
    stopped = ((ratios > 1.28) & (advantage > 0)) | ((ratios < 0.8) & (advantage < 0))
    assert clipped.tolist() == stopped.tolist()
    assert clipped.sum() == 2


def test_where_it_is_clipped_nothing_is_learned():
    now = torch.tensor([-1.0, -1.0, -1.4, -1.4], requires_grad=True)
    gain, clipped = clipped_objective(
        now, torch.tensor([-1.4, -1.4, -1.0, -1.0]), torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.2, 0.28
    )
    gain.sum().backward()
    assert clipped.tolist() == [True, False, False, True]
    assert (now.grad == 0).tolist() == clipped.tolist()
    # Elsewhere: the policy gradient, weighted by the ratio.
    assert now.grad[1] == pytest.approx(-math.exp(0.4))
    assert now.grad[2] == pytest.approx(math.exp(-0.4))


def test_the_estimate_of_the_divergence_has_its_mean():
    draw = torch.Generator().manual_seed(0)
    p, q = torch.randn(2, 20, generator=draw, dtype=torch.float64).log_softmax(dim=1)
    drawn = torch.multinomial(p.exp(), 200_000, replacement=True, generator=draw)
    estimates = divergence(p[drawn], q[drawn])
    assert estimates.min() >= 0
    exact = float((p.exp() * (p - q)).sum())
    assert float(estimates.mean()) == pytest.approx(exact, rel=0.02)
    assert divergence(p, p).tolist() == [0.0] * 20
