"""Plans that a car can begin: from the acceleration that it has, with a bounded jerk.

A sampled plan begins with the acceleration that the model wants now. Where it follows another plan, or a driver, that
is a jump, which no powertrain makes and no passenger likes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.vla.action_space import UnicycleActionSpace

EMERGENCY = -4.0
"""Metres per second squared; a plan that brakes harder is not held up."""
_REGAIN = 0.5
"""Seconds in which a speed that the limit has cost is gained again."""


def limit_jerk(
    space: UnicycleActionSpace, action: Tensor, initial_speed: Tensor, acceleration: Tensor, max_jerk: float
) -> Tensor:
    """The normalised actions (B, 64, 2), followed as fast as `max_jerk` (m/s³) allows; curvatures stay.

    initial_speed: (B,) m/s and acceleration: (B,) m/s² at t0. A plan within the limit stays as it is; one that comes to
    a stand does not roll back for the sake of the limit.
    """
    wanted = space.physical(action.double())[0].numpy()
    planned, step = space.rollout(action.double(), initial_speed.double()).speed.numpy(), space.config.dt
    driven, speed, before = np.empty_like(wanted), initial_speed.double().numpy(), acceleration.double().numpy()
    for tick in range(wanted.shape[1]):
        aim = wanted[:, tick] + (planned[:, tick] - speed) / _REGAIN
        lowest = np.where(wanted[:, tick] < EMERGENCY, -np.inf, before - max_jerk * step)
        slowest = (np.minimum(planned[:, tick + 1], 0.0) - speed) / step
        before = np.maximum(np.clip(aim, lowest, before + max_jerk * step), slowest)
        driven[:, tick], speed = before, speed + before * step
    # Where nothing had to change, the very bits of the model.
    changed = torch.from_numpy(np.abs(driven - wanted) > 1e-6)
    limited = (torch.from_numpy(driven) - space.accel_mean.double()) / space.accel_std.double()
    found = action.clone()
    found[..., 0] = torch.where(changed, limited.to(action), action[..., 0])
    return found
