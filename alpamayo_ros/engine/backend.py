"""What runs a part of the network: our library on the CPU, our kernels on a GPU, else PyTorch's operators.

All raise ModelInputError for a switch that cannot be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpamayo_ros.engine import cuda
from alpamayo_ros.engine.decoder import Stack
from alpamayo_ros.engine.native import library
from alpamayo_ros.engine.native.decoder import NativeStack
from alpamayo_ros.engine.native.tower import NativeTower
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.engine.tower import Tower
from alpamayo_ros.vla.decoder import Decoder
from alpamayo_ros.vla.vision import VisionTower

if TYPE_CHECKING:
    from alpamayo_ros.engine.cuda.decoder import FusedStack


def make_stack(decoder: Decoder, switches: Switches) -> Stack | NativeStack | FusedStack:
    if switches.native and switches.float8 == "off" and library.runs_here(decoder.norm.weight):
        return NativeStack(decoder, matrix_units=switches.matrix_units)
    if cuda.runs_here(decoder.norm.weight, switches):
        from alpamayo_ros.engine.cuda.decoder import FusedStack

        return FusedStack(decoder, switches)
    return Stack(decoder, switches)


def make_tower(tower: VisionTower, switches: Switches) -> Tower | NativeTower:
    weight = tower.patch_embed.proj.weight
    if switches.native and library.runs_here(weight):
        return NativeTower(tower, matrix_units=switches.matrix_units)
    if cuda.runs_here(weight, switches):
        from alpamayo_ros.engine.cuda.tower import FusedTower

        return FusedTower(tower, switches)
    return Tower(tower, switches)
