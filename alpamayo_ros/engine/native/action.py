"""Flow matching in one call, and single steps of it, from noisy actions to their velocity."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from alpamayo_ros.engine.decoder import Place, Rotary
from alpamayo_ros.engine.native.decoder import NativeStack, Pass, pass_of
from alpamayo_ros.engine.native.library import Norm, Packed, Pointer, Weights, library
from alpamayo_ros.vla.action_in_proj import ActionInProj, FourierFeatures
from alpamayo_ros.vla.decoder import RMSNorm
from alpamayo_ros.vla.flow_matching import Velocity


class ActionWeights(ctypes.Structure):
    _fields_ = [
        ("trunk", ctypes.POINTER(Packed)),
        ("trunk_norms", Pointer),
        ("norm", Norm),
        ("frequencies", Pointer),
        ("out", Packed),
        *((name, ctypes.c_int32) for name in ("count", "features")),
        *((name, ctypes.c_float) for name in ("trunk_eps", "eps")),
    ]


class NativeField:
    """What `flow.Field` does, over a copy of the weights."""

    def __init__(self, embedding: ActionInProj, expert: NativeStack, out: nn.Linear) -> None:
        self._expert, self._size = expert, out.in_features
        held = self._held = Weights(matrix_units=expert.matrix_units)
        trunk = list(embedding.encoder.trunk)
        linear = [part for part in trunk if isinstance(part, nn.Linear)]
        norms = [part for part in trunk if isinstance(part, RMSNorm)]
        frequencies = torch.cat([cast(FourierFeatures, axis).freqs for axis in embedding.sinus])
        self._trunk = (Packed * len(linear))(*(held.packed(part.weight, part.bias) for part in linear))
        self._weights = ActionWeights(
            self._trunk,
            held.address(torch.cat([norm.weight for norm in norms])),
            held.norm(embedding.norm),
            held.address(frequencies),
            held.packed(out.weight, out.bias),
            len(linear),
            2 * frequencies.shape[1],
            norms[0].eps,
            embedding.norm.eps,
        )
        self._pointers = ctypes.byref(self._weights), ctypes.byref(expert.weights)

    def behind(self, rotary: Rotary, place: Place, noise: Tensor, moments: Mapping[float, Tensor]) -> Velocity:
        """As `flow.Field.behind`."""
        arguments = self._pass(rotary, place, noise)

        def velocity(action: Tensor, time: float) -> Tensor:
            action, made = action.contiguous(), torch.empty_like(noise)
            given = (Pointer(part.data_ptr()) for part in (action, moments[time]))
            library().run_velocity(*self._pointers, *given, ctypes.byref(arguments), Pointer(made.data_ptr()))
            return made

        return velocity

    def integrate(self, rotary: Rotary, place: Place, noise: Tensor, moments: Mapping[float, Tensor]) -> Tensor:
        """As `flow.Field.integrate`."""
        arguments = self._pass(rotary, place, noise)
        steps, features = torch.tensor([*moments, 1.0]).diff(), torch.stack([*moments.values()])
        actions, velocity = noise.clone(memory_format=torch.contiguous_format), torch.empty_like(noise)
        given = (Pointer(part.data_ptr()) for part in (actions, features, steps))
        made = Pointer(velocity.data_ptr())
        library().run_flow(*self._pointers, *given, len(steps), ctypes.byref(arguments), made)
        return actions

    def _pass(self, rotary: Rotary, place: Place, noise: Tensor) -> Pass:
        hidden = noise.new_empty(*noise.shape[:2], self._size)
        return pass_of(hidden, torch.empty_like(hidden), rotary, place)
