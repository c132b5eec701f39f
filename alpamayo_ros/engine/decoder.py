"""The decoder stack of `vla.decoder` in few large calls, over a static cache; once as language model, once as expert.

Queries that share a key-value head are laid behind each other, so that nothing is repeated for grouped queries.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from alpamayo_ros.engine.cache import StaticCache
from alpamayo_ros.engine.linear import make_projection
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.config import DecoderConfig
from alpamayo_ros.vla.decoder import Decoder, DecoderLayer, RMSNorm, interleaved_mrope

Rotary = tuple[Tensor, Tensor]
"""cos and sin (B, T, 1, head_dim); the first half of sin is negative (see `rotate`)."""


class Place:
    """Where a pass stands: it writes its T tokens at columns (T,) and sees the columns before `end`.

    visible: (B or 1, T or 1, end) bool, where not all see all; "causal" where each sees the columns up to its own and
    these are the last T. asked: only the last so many tokens are asked for what they lead to; by default all.
    """

    def __init__(
        self,
        cache: StaticCache,
        columns: Tensor,
        end: int,
        visible: Tensor | Literal["causal"] | None = None,
        *,
        asked: int = 0,
    ) -> None:
        self.cache, self.columns, self.end, self.asked = cache, columns, end, asked
        self.visible = visible

    @property
    def causal(self) -> bool:
        return isinstance(self.visible, str)

    def mask(self, groups: int, dtype: torch.dtype, asked: int = 0) -> Tensor | None:
        """What to add to the scores, for `groups` × T queries of a key-value head; by default of all T tokens, else of
        the last `asked`."""
        if not isinstance(self.visible, Tensor):
            return None
        visible = self.visible[:, -asked:]
        shut = torch.zeros_like(visible, dtype=dtype).masked_fill(~visible, -torch.inf)
        return (shut if shut.shape[1] == 1 else shut.repeat(1, groups, 1))[:, None]


class Stack:
    def __init__(self, decoder: Decoder, switches: Switches) -> None:
        self._layers = [Layer(cast(DecoderLayer, layer), decoder.config, switches) for layer in decoder.layers]
        self._norm = decoder.norm
        self._groups = decoder.config.num_attention_heads // decoder.config.num_key_value_heads

    def __call__(
        self, hidden: Tensor, rotary: Rotary, place: Place, deepstack: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Run embeddings (B, T, hidden): (B, T, hidden), or of those that are asked for.

        deepstack: the tokens (M,) where pictures stand, and what is added there to the output of the first layers,
            (layers, M, hidden).
        """
        mask = place.mask(self._groups, place.cache.keys.dtype)
        for index, layer in enumerate(self._layers):
            # Of tokens that nobody asks for, the last layer gives keys and values only.
            asked = place.asked if index == len(self._layers) - 1 else 0
            if asked:
                mask = place.mask(self._groups, place.cache.keys.dtype, asked)
            hidden = layer(hidden, rotary, place, index, mask, asked)
            # Where only some are asked for, the pictures before them are gone.
            if deepstack is not None and not asked and index < len(deepstack[1]):
                hidden.index_add_(1, deepstack[0], deepstack[1][index][None].to(hidden.dtype))
        return normalised(hidden, self._norm)


class Layer:
    def __init__(self, layer: DecoderLayer, config: DecoderConfig, switches: Switches) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._heads, self._kv_heads, self._width = (
            config.num_attention_heads, config.num_key_value_heads, config.head_dim,
        )  # fmt: skip
        self._norms = layer.input_layernorm, layer.post_attention_layernorm
        self._qkv = make_projection([attention.q_proj, attention.k_proj, attention.v_proj], switches)
        # Queries and keys are normalised and turned together, each head with its own weight.
        weights = (attention.q_norm.weight,) * self._heads + (attention.k_norm.weight,) * self._kv_heads
        self._qk_norm, self._eps = torch.stack(weights), config.rms_norm_eps
        self._out = make_projection([attention.o_proj], switches)
        self._gate_up = make_projection([mlp.gate_proj, mlp.up_proj], switches)
        self._down = make_projection([mlp.down_proj], switches)

    def __call__(
        self, hidden: Tensor, rotary: Rotary, place: Place, index: int, mask: Tensor | None, asked: int = 0
    ) -> Tensor:
        """asked: so many of the last tokens go on; by default all."""
        mixed = self._attend(normalised(hidden, self._norms[0]), rotary, place, index, mask, asked)
        hidden = hidden[:, -asked:] + mixed
        gate, up = self._gate_up(normalised(hidden, self._norms[1])).chunk(2, dim=-1)
        return hidden + self._down(F.silu(gate) * up)

    def _attend(self, x: Tensor, rotary: Rotary, place: Place, index: int, mask: Tensor | None, asked: int) -> Tensor:
        heads = self._qkv(x).reshape(*x.shape[:2], -1, self._width)
        qk, v = torch.split(heads, [self._heads + self._kv_heads, self._kv_heads], dim=2)
        qk = F.rms_norm(qk, (self._width,), None, self._eps) * self._qk_norm
        q, k = torch.split(rotate(qk, *rotary).to(v.dtype), [self._heads, self._kv_heads], dim=2)
        q = q[:, -asked:]
        keys, values = place.cache.write(index, k, v, place.columns, place.end)
        keys, values, groups = keys.transpose(1, 2), values.transpose(1, 2), self._heads // self._kv_heads
        rows, count = q.shape[:2]
        if place.causal:
            # Kernels for causal attention take neither a mask nor queries laid behind each other.
            # Here, because it brings PyTorch's compiler: a second of every start, and few models come this way.
            from torch.nn.attention.bias import causal_lower_right

            keys, values = (part.repeat_interleave(groups, dim=1) for part in (keys, values))
            bias = causal_lower_right(count, place.end)
            mixed = F.scaled_dot_product_attention(q.transpose(1, 2), keys, values, attn_mask=bias).transpose(1, 2)
        else:
            grouped = q.reshape(rows, count, self._kv_heads, groups, -1).permute(0, 2, 3, 1, 4).flatten(2, 3)
            mixed = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
            mixed = mixed.reshape(rows, self._kv_heads, groups, count, -1).permute(0, 3, 1, 2, 4)
        return self._out(mixed.reshape(rows, count, -1))


def rotary_of(positions: Tensor, config: DecoderConfig) -> Rotary:
    """float32 tables for positions (3, B, T): time, height, width."""
    cos, sin = (part.transpose(1, 2) for part in interleaved_mrope(positions, config, torch.float32))
    half = config.head_dim // 2
    return cos, torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)


def normalised(x: Tensor, norm: RMSNorm) -> Tensor:
    return (F.rms_norm(x, x.shape[-1:], None, norm.eps) * norm.weight).to(norm.weight.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (B, T, heads, head_dim). The halves change places; the sign that one takes is in sin."""
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([second, first], dim=-1), sin)
