"""A drive to look at: an MP4 with one page a tick, and a strip of the moments where something is decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.datasets.page import Caption, draw_page
from alpamayo_ros.datasets.staging import DatasetError, staged

CODEC = "mp4v"
"""MPEG-4 part 2: of what OpenCV's wheels can write into MP4 the one that costs 10 ms a page; VP9 costs 800."""
STRIP_COLUMNS, STRIP_WIDTH = 2, 960


@dataclass(frozen=True, eq=False)
class Reel:
    """A drive in a film. captions: one for each tick. ticks: those that are shown. moments: those of them that the
    strip has. hold: for how many pages the last one stays."""

    drive: Drive
    captions: Sequence[Caption]
    ticks: Iterable[int]
    moments: Collection[int]
    hold: int = 1


def write_film(reels: Sequence[Reel], video: Path, strip: Path) -> None:
    """Write a video (.mp4, 10 Hz) and a picture strip (.png) of drives through the same cameras, one after the other.

    Raises DatasetError where a file exists or no encoder is there.
    """
    kept = []
    with staged(strip) as strip_place, staged(video) as place:
        writer = None
        for reel in reels:
            for tick in reel.ticks:
                page = cv2.cvtColor(draw_page(reel.drive, tick, reel.captions[tick]), cv2.COLOR_RGB2BGR)
                if writer is None:
                    size = (page.shape[1], page.shape[0])
                    writer = cv2.VideoWriter(str(place), cv2.VideoWriter.fourcc(*CODEC), 10.0, size)
                    if not writer.isOpened():
                        raise DatasetError(f"this build of OpenCV cannot write {CODEC} to {video}; it must be .mp4")
                writer.write(page)
                if tick in reel.moments:
                    height = round(page.shape[0] * STRIP_WIDTH / page.shape[1])
                    kept.append(cv2.resize(page, (STRIP_WIDTH, height), interpolation=cv2.INTER_AREA))
            if writer is not None:
                for _ in range(reel.hold - 1):
                    writer.write(page)
        if writer is not None:
            writer.release()
        _, encoded = cv2.imencode(".png", _strip(kept))
        strip_place.write_bytes(encoded.tobytes())


def moments_of(captions: Sequence[Caption], count: int) -> list[int]:
    """Ticks to show: the start, half a second into each new decision, and even steps to fill up to `count`."""
    changes = [i for i in range(1, len(captions)) if captions[i].decision != captions[i - 1].decision]
    wanted = [0, *(min(change + 5, len(captions) - 1) for change in changes)]
    wanted = list(dict.fromkeys(wanted))[:count]
    while len(wanted) < min(count, len(captions)):
        # The middle of the longest stretch that is not shown yet.
        ends = [*sorted(wanted), len(captions)]
        gaps = [(b - a, a) for a, b in pairwise(ends)]
        length, start = max(gaps)
        if length < 2:
            break
        wanted.append(start + length // 2)
    return sorted(wanted)


def _strip(pages: list[np.ndarray]) -> np.ndarray:
    """Pages in rows of two, in the order of reading."""
    blank = np.zeros_like(pages[0])
    padded = pages + [blank] * (-len(pages) % STRIP_COLUMNS)
    rows = [np.hstack(padded[i : i + STRIP_COLUMNS]) for i in range(0, len(padded), STRIP_COLUMNS)]
    return np.vstack(rows)
