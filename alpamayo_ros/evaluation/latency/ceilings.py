"""What this machine can do at best: copy, and multiply matrices of given shapes."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from alpamayo_ros.engine.linear import Dense, Float8
from alpamayo_ros.evaluation.latency.work import Product

_COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 29}
"""More than any cache holds, and little beside a model."""
_SPREAD_BYTES = {"cpu": 1 << 27, "cuda": 1 << 29}
"""Products with different weights in turn read so many: the next ones' weights are not in a cache by chance."""
_SQUARE = {"cpu": 2048, "cuda": 8192}
_SECONDS = 0.2
"""How long each is tried; the best counts."""


def copy_rate(device: torch.device) -> float:
    """Bytes read and written a second, in copying a large tensor."""
    source = torch.ones(_COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / _best_seconds(lambda: target.copy_(source), device)


def square_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second in the product of two large square matrices."""
    side = _SQUARE[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / _best_seconds(lambda: torch.mm(left, right), device)


def product_seconds(product: Product, device: torch.device, dtype: torch.dtype, *, float8: bool) -> float:
    """Seconds of one such product at its best, its weights read from memory as in a model of many layers.

    float8: the decoders' layers hold their weights so, and the engine widens them for each product.
    """
    narrow = float8 and product.in_decoder
    size = product.inner * product.columns * (1 if narrow else dtype.itemsize)
    copies = max(1, min(product.count, _SPREAD_BYTES[device.type] // size))
    weights = (torch.randn(product.columns, product.inner, device=device, dtype=dtype) for _ in range(copies))
    linears = [Float8(weight, activations=False) if narrow else Dense(weight, None) for weight in weights]
    rows = torch.randn(product.rows, product.inner, device=device, dtype=dtype)

    def all_copies() -> None:
        for linear in linears:
            linear(rows)

    return _best_seconds(all_copies, device) / copies


def _best_seconds(run: Callable[[], object], device: torch.device) -> float:
    """The shortest of several runs after one that warms up."""
    best = float("inf")
    end = None
    while end is None or time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took = time.perf_counter() - begin
        if end is None:
            end = time.perf_counter() + _SECONDS
            continue
        best = min(best, took)
    return best
