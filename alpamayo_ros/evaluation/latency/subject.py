"""The policy whose speed is measured: a model, or a shape with random weights; and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.latency.machine import describe_machine, free_memory
from alpamayo_ros.evaluation.latency.shapes import SHAPES, empty_model, fill_randomly, shape_config
from alpamayo_ros.evaluation.latency.work import activation_bytes, cache_bytes, picture_counts
from alpamayo_ros.policy import MAX_REASONING_TOKENS, DrivingPolicy, find_model
from alpamayo_ros.vla.checkpoint import load_config, usable_device
from alpamayo_ros.vla.model import AlpamayoModel

RELEASED_SIZE = (1920, 1080)
"""Width and height of the pictures that the released models were trained with."""
_GB = 1e9


@dataclass(frozen=True)
class Subject:
    """name: of the shape or the model. size: width and height of its pictures; None for what it reads.
    forced_tokens: how many tokens its reasoning is made to have; None where the model ends it itself."""

    policy: DrivingPolicy
    name: str
    size: tuple[int, int] | None
    forced_tokens: int | None

    @property
    def model(self) -> AlpamayoModel:
        return self.policy.model

    @property
    def max_reasoning_tokens(self) -> int:
        return self.forced_tokens or MAX_REASONING_TOKENS


@dataclass(frozen=True)
class Settings:
    """How every plan is asked for. temperature: of the reasoning; 0 is greedy."""

    num_samples: int
    temperature: float
    flow_steps: int
    seed: int = 0


def open_subject(
    *,
    model: str,
    shape: str | None,
    size: tuple[int, int] | None,
    precision: str | None,
    device: str,
    num_samples: int,
    coc_tokens: int,
) -> Subject:
    """The shape, where one is given, else the model; precision: by default the one that its configuration names.
    Raises EvaluationError, before anything is allocated, where memory does not suffice, and CheckpointError."""
    target = usable_device(device)
    if shape is not None:
        config = shape_config(shape)
        empty = empty_model(config, SHAPES[shape].words)
        dtype = getattr(torch, precision or config.weights_dtype)
        _check_memory(shape, empty, dtype, target, num_samples, coc_tokens)
        policy = DrivingPolicy(fill_randomly(empty, target, dtype), shape, "random weights")
        return Subject(policy, shape, size or RELEASED_SIZE, coc_tokens)
    config, tokenizer = load_config(find_model(model, weights=False))
    with torch.device("meta"):
        empty = AlpamayoModel(config, tokenizer)
    dtype = getattr(torch, precision or config.weights_dtype)
    _check_memory(model, empty, dtype, target, num_samples, MAX_REASONING_TOKENS)
    policy = DrivingPolicy.from_pretrained(model, device=device, dtype=precision)
    return Subject(policy, model, size, None)


def description(subject: Subject, settings: Settings) -> dict[str, Any]:
    """What a figure is worth nothing without."""
    model = subject.model
    released = model.config.num_inference_steps
    approximations = []
    if settings.flow_steps != released:
        approximations.append(f"{settings.flow_steps} flow steps instead of {released}")
    return {
        "shape": subject.name,
        "weights": "trained" if subject.forced_tokens is None else "random",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": str(model.device),
        "precision": str(model.dtype).removeprefix("torch."),
        "machine": describe_machine(model.device),
        "cameras": len(model.config.camera_roles),
        "frames": model.config.frames_per_camera,
        "samples": settings.num_samples,
        "temperature": settings.temperature,
        "flow_steps": settings.flow_steps,
        "exactness": "approximate" if approximations else "exact",
        "approximations": approximations,
    }


def weight_bytes(model: AlpamayoModel, dtype: torch.dtype) -> int:
    return sum(parameter.numel() for parameter in model.parameters()) * dtype.itemsize


def _check_memory(
    name: str, model: AlpamayoModel, dtype: torch.dtype, device: torch.device, num_samples: int, spoken: int
) -> None:
    config, weights = model.config, weight_bytes(model, dtype)
    pictures, patches = picture_counts(config)
    columns = pictures * patches // config.vision.spatial_merge_size**2 + spoken
    working = cache_bytes(config, num_samples, columns, dtype.itemsize)
    working += activation_bytes(config, columns, dtype.itemsize)
    free = free_memory(device)
    if weights + working > free:
        kind = str(dtype).removeprefix("torch.")
        raise EvaluationError(
            f"{name} needs at least {(weights + working) / _GB:.1f} GB on {device} ({weights / _GB:.1f} GB of {kind} "
            f"weights, {working / _GB:.1f} GB to work with), and {free / _GB:.1f} GB are free; take a larger machine, "
            "a smaller shape or a narrower precision"
        )
