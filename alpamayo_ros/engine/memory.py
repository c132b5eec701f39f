"""What a drive leaves for its next plan: the frames that were seen, what the vision tower made of them, what was said.

Nothing here changes what a plan is, but for the last digits of floating point: products over other numbers of rows
round differently. Who promises the same bits for the same observation plans without a memory. Only where the engine
streams does it change more: the frames tell it what to keep (see `Switches`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from alpamayo_ros.vla.vision import VisionFeatures


@dataclass(frozen=True, eq=False)
class CameraPictures:
    """The frames of one camera, oldest first. images: (N, H, W, 3) uint8 RGB. stamps_ns: N of them."""

    role: int
    images: np.ndarray
    stamps_ns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """A frame as it came, which nobody else may write to, and at the model's size (3, h, w) uint8."""

    pixels: np.ndarray
    resized: Tensor


Group = tuple[SeenFrame, ...]
"""Frames that the vision tower reads in one pass."""


@dataclass
class Memory:
    """Of one drive, and no larger than its last observation. Time that goes back, other cameras or another model begin
    anew.

    features: by group of frames. reasoning: the tokens of each sample of the last plan, then of sentences said before,
    the newest first. passes: of the language model that the last plan's took after the prompt's.
    """

    features: dict[Group, VisionFeatures] = field(default_factory=dict)
    reasoning: list[list[int]] = field(default_factory=list)
    passes: int = 0
    _frames: dict[tuple[int, int], SeenFrame] = field(default_factory=dict)
    _roles: tuple[int, ...] = ()
    _newest_ns: int | None = None
    _owner: object = None

    def clear(self) -> None:
        self.features, self.reasoning, self.passes, self._frames = {}, [], 0, {}
        self._roles, self._newest_ns, self._owner = (), None, None

    def look(
        self, cameras: Sequence[CameraPictures], resize: Callable[[np.ndarray], Tensor], owner: object
    ) -> list[list[SeenFrame]]:
        """The frames of each camera, resized where they are not those of the last look. A stamp alone proves nothing:
        frames are the same when their pixels are. owner: who resizes and encodes them."""
        roles, newest = tuple(camera.role for camera in cameras), max(camera.stamps_ns[-1] for camera in cameras)
        goes_back = self._newest_ns is not None and newest < self._newest_ns
        if goes_back or roles != self._roles or owner is not self._owner:
            self.clear()
        seen: dict[tuple[int, int], SeenFrame] = {}
        for camera in cameras:
            for stamp, pixels in zip(camera.stamps_ns, camera.images, strict=True):
                known = self._frames.get((camera.role, stamp))
                if known is None or not np.array_equal(known.pixels, pixels):
                    kept = pixels.copy()
                    known = SeenFrame(kept, resize(kept))
                seen[camera.role, stamp] = known
        self._frames, self._roles, self._newest_ns, self._owner = seen, roles, newest, owner
        return [[seen[camera.role, stamp] for stamp in camera.stamps_ns] for camera in cameras]
