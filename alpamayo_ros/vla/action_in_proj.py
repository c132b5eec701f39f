"""What leads into the action expert: noisy actions and a flow time, embedded as its input."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.vla.config import ActionInProjConfig
from alpamayo_ros.vla.decoder import RMSNorm

_NORM_EPS = 1e-5


class FourierFeatures(nn.Module):
    """√2 · [sin(2π f x) | cos(2π f x)] at frequencies spaced evenly in log from 1 to `max_freq`.

    The frequencies are a buffer because R1's checkpoint stores them; 1.5's does not (`persistent`).
    """

    freqs: Tensor

    def __init__(self, features: int, max_freq: float, *, persistent: bool, constants_dtype: torch.dtype) -> None:
        super().__init__()
        # Made in the released dtype, as 1.5 makes them: rounding float32 ones gives others for many `max_freq`.
        freqs = torch.logspace(0, math.log10(max_freq), features // 2, dtype=constants_dtype, device="cpu")
        self.register_buffer("freqs", freqs.float()[None], persistent=persistent)

    def forward(self, x: Tensor) -> Tensor:
        """(…) to (…, features), float32."""
        angle = x.float()[..., None] * self.freqs[0] * (2 * torch.pi)
        return torch.cat([angle.sin(), angle.cos()], dim=-1) * math.sqrt(2)


class ActionEncoder(nn.Module):
    """Linear, SiLU, RMSNorm, as often as there are layers, then Linear."""

    def __init__(self, in_size: int, config: ActionInProjConfig, out_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = in_size
        for _ in range(config.num_enc_layers):
            layers += [nn.Linear(size, config.hidden_size), nn.SiLU(), RMSNorm(config.hidden_size, _NORM_EPS)]
            size = config.hidden_size
        self.trunk = nn.Sequential(*layers, nn.Linear(size, out_size))

    def forward(self, features: Tensor) -> Tensor:
        return self.trunk(features)


class ActionInProj(nn.Module):
    """Embeds noisy actions (B, 64, 2) at flow times (B,) for the expert: (B, 64, hidden), float32."""

    def __init__(
        self, config: ActionInProjConfig, out_size: int, *, persistent: bool, constants_dtype: torch.dtype
    ) -> None:
        super().__init__()
        features, max_freq = config.num_fourier_feats, config.max_freq

        def fourier() -> FourierFeatures:
            return FourierFeatures(features, max_freq, persistent=persistent, constants_dtype=constants_dtype)

        self.sinus = nn.ModuleList([fourier(), fourier()])
        self.timestep_fourier_encoder = fourier()
        self.encoder = ActionEncoder(3 * features, config, out_size)
        self.norm = nn.LayerNorm(out_size, eps=_NORM_EPS)

    def features(self, action: Tensor, time: Tensor) -> Tensor:
        """Fourier features (B, 64, 3 × features) of acceleration, curvature and flow time."""
        moment = self.timestep_fourier_encoder(time)[:, None].expand(-1, action.shape[1], -1)
        return torch.cat([self.sinus[0](action[..., 0]), self.sinus[1](action[..., 1]), moment], dim=-1)

    def forward(self, action: Tensor, time: Tensor) -> Tensor:
        embedded = self.encoder(self.features(action, time).to(self.norm.weight.dtype))
        # Kept in float32, as under the autocast that the original runs in, and so is the expert's residual stream.
        return F.layer_norm(
            embedded.float(), self.norm.normalized_shape, self.norm.weight.float(), self.norm.bias.float(), _NORM_EPS
        )
