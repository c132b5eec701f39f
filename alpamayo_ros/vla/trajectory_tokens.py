"""Trajectories as discrete tokens: the ego history (delta tokens) and the future (action tokens), both ways.

Tokens here are bin numbers from 0. `<iN>` in the vocabulary is bin N of the future for N below the number of future
bins, and bin N − 3000 of the history above that in the released models.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.vla.action_space import UnicycleActionSpace, yaw_rotations
from alpamayo_ros.vla.config import FutureTokenConfig, HistoryTokenConfig

_FIT_WINDOW = 10
"""Poses in the window through which a heading is fitted when delta tokens hold none (released implementation)."""
_FIT_ORDER = 3


class FutureTokens:
    """64 waypoints × (acceleration, curvature) = 128 tokens, uniform bins over the normalised action."""

    def __init__(self, config: FutureTokenConfig, constants_dtype: torch.dtype) -> None:
        self.config = config
        self.action_space = UnicycleActionSpace(config.action_space, persistent=False, constants_dtype=constants_dtype)

    def encode_actions(self, action: Tensor) -> Tensor:
        """Bins (B, 2 N) of `action` (B, N, 2); what lies outside the range takes the nearest bin."""
        low, high = self._range(action)
        scaled = (action - low) / (high - low) * (self.config.num_bins - 1)
        return scaled.round().long().clamp(0, self.config.num_bins - 1).flatten(1)

    def decode_actions(self, tokens: Tensor) -> Tensor:
        """The actions (B, N, 2) at the bins (B, 2 N)."""
        values = tokens.reshape(len(tokens), -1, 2).float()
        low, high = self._range(values)
        return values / (self.config.num_bins - 1) * (high - low) + low

    def encode(self, history_xyz: Tensor, history_rot: Tensor, future_xyz: Tensor, future_rot: Tensor) -> Tensor:
        """Bins (B, 128) of a future (B, 64, 3), (B, 64, 3, 3) that follows a history (B, 16, 3), (B, 16, 3, 3)."""
        action = self.action_space.trajectory_to_action(history_xyz, history_rot, future_xyz, future_rot)
        return self.encode_actions(action)

    def decode(self, history_xyz: Tensor, history_rot: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B, 64, 3) and rotations (B, 64, 3, 3) of the bins (B, 128)."""
        return self.action_space.action_to_trajectory(self.decode_actions(tokens), history_xyz, history_rot)

    def _range(self, like: Tensor) -> tuple[Tensor, Tensor]:
        low = torch.tensor(self.config.dims_min, dtype=like.dtype, device=like.device)
        high = torch.tensor(self.config.dims_max, dtype=like.dtype, device=like.device)
        return low, high


class DeltaTokens:
    """Poses as steps from one to the next, three tokens (x, y, z) a pose, four with yaw.

    The first step is counted from the origin, so it holds the first position itself and clamps when the vehicle is
    faster than the range allows: a trait of the released models, kept.
    """

    def __init__(self, config: HistoryTokenConfig) -> None:
        self.config = config

    def encode(self, xyz: Tensor, rot: Tensor) -> Tensor:
        """Bins (B, N × 3 or 4) of positions (B, N, 3) and, with `predict_yaw`, of rotations (B, N, 3, 3)."""
        cfg = self.config
        steps = torch.diff(xyz, dim=1, prepend=torch.zeros_like(xyz[:, :1]))
        if cfg.predict_yaw:
            # The released code takes the sign of yaw from R01 when encoding, but decodes it as R10: kept.
            yaw = torch.atan2(rot[..., 0, 1], rot[..., 0, 0])
            turn = torch.diff(yaw, dim=1, prepend=torch.zeros_like(yaw[:, :1]))
            turn = torch.atan2(torch.sin(turn), torch.cos(turn))
            steps = torch.cat([steps, turn[..., None]], dim=-1)
        low, high = self._range(steps)
        bins = ((steps - low) / (high - low) * (cfg.num_bins - 1)).round().long()
        return bins.clamp(0, cfg.num_bins - 1).flatten(1)

    def decode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B, N, 3) and rotations (B, N, 3, 3) of bins (B, N × 3 or 4)."""
        cfg = self.config
        values = tokens.reshape(len(tokens), -1, 4 if cfg.predict_yaw else 3).float()
        low, high = self._range(values)
        path = torch.cumsum(values / (cfg.num_bins - 1) * (high - low) + low, dim=1)
        xyz = path[..., :3]
        if cfg.predict_yaw:
            return xyz, yaw_rotations(path[..., 3])
        yaw = np.stack([_headings(row) for row in xyz.double().cpu().numpy()])
        return xyz, yaw_rotations(torch.from_numpy(yaw)).to(xyz)

    def _range(self, like: Tensor) -> tuple[Tensor, Tensor]:
        cfg = self.config
        low, high = list(cfg.ego_xyz_min), list(cfg.ego_xyz_max)
        if cfg.predict_yaw:
            low, high = [*low, cfg.ego_yaw_min], [*high, cfg.ego_yaw_max]
        return (
            torch.tensor(low, dtype=like.dtype, device=like.device),
            torch.tensor(high, dtype=like.dtype, device=like.device),
        )


def _headings(xyz: np.ndarray) -> np.ndarray:
    """Heading (N,) along positions (N, 3), from cubics fitted through a sliding window."""
    n = len(xyz)
    window = min(_FIT_WINDOW, n)
    time = np.arange(window)
    yaw = np.empty(n)
    for i in range(n):
        begin = min(max(0, i - _FIT_WINDOW // 2), n - window)
        dx, dy = (
            np.polyval(np.polyder(np.polyfit(time, xyz[begin : begin + window, axis], _FIT_ORDER)), i - begin)
            for axis in (0, 1)
        )
        yaw[i] = np.arctan2(dy, dx)
    return yaw
