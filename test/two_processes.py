"""Runs a script in two processes whose hashes of strings differ, as those of any two runs do."""

from __future__ import annotations

import subprocess
import sys


def outputs(script: str) -> set[bytes]:
    """What the two printed: one element where they agree."""
    return {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "2")
    }
