"""Several evaluations beside each other, as a Markdown table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.metric import METRICS


def compare(files: Sequence[Path], names: Sequence[str], variant: str) -> list[str]:
    """The lines of a table: a column for each document of `summarise`, headed by its file's name; a row for each
    metric, value and 95 % interval.

    names: of metrics, by default all that occur. variant: of the scenarios, or `all`. Raises EvaluationError.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise EvaluationError(f"unknown metric {unknown[0]}; the metrics are {', '.join(METRICS)}")
    documents = [_read(file) for file in files]
    columns = [document["metrics"] if variant == "all" else _of_variant(document, variant) for document in documents]
    shown = names or [name for name in METRICS if any(name in column for column in columns)]
    lines = [
        _row("", [file.stem for file in files]),
        _row("---", ["---"] * len(files)),
        _row("seeds, scenes", [f"{document['seeds']}, {document['n']}" for document in documents])
        if variant == "all"
        else _row("seeds", [document["seeds"] for document in documents]),
    ]
    for name in shown:
        unit = f", {METRICS[name].unit}" if METRICS[name].unit else ""
        lines.append(_row(f"{METRICS[name].title}{unit}", [_cell(column.get(name)) for column in columns]))
    return lines


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
        if {"seeds", "n", "metrics", "by_variant"} <= set(document):
            return dict(document)
    except OSError as error:
        raise EvaluationError(f"{file}: {error.strerror}") from None
    except (ValueError, TypeError):
        pass
    raise EvaluationError(f"{file} holds no figures of an evaluation; give what `alpamayo evaluate … --json` wrote")


def _of_variant(document: Mapping[str, Any], variant: str) -> Mapping[str, Any]:
    """Metrics of one variant; none where no scene was of it."""
    found: Mapping[str, Any] = document["by_variant"].get(variant, {})
    return found


def _row(label: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([label, *cells])} |"


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    low, high = ("∞" if figure[side] is None else f"{figure[side]:.3f}" for side in ("low", "high"))
    return f"{figure['value']:.3f} [{low}, {high}]"
