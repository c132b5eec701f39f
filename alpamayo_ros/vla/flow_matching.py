"""Flow matching: Euler integration of a velocity field from noise (t = 0) to actions (t = 1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
"""(B, 64, 2) actions and a flow time to their velocity (B, 64, 2)."""


def integrate(velocity: Velocity, noise: Tensor, num_steps: int) -> list[Tensor]:
    """All states from `noise` (B, 64, 2) to the action, num_steps + 1 of them, float32."""
    times = torch.linspace(0, 1, num_steps + 1, device="cpu").tolist()
    states = [noise.float()]
    for now, after in itertools.pairwise(times):
        states.append(states[-1] + (after - now) * velocity(states[-1], now).float())
    return states


def guided(with_guidance: Velocity, without_guidance: Velocity, weight: float) -> Velocity:
    """Classifier-free guidance, v = (1 − w) v_without + w v_with: 1 is no guidance, more exaggerates it."""

    def velocity(action: Tensor, time: float) -> Tensor:
        return (1 - weight) * without_guidance(action, time) + weight * with_guidance(action, time)

    return velocity
