"""A plan's judgement in the few words that fit into a picture or above a car."""

from __future__ import annotations

from alpamayo_ros.types import Decision, GateVerdict


def decision_words(decision: Decision | None) -> tuple[str, str]:
    """What is decided about the speed and about the path; `decision` is None where it could not be read."""
    if decision is None:
        return "speed: not read", "path: not read"
    longitudinal, lateral = decision.longitudinal, decision.lateral
    return (
        "no change of speed" if longitudinal is None else longitudinal.replace("_", " "),
        "no change of path" if lateral is None else lateral.replace("_", " "),
    )


def failed_checks(gate: GateVerdict) -> str:
    """The names of the checks that failed; empty after a pass."""
    return ", ".join(failure.check.replace("_", " ") for failure in gate.failures)
