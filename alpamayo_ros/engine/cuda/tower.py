"""The vision tower on a CUDA GPU: between its products there is one kernel, or attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from alpamayo_ros.engine.cuda.pointwise import add_layer_normalised, turn
from alpamayo_ros.engine.tower import Grids, Tables, Tower, attend_inside
from alpamayo_ros.vla.vision import VisionFeatures


class FusedTower(Tower):
    """What `Tower` does."""

    def __call__(self, frames: Sequence[Tensor], grids: Grids, tables: Tables) -> VisionFeatures:
        """As `Tower`."""
        position, cos, sin = tables
        hidden, change = self.embed(frames, grids) + position, None
        deepstack, lengths = [], [h * w for h, w in grids]
        for index, block in enumerate(self.blocks):
            heads = block.qkv(add_layer_normalised(hidden, change, block.norm1))
            heads = heads.reshape(len(hidden), 3, block.heads, -1)
            turn(heads, cos, sin)
            q, k, v = heads.unbind(1)
            mixed = block.proj(attend_inside(q, k, v, lengths).flatten(1))
            change = block.think(add_layer_normalised(hidden, mixed, block.norm2))
            if index in self.deepstack:
                hidden, change = hidden + change, None
                deepstack.append(self.deepstack[index](hidden))
        return VisionFeatures(self.merger(hidden if change is None else hidden + change), torch.stack(deepstack))
