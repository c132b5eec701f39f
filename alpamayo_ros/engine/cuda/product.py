"""Matrix products on a CUDA GPU. Of few rows they are as fast as the weights are read, which is where PyTorch's leave
most: theirs share out the columns alone, and few columns keep few processors busy. Ours share out the inner size too;
each part gives sums of its own, and whoever reads them next adds them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from alpamayo_ros.engine.cuda.pointwise import Rows
from alpamayo_ros.engine.linear import quantised
from alpamayo_ros.engine.switches import Float8

FEW = 64
"""Rows, up to which the weights' way from memory takes longer than the products."""
_COLUMNS = 64
_PROGRAMS = 256
"""That are wanted: two for each processor of an H100 or H200, so that one reads while the other waits."""
_PARTS, _LEAST = 4, 1024
"""At most so many parts, each of no fewer of the inner size: more take longer there, for products of the shape 10b."""


class Product:
    """Rows (R, inner) by a weight (columns, inner): (parts, R, columns), of which the sum is meant."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None, float8: Float8 = "off") -> None:
        self._type, self._bias, self._scale = weight.dtype, bias, None
        self._weight = weight.detach()
        if float8 != "off":
            self._weight, scale = quantised(self._weight)
            self._scale = scale[:, 0].contiguous()
        # Earlier GPUs do not widen float8 in a kernel.
        old = weight.is_cuda and torch.cuda.get_device_capability(weight.device) < (9, 0)
        self._few = 0 if old and float8 == "weights" else FEW

    def __call__(self, rows: Rows) -> Tensor:
        if len(rows.values) <= self._few:
            return self._of_few(rows)
        if self._scale is None:
            return F.linear(rows.values, self._weight, self._bias)[None]
        if rows.scale is None:
            return (F.linear(rows.values, self._weight.to(self._type)) * self._scale.to(self._type))[None]
        if any(size % 16 for size in self._weight.shape):
            # PyTorch's float8 products take no other sizes.
            return self._of_few(rows)
        scales = rows.scale[:, None], self._scale[None]
        product = torch._scaled_mm(rows.values, self._weight.t(), *scales, out_dtype=torch.bfloat16)
        return product.to(self._type)[None]

    def _of_few(self, rows: Rows) -> Tensor:
        (count, inner), columns = rows.values.shape, len(self._weight)
        block = min(64, max(16, triton.next_power_of_2(count)))
        deep = 128 if rows.values.dtype == torch.bfloat16 else 256 if rows.scale is not None else 64
        blocks = triton.cdiv(columns, _COLUMNS)
        wanted = min(_PARTS, _PROGRAMS // blocks, inner // _LEAST)
        whole = self._bias is not None or count > FEW or wanted < 2
        span = inner if whole else triton.cdiv(triton.cdiv(inner, wanted), deep) * deep
        parts = triton.cdiv(inner, span)
        kind = self._type if parts == 1 else torch.float32
        made = torch.empty(parts, count, columns, device=self._weight.device, dtype=kind)
        x_scale, scale, bias = (made if it is None else it for it in (rows.scale, self._scale, self._bias))
        _of_few[(blocks, parts, triton.cdiv(count, block))](
            rows.values, self._weight, bias, made, x_scale, scale, count, columns, inner, span,
            ROWS=block, COLUMNS=_COLUMNS, INNER=deep, NARROW=rows.scale is not None, SCALED=self._scale is not None,
            BIASED=self._bias is not None, num_warps=4, num_stages=4,
        )  # fmt: skip
        return made


@triton.jit(do_not_specialize=["rows"])
def _of_few(
    x, weight, bias, made, x_scale, scale, rows, columns, inner, span,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, INNER: tl.constexpr,
    NARROW: tl.constexpr, SCALED: tl.constexpr, BIASED: tl.constexpr,
):  # fmt: skip
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    part = tl.program_id(1)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    asked, there = row < rows, column < columns
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    left = x + row.to(tl.int64)[:, None] * inner
    right = weight + column.to(tl.int64)[None, :] * inner
    for start in range(part * span, tl.minimum((part + 1) * span, inner), INNER):
        k = start + tl.arange(0, INNER)
        known = k < inner
        a = tl.load(left + k[None, :], mask=asked[:, None] & known[None, :], other=0.0)
        b = tl.load(right + k[:, None], mask=there[None, :] & known[:, None], other=0.0)
        total = tl.dot(a, b if NARROW else b.to(a.dtype), total, input_precision="ieee")
    if NARROW:
        total = total * tl.load(x_scale + row, mask=asked, other=0.0)[:, None]
    if SCALED:
        total = total * tl.load(scale + column, mask=there, other=0.0)[None, :]
    if BIASED:
        total += tl.load(bias + column, mask=there, other=0.0).to(tl.float32)[None, :]
    at = (part.to(tl.int64) * rows + row)[:, None] * columns + column[None, :]
    tl.store(made + at, total.to(made.dtype.element_ty), mask=asked[:, None] & there[None, :])


class Whole:
    """(…, in) to (…, out), as `linear.Dense`."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._product = Product(weight, bias)

    def __call__(self, x: Tensor) -> Tensor:
        made = self._product(Rows(x.reshape(-1, x.shape[-1]).contiguous()))
        whole = made[0] if len(made) == 1 else made.sum(dim=0).to(x.dtype)
        return whole.reshape(*x.shape[:-1], -1)
