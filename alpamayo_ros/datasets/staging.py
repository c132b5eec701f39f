"""Files and folders that appear under their name only once they are complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DatasetError(ValueError):
    """A dataset that cannot be written or read as asked: the message names the place and the remedy."""


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A place beside `target` to write to; it gets its name when the block ends, and is removed when it fails.

    What a killed run left there is removed first. Raises DatasetError where `target` exists.
    """
    if target.exists():
        raise DatasetError(f"{target} exists already; remove it or choose another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays: writers of videos and bags choose the format by it.
    place = target.with_name(f".partial-{target.name}")
    _remove(place)
    try:
        yield place
        place.rename(target)
    except BaseException:
        _remove(place)
        raise


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
