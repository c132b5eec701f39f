"""Several evaluations in one table."""

import json
from pathlib import Path

import pytest

from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.report.comparison import compare


def write(folder: Path, name: str, value: float, high: float | None, **more: dict) -> Path:
    figure = {"value": value, "low": 0.1, "high": high}
    document = {"policy": name, "seeds": "0-1", "n": 4, "metrics": {"km_per_event": figure, **more}, "by_kind": {}}
    document["by_variant"] = {"challenging": {"km_per_event": {**figure, "value": value + 1.0}}}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


def test_every_file_has_a_column_and_what_does_not_apply_a_dash(tmp_path: Path) -> None:
    comfort = {"value": 0.5, "low": 0.25, "high": 0.75}
    files = [write(tmp_path, "sft", 0.25, None, comfort=comfort), write(tmp_path, "grpo", 0.5, 0.75)]
    assert compare(files, [], "all") == [
        "|  | sft | grpo |",
        "| --- | --- | --- |",
        "| seeds, scenes | 0-1, 4 | 0-1, 4 |",
        "| Distance per event, km | 0.250 [0.100, ∞] | 0.500 [0.100, 0.750] |",
        "| Comfort | 0.500 [0.250, 0.750] | – |",
    ]
    assert compare(files, ["comfort"], "all")[3:] == ["| Comfort | 0.500 [0.250, 0.750] | – |"]


def test_a_variant_has_its_own_figures(tmp_path: Path) -> None:
    file = write(tmp_path, "sft", 0.25, 0.5)
    lines = compare([file], [], "challenging")
    assert lines[2] == "| seeds | 0-1 |", "the document does not say how many scenes were of the variant"
    assert "1.250 [0.100, 0.500]" in lines[3]
    assert len(compare([file], [], "nominal")) == 3


def test_what_is_no_evaluation_is_told(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[1, 2]")
    with pytest.raises(EvaluationError, match=r"other.json holds no figures of an evaluation"):
        compare([other], [], "all")
    with pytest.raises(EvaluationError, match=r"missing.json: No such file"):
        compare([tmp_path / "missing.json"], [], "all")
    with pytest.raises(EvaluationError, match=r"unknown metric nice; the metrics are at_fault"):
        compare([other], ["nice"], "all")
