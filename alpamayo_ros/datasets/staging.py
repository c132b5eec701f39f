"""Files and folders that appear under their name only once they are complete."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DatasetError(ValueError):
    """A dataset that cannot be written or read as asked: the message names the place and the remedy."""


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A place to write to, beside `target`: it is moved there when the block ends, and removed when it fails.

    What a killed run left there is removed first. Raises DatasetError where `target` exists.
    """
    if target.exists():
        raise DatasetError(f"{target} exists already; remove it or choose another place")
    # A folder of its own, because a bag and a video take names and formats from the path they are given.
    stage = target.with_name(f".partial-{target.name}")
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir(parents=True)
    except OSError as error:
        raise DatasetError(f"{target} cannot be written: {error.strerror}") from None
    try:
        yield stage / target.name
        (stage / target.name).rename(target)
    finally:
        shutil.rmtree(stage)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder that no other run writes to; it is made where it is not there. Raises DatasetError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise DatasetError(f"{folder} cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetError(f"another run is writing to {folder}") from None
        except OSError as error:
            raise DatasetError(f"{folder} cannot be locked ({error.strerror}); take another disk") from None
        yield


def settle(*paths: Path) -> None:
    """Files and folders are on the disk, also when the machine goes down after this."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
