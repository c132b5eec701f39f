"""Flow matching with the action expert: all Euler steps are one pass, and what depends on the flow time alone is made
once for each number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.engine.backend import make_stack
from alpamayo_ros.engine.decoder import Place, Rotary, Stack
from alpamayo_ros.engine.linear import make_linear
from alpamayo_ros.engine.native.action import NativeField
from alpamayo_ros.engine.native.decoder import NativeStack
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.action_in_proj import ActionInProj
from alpamayo_ros.vla.flow_matching import Velocity, guided, integrate
from alpamayo_ros.vla.model import AlpamayoModel

if TYPE_CHECKING:
    from alpamayo_ros.engine.cuda.decoder import FusedStack


class Behind(NamedTuple):
    """What the expert is to continue: its rotary angles (K, 64, 1, head_dim) and its place in the cache."""

    rotary: Rotary
    place: Place


class Flow:
    def __init__(self, model: AlpamayoModel, switches: Switches) -> None:
        self._embedding = model.action_in_proj
        expert, out = make_stack(model.expert, switches), model.action_out_proj
        self._field = (
            NativeField(self._embedding, expert, out)
            if isinstance(expert, NativeStack)
            else Field(self._embedding, expert, out, switches)
        )
        self._moments: dict[int, dict[float, Tensor]] = {}

    def prepare(self, steps: int) -> None:
        """Make the features of the flow times of so many steps."""
        if steps in self._moments:
            return
        times = torch.linspace(0, 1, steps + 1, device="cpu")[:-1]
        made = self._embedding.timestep_fourier_encoder(times.to(self._embedding.norm.weight.device))
        self._moments[steps] = dict(zip(times.tolist(), made, strict=True))

    def __call__(self, noise: Tensor, steps: int, behind: Sequence[Behind], weight: float) -> Tensor:
        """Actions (K, 64, 2) from noise (K, 64, 2). A second place is what guidance of this weight leads away from."""
        moments = self._moments[steps]
        if len(behind) == 1:
            return self._field.integrate(*behind[0], noise, moments)
        velocity, without_route = (self._field.behind(*it, noise, moments) for it in behind)
        return integrate(guided(velocity, without_route, weight), noise, steps)[-1]


class Field:
    """The velocity of noisy actions, over PyTorch's operators."""

    def __init__(self, embedding: ActionInProj, expert: Stack | FusedStack, out: nn.Linear, switches: Switches) -> None:
        self._embedding, self._expert = embedding, expert
        self._trunk = [
            make_linear(layer.weight, layer.bias, switches) if isinstance(layer, nn.Linear) else layer
            for layer in embedding.encoder.trunk
        ]
        self._out = make_linear(out.weight, out.bias, switches)

    def behind(self, rotary: Rotary, place: Place, noise: Tensor, moments: Mapping[float, Tensor]) -> Velocity:
        """That of actions of the shape of `noise` (K, 64, 2), behind a place in the cache. moments: features
        (features,) of the flow times."""
        return lambda action, time: self._out(self._expert(self._embed(action, moments[time]), rotary, place))

    def integrate(self, rotary: Rotary, place: Place, noise: Tensor, moments: Mapping[float, Tensor]) -> Tensor:
        """Actions (K, 64, 2) from noise, in as many steps as there are moments."""
        return integrate(self.behind(rotary, place, noise, moments), noise, len(moments))[-1]

    def _embed(self, action: Tensor, moment: Tensor) -> Tensor:
        """`ActionInProj.forward`."""
        embedding, norm = self._embedding, self._embedding.norm
        sides = [fourier(action[..., axis]) for axis, fourier in enumerate(embedding.sinus)]
        features = torch.cat([*sides, moment.expand(*action.shape[:2], -1)], dim=-1)
        hidden = features.to(norm.weight.dtype)
        for layer in self._trunk:
            hidden = layer(hidden)
        return F.layer_norm(hidden.float(), norm.normalized_shape, norm.weight.float(), norm.bias.float(), norm.eps)
