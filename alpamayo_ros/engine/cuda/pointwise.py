"""What lies between the matrix products of a layer, each as one kernel: a value is read once and written once.

What is rounded to the model's type in `vla` between two of these is rounded here; inside one, all is float32. Where a
product was summed up in parts (see `product`), they are added here. Where the next product is one of float8, norms give
it what it takes.

Triton compiles a kernel anew where a number that it is called with is a multiple of 16 or is not. What varies from pass
to pass is told not to; not so what says where rows lie, without which a kernel reads value by value.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from alpamayo_ros.engine.cache import StaticCache

LARGEST = tl.constexpr(448.0)
"""In float8 e4m3."""


class Rows(NamedTuple):
    """What a product takes: values (R, size), and where they are float8 a scale (R,) of each row."""

    values: Tensor
    scale: Tensor | None = None


def _empty_rows(rows: int, size: int, like: Tensor, *, float8: bool) -> Rows:
    if not float8:
        return Rows(like.new_empty(rows, size))
    values = torch.empty(rows, size, device=like.device, dtype=torch.float8_e4m3fn)
    return Rows(values, torch.empty(rows, device=like.device, dtype=torch.float32))


def add_normalised(hidden: Tensor, change: Tensor | None, weight: Tensor, eps: float, *, float8: bool = False) -> Rows:
    """RMS norm of hidden + change, which `hidden` (R, size) becomes; in the type of the weight (size,), or float8.

    change: (parts, R, size), of which the sum is meant.
    """
    rows, size = hidden.shape
    made = _empty_rows(rows, size, weight, float8=float8)
    block = triton.next_power_of_2(size)
    _add_normalised[(rows,)](
        hidden, hidden if change is None else change, weight, weight, *_pointers(made), eps, rows * size,
        SIZE=size, BLOCK=block, PARTS=0 if change is None else len(change), CENTRES=False, FLOAT8=float8,
        num_warps=_warps(block),
    )  # fmt: skip
    return made


def add_layer_normalised(hidden: Tensor, change: Tensor | None, norm: torch.nn.LayerNorm) -> Tensor:
    """Layer norm of hidden + change, both (R, size), which `hidden` becomes."""
    rows, size = hidden.shape
    made = torch.empty_like(hidden)
    block = triton.next_power_of_2(size)
    _add_normalised[(rows,)](
        hidden, hidden if change is None else change, norm.weight, norm.bias, made, made, norm.eps, rows * size,
        SIZE=size, BLOCK=block, PARTS=0 if change is None else 1, CENTRES=True, FLOAT8=False, num_warps=_warps(block),
    )  # fmt: skip
    return made


def _pointers(rows: Rows) -> tuple[Tensor, Tensor]:
    return rows.values, rows.values if rows.scale is None else rows.scale


def _warps(block: int) -> int:
    return min(8, max(1, block // 256))


@triton.jit
def _summed(pointer, stride, mask, TYPE: tl.constexpr, PARTS: tl.constexpr):
    """Parts that lie `stride` apart, added and rounded to the type of the model; float32."""
    total = tl.load(pointer, mask=mask, other=0.0).to(tl.float32)
    for part in tl.static_range(1, PARTS):
        total += tl.load(pointer + part * stride, mask=mask, other=0.0).to(tl.float32)
    return total.to(TYPE).to(tl.float32)


@triton.jit
def _add_normalised(
    hidden, change, weight, bias, made, made_scale, eps, stride,
    SIZE: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr, CENTRES: tl.constexpr, FLOAT8: tl.constexpr,
):  # fmt: skip
    TYPE: tl.constexpr = weight.dtype.element_ty
    STREAM: tl.constexpr = hidden.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < SIZE
    at = row * SIZE + column
    wide = tl.load(hidden + at, mask=inside, other=0.0).to(tl.float32)
    if PARTS > 0:
        wide += _summed(change + at, stride, inside, TYPE, PARTS)
        wide = wide.to(STREAM).to(tl.float32)
        tl.store(hidden + at, wide.to(STREAM), mask=inside)
    factor = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    if CENTRES:
        wide = tl.where(inside, wide - tl.sum(wide, axis=0) / SIZE, 0.0)
        result = wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / SIZE + eps) * factor
        result += tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)
    else:
        result = (wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / SIZE + eps)).to(STREAM).to(tl.float32) * factor
    if FLOAT8:
        result = result.to(TYPE).to(tl.float32)
        scale = tl.maximum(tl.max(tl.abs(result), axis=0), 1e-12) / LARGEST
        tl.store(made_scale + row, scale)
        result = tl.clamp(result / scale, -LARGEST, LARGEST)
    tl.store(made + at, result.to(made.dtype.element_ty), mask=inside)


def place_heads(
    heads: Tensor,
    norm: Tensor,
    eps: float,
    rotary: tuple[Tensor, Tensor],
    cache: StaticCache,
    layer: int,
    columns: Tensor,
    *,
    spare: int = 0,
) -> Tensor:
    """Queries (B, spare + T, heads, head_dim), normalised and turned; keys, likewise, and values go into the cache.

    heads: (parts, B · T, (heads + 2 kv_heads) · head_dim): queries, keys and values. norm: (heads + kv_heads,
    head_dim). rotary: cos and sin (B or 1, T, 1, head_dim), the first half of sin negative. columns: (T,) of the cache.
    spare: so many queries in front of the others are left as they are.
    """
    parts, _, joined = heads.shape
    tokens, width = rotary[0].shape[1], cache.keys.shape[4]
    rows, kv_heads = heads.shape[1] // tokens, cache.keys.shape[3]
    queries = joined // width - 2 * kv_heads
    made = torch.empty(rows, spare + tokens, queries, width, device=norm.device, dtype=norm.dtype)
    cos, sin = (part.reshape(len(part), tokens, width).contiguous() for part in rotary)
    keys, values = cache.keys[layer], cache.values[layer]
    _place_heads[(rows * tokens,)](
        heads, norm, cos, sin, columns, made, keys, values, eps,
        tokens, spare, width * tokens if len(cos) > 1 else 0, keys.stride(0), heads.stride(0),
        QUERIES=queries, KEYS=kv_heads, WIDTH=width, BLOCK=triton.next_power_of_2(queries + 2 * kv_heads),
        HALF=triton.next_power_of_2(width // 2), PARTS=parts, num_warps=4,
    )  # fmt: skip
    return made


@triton.jit(do_not_specialize=["tokens", "spare"])
def _place_heads(
    heads, norm, cos, sin, columns, made, keys, values, eps,
    tokens, spare, angle_stride, row_stride, stride,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, HALF: tl.constexpr,
    PARTS: tl.constexpr,
):  # fmt: skip
    TYPE: tl.constexpr = norm.dtype.element_ty
    OVER: tl.constexpr = WIDTH // 2
    place = tl.program_id(0).to(tl.int64)
    row, token = place // tokens, place % tokens
    head = tl.arange(0, BLOCK)[:, None]
    low = tl.arange(0, HALF)[None, :]
    inside = (head < QUERIES + 2 * KEYS) & (low < OVER)
    turned = (head < QUERIES + KEYS) & (low < OVER)
    given = heads + (place * (QUERIES + 2 * KEYS) + head) * WIDTH + low
    first = _summed(given, stride, inside, TYPE, PARTS)
    second = _summed(given + OVER, stride, inside, TYPE, PARTS)
    scale = tl.rsqrt((tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)) / WIDTH + eps)[:, None]
    factor = norm + head * WIDTH + low
    a = (first * scale).to(TYPE).to(tl.float32) * tl.load(factor, mask=turned, other=0.0).to(tl.float32)
    b = (second * scale).to(TYPE).to(tl.float32) * tl.load(factor + OVER, mask=turned, other=0.0).to(tl.float32)
    a, b = a.to(TYPE).to(tl.float32), b.to(TYPE).to(tl.float32)
    left, right = _turned(a, b, cos, sin, row * angle_stride + token * WIDTH + low, low < OVER, OVER)
    left, right = left.to(TYPE), right.to(TYPE)
    query = made + ((row * (spare + tokens) + spare + token) * QUERIES + head) * WIDTH + low
    is_query = inside & (head < QUERIES)
    tl.store(query, left, mask=is_query)
    tl.store(query + OVER, right, mask=is_query)
    column = row * row_stride + tl.load(columns + token) * KEYS * WIDTH
    key = keys + column + (head - QUERIES) * WIDTH + low
    is_key = turned & (head >= QUERIES)
    tl.store(key, left, mask=is_key)
    tl.store(key + OVER, right, mask=is_key)
    value = values + column + (head - QUERIES - KEYS) * WIDTH + low
    is_value = inside & (head >= QUERIES + KEYS)
    tl.store(value, first.to(TYPE), mask=is_value)
    tl.store(value + OVER, second.to(TYPE), mask=is_value)


@triton.jit
def _turned(a, b, cos, sin, at, mask, OVER: tl.constexpr):
    """The halves of heads after rotary embedding, where the first half of sin is negative."""
    left = a * tl.load(cos + at, mask=mask, other=0.0).to(tl.float32)
    left += b * tl.load(sin + at, mask=mask, other=0.0).to(tl.float32)
    right = b * tl.load(cos + at + OVER, mask=mask, other=0.0).to(tl.float32)
    right += a * tl.load(sin + at + OVER, mask=mask, other=0.0).to(tl.float32)
    return left, right


def turn(heads: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotary embedding of the queries and keys in (P, 3, heads, head_dim), where they are; cos, sin: P · head_dim."""
    patches, _, count, width = heads.shape
    _turn[(patches,)](
        heads, cos, sin, HEADS=2 * count, WIDTH=width, BLOCK=triton.next_power_of_2(2 * count),
        HALF=triton.next_power_of_2(width // 2), num_warps=4,
    )  # fmt: skip


@triton.jit
def _turn(
    heads, cos, sin, HEADS: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, HALF: tl.constexpr
):  # fmt: skip
    OVER: tl.constexpr = WIDTH // 2
    patch = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, BLOCK)[:, None]
    low = tl.arange(0, HALF)[None, :]
    inside = (head < HEADS) & (low < OVER)
    at = heads + (patch * (HEADS // 2) * 3 + head) * WIDTH + low
    a = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(at + OVER, mask=inside, other=0.0).to(tl.float32)
    left, right = _turned(a, b, cos, sin, patch * WIDTH + low, low < OVER, OVER)
    tl.store(at, left.to(heads.dtype.element_ty), mask=inside)
    tl.store(at + OVER, right.to(heads.dtype.element_ty), mask=inside)


def gated(both: Tensor, like: Tensor) -> Tensor:
    """silu(gate) · up of (parts, R, 2 size): (R, size) in the type of `like`."""
    parts, rows, size = both.shape[0], both.shape[1], both.shape[2] // 2
    made = torch.empty(rows, size, device=like.device, dtype=like.dtype)
    grid = rows, triton.cdiv(size, _GATED)
    _gated[grid](both, made, size, both.stride(0), BLOCK=_GATED, PARTS=parts, num_warps=4)
    return made


_GATED = 1024


@triton.jit
def _gated(both, made, size, stride, BLOCK: tl.constexpr, PARTS: tl.constexpr):
    TYPE: tl.constexpr = made.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < size
    gate = _summed(both + 2 * row * size + column, stride, inside, TYPE, PARTS)
    up = _summed(both + (2 * row + 1) * size + column, stride, inside, TYPE, PARTS)
    opened = (gate / (1.0 + tl.exp(-gate))).to(TYPE).to(tl.float32)
    tl.store(made + row * size + column, (opened * up).to(TYPE), mask=inside)


def as_float8(x: Tensor) -> Rows:
    """(R, size) as float8, each row with its scale."""
    rows, size = x.shape
    made = _empty_rows(rows, size, x, float8=True)
    block = triton.next_power_of_2(size)
    _as_float8[(rows,)](x, *_pointers(made), SIZE=size, BLOCK=block, num_warps=_warps(block))
    return made


@triton.jit
def _as_float8(x, made, made_scale, SIZE: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    wide = tl.load(x + row * SIZE + column, mask=column < SIZE, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(wide), axis=0), 1e-12) / LARGEST
    tl.store(made_scale + row, scale)
    narrow = tl.clamp(wide / scale, -LARGEST, LARGEST).to(made.dtype.element_ty)
    tl.store(made + row * SIZE + column, narrow, mask=column < SIZE)
