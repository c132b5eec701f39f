"""The vision tower of Qwen3-VL: patches to tokens, one picture independent of the next.

Besides the tokens it gives deepstack features: what a few intermediate blocks saw, projected like the tokens, to be
added to the first layers of the language model.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.vla.config import VisionConfig

_NORM_EPS = 1e-6
_ROTARY_THETA = 1e4


class VisionFeatures(NamedTuple):
    """tokens: (M, out). deepstack: (layers, M, out). M counts merged patches over all pictures, in order."""

    tokens: Tensor
    deepstack: Tensor


class VisionTower(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        if config.stem_channels:
            self.stem = ConvStem(config)
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = nn.Embedding(config.num_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.depth))
        self.merger = PatchMerger(config, norm_after_merge=False)
        self.deepstack_merger_list = nn.ModuleList(
            PatchMerger(config, norm_after_merge=True) for _ in config.deepstack_visual_indexes
        )

    def forward(self, pixel_values: Tensor, grid_thw: Tensor) -> VisionFeatures:
        """Encode patch rows (P, 1536) of pictures whose grids, in patches, are grid_thw (images, 3)."""
        grids = [(int(h), int(w)) for t, h, w in grid_thw.tolist() for _ in range(t)]
        rows = self.stem(pixel_values, grids) if self.config.stem_channels else pixel_values
        hidden = self.patch_embed(rows) + self.position_embedding(grids)
        cos, sin = self.rotary(grids)
        lengths = [h * w for h, w in grids]
        deepstack = []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, cos, sin, lengths)
            if index in self.config.deepstack_visual_indexes:
                merger = self.deepstack_merger_list[self.config.deepstack_visual_indexes.index(index)]
                deepstack.append(merger(hidden))
        return VisionFeatures(self.merger(hidden), torch.stack(deepstack))

    def position_embedding(self, grids: list[tuple[int, int]]) -> Tensor:
        """The learned grid of positions, bilinearly resampled to each picture (corners aligned): (P, hidden)."""
        table = self.pos_embed.weight
        side = round(self.config.num_position_embeddings**0.5)
        parts = {}
        for h, w in dict.fromkeys(grids):
            # On the CPU, as the original's: another device's last digits may fall into another cell.
            y = torch.linspace(0, side - 1, h).to(table.device)
            x = torch.linspace(0, side - 1, w).to(table.device)
            y0, x0 = y.int(), x.int()
            y1, x1 = (y0 + 1).clamp(max=side - 1), (x0 + 1).clamp(max=side - 1)
            dy, dx = (y - y0)[:, None], (x - x0)[None, :]
            corners = (
                (y0, x0, (1 - dy) * (1 - dx)),
                (y0, x1, (1 - dy) * dx),
                (y1, x0, dy * (1 - dx)),
                (y1, x1, dy * dx),
            )
            weighted = [table[r[:, None] * side + c] * weight.to(table.dtype)[..., None] for r, c, weight in corners]
            parts[h, w] = self._merge_order(weighted[0] + weighted[1] + weighted[2] + weighted[3], h, w)
        return torch.cat([parts[grid] for grid in grids])

    def rotary(self, grids: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """cos and sin of the two-dimensional rotary angles, rows then columns: (P, head_dim) float32 each."""
        device = self.pos_embed.weight.device
        quarter = self.config.hidden_size // self.config.num_heads // 4
        inv_freq = 1.0 / (_ROTARY_THETA ** (torch.arange(quarter, device=device).float() / quarter))
        parts = {}
        for h, w in dict.fromkeys(grids):
            rows = torch.arange(h, device=device)[:, None].expand(h, w)
            cols = torch.arange(w, device=device)[None, :].expand(h, w)
            place = torch.stack([rows, cols], dim=-1)
            parts[h, w] = (self._merge_order(place, h, w)[..., None] * inv_freq).flatten(1)
        angle = torch.cat([parts[grid] for grid in grids])
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos(), angle.sin()

    def _merge_order(self, grid: Tensor, h: int, w: int) -> Tensor:
        """(h, w, C) to (h w, C) with the patches of each 2 × 2 merge next to each other."""
        m = self.config.spatial_merge_size
        return grid.reshape(h // m, m, w // m, m, -1).transpose(1, 2).flatten(0, 3)


class ConvStem(nn.Module):
    """What may stand in front of the patch embedding: it sees a picture whole, and its frames as channels."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [config.in_channels * config.temporal_patch_size, *config.stem_channels]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(sizes))

    def forward(self, rows: Tensor, grids: list[tuple[int, int]]) -> Tensor:
        """Patch rows of pictures with `grids`, in patches, to rows of the same patches with fewer pixels."""
        if len(set(grids)) == 1:
            return self._stemmed(rows, len(grids), *grids[0])
        pictures = zip(torch.split(rows, [h * w for h, w in grids]), grids, strict=True)
        return torch.cat([self._stemmed(picture, 1, *grid) for picture, grid in pictures])

    def _stemmed(self, rows: Tensor, count: int, h: int, w: int) -> Tensor:
        merge, patch = self.config.spatial_merge_size, self.config.patch_size
        blocks = rows.reshape(count, h // merge, w // merge, merge, merge, -1, patch, patch)
        seen = blocks.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(count, -1, h * patch, w * patch)
        seen = seen.to(next(self.parameters()).dtype)
        for layer in self.layers:
            seen = F.gelu(layer(seen))
        side = seen.shape[2] // h
        cut = seen.reshape(count, -1, h // merge, merge, side, w // merge, merge, side)
        return cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(count * h * w, -1)


class PatchEmbed(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        kernel, channels = (config.temporal_patch_size, config.patch_size, config.patch_size), config.in_channels
        if config.stem_channels:
            side = config.patch_size // 2 ** len(config.stem_channels)
            kernel, channels = (1, side, side), config.stem_channels[-1]
        self.proj = nn.Conv3d(channels, config.hidden_size, kernel, stride=kernel)

    def forward(self, rows: Tensor) -> Tensor:
        """(P, channels · 2 · 16 · 16) to (P, hidden): the convolution's stride is its kernel, so it is one product."""
        weight = self.proj.weight.flatten(1)
        return F.linear(rows.to(weight.dtype), weight, self.proj.bias)


class VisionBlock(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=_NORM_EPS)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=_NORM_EPS)
        self.attn = VisionAttention(config)
        self.mlp = VisionMLP(config)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, lengths: list[int]) -> Tensor:
        hidden = hidden + self.attn(self.norm1(hidden), cos, sin, lengths)
        return hidden + self.mlp(self.norm2(hidden))


class VisionAttention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, lengths: list[int]) -> Tensor:
        """Full attention inside each picture; `lengths` are their patch counts."""
        q, k, v = self.qkv(hidden).reshape(len(hidden), 3, self.num_heads, -1).unbind(1)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        if len(set(lengths)) == 1:
            mixed = attend(*(part.unflatten(0, (len(lengths), -1)) for part in (q, k, v))).flatten(0, 1)
        else:
            pictures = zip(*(part.split(lengths) for part in (q, k, v)), strict=True)
            mixed = torch.cat([attend(*(part[None] for part in picture))[0] for picture in pictures])
        return self.proj(mixed.flatten(1))


class VisionMLP(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear_fc2(F.gelu(self.linear_fc1(hidden), approximate="tanh"))


class PatchMerger(nn.Module):
    """Joins 2 × 2 patches into one token. The main merger normalises before joining, the deepstack ones after."""

    def __init__(self, config: VisionConfig, *, norm_after_merge: bool) -> None:
        super().__init__()
        self.joined_size = config.hidden_size * config.spatial_merge_size**2
        self.norm_after_merge = norm_after_merge
        self.norm = nn.LayerNorm(self.joined_size if norm_after_merge else config.hidden_size, eps=_NORM_EPS)
        self.linear_fc1 = nn.Linear(self.joined_size, self.joined_size)
        self.linear_fc2 = nn.Linear(self.joined_size, config.out_hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        if self.norm_after_merge:
            hidden = self.norm(hidden.reshape(-1, self.joined_size))
        else:
            hidden = self.norm(hidden).reshape(-1, self.joined_size)
        return self.linear_fc2(F.gelu(self.linear_fc1(hidden)))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(pictures, patches, heads, head_dim) each."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (P, heads, head_dim), computed in float32."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x.float() * cos[:, None] + turned * sin[:, None]).to(x.dtype)
