"""Decoder layers and flow steps in one call each, by the library that `colcon build` makes of `native/`.

For float32 on the CPU. Operators of a small model are so short that calling them costs more than what they do: here
their results stay in the caches of the cores, and one thread of each core takes its tokens through all layers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

import alpamayo_ros
from alpamayo_ros.engine.decoder import Place, Rotary, Stack
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.action_in_proj import ActionInProj, FourierFeatures
from alpamayo_ros.vla.decoder import Decoder, DecoderLayer, RMSNorm
from alpamayo_ros.vla.flow_matching import Velocity

_NAME = "libalpamayo_engine.so"
_Pointer = ctypes.c_void_p


class _Packed(ctypes.Structure):
    _fields_ = [("panels", _Pointer), ("bias", _Pointer), ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32)]


class _LayerWeights(ctypes.Structure):
    _fields_ = [
        *((name, _Packed) for name in ("queries", "keys_values", "out", "gate_up", "down")),
        *((name, _Pointer) for name in ("norm", "norm_after", "qk_norm")),
    ]


class _DecoderWeights(ctypes.Structure):
    _fields_ = [
        ("layers", ctypes.POINTER(_LayerWeights)),
        ("norm", _Pointer),
        *((name, ctypes.c_int32) for name in ("count", "hidden", "heads", "kv_heads", "width", "intermediate")),
        ("eps", ctypes.c_float),
    ]


class _ActionWeights(ctypes.Structure):
    _fields_ = [
        ("trunk", ctypes.POINTER(_Packed)),
        *((name, _Pointer) for name in ("trunk_norms", "norm", "norm_bias", "frequencies")),
        ("out", _Packed),
        *((name, ctypes.c_int32) for name in ("count", "features")),
        *((name, ctypes.c_float) for name in ("trunk_eps", "eps")),
    ]


class _Pass(ctypes.Structure):
    _fields_ = [
        *(
            (name, _Pointer)
            for name in (
                "hidden", "output", "cos", "sin", "keys", "values", "columns", "visible", "shown", "deepstack",
            )
        ),
        *(
            (name, ctypes.c_int64)
            for name in ("angle_stride", "layer_stride", "row_stride", "visible_row_stride", "visible_token_stride")
        ),
        *(
            (name, ctypes.c_int32)
            for name in ("rows", "tokens", "asked", "end", "causal", "shown_count", "deepstack_layers", "threads")
        ),
    ]  # fmt: skip


@cache
def library() -> ctypes.CDLL:
    """Raises RuntimeError where it was not built."""
    for folder in alpamayo_ros.__path__:
        path = Path(folder) / "engine" / _NAME
        if path.exists():
            made = ctypes.CDLL(str(path))
            made.choose_level.restype = ctypes.c_bool
            return made
    raise RuntimeError(
        f"{_NAME} is missing beside the package (looked in {', '.join(alpamayo_ros.__path__)}): build it with "
        "`make build`, or with `colcon build` and source the workspace, or turn the switch native_layers off"
    )


class NativeStack:
    """What `Stack` does, over a copy of the weights."""

    def __init__(self, decoder: Decoder) -> None:
        config = decoder.config
        self._size, self._heads = config.hidden_size, (config.num_attention_heads, config.num_key_value_heads)
        self._held: list[Tensor] = []
        layers = [self._layer(cast(DecoderLayer, layer)) for layer in decoder.layers]
        self._layers = (_LayerWeights * len(layers))(*layers)
        norm = _address(decoder.norm.weight, self._held)
        sizes = (config.head_dim, config.intermediate_size, config.rms_norm_eps)
        self.weights = _DecoderWeights(self._layers, norm, len(layers), self._size, *self._heads, *sizes)

    def _layer(self, layer: DecoderLayer) -> _LayerWeights:
        attention, mlp, held = layer.self_attn, layer.mlp, self._held
        queries, keys = self._heads
        norms = (attention.q_norm.weight,) * queries + (attention.k_norm.weight,) * keys
        return _LayerWeights(
            _packed(attention.q_proj.weight, None, held),
            _packed(torch.cat([attention.k_proj.weight, attention.v_proj.weight]), None, held),
            _packed(attention.o_proj.weight, None, held),
            _packed(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]), None, held),
            _packed(mlp.down_proj.weight, None, held),
            _address(layer.input_layernorm.weight, held),
            _address(layer.post_attention_layernorm.weight, held),
            _address(torch.stack(norms), held),
        )

    def __call__(
        self, hidden: Tensor, rotary: Rotary, place: Place, deepstack: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """As `Stack`; `hidden` (B, T, hidden) is overwritten."""
        held: list[Tensor] = []
        output = hidden.new_empty(len(hidden), place.asked or hidden.shape[1], self._size)
        arguments = pass_of(hidden, output, rotary, place, deepstack, held)
        library().run_decoder(ctypes.byref(self.weights), ctypes.byref(arguments))
        return output


class NativeField:
    """What `flow.Field` does, over a copy of the weights."""

    def __init__(self, embedding: ActionInProj, expert: NativeStack, out: nn.Linear) -> None:
        self._expert, self._size = expert, out.in_features
        self._held: list[Tensor] = []
        trunk = list(embedding.encoder.trunk)
        linear = [part for part in trunk if isinstance(part, nn.Linear)]
        norms = [part for part in trunk if isinstance(part, RMSNorm)]
        frequencies = torch.cat([cast(FourierFeatures, axis).freqs for axis in embedding.sinus])
        self._trunk = (_Packed * len(linear))(*(_packed(part.weight, part.bias, self._held) for part in linear))
        self._weights = _ActionWeights(
            self._trunk,
            _address(torch.cat([norm.weight for norm in norms]), self._held),
            _address(embedding.norm.weight, self._held),
            _address(embedding.norm.bias, self._held),
            _address(frequencies, self._held),
            _packed(out.weight, out.bias, self._held),
            len(linear),
            2 * frequencies.shape[1],
            norms[0].eps,
            embedding.norm.eps,
        )

    def behind(self, rotary: Rotary, place: Place, noise: Tensor, moments: Mapping[float, Tensor]) -> Velocity:
        """As `flow.Field.behind`."""
        hidden = noise.new_empty(*noise.shape[:2], self._size)
        # `held` is what the arguments point to: it lives as long as the function.
        held: list[Tensor] = []
        arguments = pass_of(hidden, torch.empty_like(hidden), rotary, place, None, held)
        weights = ctypes.byref(self._weights), ctypes.byref(self._expert.weights)

        def velocity(action: Tensor, time: float, held: Sequence[Tensor] = held) -> Tensor:
            action, made = action.contiguous(), torch.empty_like(noise)
            given = (_Pointer(part.data_ptr()) for part in (action, moments[time]))
            library().run_velocity(*weights, *given, ctypes.byref(arguments), _Pointer(made.data_ptr()))
            return made

        return velocity


def make_stack(decoder: Decoder, switches: Switches) -> Stack | NativeStack:
    weight = decoder.norm.weight
    takes = weight.device.type == "cpu" and weight.dtype == torch.float32 and switches.float8 == "off"
    return NativeStack(decoder) if switches.native_layers and takes else Stack(decoder, switches)


def pass_of(
    hidden: Tensor,
    output: Tensor,
    rotary: Rotary,
    place: Place,
    deepstack: tuple[Tensor, Tensor] | None,
    held: list[Tensor],
) -> _Pass:
    """Arguments of a pass; `held` gets what must live as long as they."""
    rows, tokens = hidden.shape[:2]
    asked = output.shape[1]
    if rows > 1 and asked < tokens:
        raise ValueError("some tokens are asked for in one row only")
    cos, sin = (part.reshape(len(part), tokens, -1).contiguous() for part in rotary)
    keys, values = place.cache.keys, place.cache.values
    visible = place.visible.contiguous() if isinstance(place.visible, Tensor) else None
    shown, features = deepstack if deepstack is not None else (None, None)
    pointed = [hidden, output, cos, sin, keys, values, place.columns, visible, shown]
    pointed.append(None if features is None else features.contiguous())
    strides = [cos.stride(0) if len(cos) > 1 else 0, keys.stride(0), keys.stride(1)]
    strides += [0, 0] if visible is None else [visible.stride(i) if visible.shape[i] > 1 else 0 for i in (0, 1)]
    counts = [rows, tokens, asked, place.end, place.visible == "causal"]
    counts += [0, 0] if shown is None or features is None else [len(shown), len(features)]
    held += [part for part in pointed if part is not None]
    addresses = (None if part is None else part.data_ptr() for part in pointed)
    return _Pass(*addresses, *strides, *counts, torch.get_num_threads())


def _packed(weight: Tensor, bias: Tensor | None, held: list[Tensor]) -> _Packed:
    outputs, inputs = weight.shape
    width = library().panel_width()
    panels = torch.empty(-(-outputs // width), inputs, width)
    library().pack_weight(_Pointer(_address(weight, held)), inputs, outputs, _Pointer(panels.data_ptr()))
    # The weight itself is not needed any more.
    held[-1] = panels
    return _Packed(panels.data_ptr(), None if bias is None else _address(bias, held), inputs, outputs)


def _address(tensor: Tensor, held: list[Tensor]) -> int:
    held.append(tensor.detach().contiguous())
    return held[-1].data_ptr()
