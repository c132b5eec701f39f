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
        self._writer = SummaryWriter(str(folder / "events"), purge_step=begun) if leads else None
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

    def close(self) -> None:
        self._bar.close()
        if self._writer is not None:
            self._writer.close()
