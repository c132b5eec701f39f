"""The vision tower of `vla.vision` over pictures of grids that come again: positions and angles are made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from alpamayo_ros.engine.linear import Linear, make_linear
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.images import pixel_values
from alpamayo_ros.vla.vision import PatchMerger, VisionBlock, VisionFeatures, VisionTower, attend

Grids = tuple[tuple[int, int], ...]
"""Height and width of pictures, in patches."""

Tables = tuple[Tensor, Tensor, Tensor]
"""Of the patches of pictures: embedded positions, and cos and sin of their angles."""

MOST_GRIDS = 16
"""Tables are kept for so many; beyond, they are made anew."""


class PictureTables:
    """Those of pictures of some grids. Whoever records a pass over them holds them as long as it."""

    def __init__(self, tower: VisionTower) -> None:
        self._tower = tower
        self._made: dict[Grids, Tables] = {}

    def __len__(self) -> int:
        return len(self._made)

    def __call__(self, grids: Grids) -> Tables:
        if grids in self._made:
            return self._made[grids]
        if len(self._made) == MOST_GRIDS:
            self._made.clear()
        cos, sin = self._tower.rotary(list(grids))
        half = cos.shape[-1] // 2
        signed = torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)
        made = self._tower.position_embedding(list(grids)), cos[:, None, None], signed[:, None, None]
        self._made[grids] = made
        return made


class Tower:
    """blocks, merger, deepstack (by the block that they follow): its parts, for who runs them another way."""

    def __init__(self, tower: VisionTower, switches: Switches) -> None:
        self._tower = tower
        self.blocks = [Block(cast(VisionBlock, block), tower.config.num_heads, switches) for block in tower.blocks]
        self.merger = Merger(tower.merger, switches)
        self.deepstack = {
            block: Merger(cast(PatchMerger, merger), switches)
            for block, merger in zip(tower.config.deepstack_visual_indexes, tower.deepstack_merger_list, strict=True)
        }
        weight = tower.patch_embed.proj.weight
        self._embed = make_linear(weight.flatten(1), tower.patch_embed.proj.bias, switches)
        self._dtype = weight.dtype

    def __call__(self, frames: Sequence[Tensor], grids: Grids, tables: Tables) -> VisionFeatures:
        """Encode frames (3, h, w) uint8 of pictures of these grids and tables, picture by picture."""
        position, cos, sin = tables
        hidden = self.embed(frames, grids) + position
        lengths, deepstack = [h * w for h, w in grids], []
        for index, block in enumerate(self.blocks):
            hidden = block(hidden, cos, sin, lengths)
            if index in self.deepstack:
                deepstack.append(self.deepstack[index](hidden))
        return VisionFeatures(self.merger(hidden), torch.stack(deepstack))

    def embed(self, frames: Sequence[Tensor], grids: Grids) -> Tensor:
        """Frames to patches (P, hidden)."""
        rows = pixel_values(frames, self._tower.config)
        if self._tower.config.stem_channels:
            rows = self._tower.stem(rows, list(grids))
        return self._embed(rows.to(self._dtype))


class Block:
    def __init__(self, block: VisionBlock, heads: int, switches: Switches) -> None:
        self.heads = heads
        self.norm1, self.norm2 = block.norm1, block.norm2
        parts = (block.attn.qkv, block.attn.proj, block.mlp.linear_fc1, block.mlp.linear_fc2)
        self.qkv, self.proj, self._fc1, self._fc2 = (make_linear(it.weight, it.bias, switches) for it in parts)

    def __call__(self, hidden: Tensor, cos: Tensor, sin: Tensor, lengths: Sequence[int]) -> Tensor:
        hidden = hidden + self._attend(self.norm1(hidden), cos, sin, lengths)
        return hidden + self.think(self.norm2(hidden))

    def think(self, x: Tensor) -> Tensor:
        """(P, hidden) to (P, hidden)."""
        return self._fc2(F.gelu(self._fc1(x), approximate="tanh"))

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor, lengths: Sequence[int]) -> Tensor:
        qkv = self.qkv(x).reshape(len(x), 3, self.heads, -1)
        wide = qkv[:, :2].float()
        first, second = wide.chunk(2, dim=-1)
        q, k = torch.addcmul(wide * cos, torch.cat([second, first], dim=-1), sin).to(x.dtype).unbind(1)
        return self.proj(attend_inside(q, k, qkv[:, 2], lengths).flatten(1))


def attend_inside(q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
    """Full attention (P, heads, head_dim) inside each picture; `lengths` are their patch counts."""
    if len(set(lengths)) == 1:
        return attend(*(part.reshape(len(lengths), -1, *part.shape[1:]) for part in (q, k, v))).flatten(0, 1)
    pictures = zip(*(torch.split(part, list(lengths)) for part in (q, k, v)), strict=True)
    return torch.cat([attend(*(part[None] for part in picture))[0] for picture in pictures])


class Merger:
    def __init__(self, merger: PatchMerger, switches: Switches) -> None:
        self._norm, self._size, self._norm_after_merge = merger.norm, merger.joined_size, merger.norm_after_merge
        self._fc1: Linear = make_linear(merger.linear_fc1.weight, merger.linear_fc1.bias, switches)
        self._fc2: Linear = make_linear(merger.linear_fc2.weight, merger.linear_fc2.bias, switches)

    def __call__(self, hidden: Tensor) -> Tensor:
        if self._norm_after_merge:
            hidden = self._norm(hidden.reshape(-1, self._size))
        else:
            hidden = self._norm(hidden).reshape(-1, self._size)
        return self._fc2(F.gelu(self._fc1(hidden)))
