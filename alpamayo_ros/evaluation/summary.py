"""From the outcomes of scenes to the document of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from alpamayo_ros.evaluation.figure import Figure, ratio_figure
from alpamayo_ros.evaluation.metric import METRICS
from alpamayo_ros.evaluation.scene import Outcome


def figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """Every metric that applies to at least one of the scenes."""
    found = {}
    for name in METRICS:
        tallies = np.array([outcome.tallies.get(name, (0.0, 0.0)) for outcome in outcomes]).reshape(-1, 2)
        figure = ratio_figure(tallies[:, 0], tallies[:, 1])
        if figure is not None:
            found[name] = figure
    return found


def summarise(policy: str, seeds: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The document: `policy`, `seeds`, `n` scenes, `metrics`, `by_kind`, `by_variant`.

    Each metric is {value, low, high}, low and high being its 95 % interval; one that does not apply is absent.
    """
    return {
        "policy": policy,
        "seeds": seeds,
        "n": len(outcomes),
        "metrics": _as_json(figures(outcomes)),
        "by_kind": _grouped(outcomes, lambda outcome: outcome.scene.kind),
        "by_variant": _grouped(outcomes, lambda outcome: str(outcome.scene.variant)),
    }


def _grouped(outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> dict[str, Any]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return {name: _as_json(figures(members)) for name, members in groups.items()}


def _as_json(found: dict[str, Figure]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in found.items()}
