"""What a run tells: a progress bar, TensorBoard events, and the figures of its validations."""

from __future__ import annotations

import itertools
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm


class Log:
    """Of the leading process; the others say nothing."""

    def __init__(self, folder: Path, name: str, steps: int, begun: int, *, leads: bool) -> None:
        """steps: of the whole run, of which `begun` were done before."""
        self._figures = folder / "figures.jsonl"
        if leads and self._figures.is_file():
            # Steps after the last state are done again.
            rows = [row for row in _rows(self._figures) if row["step"] <= begun]
            partial = self._figures.with_name(f".partial-{self._figures.name}")
            partial.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
            partial.replace(self._figures)
        self._writer = SummaryWriter(str(folder / "events"), purge_step=begun + 1) if leads else None
        self._bar = tqdm(total=steps, initial=begun, desc=name, unit="step", disable=None if leads else True)

    def advance(self) -> None:
        self._bar.update()

    def losses(self, step: int, losses: dict[str, float], rate: float) -> None:
        if self._writer is None:
            return
        for name, value in losses.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._writer.add_scalar("train/learning_rate", rate, step)
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()})

    def validation(self, step: int, figures: dict[str, float]) -> None:
        if self._writer is None:
            return
        for name, value in figures.items():
            self._writer.add_scalar(f"validation/{name}", value, step)
        with self._figures.open("a") as file:
            file.write(json.dumps({"step": step, **{name: round(value, 4) for name, value in figures.items()}}) + "\n")
        shown = ", ".join(f"{name} {value:.3f}" for name, value in itertools.islice(figures.items(), 8))
        tqdm.write(f"step {step}: {shown}", file=sys.stderr)

    def validated(self, step: int) -> dict[str, float] | None:
        """What a validation of that step came to, None where there was none or this process does not lead."""
        if self._writer is None or not self._figures.is_file():
            return None
        found = [row for row in _rows(self._figures) if row.pop("step") == step]
        return found[-1] if found else None

    def close(self) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()


def _rows(figures: Path) -> list[dict[str, Any]]:
    """Of each validation. A line that was cut off is left out: what it told is found again."""
    rows = []
    for line in figures.read_text(errors="replace").splitlines():
        with suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and "step" in row]
