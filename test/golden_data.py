"""Reads the golden data: from this repository, or from the folder that ALPAMAYO_GOLDEN_DIR names."""

from __future__ import annotations

import importlib.util
import json
import os
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.model import AlpamayoModel

FOLDER = Path(os.environ.get("ALPAMAYO_GOLDEN_DIR") or Path(__file__).parent / "golden").resolve()
MODELS = {"r1": "ar1_tiny", "15": "ar15_tiny"}


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"golden_{name}.npz") as file:
        return {key: file[key] for key in file.files}


def cases(name: str) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of a file whose keys are `case/name`, by case."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays(name).items():
        case, _, part = key.partition("/")
        found.setdefault(case, {})[part] = value
    return found


def tensors(name: str, *keys: str) -> list[torch.Tensor]:
    return [torch.from_numpy(arrays(name)[key]) for key in keys]


@cache
def document(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


@cache
def inputs() -> ModuleType:
    """The folder's own generator of pictures."""
    spec = importlib.util.spec_from_file_location("golden_inputs", FOLDER / "gen_inputs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def model(release: str) -> AlpamayoModel:
    return load_model(FOLDER / MODELS[release], language_model=FOLDER / "vlm_tiny")


@cache
def frames(seed: int, count: int, height: int, width: int) -> list[np.ndarray]:
    """Pictures (height, width, 3) uint8."""
    return [picture.transpose(1, 2, 0) for picture in inputs().gen_frames(seed, count, height, width)]
