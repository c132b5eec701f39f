"""`alpamayo bench memory`: weights, key-value cache, and what else is in use at the highest, for each K."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alpamayo_ros.evaluation.latency.latency import said
from alpamayo_ros.evaluation.latency.machine import peak_memory, reset_peak, used_memory
from alpamayo_ros.evaluation.latency.measure import SETTLING, time_plans
from alpamayo_ros.evaluation.latency.subject import Settings, Subject, description, weight_bytes
from alpamayo_ros.evaluation.latency.ticks import consecutive_observations

_MB = 1e6


def memory_report(subject: Subject, settings: Settings, *, samples: Sequence[int], kind: str) -> dict[str, Any]:
    """samples: the numbers K that are planned with, in turn, over the same few ticks, drawn before.

    weights_mb: as stored. Of each K: cache_mb, the key-value cache as the engine made it; working_mb, the highest use
    above what was in use before the first plan, the cache among it; peak_mb, the highest in all. Use is that of tensors
    on a GPU, and of resident pages on a CPU, libraries and pictures among them. Raises EvaluationError.
    """
    device, config = subject.model.device, subject.model.config
    seen = list(consecutive_observations(config, SETTLING + 2, kind=kind, size=subject.size))
    reset_peak(device)
    before = used_memory(device)
    by_samples = {}
    for number in samples:
        reset_peak(device)
        timings = time_plans(subject, replace(settings, num_samples=number), seen)
        peak = peak_memory(device)
        by_samples[str(number)] = {
            "cache_mb": round(subject.policy.engine.cache_bytes / _MB, 3),
            "working_mb": round((peak - before) / _MB, 3),
            "peak_mb": round(peak / _MB, 3),
        }
    return {
        **description(subject, settings),
        **said(subject, settings, timings),
        "drive": kind,
        "samples": list(samples),
        "weights_mb": round(weight_bytes(subject.model, subject.model.dtype) / _MB, 3),
        "counted": "tensors on the GPU" if device.type == "cuda" else "resident pages of the process",
        "by_samples": by_samples,
    }
