"""What results depend on, so that old ones are never taken for new ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import alpamayo_ros

_ROOMS = ("datasets", "evaluation", "reasoning", "simulation", "timeline", "types", "vla", "engine")
_MODULES = ("policy.py",)
_NO_MATTER = ("evaluation/report", "evaluation/latency")  # how results are shown, and how long they took


def code_version() -> str:
    """Digest of the sources that decide what happens in a scene: any change of them asks for new results."""
    root = Path(alpamayo_ros.__path__[0])
    files = sorted(file for room in _ROOMS for file in (root / room).rglob("*.py"))
    digest = hashlib.sha256()
    for file in [*files, *(root / name for name in _MODULES)]:
        if any(file.is_relative_to(root / folder) for folder in _NO_MATTER):
            continue
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
