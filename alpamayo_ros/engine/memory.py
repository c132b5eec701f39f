"""What a drive leaves for its next plan: the frames that were seen, what the vision tower made of them, what was said.

Nothing here changes what a plan is, but for the last digits of floating point: products over other numbers of rows
round differently. Who promises the same bits for the same observation plans without a memory. Only where the engine
streams does it change more: the frames tell it what to keep (see `Switches`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from alpamayo_ros.vla.vision import VisionFeatures

_LARGE = 1 << 20
"""Bytes of a picture, from which threads save more than they cost."""
_POOL = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "pictures")


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

        def seen_frame(place: tuple[int, int], pixels: np.ndarray) -> SeenFrame:
            known = self._frames.get(place)
            if known is not None and np.array_equal(known.pixels, pixels):
                return known
            kept = pixels.copy()
            return SeenFrame(kept, resize(kept))

        places, pictures = list[tuple[int, int]](), list[np.ndarray]()
        for camera in cameras:
            for stamp, pixels in zip(camera.stamps_ns, camera.images, strict=True):
                places.append((camera.role, stamp))
                pictures.append(pixels)
        # Numpy and PyTorch let go of Python's lock meanwhile.
        each = _POOL.map if pictures[0].nbytes >= _LARGE else map
        seen = dict(zip(places, each(seen_frame, places, pictures), strict=True))
        self._frames, self._roles, self._newest_ns, self._owner = seen, roles, newest, owner
        return [[seen[camera.role, stamp] for stamp in camera.stamps_ns] for camera in cameras]
