"""The library that `colcon build` makes of `kernels/`: what is handed over to it, and how weights are packed for it."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

import alpamayo_ros
from alpamayo_ros.vla.errors import ModelInputError

NAME = "libalpamayo_engine.so"
INTERFACE = 1
"""As in `kernels/arguments.h`; it goes up with every change of functions or structures."""
Pointer = ctypes.c_void_p


class Packed(ctypes.Structure):
    _fields_ = [("panels", Pointer), ("bias", Pointer), ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32)]


class Norm(ctypes.Structure):
    _fields_ = [("weight", Pointer), ("bias", Pointer)]


@cache
def library() -> ctypes.CDLL:
    """Raises ModelInputError where it was not built, or from another version."""
    paths = [Path(folder) / "engine" / "native" / NAME for folder in alpamayo_ros.__path__]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise _unbuilt(f"is missing beside the package (looked in {', '.join(alpamayo_ros.__path__)})")
    made = ctypes.CDLL(str(path))
    if not hasattr(made, "interface") or made.interface() != INTERFACE:
        raise _unbuilt(f"in {path.parent} was built from another version")
    made.choose_level.restype = ctypes.c_bool
    return made


def _unbuilt(what: str) -> ModelInputError:
    return ModelInputError(
        f"{NAME} {what}: build it with `make build`, or with `colcon build` and source the workspace, or turn the "
        "switch `native` off"
    )


def instruction_set() -> str:
    """What the library uses of this processor. Raises ModelInputError where it was not built."""
    return {1: "what any processor has", 3: "AVX2", 4: "AVX-512"}[library().level()]


def packed(weight: Tensor, bias: Tensor | None, held: list[Tensor]) -> Packed:
    """A weight (outputs, inputs) in panels, which are added to `held`: what must live as long as the structure."""
    outputs, inputs = weight.shape
    width = library().panel_width()
    panels = torch.empty(-(-outputs // width), inputs, width)
    library().pack_weight(Pointer(address(weight, held)), inputs, outputs, Pointer(panels.data_ptr()))
    # The weight itself is not needed any more.
    held[-1] = panels
    return Packed(panels.data_ptr(), None if bias is None else address(bias, held), inputs, outputs)


def address(tensor: Tensor, held: list[Tensor]) -> int:
    """Of its numbers one behind the other; `held` gets them."""
    held.append(tensor.detach().contiguous())
    return held[-1].data_ptr()


def norm_of(norm: nn.LayerNorm, held: list[Tensor]) -> Norm:
    return Norm(address(norm.weight, held), address(norm.bias, held))


def runs_here(weight: Tensor) -> bool:
    """Whether the library takes models of such weights: float32 on the CPU."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32
