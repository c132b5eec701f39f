"""A training run on disk: enough to go on, after any kind of end, as if it had not ended.

FOLDER/step-00000100/weights.safetensors    what is trained, and only that
FOLDER/step-00000100/run.pt                 optimisers, step, place in the data, recipe; read without running pickles
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from alpamayo_ros.datasets.staging import settle, staged
from alpamayo_ros.training.errors import TrainingError

_DAMAGE = (OSError, EOFError, SafetensorError, UnpicklingError, RuntimeError, KeyError, TypeError, ValueError)
"""What reading a damaged file may end in."""


@dataclass
class Progress:
    """Where a run is. No state of random numbers: all that is drawn depends on the recipe's seed, the step, the
    sample and its place in the batch.

    step: optimiser steps that are done. epoch, place: in the data; `place` counts samples. shards: of the data. begun:
    fingerprint of the model that the run began with; what is not trained is still read from there.
    """

    step: int
    epoch: int
    place: int
    shards: list[str]
    begun: str


def save_state(
    folder: Path,
    weights: dict[str, Tensor],
    optimisers: list[dict[str, Any]],
    progress: Progress,
    recipe: dict[str, Any],
) -> None:
    """Write the state, then remove the ones before it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{progress.step:08d}"
    if target.exists():
        return
    with staged(target) as stage:
        stage.mkdir()
        save_file(
            {name: part.detach().cpu().contiguous() for name, part in weights.items()}, stage / "weights.safetensors"
        )
        torch.save({"optimisers": optimisers, "progress": asdict(progress), "recipe": recipe}, stage / "run.pt")
        settle(*stage.iterdir(), stage)
    settle(folder)
    for older in _states(folder)[:-1]:
        shutil.rmtree(older)


def load_state(folder: Path, recipe: dict[str, Any]) -> tuple[dict[str, Tensor], list[dict[str, Any]], Progress] | None:
    """Weights, optimisers and progress of the newest state; None where there is none.

    Raises TrainingError where it is of another recipe, or damaged.
    """
    states = _states(folder)
    if not states:
        return None
    newest = states[-1]
    try:
        weights = load_file(newest / "weights.safetensors")
        run = torch.load(newest / "run.pt", weights_only=True)
        told, progress = run["recipe"], Progress(**run["progress"])
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{newest} is damaged ({reason}); remove it, or choose another --output") from None
    differing = [name for name in recipe if told.get(name) != recipe[name]]
    if differing:
        name = differing[0]
        raise TrainingError(
            f"{folder} holds a run of another recipe ({name} is {told.get(name)}, asked for is {recipe[name]}); "
            "choose another --output, or the same recipe"
        )
    return weights, run["optimisers"], progress


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*")) if folder.is_dir() else []
