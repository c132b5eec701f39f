"""The vision tower in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from alpamayo_ros.engine.native.library import Norm, Packed, Pointer, Weights, library
from alpamayo_ros.engine.tower import Grids, Tables
from alpamayo_ros.vla.vision import PatchMerger, VisionBlock, VisionFeatures, VisionTower


class BlockWeights(ctypes.Structure):
    _fields_ = [
        *((name, Packed) for name in ("qkv", "proj", "fc1", "fc2")),
        *((name, Norm) for name in ("norm1", "norm2")),
    ]


class MergerWeights(ctypes.Structure):
    _fields_ = [
        *((name, Packed) for name in ("fc1", "fc2")),
        ("norm", Norm),
        *((name, ctypes.c_int32) for name in ("block", "norm_after_merge")),
    ]


class TowerWeights(ctypes.Structure):
    _fields_ = [
        ("stem", ctypes.POINTER(Packed)),
        ("embed", Packed),
        ("blocks", ctypes.POINTER(BlockWeights)),
        ("mergers", ctypes.POINTER(MergerWeights)),
        *(
            (name, ctypes.c_int32)
            for name in (
                "stem_count", "block_count", "merger_count", "hidden", "heads", "merge", "patch", "colours", "depth",
            )
        ),
        ("eps", ctypes.c_float),
    ]  # fmt: skip


class Look(ctypes.Structure):
    _fields_ = [
        ("frames", ctypes.POINTER(Pointer)),
        *((name, Pointer) for name in ("position", "cos", "sin", "hidden")),
        ("qkv", Pointer * 2),
        *((name, ctypes.POINTER(Pointer)) for name in ("stem", "merged")),
        *((name, ctypes.POINTER(ctypes.c_int32)) for name in ("heights", "widths")),
        *((name, ctypes.c_int32) for name in ("pictures", "patches", "threads")),
    ]


class NativeTower:
    """What `Tower` does, over a copy of the weights."""

    def __init__(self, tower: VisionTower, *, matrix_units: bool) -> None:
        config = self._config = tower.config
        held = self._held = Weights(matrix_units=matrix_units)
        self._layers = cast(Sequence[nn.Conv2d], tower.stem.layers) if config.stem_channels else ()
        # A row of a kernel is a product over what it covers, pixel by pixel.
        stem = [
            held.packed(layer.weight[:, :, row].transpose(1, 2).flatten(1), None if row else layer.bias)
            for layer in self._layers
            for row in range(3)
        ]
        embed = tower.patch_embed.proj
        weight = embed.weight[:, :, 0].permute(0, 2, 3, 1) if self._layers else embed.weight
        blocks = [self._block(cast(VisionBlock, block)) for block in tower.blocks]
        behind = [*config.deepstack_visual_indexes, config.depth - 1]
        parts = [*tower.deepstack_merger_list, tower.merger]
        mergers = [self._merger(cast(PatchMerger, part), block) for part, block in zip(parts, behind, strict=True)]
        of_blocks, of_mergers = (BlockWeights * len(blocks))(*blocks), (MergerWeights * len(mergers))(*mergers)
        self._arrays = (Packed * len(stem))(*stem), of_blocks, of_mergers
        self._weights = TowerWeights(
            self._arrays[0],
            held.packed(weight.flatten(1), embed.bias),
            *self._arrays[1:],
            len(self._layers),
            len(blocks),
            len(mergers),
            config.hidden_size,
            config.num_heads,
            config.spatial_merge_size,
            config.patch_size,
            config.in_channels,
            config.temporal_patch_size,
            tower.merger.norm.eps,
        )
        self._stems: tuple[Grids, list[Tensor]] = ((), [])

    def _block(self, block: VisionBlock) -> BlockWeights:
        parts = (block.attn.qkv, block.attn.proj, block.mlp.linear_fc1, block.mlp.linear_fc2)
        products = (self._held.packed(part.weight, part.bias) for part in parts)
        return BlockWeights(*products, self._held.norm(block.norm1), self._held.norm(block.norm2))

    def _merger(self, merger: PatchMerger, block: int) -> MergerWeights:
        products = (self._held.packed(part.weight, part.bias) for part in (merger.linear_fc1, merger.linear_fc2))
        return MergerWeights(*products, self._held.norm(merger.norm), block, merger.norm_after_merge)

    def __call__(self, frames: Sequence[Tensor], grids: Grids, tables: Tables) -> VisionFeatures:
        """As `Tower`."""
        config, patches = self._config, sum(h * w for h, w in grids)
        # A still picture fills all frames of its temporal patch.
        times = 1 if config.tubelets else config.temporal_patch_size
        held = [frame.contiguous() for frame in frames for _ in range(times)]
        hidden, asked = torch.empty(patches, config.hidden_size), torch.empty(2, patches, 3 * config.hidden_size)
        mergers, tokens = len(self._arrays[2]), patches // config.spatial_merge_size**2
        merged = torch.empty(mergers, tokens, config.out_hidden_size)
        stem, sides = self._stem_buffers(grids), list(zip(*grids, strict=True))
        look = Look(
            (Pointer * len(held))(*(frame.data_ptr() for frame in held)),
            *(part.data_ptr() for part in (*tables, hidden)),
            (Pointer * 2)(*(part.data_ptr() for part in asked)),
            *((Pointer * len(parts))(*(part.data_ptr() for part in parts)) for parts in (stem, merged)),
            *((ctypes.c_int32 * len(grids))(*side) for side in sides),
            len(grids),
            patches,
            torch.get_num_threads(),
        )
        library().run_tower(ctypes.byref(self._weights), ctypes.byref(look))
        return VisionFeatures(merged[-1], merged[:-1])

    def _stem_buffers(self, grids: Grids) -> list[Tensor]:
        """Of all pictures, what each convolution reads and the last leaves, with a border that stays zero."""
        if self._layers and self._stems[0] != grids:
            patch = self._config.patch_size
            channels = [self._layers[0].in_channels, *(layer.out_channels for layer in self._layers)]
            sizes = [[((h * patch >> i) + 1) * ((w * patch >> i) + 1) for h, w in grids] for i in range(len(channels))]
            buffers = [torch.zeros(sum(size) * count) for size, count in zip(sizes, channels, strict=True)]
            self._stems = grids, buffers
        return self._stems[1]
