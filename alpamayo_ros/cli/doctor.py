"""`alpamayo doctor`: what this machine has for running a model, and what it lacks."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
from pathlib import Path
from typing import Any

import click

_GIB = 1 << 30


@click.command()
@click.option("--model", help="Also read this model's configuration: a folder, a shipped model's name, or a hub id.")
@click.option("--language-model", type=Path, help="Folder of the language model that a released config names.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(model: str | None, language_model: Path | None, as_json: bool) -> None:
    """Report device, memory, model size and what is missing."""
    if language_model is not None and model is None:
        raise click.UsageError("--language-model says nothing without --model")
    report = _examine(model, language_model)
    if as_json:
        click.echo(json.dumps(report))
        return
    for name, value in report.items():
        if name != "missing":
            click.echo(f"{name:16} {value}")
    for line in report["missing"] or ["nothing"]:
        click.echo(f"{'missing':16} {line}")


def _examine(model: str | None, language_model: Path | None = None) -> dict[str, Any]:
    """Facts by name; under `missing`, one sentence for each thing that is not there. Raises CheckpointError."""
    import torch

    from alpamayo_ros.engine.native.library import instruction_set
    from alpamayo_ros.policy import find_model
    from alpamayo_ros.vla.errors import ModelInputError

    missing = []
    try:
        kernels = instruction_set()
    except ModelInputError as error:
        kernels = "none"
        missing.append(str(error))
    gpus = []
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        gpus.append((gpu.name, gpu.total_memory))
    if not gpus:
        missing.append(
            "no CUDA GPU that torch can see: models run on the CPU; the released 10B ones need 24 GB of GPU memory"
        )
    for module, purpose in (
        ("rclpy", "ROS 2: the nodes cannot run (source a ROS 2 Jazzy setup, or use `make setup`)"),
        ("huggingface_hub", "models can be loaded from local folders only (pip install huggingface_hub)"),
    ):
        if importlib.util.find_spec(module) is None:
            missing.append(f"{module}: {purpose}")
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu threads": torch.get_num_threads(),
        "cpu kernels": kernels,
        "host memory": f"{host / _GIB:.1f} GiB",
        "gpu": ", ".join(f"{name}, {memory / _GIB:.1f} GiB" for name, memory in gpus) or "none",
    }
    if model is not None:
        folder = find_model(model, weights=False)
        size = _describe(report, model, folder, language_model)
        if not any(folder.glob("*.safetensors")):
            missing.append(f"weights: {folder} holds no .safetensors file yet")
        largest = max([host, *(memory for _, memory in gpus)])
        if size > largest:
            missing.append(
                f"memory: {model} has {size / _GIB:.1f} GiB of weights, the largest memory here {largest / _GIB:.1f}"
            )
    report["missing"] = missing
    return report


def _describe(report: dict[str, Any], name: str, folder: Path, language_model: Path | None) -> int:
    """Add what is known of a model without reading its weights; returns their size in bytes."""
    import torch

    from alpamayo_ros.vla.checkpoint import load_config
    from alpamayo_ros.vla.model import AlpamayoModel

    config, tokenizer = load_config(folder, language_model)
    with torch.device("meta"):
        parameters = sum(parameter.numel() for parameter in AlpamayoModel(config, tokenizer).parameters())
    size = parameters * getattr(torch, config.weights_dtype).itemsize
    report["model"] = f"{name} ({config.model_type})"
    report["model size"] = f"{parameters / 1e6:.1f} M parameters, {size / _GIB:.2f} GiB as {config.weights_dtype}"
    report["cameras"] = f"roles {list(config.camera_roles)} × {config.frames_per_camera} frames" + (
        ", any subset" if config.any_camera_subset else ""
    )
    report["navigation"] = "yes" if config.takes_navigation else "no"
    return size
