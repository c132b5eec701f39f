"""Plans that a car can begin: from the acceleration that it has, with a bounded jerk.

A sampled plan begins with the acceleration that the model wants now. Where it follows another plan, or a driver, that
is a jump, which no powertrain makes and no passenger likes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from alpamayo_ros.vla.action_space import UnicycleActionSpace

EMERGENCY, SOON = -4.0, 1.0
"""Metres per second squared, and seconds: a plan that brakes harder so soon is not held up on its way there. With a new
plan every tenth of a second, only its first tick is driven."""
_REGAIN = 0.5
"""Seconds in which a speed that the limit has cost is gained again."""
_FORWARD = 0.1
"""m/s; a car that is faster at t0 drives forward. It would stop before it reverses, and no plan does both: what goes
back behind a stop is a sampled stop that overshoots."""


def limit_jerk(
    space: UnicycleActionSpace, action: Tensor, initial_speed: Tensor, acceleration: Tensor, max_jerk: float
) -> Tensor:
    """The normalised actions (B, 64, 2), followed as fast as `max_jerk` (m/s³) allows; curvatures stay.

    initial_speed: (B,) m/s and acceleration: (B,) m/s² at t0. A plan within the limit stays as it is, but one that
    begins forward does not go back where it has come to a stand.
    """
    states, step = space.rollout(action.double(), initial_speed.double()), space.config.dt
    if not bool(torch.isfinite(states.speed).all()):
        return action  # A limit would hide that the model is broken.
    rows = zip(states.accel.tolist(), states.speed.tolist(), acceleration.tolist(), strict=True)
    driven = torch.tensor([_followed(*row, max_jerk * step, step) for row in rows], dtype=torch.float64)
    # Where nothing had to change, the very bits of the model.
    changed = (driven - states.accel).abs() > 1e-6
    limited = (driven - space.accel_mean.to(driven)) / space.accel_std.to(driven)
    found = action.clone()
    found[..., 0] = torch.where(changed, limited.to(action), action[..., 0])
    return found


def _followed(
    wanted: Sequence[float], planned: Sequence[float], before: float, change: float, step: float
) -> list[float]:
    """Accelerations as close as they go to those `wanted`, which lead to the speeds `planned`.

    From one to the next, the first from `before`, they rise by at most `change`, and fall by no more but in an
    emergency; a car that drives forward stops at last. In plain numbers, because it goes tick by tick.
    """
    speed, driven, soon = planned[0], [], round(SOON / step)
    backward = -math.inf if speed < _FORWARD else 0.0
    for tick, asked in enumerate(wanted):
        aim = asked + (planned[tick] - speed) / _REGAIN
        lowest = -math.inf if min(wanted[tick : tick + soon]) < EMERGENCY else before - change
        slowest = (max(min(planned[tick + 1], 0.0), backward) - speed) / step
        before = max(min(max(aim, lowest), before + change), slowest)
        driven.append(before)
        speed += before * step
    return driven
