"""Passes over buffers that stay where they are, so that CUDA can record a pass once and replay it.

On the CPU a pass is called on the same buffers, so that what is done with them is tested there.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

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
        self._static = static
        # Where kernels of our own run that are not recorded.
        self._here = (lambda: torch.cuda.device(device)) if device.type == "cuda" else contextlib.nullcontext
        self._passes: OrderedDict[Hashable, _StaticPass] = OrderedDict()
        self._recorder = _Recorder(device) if static and device.type == "cuda" else None

    def run(self, key: Hashable, function: Pass, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What `function` makes of the inputs; it may be overwritten by the next run, of whatever key: on CUDA, passes
        share their memory, and what one leaves is another's scratch paper."""
        if not self._static:
            with self._here():
                return function(*inputs)
        if key not in self._passes:
            self._passes[key] = _StaticPass(function, inputs, self._recorder)
            if len(self._passes) > MOST:
                self._passes.popitem(last=False)
        self._passes.move_to_end(key)
        return self._passes[key](*inputs)

    def forget(self) -> None:
        """What passes write into is about to be replaced."""
        self._passes.clear()
        if self._recorder is not None:
            self._recorder.begin_anew()


class _StaticPass:
    def __init__(self, function: Pass, inputs: tuple[Tensor, ...], recorder: _Recorder | None) -> None:
        self._function = function
        self._inputs = [each.clone(memory_format=torch.contiguous_format) for each in inputs]
        self._recorded = None if recorder is None else recorder.record(function, self._inputs)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        if self._recorded is None:
            return self._function(*self._inputs)
        graph, outputs = self._recorded
        graph.replay()
        return outputs


class _Recorder:
    """Records passes of one GPU on one stream into one pool of memory, after warm-ups on one other stream.

    One pool: PyTorch promises that passes may share one that are replayed one at a time and in the order of their
    recording (its notes on CUDA semantics, "Sharing memory across captures"). Ours come in any order. So what one left
    may be overwritten by any other, and who calls `Graphs.run` reads or copies it before the next run.

    Two streams: cuBLAS keeps a workspace for each stream that it has worked on (there, "cuBLAS workspaces"), and
    PyTorch drops that of a stream as soon as any one pass recorded on it goes (`CUDAGraph::reset`, its issue 193402),
    while the others go on using it. So nothing but recording is done on the one stream: its workspace is then memory of
    the pool, which is there as long as any pass is. That of a warm-up would be freed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._warming = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._recording = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.begin_anew()

    def begin_anew(self) -> None:
        """All passes are gone. PyTorch records nothing more into their pool while a tensor in it is still held."""
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, function: Pass, inputs: Sequence[Tensor]) -> tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...]]:
        """A pass over these very tensors, and what each replay of it writes its outputs into."""
        with torch.cuda.device(self._device):
            # Kernels choose their plans and libraries their workspaces at the first calls, which must not be recorded.
            self._warming.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._warming):
                for _ in range(_WARM_UPS):
                    function(*inputs)
            torch.cuda.current_stream().wait_stream(self._warming)
            graph = torch.cuda.CUDAGraph()
            # What other threads of the host ask of the device meanwhile is no business of this recording.
            with torch.cuda.graph(graph, self._pool, self._recording, capture_error_mode="thread_local"):
                outputs = function(*inputs)
        return graph, outputs
