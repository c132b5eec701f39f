"""Decoder layers of `vla.decoder` on a CUDA GPU: between two products there is one kernel, or attention."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.engine.cuda.attention import attend
from alpamayo_ros.engine.cuda.pointwise import Rows, add_normalised, as_float8, gated, place_heads
from alpamayo_ros.engine.cuda.product import Product
from alpamayo_ros.engine.decoder import Place, Rotary
from alpamayo_ros.engine.linear import joined
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.config import DecoderConfig
from alpamayo_ros.vla.decoder import Decoder, DecoderLayer
from alpamayo_ros.vla.errors import ModelInputError


class FusedStack:
    """What `decoder.Stack` does. Raises ModelInputError for heads that the kernels do not take."""

    def __init__(self, decoder: Decoder, switches: Switches) -> None:
        width = decoder.config.head_dim
        if width not in (16, 32, 64, 128):
            raise ModelInputError(
                f"heads are {width} wide, and the switch `fused_kernels` takes 16, 32, 64 or 128; turn it off"
            )
        self._layers = [_Layer(cast(DecoderLayer, layer), decoder.config, switches) for layer in decoder.layers]
        self._norm = decoder.norm
        # What the products take.
        self._float8 = switches.float8 == "weights_and_activations"

    def __call__(
        self, hidden: Tensor, rotary: Rotary, place: Place, deepstack: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """As `Stack`; `hidden` (B, T, hidden) is overwritten."""
        rows, tokens, size = hidden.shape
        if rows > 1 and place.asked:
            raise ValueError("some tokens are asked for in one row only")
        stream, change = hidden.reshape(rows * tokens, size), None
        for index, layer in enumerate(self._layers):
            asked = place.asked if index == len(self._layers) - 1 else 0
            norms = layer.norm, layer.norm_after
            given = add_normalised(stream, change, norms[0].weight, norms[0].eps, float8=self._float8)
            mixed = layer.attend(given, rotary, place, index, asked)
            stream = stream[-asked:]
            given = add_normalised(stream, mixed, norms[1].weight, norms[1].eps, float8=self._float8)
            change = layer.think(given)
            if deepstack is not None and not asked and index < len(deepstack[1]):
                stream.add_(change[0] if len(change) == 1 else change.sum(dim=0).to(self._norm.weight.dtype))
                stream.index_add_(0, deepstack[0], deepstack[1][index].to(stream.dtype))
                change = None
        made = add_normalised(stream, change, self._norm.weight, self._norm.eps)
        return made.values.reshape(rows, -1, size)


class _Layer:
    def __init__(self, layer: DecoderLayer, config: DecoderConfig, switches: Switches) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norm, self.norm_after = layer.input_layernorm, layer.post_attention_layernorm
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        weights = (attention.q_norm.weight,) * heads + (attention.k_norm.weight,) * kv_heads
        self._qk_norm, self._eps = torch.stack(weights).detach(), config.rms_norm_eps
        self._float8 = switches.float8 == "weights_and_activations"

        def product(*parts: nn.Linear) -> Product:
            return Product(joined(parts), float8=switches.float8)

        self._qkv, self._out = product(attention.q_proj, attention.k_proj, attention.v_proj), product(attention.o_proj)
        self._gate_up, self._down = product(mlp.gate_proj, mlp.up_proj), product(mlp.down_proj)

    def attend(self, given: Rows, rotary: Rotary, place: Place, index: int, asked: int) -> Tensor:
        """Of B · T rows, or of the last `asked`: (parts, rows, hidden), of which the sum is meant."""
        tokens, causal = rotary[0].shape[1], place.causal
        # PyTorch's fastest kernel for causal attention lets the first query see the first column alone, not all that
        # are in the cache before: queries that nobody asks for take the places of those.
        spare = place.end - tokens if causal else 0
        q = place_heads(
            self._qkv(given), self._qk_norm, self._eps, rotary, place.cache, index, place.columns, spare=spare
        )
        keys, values = place.cache.keys[index, : len(q)], place.cache.values[index, : len(q)]
        if causal:
            q, keys, values = (part.transpose(1, 2) for part in (q, keys[:, : place.end], values[:, : place.end]))
            mixed = F.scaled_dot_product_attention(q, keys, values, is_causal=True, enable_gqa=True)
            mixed = mixed.transpose(1, 2)[:, -(asked or tokens) :]
        else:
            visible = place.visible[:, -asked:] if isinstance(place.visible, Tensor) else None
            mixed = attend(q[:, -asked:], keys, values, place.end, visible)
        return self._out(self._taken(mixed.reshape(-1, mixed.shape[2] * mixed.shape[3])))

    def think(self, given: Rows) -> Tensor:
        """(parts, R, hidden), of which the sum is meant."""
        return self._down(self._taken(gated(self._gate_up(given), self._qk_norm)))

    def _taken(self, x: Tensor) -> Rows:
        return as_float8(x) if self._float8 else Rows(x)
