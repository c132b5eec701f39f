"""One shard: a plain tar file of samples, as `tar`, Python's `tarfile` and the `webdataset` package read it.

The members of a sample follow each other and are named `<key>.<part>`, for example `red_light-….front_wide_120.jpg`.
Neither keys nor the first word of a part have a dot in them.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from alpamayo_ros.datasets.staging import DatasetError

Members = dict[str, bytes]
"""The parts of one sample by name."""

_END = 2 * tarfile.BLOCKSIZE
"""Zeros with which a tar file ends, at least."""


def pack(samples: Iterable[tuple[str, Members]]) -> bytes:
    """The bytes of a shard. The same samples give the same bytes: no time, no owner.

    Plain ustar, but for a name that is too long for it, which a seed of many digits makes.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for key, members in samples:
            for part, content in members.items():
                info = tarfile.TarInfo(f"{key}.{part}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def unpack(path: Path) -> Iterator[tuple[str, Members]]:
    """Samples of a shard as key and parts, in order. Raises DatasetError where the file is no tar or is cut off."""
    key, members = "", Members()
    try:
        if not _has_end(path):  # cut off between two members, it reads like a whole one
            raise tarfile.ReadError("the end is missing")
        with tarfile.open(path, mode="r|") as tar:
            for info in tar:
                file = tar.extractfile(info)
                if file is None:
                    continue
                name, _, part = info.name.partition(".")
                if name != key and members:
                    yield key, members
                    members = {}
                key = name
                members[part] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(f"{path} is no readable shard ({error}); remove it and run the same command again") from None
    if members:
        yield key, members


def check(path: Path) -> None:
    """Raises DatasetError where a shard is not, to the bit, the one that the summary beside it was written for."""
    summary = path.with_suffix(".json")
    try:
        wanted = json.loads(summary.read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DatasetError(f"{summary} is missing or damaged; copy it too, or run the same command again") from None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise DatasetError(f"{path} is damaged (its sha256 is not that in {summary.name}); copy or make it again")


def _has_end(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _END, 0))
        return file.read() == bytes(_END)
