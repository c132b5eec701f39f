"""Another past for a moment, so that how the car has moved does not tell what its expert does next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.training.corpus import Moment
from alpamayo_ros.vla.action_space import yaw_rotations

_STEP = 0.1
"""Seconds between two poses."""
_SLOW = 4.0
"""Metres per second; below it a lateral acceleration would be a curvature that no car has."""
_SHORTEST, _LONGEST = 1.0, 5.0
"""Seconds within which a plan has taken back another acceleration at t0."""
_SECONDS_PER_ACCELERATION = 2.5
"""Of these, for each m/s^2 that is taken back: the jerk at t0 is 9 / 2.5 = 3.6 m/s^3, within the comfort bound."""


def disguised(
    moments: Sequence[Moment], draws: Sequence[np.random.Generator], lateral: float, longitudinal: float
) -> tuple[Moment, ...]:
    """The moments, each with another past that leads to the same pose and speed at t0: as if the car had steered and
    accelerated by so much more, with standard deviations in m/s^2.

    How a car has moved so far tells so much of what its expert does next that a model learns little else: then it
    never corrects itself. In a past that is disguised this is no longer so, and pictures have to tell where the lane is
    and how far the line. How slowly a car comes to a stand, or drives off, stays visible.

    The future goes on with the acceleration that the past ends in, and comes back to what the expert did: no plan that
    is learned begins with a jerk.
    """
    found = []
    for moment, draw in zip(moments, draws, strict=True):
        aside, along = draw.standard_normal(2) * (lateral, longitudinal)
        xyz, rotations = moment.history
        steps = xyz.diff(dim=0).norm(dim=-1)
        before, speed = float(steps[0]) / _STEP, float(steps[-1]) / _STEP
        ages = torch.arange(len(xyz) - 1, -1, -1).to(xyz) * _STEP
        # It never came from standing backwards.
        along = min(along * min(speed / _SLOW, 1.0), before / float(ages[0]))
        xyz = xyz + 0.5 * along * ages.square()[:, None] * rotations[..., 0]
        # About the pose at t0: a past that curved by so much more ends in the same heading.
        steps = xyz.diff(dim=0).norm(dim=-1)
        behind = torch.cat([steps.flip(0).cumsum(0).flip(0), steps.new_zeros(1)])  # metres to the pose at t0
        curvature = aside / max(speed, _SLOW) ** 2
        turn = yaw_rotations(-curvature * behind)
        sideways = torch.zeros_like(xyz)
        sideways[:, 1] = 0.5 * curvature * behind.square()
        future = moment.future if along == 0.0 else _taken_back(*moment.future, along)
        found.append(replace(moment, history=(xyz + sideways, turn @ rotations), future=future))
    return tuple(found)


def _taken_back(xyz: Tensor, rotations: Tensor, along: float) -> tuple[Tensor, Tensor]:
    """A future (N, 3), (N, 3, 3) on the same path, which begins with `along` m/s^2 more.

    Metres ahead of the given future after u = t / T: along T² u² (1 - u)³ / 2, the one quintic that begins with this
    acceleration at the same place and speed, and ends with the same place, speed and acceleration.
    """
    lasts = min(max(_SECONDS_PER_ACCELERATION * abs(along), _SHORTEST), _LONGEST)
    times = _STEP * np.arange(1, len(xyz) + 1)
    part = np.minimum(times / lasts, 1.0)
    ahead = 0.5 * along * lasts**2 * part**2 * (1.0 - part) ** 3
    path = np.concatenate([np.zeros((1, 3)), xyz.double().numpy()])
    headings = np.unwrap(np.concatenate([[0.0], torch.atan2(rotations[:, 1, 0], rotations[:, 0, 0]).double().numpy()]))
    driven = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    # Never backwards, and never beyond where the expert stands in the end.
    reached = np.clip(np.maximum.accumulate(driven[1:] + ahead), 0.0, driven[-1])
    moved = np.stack([np.interp(reached, driven, path[:, axis]) for axis in range(3)], axis=-1)
    turned = np.interp(reached, driven, headings)
    return torch.from_numpy(moved).to(xyz), yaw_rotations(torch.from_numpy(turned)).to(rotations)
