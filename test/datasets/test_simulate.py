"""The command line: what it says, and how it refuses."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from alpamayo_ros.cli import main
from alpamayo_ros.datasets.dataset import Dataset


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["simulate", *(str(argument) for argument in arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("form", ["recording", "bag", "video"])
def test_json_says_what_was_written(form, tmp_path):
    output = tmp_path / ("drive.mp4" if form == "video" else "drive")
    size = [] if form == "video" else ["--size", "64x48"]
    told = json.loads(run(form, "--seconds", "0.3", *size, "--output", output, "--json").stdout)
    assert told["output"] == str(output)
    assert (told["kind"], told["seed"], told["variant"]) == ("red_light", 0, "nominal")
    assert told["cameras"] == ["cross_left_120", "front_wide_120", "cross_right_120", "front_tele_30"]
    assert told["last_stamp_ns"] - told["first_stamp_ns"] == 300_000_000
    assert output.exists()


def test_dataset(tmp_path):
    arguments = ("--seeds", "5", "--kinds", "open_road", "--variant", "nominal", "--size", "64x48", "--every", "0")
    said = run("dataset", *arguments, "--workers", "1", "--output", tmp_path / "d")
    assert f"wrote {tmp_path / 'd'}: 1 samples of 1 drives" in said.stdout
    told = json.loads(run("dataset", *arguments, "--workers", "1", "--output", tmp_path / "d", "--json").stdout)
    assert told["counts"]["keyframe/cruise"] == told["samples"] == 1


def test_a_seed_of_many_digits_and_a_kind_given_twice(tmp_path):
    seed, output = 10**60, tmp_path / "d"
    arguments = ("--seeds", seed, "--kinds", "open_road,open_road", "--variant", "nominal", "--size", "64x48")
    told = json.loads(run("dataset", *arguments, "--every", "0", "--workers", "1", "--output", output, "--json").stdout)
    assert told["drives"] == 1
    assert [sample.seed for sample in Dataset.open(output)] == [seed] * told["samples"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recording", "--kind", "moonwalk"), "unknown scenario kind moonwalk; the kinds are open_road"),
        (("recording", "--size", "big"), "'big' is no size such as 640x384"),
        (("bag", "--cameras", "front"), "unknown camera role 'front'; the roles are"),
        (("bag", "--odometry-rate", "25"), "--odometry-rate is 25; it must be a multiple of 10"),
        (("bag", "--storage", "rosbag1"), "'rosbag1' is not one of"),
        (("video", "--output", "drive.avi"), "a video must be named .mp4"),
        (("video", "--seconds", "100"), "100.0 is not in the range"),
        (("video", "--output", "drive.mp4", "--strip", "./drive.mp4"), "--strip and --output are both drive.mp4"),
        (("recording", "--output", "/proc/drive"), "/proc/drive cannot be written"),
        (("dataset", "--output", "/proc/data"), "/proc/data cannot be written"),
        (("dataset", "--seeds", "9-3"), "'9-3' is no range of seeds such as 0-99"),
        (("dataset", "--seeds", "²"), "'²' is no range of seeds such as 0-99"),
        (("dataset", "--seeds", f"0-{10**30}"), "1,000,000 are the most of one dataset"),
        (("dataset", "--kinds", "red_light,moonwalk"), "unknown scenario kind moonwalk"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code != 0
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["recording", "bag", "video", "dataset"])
def test_what_is_there_is_kept(form, tmp_path):
    output = tmp_path / ("drive.mp4" if form == "video" else "drive")
    output.mkdir()
    (output / "mine").touch()
    assert run(form, "--output", output, code=1).stderr.startswith("Error: ")
    assert (output / "mine").exists()


def test_help_loads_no_simulator():
    code = """
import sys
from alpamayo_ros.cli import main
try:
    main(["simulate", "--help"])
except SystemExit:
    print([name for name in ("cv2", "scipy", "torch", "rosbags", "alpamayo_ros.simulation") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.endswith("[]\n")
    assert "recording" in said
