"""Whether results can be written where they are asked for: told before the work begins, not after."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click


def check_folder(folder: Path, what: Path) -> None:
    """Refuse `what` unless a file can be made in `folder`, or in the nearest folder above it that exists."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise click.ClickException(f"{what} cannot be written: {there}: {error.strerror}") from None
