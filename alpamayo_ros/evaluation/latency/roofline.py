"""`alpamayo bench roofline`: each stage against what this machine could do.

The floor of a stage is the longer of two times: its FLOP at the best rate that any product reached here, and its bytes
at the rate of a copy. `share` is that floor over what the stage took; none, where nothing was left to do.
`products_ms` is what the stage's own products with weights take here one by one in their own shapes: where it is far
above the floor, the library's kernels for these shapes are the limit, and where the stage is far above it, what lies
between the products is.

Weights that are held as float8 are counted with one byte; their products have the rate of the model's own type, to
which they are widened. No rate of float8 products is measured. On a processor whose matrix units multiply bfloat16
numbers, a float32 product with bfloat16 weights is three of theirs (`kernels/tiles.h`): its best rate is a third of
theirs, if that is more. The bytes of such weights are counted as of float32, though the library holds half of them.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from alpamayo_ros.engine.native import library
from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.latency.ceilings import copy_rate, product_seconds, square_rate
from alpamayo_ros.evaluation.latency.latency import run, said
from alpamayo_ros.evaluation.latency.measure import Timings
from alpamayo_ros.evaluation.latency.subject import Settings, Subject, description
from alpamayo_ros.evaluation.latency.work import Load, Product, Work, plan_work


def roofline_report(subject: Subject, settings: Settings, *, ticks: int, kind: str) -> dict[str, Any]:
    """Plans are timed as in `latency_report`, then the machine is. Raises EvaluationError."""
    if subject.switches.float8 == "weights_and_activations":
        # Products at another rate: against these floors they would pass for better.
        raise EvaluationError(
            "roofline measures no rate of float8 products, and float8 is weights_and_activations; take float8=weights "
            "or leave it off, or see what it brings with bench latency"
        )
    if subject.switches.streaming:
        # Its prompts are read in part, and `prefill_work` counts whole ones.
        raise EvaluationError(
            "roofline knows no floor of a prompt that is read in part, as with streaming; leave it off, or see what it "
            "brings with bench latency"
        )
    float8 = subject.switches.float8 == "weights"
    timings = run(subject, settings, ticks, kind)
    device, dtype = subject.model.device, subject.model.dtype
    works = plan_work(subject.model.config, load_of(subject, settings, timings))
    try:
        seconds = {
            product: product_seconds(product, device, dtype, float8=float8)
            for work in works.values()
            for product in work.products
        }
        copied = copy_rate(device)
        multiplied = max(_square_rate(subject), *(_rate(product, took) for product, took in seconds.items()))
    except torch.OutOfMemoryError as error:
        raise EvaluationError(
            f"the model leaves too little memory to measure the machine beside it ({error}); take a larger GPU, fewer "
            "samples or float8=weights"
        ) from None
    sizes = {stage: work.bytes(dtype.itemsize, float8=float8) for stage, work in works.items()}
    return {
        **description(subject, settings),
        **said(subject, settings, timings),
        "drive": kind,
        "ticks": ticks,
        "copy_gb_s": round(copied / 1e9, 2),
        "matmul_gflop_s": round(multiplied / 1e9, 2),
        "stages": {
            stage: _against_floor(
                work, sizes[stage], statistics.median(timings.stages[stage]), copied, multiplied, seconds
            )
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


def floor_ms(work: Work, size: int, copied: float, multiplied: float) -> tuple[float, str]:
    """The least time of this work of `size` bytes at these rates a second, and what limits it."""
    computing, moving = work.flops / multiplied * 1e3, size / copied * 1e3
    return max((computing, "compute"), (moving, "memory"))


def _against_floor(
    work: Work, size: int, took: float, copied: float, multiplied: float, seconds: dict[Product, float]
) -> dict[str, Any]:
    floor, limit = floor_ms(work, size, copied, multiplied)
    products = sum(seconds[product] * product.count for product in work.products) * 1e3
    return {
        "gflop": round(work.flops / 1e9, 3),
        "gb": round(size / 1e9, 4),
        "limit": limit,
        "floor_ms": round(floor, 3),
        "products_ms": round(products, 3),
        "p50_ms": round(took, 3),
        "share": round(floor / took, 3) if floor else None,
    }


def _square_rate(subject: Subject) -> float:
    device, dtype, switches = subject.model.device, subject.model.dtype, subject.switches
    native = switches.native and library.runs_here(subject.model.action_out_proj.weight)
    if native and switches.matrix_units and library.has_matrix_units():
        return max(square_rate(device, dtype), square_rate(device, torch.bfloat16) / 3)
    return square_rate(device, dtype)


def _rate(product: Product, seconds: float) -> float:
    return product.flops / product.count / seconds
