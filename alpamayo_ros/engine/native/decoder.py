"""Decoder layers of `vla.decoder` in one call: their results stay in the caches of the cores."""

from __future__ import annotations

import ctypes
from typing import cast

import torch
from torch import Tensor

from alpamayo_ros.engine.decoder import Place, Rotary
from alpamayo_ros.engine.native.library import Packed, Pointer, Weights, library
from alpamayo_ros.vla.decoder import Decoder, DecoderLayer


class LayerWeights(ctypes.Structure):
    _fields_ = [
        *((name, Packed) for name in ("queries", "keys_values", "out", "gate_up", "down")),
        *((name, Pointer) for name in ("norm", "norm_after", "qk_norm")),
    ]


class DecoderWeights(ctypes.Structure):
    _fields_ = [
        ("layers", ctypes.POINTER(LayerWeights)),
        ("norm", Pointer),
        *((name, ctypes.c_int32) for name in ("count", "hidden", "heads", "kv_heads", "width", "intermediate")),
        ("eps", ctypes.c_float),
    ]


class Pass(ctypes.Structure):
    held: list[Tensor | None]
    """What it points to, which lives as long as it."""
    _fields_ = [
        *(
            (name, Pointer)
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


class NativeStack:
    """What `Stack` does, over a copy of the weights."""

    def __init__(self, decoder: Decoder, *, matrix_units: bool) -> None:
        config = decoder.config
        self.matrix_units = matrix_units
        self._size, self._heads = config.hidden_size, (config.num_attention_heads, config.num_key_value_heads)
        self._held = Weights(matrix_units=matrix_units)
        layers = [self._layer(cast(DecoderLayer, layer)) for layer in decoder.layers]
        self._layers = (LayerWeights * len(layers))(*layers)
        norm = self._held.address(decoder.norm.weight)
        sizes = (config.head_dim, config.intermediate_size, config.rms_norm_eps)
        self.weights = DecoderWeights(self._layers, norm, len(layers), self._size, *self._heads, *sizes)

    def _layer(self, layer: DecoderLayer) -> LayerWeights:
        attention, mlp, held = layer.self_attn, layer.mlp, self._held
        queries, keys = self._heads
        norms = (attention.q_norm.weight,) * queries + (attention.k_norm.weight,) * keys
        return LayerWeights(
            held.packed(attention.q_proj.weight, None),
            held.packed(torch.cat([attention.k_proj.weight, attention.v_proj.weight]), None),
            held.packed(attention.o_proj.weight, None),
            held.packed(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]), None),
            held.packed(mlp.down_proj.weight, None),
            held.address(layer.input_layernorm.weight),
            held.address(layer.post_attention_layernorm.weight),
            held.address(torch.stack(norms)),
        )

    def __call__(
        self, hidden: Tensor, rotary: Rotary, place: Place, deepstack: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """As `Stack`; `hidden` (B, T, hidden) is overwritten."""
        output = hidden.new_empty(len(hidden), place.asked or hidden.shape[1], self._size)
        arguments = pass_of(hidden, output, rotary, place, deepstack)
        library().run_decoder(ctypes.byref(self.weights), ctypes.byref(arguments))
        return output


def pass_of(
    hidden: Tensor,
    output: Tensor,
    rotary: Rotary,
    place: Place,
    deepstack: tuple[Tensor, Tensor] | None = None,
) -> Pass:
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
    addresses = (None if part is None else part.data_ptr() for part in pointed)
    made = Pass(*addresses, *strides, *counts, torch.get_num_threads())
    made.held = pointed
    return made
