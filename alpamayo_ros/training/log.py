"""What a run tells: a progress bar, TensorBoard events, and the figures of its validations."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm


class Log:
    """Of the leading process; the others say nothing."""

    def __init__(self, folder: Path, name: str, steps: int, begun: int, *, leads: bool) -> None:
        """steps: of the whole run, of which `begun` were done before."""
        self._figures = folder / "figures.jsonl"
        if leads and self._figures.is_file():  # steps after the last state are done again
            kept = [line for line in self._figures.read_text().splitlines() if json.loads(line)["step"] <= begun]
            self._figures.write_text("".join(f"{line}\n" for line in kept))
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
        """What a validation of that step came to, None where there was none."""
        rows = [json.loads(line) for line in self._figures.read_text().splitlines()] if self._figures.is_file() else []
        found = [row for row in rows if row.pop("step") == step]
        return found[-1] if found else None

    def close(self) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()
