"""Plots of an evaluation as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alpamayo_ros.evaluation.displacement import HORIZONS
from alpamayo_ros.evaluation.metric import METRICS

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "alpamayo",  # the same figures give the same bytes
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}
_COLOURS = ("#2f6db5", "#d9822b")


def bars_by_kind(document: Mapping[str, Any], metric: str) -> str | None:
    """One bar with its interval for each scenario kind that has the metric; None where none has."""
    rows = {kind: figures[metric] for kind, figures in document["by_kind"].items() if metric in figures}
    if not rows:
        return None
    with mpl.rc_context(_STYLE):
        drawing = Figure(figsize=(7.0, 0.5 + 0.2 * len(rows)), layout="constrained")
        axes = drawing.subplots()
        _bars(axes, list(rows), list(rows.values()), _COLOURS[0])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(_label(metric))
        return _svg(drawing)


def shares_by_variant(document: Mapping[str, Any]) -> str | None:
    """All metrics that are shares, nominal beside challenging."""
    names = [name for name in document["metrics"] if not METRICS[name].unit]
    variants = document["by_variant"]
    if not names:
        return None
    with mpl.rc_context(_STYLE):
        drawing = Figure(figsize=(7.0, 0.7 + 0.34 * len(names)), layout="constrained")
        axes = drawing.subplots()
        height = 0.8 / len(variants)
        for index, (variant, figures) in enumerate(variants.items()):
            places = [row + (index - (len(variants) - 1) / 2) * height for row in range(len(names))]
            known = [(place, figures[name]) for place, name in zip(places, names, strict=True) if name in figures]
            _bars(axes, [place for place, _ in known], [f for _, f in known], _COLOURS[index], 0.9 * height, variant)
        axes.set_yticks(range(len(names)), [METRICS[name].title for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0.0, 1.0)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
        return _svg(drawing)


def error_over_time(document: Mapping[str, Any]) -> str | None:
    """minADE over the horizon; None in a loop that has none."""
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for count in (1, 6):
        names = [f"min_ade_{count}_at_{horizon}s" for horizon in HORIZONS]
        if all(name in document["metrics"] for name in names):
            lines[f"minADE {count}"] = [document["metrics"][name] for name in names]
    if not lines:
        return None
    with mpl.rc_context(_STYLE):
        drawing = Figure(figsize=(5.0, 2.8), layout="constrained")
        axes = drawing.subplots()
        for colour, (label, figures) in zip(_COLOURS, lines.items(), strict=False):
            axes.plot(HORIZONS, [figure["value"] for figure in figures], "o-", color=colour, label=label)
            low, high = ([figure[side] for figure in figures] for side in ("low", "high"))
            axes.fill_between(HORIZONS, low, high, color=colour, alpha=0.2)
        axes.set_xlabel("horizon, s")
        axes.set_ylabel("m")
        axes.set_ylim(bottom=0.0)
        axes.legend(frameon=False)
        return _svg(drawing)


def _bars(
    axes: Axes, places: list[Any], figures: list[Mapping[str, Any]], colour: str, height: float = 0.7, label: str = ""
) -> None:
    values = [figure["value"] for figure in figures]
    # A bound that is not finite is drawn as no whisker: the page's table says it.
    below = [figure["value"] - (figure["value"] if figure["low"] is None else figure["low"]) for figure in figures]
    above = [(figure["value"] if figure["high"] is None else figure["high"]) - figure["value"] for figure in figures]
    spread = [[max(v, 0.0) for v in below], [max(v, 0.0) for v in above]]
    whiskers = {"elinewidth": 0.9, "ecolor": "#333333"}
    axes.barh(places, values, height, xerr=spread, color=colour, error_kw=whiskers, label=label or None)


def _label(metric: str) -> str:
    return METRICS[metric].title + (f", {METRICS[metric].unit}" if METRICS[metric].unit else "")


def _svg(drawing: Figure) -> str:
    out = io.StringIO()
    drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
