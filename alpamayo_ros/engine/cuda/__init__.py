"""The network on a CUDA GPU, with kernels of our own between and in place of PyTorch's.

They are written in Triton, which comes with PyTorch for CUDA: import a module of this folder only where `runs_here`
says so.
"""

from __future__ import annotations

import importlib.util

from torch import Tensor

from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.errors import ModelInputError


def runs_here(weight: Tensor, switches: Switches) -> bool:
    """Raises ModelInputError where it should, and there is no Triton."""
    if not (switches.fused_kernels and weight.is_cuda):
        return False
    if importlib.util.find_spec("triton") is None:
        raise ModelInputError(
            "the switch `fused_kernels` takes Triton, and it is not installed; PyTorch for CUDA brings it on Linux. "
            "Install `triton`, or turn the switch off"
        )
    return True
