"""The arithmetic of GRPO (arXiv 2402.03300; paper, section 5.3): advantages of a group, and the clipped objective."""

from __future__ import annotations

import torch
from torch import Tensor


def advantages(rewards: Tensor, *, normalise: bool) -> Tensor:
    """How much better each rollout is than its group's mean, rewards (prompts, group): no value function is needed.

    normalise: divided by the group's standard deviation, 0 where all are alike.
    """
    above = rewards - rewards.mean(dim=1, keepdim=True)
    if not normalise:
        return above
    return above / rewards.std(dim=1, keepdim=True).clamp(min=1e-6)


def clipped_objective(now: Tensor, before: Tensor, advantage: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """What is to be raised, and whether clipping stops its gradient; both (tokens,), of the tokens' log-probabilities
    now and before, and the advantage of the rollout each token is of."""
    ratio = (now - before).exp()
    clipped = ratio.clamp(1.0 - low, 1.0 + high)
    return torch.minimum(ratio * advantage, clipped * advantage), clipped * advantage < ratio * advantage


def divergence(now: Tensor, other: Tensor) -> Tensor:
    """An estimate of KL(now ‖ other) from tokens that `now` drew, without bias and never negative: r − 1 − log r with
    r = other / now (Schulman, "Approximating KL divergence"); log-probabilities (tokens,). Rollouts that were drawn at
    another temperature, or with top_p, are not quite what `now` draws: then it is a measure, not an estimate."""
    log_ratio = other - now
    return log_ratio.exp() - 1.0 - log_ratio
