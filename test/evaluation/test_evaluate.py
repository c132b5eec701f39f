"""The command: figures with fixed keys, the same after a kill, one line on bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from alpamayo_ros.cli import main
from alpamayo_ros.evaluation.metric import METRICS
from alpamayo_ros.evaluation.request import list_scenes, parse_seeds

KINDS = "sharp_curve,debris"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def closed_loop(output: Path, *more: object) -> dict:
    run("closed-loop", "--policy", "idm-blind", "--seeds", "0-1", "--kinds", KINDS, "--json", output, *more)
    return json.loads(output.read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The document of a run that nothing disturbed."""
    return closed_loop(tmp_path_factory.mktemp("whole") / "figures.json")


def test_the_document_has_the_keys_that_others_build_on(whole: dict) -> None:
    document = whole
    assert list(document) == ["policy", "seeds", "n", "metrics", "by_kind", "by_variant"]
    assert (document["policy"], document["seeds"], document["n"]) == ("idm-blind", "0-1", 8)
    assert set(document["by_kind"]) == set(KINDS.split(","))
    assert set(document["by_variant"]) == {"nominal", "challenging"}
    for figures in (document["metrics"], *document["by_kind"].values(), *document["by_variant"].values()):
        assert set(figures) <= set(METRICS)
        assert {"collision_rate", "scene_score", "progress", "comfort"} <= set(figures)
        # No words, no samples, no events: no figure, rather than zero.
        assert not {"consistency_rate", "min_ade_6", "component_f1"} & set(figures)
        for figure in figures.values():
            assert set(figure) == {"value", "low", "high"}
            assert figure["low"] <= figure["value"]
    assert document["by_kind"]["debris"]["collision_rate"]["value"] > 0.5
    assert document["by_kind"]["sharp_curve"]["collision_rate"]["value"] == 0.0
    assert "km_per_event" not in document["by_kind"]["sharp_curve"]


def test_processes_and_order_do_not_matter(whole: dict, tmp_path: Path) -> None:
    assert closed_loop(tmp_path / "figures.json", "--workers", 2) == whole


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(whole: dict, tmp_path: Path) -> None:
    output, kept = tmp_path / "figures.json", tmp_path / "figures.scenes.jsonl"
    words = ["evaluate", "closed-loop", "--policy", "idm-blind", "--seeds", "0-1", "--kinds", KINDS]
    process = subprocess.Popen(
        [sys.executable, "-c", "from alpamayo_ros.cli import main; main()", *words, "--json", str(output)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (kept.exists() and kept.read_text().count("\n") >= 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    lines = kept.read_text().splitlines()
    assert 2 <= len(lines) < 8
    # As if the kill had come in the middle of a line.
    kept.write_text("\n".join(lines) + "\n" + lines[0][: len(lines[0]) // 2])
    resumed = closed_loop(output)
    again = kept.read_text().splitlines()
    assert again[: len(lines)] == lines
    assert len(again) == 8
    assert resumed == whole


def test_results_of_another_policy_are_not_taken(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    rates = []
    for policy in ("idm-blind", "expert"):
        run(
            "closed-loop", "--policy", policy, "--seeds", 0, "--kinds", "debris", "--variant", "nominal",
            "--json", output,
        )  # fmt: skip
        rates.append(json.loads(output.read_text())["metrics"]["collision_rate"]["value"])
    assert rates == [1.0, 0.0]


def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "figures.scenes.jsonl"
    kept.write_text('{"kind": "open_road"}\n')
    result = CliRunner().invoke(
        main,
        ["evaluate", "closed-loop", "--policy", "expert", "--seeds", "0", "--json", str(tmp_path / "figures.json")],
    )
    assert result.exit_code == 1
    assert "line 1 is no outcome of a scene" in result.output
    assert kept.read_text() == '{"kind": "open_road"}\n'


def test_open_loop(tmp_path: Path) -> None:
    output = tmp_path / "open.json"
    table = run("open-loop", "--policy", "constant-velocity", "--seeds", "3", "--kinds", "slow_lead", "--json", output)
    document = json.loads(output.read_text())
    assert document["n"] == 2
    assert {"min_ade_1", "min_ade_1_at_0.5s", "min_ade_1_at_6.4s", "comfort"} <= set(document["metrics"])
    assert "min_ade_1_at_6.4s" in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "nobody"], "unknown model 'nobody'.*the baselines are expert, constant-velocity, idm-blind"),
        (["--policy", "expert", "--seeds", "7-3"], "seeds '7-3' end before they begin"),
        (["--policy", "expert", "--seeds", "-4"], "seeds '-4' are no range"),
        (["--policy", "expert", "--kinds", "moon"], "unknown scenario kind moon; the kinds are open_road"),
        (["--policy", "expert", "--json", "missing/figures.json"], "its folder has to exist"),
        (["--policy", "expert", "--json", "/dev/null/figures.json"], "its folder has to exist"),
        (["--policy", "expert", "--json", "/proc/figures.json"], "/proc/figures.json cannot be written"),
        (["--policy", "expert", "--seeds", f"0-{10**30}"], "scenes; 1,000,000 are the most of one run"),
        (["--policy", "expert", "--samples", "2"], "expert is no model, and only models have --samples; leave"),
        (["--policy", "idm-blind", "--plan-every", "5", "--device", "cpu"], "models have --plan-every, --device;"),
        (["--policy", "expert", "--decoding", "tokens", "--flow-steps", "5"], "have --decoding, --flow-steps;"),
        (["--policy", "expert", "--temperature", "0.6", "--noise-temperature", "0"], "--temperature, --noise-temp"),
        (["--policy", "expert", "--max-jerk", "3.5"], "have --max-jerk;"),
        (["--policy", "expert", "--switch", "text_head=off"], "have --switch;"),
        (["--policy", "expert", "--language-model", "here"], "have --language-model;"),
        (["--policy", "alpamayo-tiny", "--switch", "streaming=on"], "joins the frames of a camera to tubelets"),
        (["--policy", "test"], r"test/config.json is missing; .* safetensors$"),
    ],
)
def test_bad_input_ends_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    defaults = ["--seeds", "0", "--kinds", "open_road", "--json", str(tmp_path / "figures.json")]
    result = CliRunner().invoke(main, ["evaluate", "closed-loop", *defaults, *arguments])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert re.search(message, result.output.rstrip())


def test_figures_and_page_do_not_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    arguments = ["--policy", "expert", "--seeds", "0", "--json", str(file), "--report", str(file)]
    result = CliRunner().invoke(main, ["evaluate", "closed-loop", *arguments])
    assert result.exit_code == 1
    assert result.output == f"Error: {file} is asked to hold two things; choose two names\n"
    assert not file.exists()


def test_an_option_that_is_missing_is_told_in_one_line() -> None:
    result = CliRunner().invoke(main, ["evaluate", "closed-loop", "--seeds", "0"])
    assert (result.exit_code, result.output) == (2, "Error: Missing option '--policy'.\n")


def test_a_kind_that_is_given_twice_counts_once() -> None:
    assert len(list_scenes("0-1", ["queue", "queue"], "all")) == 4


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(end: signal.Signals, tmp_path: Path) -> None:
    output, kept = tmp_path / "figures.json", tmp_path / "figures.scenes.jsonl"
    words = ["evaluate", "closed-loop", "--policy", "expert", "--seeds", "0-99", "--kinds", KINDS, "--workers", "2"]
    # A shell that starts it in the background would have it ignore SIGINT.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from alpamayo_ros.cli import main"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; main()", *words, "--json", str(output)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (kept.exists() and kept.read_text().count("\n") >= 1):
        time.sleep(0.05)
    # Ctrl-C reaches the whole group, a kill only the parent.
    (os.killpg if end is signal.SIGINT else os.kill)(process.pid, end)
    # The pipe is closed once no process is left that writes to it.
    _, said = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"Traceback" not in said


def test_scenes_are_every_kind_and_variant_once_a_seed() -> None:
    scenes = list_scenes("1000000-1000001", ["open_road", "queue"], "all")
    assert len(set(scenes)) == len(scenes) == 8
    assert parse_seeds("5") == range(5, 6)
