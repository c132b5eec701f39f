"""Passes over buffers that stay where they are, so that CUDA can record a pass once and replay it.

On the CPU a pass is called on the same buffers, so that what is done with them is tested there. No GPU was at hand when
this was written: recording and replaying on CUDA was never run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

Pass = Callable[..., tuple[Tensor, ...]]
"""Tensors to tensors, all on one device. It may write into tensors that stay where they are, such as the cache; done
twice with the same inputs it must leave what it leaves once. It must not wait for the device."""

MOST = 64
"""Passes that are kept; the one that was used longest ago goes."""
_WARM_UPS = 2


class Graphs:
    """Runs passes by key: all that its inputs do not say about a pass (shapes, places in the cache) is in its key."""

    def __init__(self, device: torch.device, *, static: bool) -> None:
        self._device, self._static = device, static
        self._passes: OrderedDict[Hashable, _StaticPass] = OrderedDict()
        self._pool = self._new_pool()

    def run(self, key: Hashable, function: Pass, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What `function` makes of the inputs; it may be overwritten by the next run, of whatever key: on CUDA, passes
        share their memory, and what one leaves is another's scratch paper."""
        if not self._static:
            return function(*inputs)
        if key not in self._passes:
            self._passes[key] = _StaticPass(function, inputs, self._pool)
            if len(self._passes) > MOST:
                self._passes.popitem(last=False)
        self._passes.move_to_end(key)
        return self._passes[key](*inputs)

    def forget(self) -> None:
        """What passes write into is about to be replaced."""
        self._passes.clear()
        # PyTorch records nothing more into a pool whose passes are all gone while a tensor in it is still held.
        self._pool = self._new_pool()

    def _new_pool(self) -> Any:
        return torch.cuda.graph_pool_handle() if self._static and self._device.type == "cuda" else None


class _StaticPass:
    def __init__(self, function: Pass, inputs: tuple[Tensor, ...], pool: Any) -> None:
        self._function = function
        self._inputs = [each.clone(memory_format=torch.contiguous_format) for each in inputs]
        self._graph: torch.cuda.CUDAGraph | None = None
        if pool is not None:
            self._record(pool)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        if self._graph is None:
            return self._function(*self._inputs)
        self._graph.replay()
        return self._outputs

    def _record(self, pool: Any) -> None:
        with torch.cuda.device(self._inputs[0].device):
            # Kernels choose their plans and libraries their workspaces at the first calls, which must not be recorded.
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    self._function(*self._inputs)
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            # What other threads of the host ask of the device meanwhile is no business of this recording.
            with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
                self._outputs = self._function(*self._inputs)
