"""The `alpamayo` command. Each subcommand is one file; what it does lives in the rooms."""

from __future__ import annotations

import os
from typing import Any

import click

from alpamayo_ros.cli.annotate import annotate
from alpamayo_ros.cli.bench import bench
from alpamayo_ros.cli.demo import demo
from alpamayo_ros.cli.doctor import doctor
from alpamayo_ros.cli.evaluate import evaluate
from alpamayo_ros.cli.plan import plan
from alpamayo_ros.cli.replay import replay
from alpamayo_ros.cli.simulate import simulate
from alpamayo_ros.cli.train import train

# Since click 8.2: a usage error that is the help of a command without arguments. Before, help was no error.
_HELP_INSTEAD = getattr(click.exceptions, "NoArgsIsHelpError", ())


class _OneLineErrors(click.Group):
    """Bad input ends in one line on standard error and exit status 1, or 2 for
    options that do not exist or have no such value; a fault of ours keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _HELP_INSTEAD:
            raise
        except click.UsageError as error:
            raise click.UsageError(error.format_message()) from None  # without a context: no lines on usage before it
        except OSError as error:
            if error.filename is None:
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None
        except ValueError as error:
            # Imported only now: `--help` must not wait for torch.
            from alpamayo_ros.datasets.recording import RecordingError
            from alpamayo_ros.datasets.staging import DatasetError
            from alpamayo_ros.nodes.rig_profile import RigError
            from alpamayo_ros.policy import INPUT_ERRORS
            from alpamayo_ros.timeline import Refusal
            from alpamayo_ros.training.errors import TrainingError

            errors = (*INPUT_ERRORS, DatasetError, RecordingError, Refusal, RigError, TrainingError)
            if isinstance(error, errors):
                raise click.ClickException(str(error)) from None
            raise


@click.group(cls=_OneLineErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="alpamayo_ros")
def main() -> None:
    """Alpamayo-R1: a driving model that reasons before it acts."""
    # Read when cv2 is imported. Of a damaged picture we say so ourselves, in one line.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


main.add_command(annotate)
main.add_command(bench)
main.add_command(demo)
main.add_command(doctor)
main.add_command(evaluate)
main.add_command(plan)
main.add_command(replay)
main.add_command(simulate)
main.add_command(train)
