"""Runs the command in this process."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner, Result

from alpamayo_ros.cli import main


def alpamayo(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def alpamayo_without_ros(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, in which nothing of ROS can be imported."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['rclpy', 'cv_bridge', 'sensor_msgs', 'nav_msgs', "
        "'rosgraph_msgs', 'std_msgs', 'alpamayo_ros.msg'])); from alpamayo_ros.cli import main; main(sys.argv[1:])"
    )
    words = [str(argument) for argument in arguments]
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, check=False, text=True)


def refusal(result: Result) -> str:
    """The one line that a refused run printed, and nothing else."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line
