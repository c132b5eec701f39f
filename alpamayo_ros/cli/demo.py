"""`alpamayo demo`: the planner drives in the simulator, over real topics."""

from __future__ import annotations

import functools
import json
import signal
import sys
from pathlib import Path

import click

from alpamayo_ros.cli.places import check_folder


@click.command()
@click.option(
    "--model", default="alpamayo-tiny", show_default=True, help="A model folder, a shipped model's name, or a hub id."
)
@click.option("--language-model", type=Path, help="Folder of the language model that a released config names.")
@click.option("--device", default="", help="cpu, cuda, cuda:1 …; by default the GPU when there is one.")
@click.option("--samples", type=click.IntRange(1, 64), default=1, show_default=True, help="Trajectories of each plan.")
@click.option("--hold-back", is_flag=True, help="Do not drive plans that fail the gate: brake to a stop instead.")
@click.option("--seconds", type=click.FloatRange(1.7, 20.0), default=20.0, show_default=True, help="Of each scenario.")
@click.option("--timeout", type=click.FloatRange(1.0), default=60.0, show_default=True, help="Seconds for one plan.")
@click.option("--output", type=Path, default=Path("demo"), show_default=True, help="Folder; must be new.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON; what happens goes to standard error.")
def demo(
    model: str,
    language_model: Path | None,
    device: str,
    samples: int,
    hold_back: bool,
    seconds: float,
    timeout: float,
    output: Path,
    as_json: bool,
) -> None:
    """Watch the planner drive three scenarios in the built-in simulator, over real ROS topics, in closed loop.

    No GPU and no ROS installation is needed. What comes of it is in the output folder: a video, a picture strip, a bag
    with cameras, odometry, transforms and what the planner plans, the figures.
    """
    if output.exists():
        raise click.ClickException(f"{output} exists already; remove it or choose another --output")
    check_folder(output, output)
    try:
        from alpamayo_ros.nodes.demo import DemoModel, run_demo
        from alpamayo_ros.nodes.domains import DomainError
        from alpamayo_ros.nodes.planner_process import PlannerError
        from alpamayo_ros.nodes.topic_driver import NoPlanError
    except ImportError as error:
        raise click.ClickException(
            f"the demo needs ROS 2 and this package's messages ({error}); in a checkout use `make demo`, elsewhere "
            "source the workspace"
        ) from None
    from tqdm import tqdm

    from alpamayo_ros.policy import find_model

    say = functools.partial(click.echo, err=as_json)
    options = {"device": device, "num_samples": samples, "gate_policy": "hold_back" if hold_back else "flag"}
    chosen = DemoModel(find_model(model), language_model, options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is cleaned up
    output.mkdir(parents=True)
    try:
        scenes = run_demo(
            chosen,
            output,
            seconds=seconds,
            timeout=timeout,
            say=say,
            progress=lambda ticks: tqdm(ticks, desc="video", unit="page", disable=None),
        )
    except (DomainError, PlannerError, NoPlanError) as error:
        raise click.ClickException(str(error)) from None
    say(f"wrote {', '.join(str(output / name) for name in ('drive.mp4', 'drive.png', 'bag', 'summary.json'))}")
    if as_json:
        click.echo(json.dumps([scene.figures() for scene in scenes]))
