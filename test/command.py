"""Runs the command in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from alpamayo_ros.cli import main


def alpamayo(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refusal(result: Result) -> str:
    """The one line that a refused run printed, and nothing else."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line
