"""`alpamayo bench roofline`: each stage against what this machine could do.

The floor of a stage is the longer of two times: its FLOP at the best rate that any product reached here, and its bytes
at the rate of a copy. `share` is that floor over what the stage took; none, where nothing was left to do.
`products_ms` is what the stage's own products with weights take here one by one in their own shapes: where it is far
above the floor, the library's kernels for these shapes are the limit, and where the stage is far above it, what lies
between the products is.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.latency.ceilings import copy_rate, product_seconds, square_rate
from alpamayo_ros.evaluation.latency.latency import run, said
from alpamayo_ros.evaluation.latency.measure import Timings
from alpamayo_ros.evaluation.latency.subject import Settings, Subject, description
from alpamayo_ros.evaluation.latency.work import Load, Product, Work, plan_work


def roofline_report(subject: Subject, settings: Settings, *, ticks: int, kind: str) -> dict[str, Any]:
    """Plans are timed as in `latency_report`, then the machine is. Raises EvaluationError."""
    float8 = subject.switches.float8
    if float8 != "off":
        # Weights in half the bytes and products at another rate: against these floors they would pass for better.
        raise EvaluationError(
            f"roofline knows floors of bfloat16 and float32 alone, and float8 is {float8}; leave it off, or see "
            "what it brings with bench latency"
        )
    timings = run(subject, settings, ticks, kind)
    device, dtype = subject.model.device, subject.model.dtype
    works = plan_work(subject.model.config, load_of(subject, settings, timings))
    seconds = {product: product_seconds(product, device, dtype) for work in works.values() for product in work.products}
    copied = copy_rate(device)
    multiplied = max(square_rate(device, dtype), *(_rate(product, took) for product, took in seconds.items()))
    return {
        **description(subject, settings),
        **said(subject, settings, timings),
        "drive": kind,
        "ticks": ticks,
        "copy_gb_s": round(copied / 1e9, 2),
        "matmul_gflop_s": round(multiplied / 1e9, 2),
        "stages": {
            stage: _against_floor(work, statistics.median(timings.stages[stage]), copied, multiplied, dtype, seconds)
            for stage, work in works.items()
        },
    }


def load_of(subject: Subject, settings: Settings, timings: Timings) -> Load:
    """What the median plan of these was asked for. The first token follows from the prefill: it is not fed alone."""
    config, (pictures, patches) = subject.model.config, timings.pictures
    if subject.switches.vision_cache and not config.vision.tubelets:
        pictures //= config.frames_per_camera
    # Behind its text a model says that the text ends, that the trajectory begins, and one token more.
    tokens = round(statistics.median(timings.tokens)) + (-1 if subject.forced_tokens else 2)
    passes = tokens
    if subject.switches.skip_reasoning:
        tokens, passes = 2, 1
    elif subject.switches.speculation:
        passes = min(tokens, round(statistics.median(timings.passes)))
    return Load(
        pictures=pictures,
        patches=patches,
        known=timings.head_tokens if subject.switches.prefix_cache else 0,
        prompt=timings.prompt_tokens,
        tokens=tokens,
        passes=passes,
        flow_steps=settings.flow_steps,
        samples=settings.num_samples,
    )


def floor_ms(work: Work, copied: float, multiplied: float, itemsize: int) -> tuple[float, str]:
    """The least time of this work at these rates a second, and what limits it."""
    computing, moving = work.flops / multiplied * 1e3, work.bytes(itemsize) / copied * 1e3
    return max((computing, "compute"), (moving, "memory"))


def _against_floor(
    work: Work, took: float, copied: float, multiplied: float, dtype: torch.dtype, seconds: dict[Product, float]
) -> dict[str, Any]:
    floor, limit = floor_ms(work, copied, multiplied, dtype.itemsize)
    products = sum(seconds[product] * product.count for product in work.products) * 1e3
    return {
        "gflop": round(work.flops / 1e9, 3),
        "gb": round(work.bytes(dtype.itemsize) / 1e9, 4),
        "limit": limit,
        "floor_ms": round(floor, 3),
        "products_ms": round(products, 3),
        "p50_ms": round(took, 3),
        "share": round(floor / took, 3) if floor else None,
    }


def _rate(product: Product, seconds: float) -> float:
    return product.flops / product.count / seconds
