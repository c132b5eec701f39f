"""The command itself: quick to start, one line for bad input, a traceback for a fault of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import alpamayo, alpamayo_without_ros
from drive_files import END_NS, write_drive
from golden_data import FOLDER

from alpamayo_ros.policy import DrivingPolicy

COMMAND = Path(sys.executable).parent / "alpamayo"


@pytest.mark.parametrize("command", [[], ["plan"], ["doctor"]])
def test_help_does_not_wait_for_torch(command):
    program = (
        "import sys; from alpamayo_ros.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program, *command, "--help"], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.startswith(b"Usage:")


def test_help_lists_the_commands():
    listed = alpamayo("--help").stdout.partition("Commands:\n")[2]
    commands = {"demo", "plan", "annotate", "replay", "simulate", "train", "evaluate", "bench", "doctor"}
    assert {line.split()[0] for line in listed.splitlines()} == commands


def test_the_installed_command_refuses_a_damaged_picture_in_one_line(tmp_path):
    images, ego = write_drive(tmp_path)
    picture = images / "front_wide_120" / f"{END_NS}.png"
    picture.write_bytes(picture.read_bytes()[:5000])
    arguments = ["plan", "--images", images, "--ego", ego, "--model", FOLDER / "ar1_tiny", "--output", tmp_path]
    ran = subprocess.run([COMMAND, *arguments], capture_output=True, check=False, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"Error: camera front_wide_120: {picture} is no readable picture; it is damaged or truncated "
        f"(stamp {END_NS} ns)\n"
    )


def test_before_click_8_2_bad_input_is_one_line_too():
    """Its one exception that is new there is not needed; see `_HELP_INSTEAD`."""
    program = (
        "import sys, click; vars(click.exceptions).pop('NoArgsIsHelpError', None); "
        "from alpamayo_ros.cli import main; main(sys.argv[1:])"
    )
    for arguments, status, line in (
        (["annotate", "--odd"], 2, "Error: No such option"),
        (["demo", "--output", "/"], 1, "Error: / exists already"),
    ):
        ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False, text=True)
        assert (ran.returncode, ran.stdout) == (status, "")
        [said] = ran.stderr.splitlines()
        assert said.startswith(line)


def test_a_group_without_a_subcommand_shows_its_help():
    shown = alpamayo("bench").output
    assert shown.startswith("Usage:")
    assert "Commands:" in shown


@pytest.mark.parametrize("command", [["bench", "ros"], ["demo"], ["replay", "bag"]])
def test_what_needs_ros_says_so_in_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = alpamayo_without_ros(*command)
    assert (ran.returncode, ran.stdout) == (1, "")
    [said] = ran.stderr.splitlines()
    assert said.startswith("Error: ")
    assert "needs ROS 2" in said


@pytest.mark.parametrize("fault", [ValueError("ours"), OSError("ours")])
def test_a_fault_of_ours_keeps_its_traceback(drive, tmp_path, monkeypatch, fault):
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(DrivingPolicy, "plan", fail)
    images, ego = drive
    ran = alpamayo(
        "plan",
        "--images",
        images,
        "--ego",
        ego,
        "--model",
        FOLDER / "ar1_tiny",
        "--device",
        "cpu",
        "--output",
        tmp_path,
    )
    assert ran.exception is fault
