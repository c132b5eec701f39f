"""The report: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from alpamayo_ros.evaluation.metric import METRICS
from alpamayo_ros.evaluation.report.clips import BEFORE_END, make_clips
from alpamayo_ros.evaluation.report.plots import bars_by_kind, error_over_time, shares_by_variant
from alpamayo_ros.evaluation.scene import Outcome

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } .range, .note { color: #6a6a6a; font-size: .85em; }
.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; } figure { margin: 1.2rem 0; }
figure img { width: 100%; border-radius: 4px; display: block; } figcaption b { font-weight: 600; }
"""
_HEADLINES = ("scene_score", "collision_rate", "min_ade_1", "min_ade_6", "causal_faithfulness")
_BY_KIND = (
    "scene_score", "at_fault_collision_rate", "off_road_rate", "close_encounter_rate", "missed_stop_rate", "progress",
    "min_ade_1", "min_ade_6", "comfort", "consistency_rate", "decision_accuracy_longitudinal", "component_f1",
    "causal_faithfulness",
)  # fmt: skip
_INTERVALS = (
    "In brackets: 95 % bootstrap intervals over scenes; of something that happened in none of n scenes it cannot say "
    "more than that its rate is probably below 3 / n. A metric that does not apply is absent."
)
_NOTES = {
    "closed loop": (
        "The expert drives the first 1.5 s, then the policy, at 10 Hz, up to 20 s or the first collision or off-road. "
        "Collision, off-road, wrong lane and scene score follow NVIDIA's AlpaSim scorers. Progress is the share of the "
        "expert's distance along the route, cut at 1. An event is what ends a run; without any there is no "
        "distance per event. A close encounter is a predicted "
        "collision within 0.95 s (nuPlan's bound). Ignored stop lines, among scenes that have one, are our own figure."
    ),
    "open loop": (
        "Along the expert's drives the policy plans every second. minADE 1 is that of the first sample, minADE 6 that "
        "of the best of six by its mean over 6.4 s. Words are judged at keyframes against causes that were found by "
        "intervention. Faithfulness: the named cause is taken out of the pictures and the plan has to change; "
        "something unnamed is taken out and the plan has to stay."
    ),
}


def write_report(document: Mapping[str, Any], outcomes: Sequence[Outcome], loop: str, file: Path) -> None:
    """Write the page of a document of `summarise`. loop: `closed loop` or `open loop`."""
    title = f"{document['policy']}, {loop}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{document['n']} scenes, seeds {escape(document['seeds'])}.</p>",
        f"<p class=note>{_INTERVALS} {_NOTES[loop]}</p>",
        "<h2>Figures</h2>",
        _table({"all": document["metrics"], **document["by_variant"]}, list(document["metrics"]), turned=True),
        *_plots(document),
        "<h2>By scenario kind</h2>",
        _table(document["by_kind"], [name for name in _BY_KIND if name in document["metrics"]], turned=False),
        *_clips(outcomes),
    ]
    body = "\n".join(parts)
    file.write_text(
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style>\n<body>\n{body}\n</body></html>\n"
    )


def _table(groups: Mapping[str, Mapping[str, Any]], names: Sequence[str], turned: bool) -> str:
    """Groups as rows and metrics as columns, or `turned` round."""
    titles = {
        name: escape(METRICS[name].title) + (f", {unit}" if (unit := METRICS[name].unit) else "") for name in names
    }
    if turned:
        heads, rows = list(groups), [(titles[name], [found.get(name) for found in groups.values()]) for name in names]
    else:
        heads = [titles[name] for name in names]
        rows = [(group, [figures.get(name) for name in names]) for group, figures in groups.items()]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in ("", *heads))
    lines = "\n".join(
        f"<tr><td>{escape(label)}</td>" + "".join(f"<td>{_cell(figure)}</td>" for figure in figures) + "</tr>"
        for label, figures in rows
    )
    return f"<div class=wide><table><tr>{head}</tr>\n{lines}</table></div>"


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    low, high = ("∞" if figure[side] is None else f"{figure[side]:.2f}" for side in ("low", "high"))
    return f"{figure['value']:.3f} <span class=range>[{low}, {high}]</span>"


def _plots(document: Mapping[str, Any]) -> list[str]:
    plots = [shares_by_variant(document), error_over_time(document)]
    plots += [bars_by_kind(document, name) for name in _HEADLINES if name in document["metrics"]]
    return [f"<figure>{plot}</figure>" for plot in plots if plot is not None]


def _clips(outcomes: Sequence[Outcome]) -> list[str]:
    failed = sum(outcome.failure is not None for outcome in outcomes)
    if not failed:
        return ["<h2>Failures</h2><p>None.</p>"]
    clips = make_clips(outcomes)
    times = ", ".join(f"{before / 10:.1f}" for before in BEFORE_END)
    said = (
        f"<h2>Failures</h2><p class=note>{len(clips)} of {failed}. The front camera {times} s before the end; then the "
        "end from above: the car and its way blue, others orange, the plan that is meant pink.</p>"
    )
    figures = []
    for clip in clips:
        source = base64.b64encode(clip.jpeg).decode()
        caption = f"<b>{escape(clip.title)}</b>: {escape(clip.reason)}"
        figures.append(
            f'<figure><img alt="" src="data:image/jpeg;base64,{source}"><figcaption>{caption}</figcaption></figure>'
        )
    return [said, *figures]
