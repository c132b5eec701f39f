"""Dense labels of the simulator as a lesson for the vision tower: what is in each patch, where, and how it moves.

The head reads what the language model is going to read, tokens and deepstack features, so these have to hold it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alpamayo_ros.simulation.cameras.labels import FARTHEST, LOCATED, Seen
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.vla.config import ModelConfig, VisionConfig
from alpamayo_ros.vla.vision import VisionFeatures

_SMALL = (
    Seen.LANE_LINE, Seen.CROSSWALK_OR_LINE, Seen.VEHICLE, Seen.VULNERABLE, Seen.OBSTACLE, Seen.TRAFFIC_LIGHT, Seen.SIGN
)  # fmt: skip
_CLASSES = len(Seen)
PRESENCES = (
    *(kind.name.lower() for kind in _SMALL), "brake", "indicator_left", "indicator_right", "lit",
    "red", "yellow", "green", "edge_left", "edge_right", "path",
)  # fmt: skip
"""What is either in a patch or not."""
_OFTEN_MISSED = {
    "vehicle": 2.0, "vulnerable": 6.0, "obstacle": 2.0, "brake": 2.0, "red": 2.0, "yellow": 2.0, "green": 2.0
}  # fmt: skip
"""Presences that count for more than others, and how much: few patches have them, and driving hangs on them."""
_IMPORTANCE = [_OFTEN_MISSED.get(name, 1.0) for name in PRESENCES]
_SHARES = _CLASSES + len(PRESENCES) - len(_SMALL)
_POSITIONS = _SHARES + 3
"""Where distance and motion begin among the channels of the labels, and where ranges do."""
_FULL = 32.0
"""A thing is fully present in a patch from a 32nd of its pixels on, 8 of 256: what matters is often small, and someone
20 m ahead has no more in a wide camera."""
_POSITIVE_WEIGHT = 4.0
_FAST = 10.0
LOCATED_PRESENCES = [
    PRESENCES.index(name) for name in (*(kind.name.lower() for kind in LOCATED), "edge_left", "edge_right", "path")
]
"""Presences that are located across a block, in the order of the labels; of the first ones the range is told too."""
_POSITION_WEIGHT = 5.0
"""Few blocks have anything to locate."""
OUTPUTS = _CLASSES + len(PRESENCES) + 3 + len(LOCATED) + len(LOCATED_PRESENCES)
"""For a patch: classes, presences, distance and motion, then ranges and places across."""


class DenseHead(nn.Module):
    """Linear, from the vision tower's features of a merged patch to the labels of the patches in it."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patches = config.spatial_merge_size**2
        size = config.out_hidden_size * (1 + len(config.deepstack_visual_indexes))
        self.norm = nn.LayerNorm(size)
        self.out = nn.Linear(size, self.patches * OUTPUTS)

    def forward(self, features: VisionFeatures) -> Tensor:
        """(M × patches of a merge, outputs) in the order of the rows of patches."""
        joined = torch.cat([features.tokens, *features.deepstack], dim=-1)
        return self.out(self.norm(joined)).reshape(len(joined) * self.patches, -1)


def newest(features: VisionFeatures, pictures: int, per_camera: int) -> VisionFeatures:
    """The features of the last picture of each camera; `pictures` of equal size in all, `per_camera` for each."""

    def last(rows: Tensor) -> Tensor:
        by_camera = rows.reshape(*rows.shape[:-2], pictures // per_camera, per_camera, -1, rows.shape[-1])
        return by_camera[..., -1, :, :].flatten(-3, -2)

    return VisionFeatures(last(features.tokens), last(features.deepstack))


def dense_rows(labels: Tensor, grid: tuple[int, int], config: ModelConfig) -> Tensor:
    """Labels (B, cameras, h, w, channels) as rows in the order of the patches. Raises TrainingError."""
    if tuple(labels.shape[2:4]) != grid:
        raise TrainingError(
            f"the dense labels have {labels.shape[2]}×{labels.shape[3]} blocks, the model's pictures "
            f"{grid[0]}×{grid[1]} patches; make the data with --dense {config.vision.patch_size} at the size that the "
            "model reads"
        )
    merge = config.vision.spatial_merge_size
    h, w = grid
    blocks = labels.reshape(-1, h // merge, merge, w // merge, merge, labels.shape[-1])
    return blocks.transpose(2, 3).reshape(-1, labels.shape[-1])


def dense_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """Sum over rows of patches of what `outputs` miss of `labels` (rows, channels)."""
    kinds, presences, rest, positions = split(outputs)
    share = labels[:, :_CLASSES]
    loss = -(share * F.log_softmax(kinds, dim=-1)).sum()
    weight = torch.full((), _POSITIVE_WEIGHT, device=outputs.device)
    unsaid = F.binary_cross_entropy_with_logits(presences, present(labels), reduction="none", pos_weight=weight)
    loss = loss + (unsaid.sum(dim=0) * torch.tensor(_IMPORTANCE, device=outputs.device)).sum()
    distance = torch.log1p(labels[:, _SHARES]) / math.log1p(FARTHEST)
    wanted = torch.cat([distance[:, None], labels[:, _SHARES + 1 : _POSITIONS] / _FAST], dim=-1)
    loss = loss + 2.0 * F.smooth_l1_loss(rest, wanted, reduction="sum", beta=0.1)
    wanted, there = located(labels)
    missed = F.smooth_l1_loss(positions, wanted, reduction="none", beta=0.1)
    return loss + _POSITION_WEIGHT * (missed * there).sum()


def split(outputs: Tensor) -> tuple[Tensor, ...]:
    """Classes, presences, distance and motion, positions."""
    return torch.split(outputs, [_CLASSES, len(PRESENCES), 3, OUTPUTS - _CLASSES - len(PRESENCES) - 3], dim=-1)


def located(labels: Tensor) -> tuple[Tensor, Tensor]:
    """What is to be said of positions, (rows, 4 + 7): logarithms of ranges in metres, then parts of a block; and how
    far there is anything that has one, 0 to 1."""
    ranges, across = labels[:, _POSITIONS : _POSITIONS + len(LOCATED)], labels[:, _POSITIONS + len(LOCATED) :]
    there = present(labels)[:, LOCATED_PRESENCES]
    return torch.cat([torch.log(ranges), across], dim=-1), torch.cat([there[:, : len(LOCATED)], there], dim=-1)


def present(labels: Tensor) -> Tensor:
    """How far each of PRESENCES is in a patch, 0 to 1: (rows, presences)."""
    small = labels[:, [int(kind) for kind in _SMALL]]
    return (torch.cat([small, labels[:, _CLASSES:_SHARES]], dim=-1) * _FULL).clamp(max=1.0)
