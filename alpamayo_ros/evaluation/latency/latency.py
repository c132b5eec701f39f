"""`alpamayo bench latency`: how long plans took, and with what beside it the figures mean something."""

from __future__ import annotations

import statistics
from typing import Any

from alpamayo_ros.evaluation.latency.measure import SETTLING, Timings, time_plans
from alpamayo_ros.evaluation.latency.quantiles import quantiles
from alpamayo_ros.evaluation.latency.reference import TransformersReference
from alpamayo_ros.evaluation.latency.subject import Settings, Subject, description
from alpamayo_ros.evaluation.latency.ticks import consecutive_observations


def latency_report(
    subject: Subject, settings: Settings, *, ticks: int, kind: str, with_reference: bool = False
) -> dict[str, Any]:
    """ticks: plans in the steady state. kind: of the drive. `reference` and `ratio` are None without the reference.
    Raises EvaluationError."""
    reference = TransformersReference(subject.model) if with_reference else None
    timings = run(subject, settings, ticks, kind, reference)
    total = quantiles(timings.total)
    report: dict[str, Any] = {
        **description(subject, settings),
        **said(subject, settings, timings),
        "drive": kind,
        "ticks": ticks,
        "cold": {
            "total_ms": round(timings.cold_total, 3),
            "stages_ms": {stage: round(took, 3) for stage, took in timings.cold.items()},
        },
        "stages": {stage: quantiles(values) for stage, values in timings.stages.items()},
        "total": total,
        "reference": None,
        "ratio": None,
    }
    if reference is not None:
        measured = quantiles(timings.reference)
        report["reference"] = {
            **measured,
            "name": reference.name,
            "vision": reference.vision,
            "same_words": round(statistics.mean(timings.same_words), 3),
            "furthest_m": timings.furthest_m,
        }
        report["ratio"] = round(measured["p50_ms"] / total["p50_ms"], 3)
    return report


def run(
    subject: Subject, settings: Settings, ticks: int, kind: str, reference: TransformersReference | None = None
) -> Timings:
    """Plan along a drive of that kind until there are `ticks` plans in the steady state."""
    count = 1 + SETTLING + ticks
    observations = consecutive_observations(subject.model.config, count, kind=kind, size=subject.size)
    return time_plans(subject, settings, observations, reference)


def said(subject: Subject, settings: Settings, timings: Timings) -> dict[str, Any]:
    """How much was read and said. coc_tokens: the median over plans of the longest reasoning of each. passes: of the
    language model after the prompt's, the mean; fewer than tokens where drafts were right. acceptance_declared: None
    where drafts are the last plan's words, so that the passes are measured on what they are for."""
    drafts = subject.switches.speculation and not subject.switches.skip_reasoning
    return {
        "picture_size": "x".join(map(str, timings.picture_size)),
        "prompt_tokens": timings.prompt_tokens,
        "coc_tokens": int(statistics.median(timings.tokens)),
        "coc_tokens_forced": subject.forced_tokens is not None,
        "passes": round(statistics.mean(timings.passes), 2) if drafts else None,
        "acceptance_declared": settings.acceptance,
    }
