"""Where the files are that ship beside the code: models, rig profiles, message definitions."""

from __future__ import annotations

from pathlib import Path


def shipped_folders(name: str) -> list[Path]:
    """The folders called `name` of the source tree and of the installation that this code runs from, as far as they
    are there. The source tree comes first."""
    here = Path(__file__)
    trees = [here.parents[1], *(parent / "share/alpamayo_ros" for parent in here.parents)]
    return [tree / name for tree in trees if (tree / "package.xml").is_file() and (tree / name).is_dir()]
