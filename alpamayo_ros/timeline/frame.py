"""One frame of a camera, undecoded until somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from alpamayo_ros.timeline.picture_checks import picture_fault
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason
from alpamayo_ros.types import CameraRole

Decode = Callable[[Any], np.ndarray]
"""Makes (H, W, 3) uint8 RGB from what a frame came with (a message, a path). Raises PictureError."""


class PictureError(ValueError):
    """A picture that cannot be decoded: the message says what it is and what to do.

    reason: CAMERA_DAMAGED or CAMERA_ENCODING.
    """

    def __init__(self, reason: RefusalReason, text: str) -> None:
        if reason not in (RefusalReason.CAMERA_DAMAGED, RefusalReason.CAMERA_ENCODING):
            raise ValueError(f"a picture error is camera_damaged or camera_encoding, not {reason}")
        super().__init__(reason, text)
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return self.text


class Frame:
    """A picture and its stamp. It is decoded and checked once, at the first look, whatever comes of it."""

    def __init__(self, role: CameraRole, stamp_ns: int, picture: Any, decode: Decode) -> None:
        self.role = role
        self.stamp_ns = stamp_ns
        self._picture = picture
        self._decode = decode
        self._lock = Lock()
        self._pixels: np.ndarray | None = None
        self._fault: tuple[RefusalReason, str] | None = None

    @property
    def source(self) -> str:
        return f"camera {self.role.label}"

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, the same array each time. Raises Refusal for what shows nothing or is damaged."""
        with self._lock:
            if self._pixels is None and self._fault is None:
                self._settle()
            if self._fault is not None:
                raise Refusal(self._fault[0], self.source, f"{self._fault[1]} (stamp {self.stamp_ns} ns)")
            assert self._pixels is not None
            return self._pixels

    def _settle(self) -> None:
        try:
            pixels = self._decode(self._picture)
        except PictureError as error:
            self._fault = error.reason, error.text
        else:
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
                raise ValueError(f"{self.source}: decoded to {pixels.dtype} {pixels.shape}; expected uint8 (H, W, 3)")
            self._fault = picture_fault(pixels)
            self._pixels = pixels
        self._picture = None  # the message is not needed again; its pixels are kept
