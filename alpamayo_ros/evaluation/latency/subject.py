"""The policy whose speed is measured: a model, or a shape with random weights; and how it is asked."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch

from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.latency.machine import describe_machine, free_memory
from alpamayo_ros.evaluation.latency.shapes import SHAPES, empty_model, fill_randomly, shape_config
from alpamayo_ros.evaluation.latency.work import activation_bytes, cache_bytes, picture_counts
from alpamayo_ros.policy import MAX_REASONING_TOKENS, DrivingPolicy, find_model
from alpamayo_ros.vla.checkpoint import load_config, usable_device
from alpamayo_ros.vla.model import AlpamayoModel

RELEASED_SIZE = (1920, 1080)
"""Width and height of the pictures that the released models were trained with."""
FLOAT8 = "fp8"
"""The precision of bfloat16 weights that the engine makes float8, and activations with them."""
_GB = 1e9
_LIKELY = 50
"""Words that random weights may say where they are told how many are accepted. They like all about as much, which a
trained model never does: a draw among all would take the engine longer than it takes a trained one."""


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
    def switches(self) -> Switches:
        return self.policy.engine.switches

    @property
    def max_reasoning_tokens(self) -> int:
        return self.forced_tokens or MAX_REASONING_TOKENS


@dataclass(frozen=True)
class Settings:
    """How every plan is asked for. temperature: of the reasoning; 0 is greedy. acceptance: how many tokens of a draft
    are right before one is wrong, where that is declared; None where the drafts are the last plan's reasoning.
    autoregressive: the trajectory as tokens, without a flow."""

    num_samples: int
    temperature: float
    flow_steps: int
    seed: int = 0
    acceptance: int | None = None
    autoregressive: bool = False

    @property
    def top_k(self) -> int | None:
        return None if self.acceptance is None else _LIKELY


def open_subject(
    *,
    model: str,
    shape: str | None,
    size: tuple[int, int] | None,
    precision: str | None,
    device: str,
    num_samples: int,
    coc_tokens: int,
    switches: Switches,
) -> Subject:
    """The shape, where one is given, else the model; precision: by default the one that its configuration names.
    Raises EvaluationError, before anything is allocated, where memory does not suffice, CheckpointError, and
    ModelInputError for a switch that the model does not take."""
    if precision == FLOAT8:
        precision, switches = "bfloat16", dataclasses.replace(switches, float8="weights_and_activations")
    target = usable_device(device)
    if shape is not None:
        config = shape_config(shape)
        empty = empty_model(config, SHAPES[shape].words)
        dtype = getattr(torch, precision or config.weights_dtype)
        _check_memory(shape, empty, dtype, target, switches, num_samples, coc_tokens)
        policy = DrivingPolicy(fill_randomly(empty, target, dtype), shape, "random weights", switches)
        return Subject(policy, shape, size or RELEASED_SIZE, coc_tokens)
    config, tokenizer = load_config(find_model(model, weights=False))
    with torch.device("meta"):
        empty = AlpamayoModel(config, tokenizer)
    dtype = getattr(torch, precision or config.weights_dtype)
    _check_memory(model, empty, dtype, target, switches, num_samples, MAX_REASONING_TOKENS)
    policy = DrivingPolicy.from_pretrained(model, device=device, dtype=precision, switches=switches)
    return Subject(policy, model, size, None)


def description(subject: Subject, settings: Settings) -> dict[str, Any]:
    """What a figure is worth nothing without."""
    model, switches = subject.model, subject.switches
    released = model.config.num_inference_steps
    approximations = []
    if not settings.autoregressive and settings.flow_steps != released:
        approximations.append(f"{settings.flow_steps} flow steps instead of {released}")
    if switches.float8 != "off":
        approximations.append(f"float8 {switches.float8.replace('_', ' ')}")
    # Switches that are off by default are approximate.
    approximations += [
        name.replace("_", " ")
        for name, value in dataclasses.asdict(switches).items()
        if value is True and not getattr(Switches, name)
    ]
    return {
        "shape": subject.name,
        "weights": "trained" if subject.forced_tokens is None else "random",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "device": str(model.device),
        "precision": str(model.dtype).removeprefix("torch.") if switches.float8 == "off" else FLOAT8,
        "machine": describe_machine(model.device),
        "cameras": len(model.config.camera_roles),
        "frames": model.config.frames_per_camera,
        "samples": settings.num_samples,
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "flow_steps": None if settings.autoregressive else settings.flow_steps,
        "exactness": "approximate" if approximations else _exactness(model.dtype),
        "approximations": approximations,
        "switches": dataclasses.asdict(switches),
    }


def _exactness(dtype: torch.dtype) -> str:
    """Scores of words that are close are often equal in bfloat16, or change places with the order of sums."""
    return "exact" if dtype == torch.float32 else "exact but for rounding"


def weight_bytes(model: AlpamayoModel, dtype: torch.dtype) -> int:
    return sum(parameter.numel() for parameter in model.parameters()) * dtype.itemsize


def _check_memory(
    name: str,
    model: AlpamayoModel,
    dtype: torch.dtype,
    device: torch.device,
    switches: Switches,
    num_samples: int,
    spoken: int,
) -> None:
    config, weights = model.config, weight_bytes(model, dtype)
    if (switches.packed_weights or switches.native) and device.type == "cpu" and dtype == torch.float32:
        weights *= 2  # as they are and packed
    if switches.float8 != "off":
        decoders = (model.vlm.model.language_model.layers, model.expert.layers)
        weights += sum(parameter.numel() for layers in decoders for parameter in layers.parameters())
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
