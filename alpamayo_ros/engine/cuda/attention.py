"""Attention to the cache, whose columns are shared out among the processors of the GPU.

PyTorch's kernel that takes a mask gives one key-value head to one processor: with eight of them and few queries, most
of a GPU stands idle. Here every processor has a part of the columns of a head, and a second kernel joins the parts (the
split of "Flash-Decoding for long-context inference", Dao et al., 2023).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_LOG2_E = tl.constexpr(1.4426950408889634)


def attend(q: Tensor, keys: Tensor, values: Tensor, end: int, visible: Tensor | None) -> Tensor:
    """q (B, T, heads, head_dim) mixed over the first `end` columns of keys and values (B, columns, kv_heads, head_dim):
    (B, T, heads, head_dim).

    visible: (B or 1, T or 1, end) bool; by default all see all. Who sees nothing gets zeros.
    """
    rows, tokens, heads, width = q.shape
    kv_heads = keys.shape[2]
    queries = tokens * heads // kv_heads
    block = min(_QUERIES, max(16, triton.next_power_of_2(queries)))
    blocks = triton.cdiv(queries, block)
    parts, span = _parts(end, rows * kv_heads * blocks)
    mixed = torch.empty(parts, rows * tokens * heads, width, device=q.device, dtype=torch.float32)
    weight = torch.empty(2, parts, rows * tokens * heads, device=q.device, dtype=torch.float32)
    seen = q if visible is None else visible.view(torch.uint8)
    strides = [0, 0] if visible is None else [seen.stride(i) if seen.shape[i] > 1 else 0 for i in (0, 1)]
    _attend[(rows * kv_heads * blocks, parts)](
        q, keys, values, seen, mixed, weight, width**-0.5, tokens, end, span, blocks, rows * tokens * heads,
        keys.stride(0), keys.stride(1), *strides,
        HEADS=heads, KEYS=kv_heads, WIDTH=width, QUERIES=block, COLUMNS=_COLUMNS, MASKED=visible is not None,
        num_warps=4, num_stages=_stages(width * q.element_size()),
    )  # fmt: skip
    made = torch.empty_like(q)
    _join[(rows * tokens * heads,)](
        mixed, weight, made, rows * tokens * heads, parts, WIDTH=width, PARTS=triton.next_power_of_2(parts), num_warps=1
    )  # fmt: skip
    return made


_QUERIES = 64
_COLUMNS = 64
"""That are read together."""
_PROCESSORS = 132
"""Of an H100 or H200. Parts are as many as fill them once; on a GPU with others some wait, or stand idle."""


def _stages(head_bytes: int) -> int:
    """Blocks of keys and values that are on their way at once. Of 128 float32 numbers a head, three are more shared
    memory than an A100 has (181 KB of 163), and two more than an RTX 4090 has (115 of 99)."""
    return 1 if head_bytes > 256 else 3


def _parts(end: int, others: int) -> tuple[int, int]:
    """In how many parts `end` columns are shared out, and how many there are in each."""
    blocks = triton.cdiv(end, _COLUMNS)
    each = triton.cdiv(blocks, max(1, min(blocks, _PROCESSORS // others)))
    return triton.cdiv(blocks, each), each * _COLUMNS


@triton.jit
def _attend(
    q, keys, values, visible, mixed, weight, scale,
    tokens, end, span, blocks, total,
    row_stride, column_stride, seen_row_stride, seen_token_stride,
    HEADS: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr,
    QUERIES: tl.constexpr, COLUMNS: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    GROUP: tl.constexpr = HEADS // KEYS
    block = tl.program_id(0) % blocks
    head = tl.program_id(0) // blocks % KEYS
    row = (tl.program_id(0) // blocks // KEYS).to(tl.int64)
    part = tl.program_id(1)
    query = block * QUERIES + tl.arange(0, QUERIES)
    token = query // GROUP
    asked = token < tokens
    across = tl.arange(0, WIDTH)
    place = (row * tokens + token) * HEADS + head * GROUP + query % GROUP
    asking = tl.load(q + place[:, None] * WIDTH + across[None, :], mask=asked[:, None], other=0.0)
    highest = tl.full([QUERIES], float("-inf"), tl.float32)
    total_weight = tl.zeros([QUERIES], tl.float32)
    sums = tl.zeros([QUERIES, WIDTH], tl.float32)
    start = row * row_stride + head * WIDTH
    for first in range(part * span, tl.minimum((part + 1) * span, end), COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        there = column < end
        at = start + column.to(tl.int64) * column_stride
        key = tl.load(keys + at[None, :] + across[:, None], mask=there[None, :], other=0.0)
        value = tl.load(values + at[:, None] + across[None, :], mask=there[:, None], other=0.0)
        score = tl.dot(asking, key, input_precision="ieee") * (scale * _LOG2_E)
        shown = there[None, :]
        if MASKED:
            seen = visible + row * seen_row_stride + token[:, None] * seen_token_stride + column[None, :]
            shown = shown & (tl.load(seen, mask=asked[:, None] & there[None, :], other=0) != 0)
        score = tl.where(shown, score, float("-inf"))
        higher = tl.maximum(highest, tl.max(score, axis=1))
        # Where nothing was seen yet, −∞ − −∞ is no number.
        base = tl.where(higher == float("-inf"), 0.0, higher)
        share = tl.exp2(score - base[:, None])
        fade = tl.exp2(highest - base)
        total_weight = total_weight * fade + tl.sum(share, axis=1)
        sums = sums * fade[:, None] + tl.dot(share.to(value.dtype), value, input_precision="ieee")
        highest = higher
    out = part.to(tl.int64) * total + place
    tl.store(mixed + out[:, None] * WIDTH + across[None, :], sums, mask=asked[:, None])
    tl.store(weight + out, highest, mask=asked)
    tl.store(weight + tl.num_programs(1).to(tl.int64) * total + out, total_weight, mask=asked)


@triton.jit(do_not_specialize=["total", "parts"])
def _join(
    mixed, weight, made, total, parts, WIDTH: tl.constexpr, PARTS: tl.constexpr
):  # fmt: skip
    place = tl.program_id(0).to(tl.int64)
    across = tl.arange(0, WIDTH)
    part = tl.arange(0, PARTS).to(tl.int64)
    there = part < parts
    highest = tl.load(weight + part * total + place, mask=there, other=float("-inf"))
    top = tl.max(highest, axis=0)
    share = tl.exp2(highest - tl.where(top == float("-inf"), 0.0, top))
    whole = tl.sum(share * tl.load(weight + (parts + part) * total + place, mask=there, other=0.0), axis=0)
    each = tl.load(mixed + (part * total + place)[:, None] * WIDTH + across[None, :], mask=there[:, None], other=0.0)
    sums = tl.sum(share[:, None] * each, axis=0)
    result = tl.where(whole > 0, sums / tl.where(whole > 0, whole, 1.0), 0.0)
    tl.store(made + place * WIDTH + across, result.to(made.dtype.element_ty))
