"""The Qwen3 decoder stack, used twice: as the language model and, narrower, as the action expert.

Both read and write one key-value cache, so the expert sees what the language model saw and said.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.vla.config import DecoderConfig

Mask = Tensor | Literal["causal"] | None
"""Who may look where: (B, 1, T, columns) bool, True where a query may look; "causal" over an empty cache; None where
every query sees every column."""


class KVCache:
    """Keys (after norm and rotary) and values of all layers: (layers, B, kv_heads, capacity, head_dim).

    `length` columns are filled. Columns beyond it may be written and read in one pass without being kept: that is
    how the expert's own keys and values come and go at every flow step.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int = 0) -> None:
        self.keys, self.values, self.length = keys, values, length

    @classmethod
    def empty(
        cls, config: DecoderConfig, batch: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> KVCache:
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, capacity, config.head_dim)
        return cls(torch.empty(shape, device=device, dtype=dtype), torch.empty(shape, device=device, dtype=dtype))

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    def repeat(self, times: int, capacity: int) -> KVCache:
        """Each row `times` times, with room for `capacity` columns; itself where that is what it is."""
        if times == 1 and capacity <= self.capacity:
            return self

        def repeated(old: Tensor) -> Tensor:
            layers, batch, heads, _, width = old.shape
            new = old.new_empty(layers, batch, times, heads, capacity, width)
            new[..., : self.length, :] = old[:, :, None, :, : self.length]
            return new.flatten(1, 2)

        return KVCache(repeated(self.keys), repeated(self.values), self.length)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put (B, kv_heads, T, head_dim) after the filled columns; returns all columns up to there."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class RMSNorm(nn.Module):
    """Normalises in float32; the result has the dtype of the weight, which is what the next product takes."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return (self.weight * wide.to(x.dtype)).to(self.weight.dtype)


class Attention(nn.Module):
    """Grouped-query attention with normalised queries and keys."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        q_size, kv_size = (n * config.head_dim for n in (config.num_attention_heads, config.num_key_value_heads))
        self.q_proj = nn.Linear(config.hidden_size, q_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=False)
        self.o_proj = nn.Linear(q_size, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)

    def forward(self, hidden: Tensor, rotary: tuple[Tensor, Tensor], cache: KVCache, layer: int, mask: Mask) -> Tensor:
        q, k, v = (proj(hidden).unflatten(-1, (-1, self.head_dim)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = self.q_norm(q).transpose(1, 2), self.k_norm(k).transpose(1, 2), v.transpose(1, 2)
        q, k = (rotate(x, *rotary).to(v.dtype) for x in (q, k))
        keys, values = cache.write(layer, k, v)
        if isinstance(mask, Tensor):
            # Kernels that take a mask do not take grouped queries, and the one that takes both is slow and wide: the
            # queries of a group are laid behind each other, so that no key or value is copied.
            rows, heads, tokens, width = q.shape
            groups = heads // keys.shape[1]
            grouped = q.reshape(rows, keys.shape[1], groups * tokens, width)
            mixed = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask.repeat(1, 1, groups, 1))
            mixed = mixed.reshape(rows, heads, tokens, width)
        else:
            mixed = F.scaled_dot_product_attention(q, keys, values, is_causal=mask == "causal", enable_gqa=True)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class DecoderLayer(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, hidden: Tensor, rotary: tuple[Tensor, Tensor], cache: KVCache, layer: int, mask: Mask) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), rotary, cache, layer, mask)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class Decoder(nn.Module):
    """Layers and final norm, over embeddings that the caller brings."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        hidden: Tensor,
        positions: Tensor,
        cache: KVCache,
        mask: Mask,
        deepstack: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Run embeddings (B, T, hidden) at positions (3, B, T) behind the cache's filled columns: (B, T, hidden).

        deepstack: where pictures stand (B, T) bool and their features (layers, M, hidden), added to the output of
            the first layers.
        Writes the new keys and values behind the cache's filled columns; whoever wants to keep them advances
        `cache.length`.
        """
        rotary = interleaved_mrope(positions, self.config, hidden.dtype)
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, rotary, cache, index, mask)
            if deepstack is not None and index < len(deepstack[1]):
                where, features = deepstack
                hidden = hidden.clone()
                hidden[where] += features[index].to(hidden.dtype)
        return self.norm(hidden)


def interleaved_mrope(positions: Tensor, config: DecoderConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin (B, 1, T, head_dim) of Qwen3-VL's rotary angles for positions (3, B, T): time, height, width.

    Frequency j turns with height when j % 3 == 1 and with width when j % 3 == 2, up to three times their section;
    all others turn with time.
    """
    half = config.head_dim // 2
    index = torch.arange(half, device=positions.device)
    inv_freq = 1.0 / (config.rope_theta ** (index.float() / half))
    axis = torch.zeros_like(index)
    for number in (1, 2):
        axis[(index % 3 == number) & (index < 3 * config.mrope_section[number])] = number
    angle = positions.float()[axis].permute(1, 2, 0) * inv_freq
    angle = torch.cat([angle, angle], dim=-1)[:, None]
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (B, heads, T, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin
