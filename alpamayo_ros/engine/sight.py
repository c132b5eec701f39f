"""Pictures to vision features, of which a memory may have most already.

The n-th pictures of all cameras are one group and go through the tower together: when a plan is made every 0.1 s, all
groups but the last are those of the plan before, and a group has the same shape each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.engine.backend import make_tower
from alpamayo_ros.engine.graphs import Graphs
from alpamayo_ros.engine.memory import CameraPictures, Group, Memory, SeenFrame
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.engine.tower import Grids, PictureTables
from alpamayo_ros.vla.images import resize
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.vision import VisionFeatures


@dataclass(frozen=True, eq=False)
class Pictures:
    """One observation, ready for the tower.

    grid_thw: (pictures, 3) in patches, camera by camera. groups: of frames, and the grids of their pictures.
    """

    grid_thw: Tensor
    groups: list[tuple[Group, Grids]]
    memory: Memory

    @property
    def frames(self) -> tuple[SeenFrame, ...]:
        """Which each picture is, without tubelets."""
        return tuple(frame for camera in zip(*(group for group, _ in self.groups), strict=True) for frame in camera)


class Sight:
    def __init__(self, model: AlpamayoModel, switches: Switches, graphs: Graphs) -> None:
        self._config, self._graphs = model.config, graphs
        tower = model.vlm.model.visual
        self._tower = make_tower(tower, switches)
        self._tables = PictureTables(tower)
        self._merged = model.config.vision.spatial_merge_size**2
        self._keeps_features = switches.vision_cache
        self._remembers = switches.vision_cache or switches.streaming
        self._device = model.device

    def look(self, cameras: Sequence[CameraPictures], memory: Memory | None) -> Pictures:
        """Frames of cameras, each with the same number of them. Raises ModelInputError."""
        if memory is None or not self._remembers:
            memory = Memory()
        frames = memory.look(cameras, self._resize, self)
        vision = self._config.vision
        depth = vision.temporal_patch_size if vision.tubelets else 1
        groups: list[tuple[Group, Grids]] = []
        for start in range(0, len(frames[0]), depth):
            group = tuple(frame for camera in frames for frame in camera[start : start + depth])
            sizes = [frame.resized.shape[1:] for frame in group[::depth]]
            groups.append((group, tuple((h // vision.patch_size, w // vision.patch_size) for h, w in sizes)))
        grid_thw = torch.tensor([(1, *grids[camera]) for camera in range(len(frames)) for _, grids in groups])
        return Pictures(grid_thw, groups, memory)

    @torch.inference_mode()
    def encode(self, pictures: Pictures) -> VisionFeatures:
        """Features of all pictures, camera by camera."""
        known = pictures.memory.features
        found = {
            group: known[group] if group in known else self._encoded(group, grids) for group, grids in pictures.groups
        }
        pictures.memory.features = found if self._keeps_features else {}
        if len(found) == 1:
            return next(iter(found.values()))
        parts = []
        for group, grids in pictures.groups:
            counts = [h * w // self._merged for h, w in grids]
            parts.append((torch.split(found[group].tokens, counts), torch.split(found[group].deepstack, counts, dim=1)))
        order = [(tokens[camera], deep[camera]) for camera in range(len(parts[0][0])) for tokens, deep in parts]
        return VisionFeatures(torch.cat([one for one, _ in order]), torch.cat([deep for _, deep in order], dim=1))

    def _encoded(self, group: Group, grids: Grids) -> VisionFeatures:
        tables = self._tables(grids)

        def look(*frames: Tensor) -> tuple[Tensor, ...]:
            return self._tower(frames, grids, tables)

        # To the device as bytes: a quarter of what the tower computes with, or less.
        made = self._graphs.run(("vision", grids), look, *(frame.resized.to(self._device) for frame in group))
        # It outlives the next run.
        return VisionFeatures(*(part.clone() for part in made))

    def _resize(self, pixels: np.ndarray) -> Tensor:
        return resize(pixels, self._config)
