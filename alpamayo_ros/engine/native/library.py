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
INTERFACE = 3
"""As in `kernels/arguments.h`; it goes up with every change of functions or structures."""
Pointer = ctypes.c_void_p


class Packed(ctypes.Structure):
    _fields_ = [
        *((name, Pointer) for name in ("panels", "bias")),
        *((name, ctypes.c_int32) for name in ("inputs", "outputs", "tiled")),
    ]


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
    made.choose_level.restype = made.may_tile.restype = ctypes.c_bool
    made.packed_bytes.restype = ctypes.c_int64
    return made


def _unbuilt(what: str) -> ModelInputError:
    return ModelInputError(
        f"{NAME} {what}: build it with `make build`, or with `colcon build` and source the workspace, or turn the "
        "switch `native` off"
    )


def instruction_set() -> str:
    """What the library uses of this processor. Raises ModelInputError where it was not built."""
    return {1: "what any processor has", 3: "AVX2", 4: "AVX-512", 5: "AVX-512 and AMX"}[library().level()]


def has_matrix_units() -> bool:
    """Whether the library multiplies in matrix units here. Raises ModelInputError where it was not built."""
    return bool(library().level() == 5)


class Weights:
    """Hands weights over to the library, and holds what structures point to: it must live as long as they.

    matrix_units: those that consist of bfloat16 numbers go to the processor's matrix units, where it has them.
    """

    def __init__(self, *, matrix_units: bool) -> None:
        self._held: list[Tensor] = []
        self._matrix_units = matrix_units

    def packed(self, weight: Tensor, bias: Tensor | None) -> Packed:
        """A weight (outputs, inputs) in panels."""
        outputs, inputs = weight.shape
        weight = weight.detach().contiguous()
        tiled = self._matrix_units and library().may_tile(inputs, outputs)
        tiled = tiled and torch.equal(weight, weight.bfloat16().float())
        panels = torch.empty(library().packed_bytes(inputs, outputs, tiled), dtype=torch.uint8)
        library().pack_weight(Pointer(weight.data_ptr()), inputs, outputs, tiled, Pointer(panels.data_ptr()))
        return Packed(self.address(panels), None if bias is None else self.address(bias), inputs, outputs, tiled)

    def address(self, tensor: Tensor) -> int:
        """Of its numbers one behind the other."""
        self._held.append(tensor.detach().contiguous())
        return self._held[-1].data_ptr()

    def norm(self, norm: nn.LayerNorm) -> Norm:
        return Norm(self.address(norm.weight), self.address(norm.bias))


def runs_here(weight: Tensor) -> bool:
    """Whether the library takes models of such weights: float32 on the CPU."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32
