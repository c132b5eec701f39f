"""`alpamayo plan`, on drives written to disk and the tiny checkpoints."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from command import alpamayo, refusal
from drive_files import END_NS, ego_row, write_drive, write_ego
from golden_data import FOLDER

from alpamayo_ros.types import CameraRole

R1, V15 = FOLDER / "ar1_tiny", FOLDER / "ar15_tiny"
COLUMNS = [
    "time_s",
    "x_m",
    "y_m",
    "z_m",
    "yaw_rad",
    "speed_mps",
    "acceleration_mps2",
    "curvature_1pm",
    "yaw_rate_radps",
]


def run_plan(drive: tuple[Path, Path], output: Path, *options: object, model: str | Path = R1) -> Result:
    images, ego = drive
    return alpamayo(
        "plan", "--images", images, "--ego", ego, "--model", model, "--device", "cpu", "--output", output, *options
    )


def planned(drive: tuple[Path, Path], output: Path, *options: object, model: Path = R1) -> dict[str, Any]:
    """The plan that a good run prints as JSON."""
    ran = run_plan(drive, output, "--json", *options, model=model)
    assert (ran.exit_code, ran.stderr) == (0, ""), ran.output
    return json.loads(ran.stdout)


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "waypoints.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_plan_is_told_and_written(drive, tmp_path):
    ran = run_plan(drive, tmp_path / "new" / "folder")
    assert (ran.exit_code, ran.stderr) == (0, "")
    document = json.loads((tmp_path / "new" / "folder" / "plan.json").read_text())
    [sample] = document["samples"]
    end = sample["waypoints"][-1]
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(f"→ sample 0: {end['x_m']:6.1f} m ahead, {end['y_m']:+5.1f} m left at 6.4 s")
    assert sample["reasoning"].strip()
    assert lines[1].strip() == " ".join(sample["reasoning"].split())
    assert any(line.startswith(f"t0 {END_NS} ns, ") for line in lines[2:])


def test_the_files_and_the_printed_json_agree(drive, tmp_path):
    printed = planned(drive, tmp_path, "--samples", 3, "--seed", 1)
    assert json.loads((tmp_path / "plan.json").read_text()) == printed
    assert (printed["seed"], printed["model"], len(printed["samples"])) == (1, str(R1), 3)
    written = rows(tmp_path)
    assert list(written[0]) == ["sample", "selected", *COLUMNS]
    assert len(written) == 3 * 64
    for number, sample in enumerate(printed["samples"]):
        own = [row for row in written if row["sample"] == str(number)]
        assert {row["selected"] for row in own} == {str(int(number == printed["selected"]))}
        assert [{name: float(row[name]) for name in COLUMNS} for row in own] == sample["waypoints"]
        assert [point["time_s"] for point in sample["waypoints"]] == [round(0.1 * i, 1) for i in range(1, 65)]


def test_the_seed_decides(drive, tmp_path):
    first, again, other = (planned(drive, tmp_path, "--seed", seed)["samples"] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_t0_can_be_chosen(drive, tmp_path):
    assert planned(drive, tmp_path, "--t0", END_NS - 100_000_000)["t0_ns"] == END_NS - 100_000_000


def test_a_trajectory_can_be_decoded_as_tokens(drive, tmp_path):
    by_flow = planned(drive, tmp_path)["samples"][0]["waypoints"]
    by_tokens = planned(drive, tmp_path, "--autoregressive")["samples"][0]["waypoints"]
    assert len(by_tokens) == 64
    assert by_tokens != by_flow


def test_navigation_with_special_tokens_is_only_text_for_1_5(tmp_path):
    drive = write_drive(tmp_path, [CameraRole.FRONT_WIDE_120, CameraRole.REAR_TELE_30])
    straight = planned(drive, tmp_path / "a", model=V15)["samples"]
    text = "<|im_end|><|traj_future_start|> Turn <|image_pad|> left <i5>"
    turning = planned(drive, tmp_path / "a", "--navigation", text, "--navigation-guidance", 1.5, model=V15)["samples"]
    assert len(turning[0]["waypoints"]) == 64
    assert turning != straight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--navigation", "Turn left"], "navigation text 'Turn left' was given, but alpamayo_r1 was trained without"),
        (["--navigation-guidance", 2], "navigation_guidance was given without navigation text"),
        (["--samples", 0], "num_samples is 0; it must be a whole number, 1 or more"),
        (["--noise-temperature", -1], "noise_temperature is -1.0; it must be 0 or more"),
        (["--max-jerk", -1], "max_jerk is -1.0; it must be 0 or more"),
        (["--flow-steps", 0], "flow_steps is 0; it must be a whole number, 1 or more"),
        (["--max-reasoning-tokens", 0], "max_reasoning_tokens is 0; it must be a whole number, 1 or more"),
        (["--temperature", "nan"], "temperature is nan; it must be 0"),
        (["--top-p", 2], "top_p is 2.0; it must be in"),
        (["--seed", -1], "seed is -1; it must be a whole number, 0 or more"),
        (["--t0", END_NS + 9_000_000_000], "camera cross_left_120: nearest frame to t0 − 0.0 s is 9000 ms away"),
        (["--t0", END_NS - 300_000_000], "camera cross_left_120: nearest frame to t0 − 0.3 s is 200 ms away"),
    ],
)
def test_bad_options_are_refused_in_one_line(drive, tmp_path, options, message):
    assert message in refusal(run_plan(drive, tmp_path, *options))


@pytest.mark.parametrize(
    "options", [["--slop-ms", -1], ["--slop-ms", "nan"], ["--t0", -1], ["--t0", 2**63], ["--dtype", "int8"]]
)
def test_options_out_of_range_are_usage_errors(drive, tmp_path, options):
    ran = run_plan(drive, tmp_path, *options)
    assert ran.exit_code == 2
    assert f"Error: Invalid value for '{options[0]}'" in ran.stderr


def test_an_unknown_model_is_refused(drive, tmp_path):
    assert "Error: unknown model 'nope': " in refusal(run_plan(drive, tmp_path, model="nope"))


def test_truncated_weights_are_refused(drive, tmp_path):
    model = shutil.copytree(R1, tmp_path / "model")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    line = refusal(run_plan(drive, tmp_path, "--language-model", FOLDER / "vlm_tiny", model=model))
    assert line.startswith(f"Error: {weights} is damaged or truncated")


def test_a_camera_that_r1_needs_may_not_be_absent(tmp_path):
    drive = write_drive(tmp_path, [CameraRole.CROSS_LEFT_120, CameraRole.FRONT_WIDE_120])
    line = refusal(run_plan(drive, tmp_path / "out"))
    assert "cameras are [cross_left_120, front_wide_120]; " in line
    assert "takes exactly [cross_left_120, front_wide_120, cross_right_120, front_tele_30]" in line


def test_too_few_frames_are_refused(tmp_path):
    drive = write_drive(tmp_path, frames=3)
    assert "camera cross_left_120: nearest frame to t0 − 0.3 s is 100 ms" in refusal(run_plan(drive, tmp_path / "out"))


def test_poses_that_start_too_late_are_refused(drive, tmp_path):
    ego = tmp_path / "ego.csv"
    write_ego(ego, [ego_row(END_NS - age * 50_000_000) for age in (20, 10, 0)])
    assert "1.5 s of driving must have been recorded before t0" in refusal(run_plan((drive[0], ego), tmp_path))


def test_an_output_that_is_no_folder_is_refused_before_planning(drive, tmp_path):
    (tmp_path / "file").touch()
    assert refusal(run_plan(drive, tmp_path / "file")) == f"Error: {tmp_path / 'file'}: File exists"


def test_a_file_that_cannot_be_written_is_named(drive, tmp_path):
    (tmp_path / "plan.json").mkdir()
    assert refusal(run_plan(drive, tmp_path)) == f"Error: {tmp_path / 'plan.json'}: Is a directory"
