"""Matrix products of the engine: one class for each way to hold a weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.engine import cuda
from alpamayo_ros.engine.switches import Switches

Linear = Callable[[Tensor], Tensor]
"""(…, in) to (…, out)."""

_FLOAT8 = torch.float8_e4m3fn
_LARGEST = torch.finfo(_FLOAT8).max


class Dense:
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._weight, self._bias)


class Packed:
    """oneDNN with the weight in its own layout. For float32 on the CPU: MKL, which PyTorch takes by default, has less
    than half of its speed on AMD, and here the layout is made once and not at every product."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")


class Float8:
    """The weight (out, in) as float8 with a scale for each row; with `activations`, x likewise, for each token."""

    def __init__(self, weight: Tensor, *, activations: bool) -> None:
        self._out, self._activations = len(weight), activations
        # Float8 products on CUDA take multiples of 16 only: zeros fill up to them.
        padded = activations and weight.is_cuda
        self._spare = -weight.shape[1] % 16 if padded else 0
        filled = F.pad(weight.detach(), (0, self._spare, 0, -len(weight) % 16 if padded else 0))
        self._weight, self._scale = quantised(filled)

    def __call__(self, x: Tensor) -> Tensor:
        if not self._activations:
            return F.linear(x, self._weight.to(x.dtype)) * self._scale[:, 0].to(x.dtype)
        small, scale = quantised(F.pad(x, (0, self._spare)) if self._spare else x)
        if not x.is_cuda:
            return (F.linear(small.to(x.dtype), self._weight.to(x.dtype)) * scale * self._scale[:, 0]).to(x.dtype)
        product = torch._scaled_mm(
            small.flatten(0, -2),
            self._weight.t(),
            scale_a=scale.flatten(0, -2),
            scale_b=self._scale.t(),
            out_dtype=torch.bfloat16,
        )
        return product.narrow(1, 0, self._out).reshape(*x.shape[:-1], -1).to(x.dtype)


def make_linear(weight: Tensor, bias: Tensor | None, switches: Switches) -> Linear:
    if cuda.runs_here(weight, switches):
        from alpamayo_ros.engine.cuda.product import Whole

        return Whole(weight, bias)
    if switches.packed_weights and _packs(weight):
        return Packed(weight, bias)
    return Dense(weight, bias)


def make_projection(parts: Sequence[nn.Linear], switches: Switches) -> Linear:
    """The outputs of several layers without bias over one input, behind each other: (…, in) to (…, Σ out)."""
    if switches.joined_projections:
        return _projection(joined(parts), switches)
    separate = [_projection(part.weight, switches) for part in parts]
    return separate[0] if len(separate) == 1 else lambda x: torch.cat([each(x) for each in separate], dim=-1)


def joined(parts: Sequence[nn.Linear]) -> Tensor:
    """The weights of layers behind each other (Σ out, in). The layers see the same memory from now on: nothing is held
    twice."""
    if len(parts) == 1:
        return parts[0].weight
    whole = torch.cat([part.weight.detach() for part in parts])
    for part, rows in zip(parts, torch.split(whole, [len(part.weight) for part in parts]), strict=True):
        part.weight = nn.Parameter(rows, requires_grad=False)
    return whole


def _projection(weight: Tensor, switches: Switches) -> Linear:
    if switches.float8 != "off":
        return Float8(weight, activations=switches.float8 == "weights_and_activations")
    return make_linear(weight, None, switches)


def _packs(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and torch._C._has_mkldnn


def quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """(…, n) as float8 and float32 scales (…, 1)."""
    scale = x.abs().amax(dim=-1, keepdim=True).float().clamp(min=1e-12) / _LARGEST
    return (x / scale).clamp(-_LARGEST, _LARGEST).to(_FLOAT8), scale
