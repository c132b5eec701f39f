"""`alpamayo evaluate`: how well a policy drives, in closed and in open loop."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alpamayo_ros.cli.places import check_folder
from alpamayo_ros.cli.switches import changed, switch_option

if TYPE_CHECKING:
    from alpamayo_ros.evaluation.campaign import RunScene

_POLICY_HELP = "expert, constant-velocity, idm-blind, or a model: a folder, a shipped model's name, a hub id."


@click.group()
def evaluate() -> None:
    """Measure a policy in the built-in simulator, every figure with its 95 % interval."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    @click.option("--policy", required=True, help=_POLICY_HELP)
    @click.option("--seeds", required=True, help="A-B: every kind and variant runs once for each seed, as in 0-9.")
    @click.option("--kinds", default="", help="Scenario kinds with commas between; all by default.")
    @click.option("--variant", type=click.Choice(["nominal", "challenging", "all"]), default="all", show_default=True)
    @click.option("--json", "output", type=Path, required=True, help="File for the figures. Scenes are kept beside it.")
    @click.option("--report", type=Path, help="Also write an HTML page with plots and pictures of failures.")
    @click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
    @click.option(
        "--decoding",
        type=click.Choice(["flow", "tokens"]),
        default="flow",
        show_default=True,
        help="How a model's trajectory is decoded: by flow matching, or as tokens of its language model.",
    )
    @click.option("--flow-steps", type=click.IntRange(1, 1000), help="Of a model; by default its own.")
    @click.option(
        "--temperature", type=click.FloatRange(0.0), help="Of the words; 0 is greedy; by default a model's own."
    )
    @click.option(
        "--noise-temperature",
        type=click.FloatRange(0.0),
        help="Scale of the noise that a model's flow begins with; by default its own.",
    )
    @click.option(
        "--max-jerk",
        type=click.FloatRange(0.0),
        help="m/s³ with which a model's plan leaves the acceleration that the car has; 0: it begins with what the "
        "model wants; by default its own.",
    )
    @switch_option
    @click.option("--language-model", help="Folder of the language model that a released config names.")
    @click.option("--device", help="cpu, cuda, cuda:1 …; by default the GPU when there is one.")
    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(**options)

    return run


@evaluate.command("closed-loop")
@_options
@click.option(
    "--samples",
    "num_samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trajectories that a model samples at every plan; it drives the one that it selects.",
)
@click.option(
    "--plan-every", "ticks_per_plan", type=click.IntRange(1, 64), default=1, show_default=True,
    help="Tenths of a second that a model's plan is driven before it plans again.",
)  # fmt: skip
def closed_loop(ticks_per_plan: int, **options: Any) -> None:
    """The policy drives for 20 s at 10 Hz, or until it collides or leaves the road."""
    from alpamayo_ros.evaluation.closed_loop import run_scene

    _evaluate(run_scene, "closed loop", ticks_per_plan=ticks_per_plan, **options)


@evaluate.command("open-loop")
@_options
def open_loop(policy: str, **options: Any) -> None:
    """Along the expert's drives the policy plans every second, and is compared."""
    from alpamayo_ros.engine.switches import EXACT
    from alpamayo_ros.evaluation.drivers import BASELINES
    from alpamayo_ros.evaluation.open_loop import SAMPLES, run_scene

    if changed(EXACT, options["changes"]).streaming:
        raise click.ClickException("streaming keeps what the last plan read, and here each moment is planned by itself")
    num_samples = 1 if policy in BASELINES else SAMPLES  # a baseline knows one way only
    _evaluate(run_scene, "open loop", policy=policy, num_samples=num_samples, ticks_per_plan=1, **options)


@evaluate.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--metrics", default="", help="Names with commas between, in this order; by default all that occur.")
@click.option("--variant", type=click.Choice(["nominal", "challenging", "all"]), default="all", show_default=True)
def table(files: tuple[Path, ...], metrics: str, variant: str) -> None:
    """Figures of several evaluations beside each other, as Markdown: a column for each file, named after it."""
    from alpamayo_ros.evaluation.errors import EvaluationError
    from alpamayo_ros.evaluation.report.comparison import compare

    try:
        lines = compare(files, [name.strip() for name in metrics.split(",") if name.strip()], variant)
    except EvaluationError as error:
        raise click.ClickException(str(error)) from None
    click.echo("\n".join(lines))


def _evaluate(
    run_scene: RunScene, loop: str, *, policy: str, seeds: str, kinds: str, variant: str, output: Path,
    report: Path | None, workers: int, decoding: str, changes: tuple[str, ...], **settings: Any,
) -> None:  # fmt: skip
    from alpamayo_ros.engine.switches import EXACT
    from alpamayo_ros.evaluation.campaign import Contender, run_campaign
    from alpamayo_ros.evaluation.errors import EvaluationError
    from alpamayo_ros.evaluation.request import list_scenes
    from alpamayo_ros.evaluation.summary import summarise

    switches = changed(EXACT, changes)
    try:
        scenes = list_scenes(seeds, [kind.strip() for kind in kinds.split(",") if kind.strip()], variant)
        kept = output.with_suffix(".scenes.jsonl")
        _check_places([file for file in (output, kept, report) if file is not None])
        contender = Contender(policy, autoregressive=decoding == "tokens", switches=switches, **settings)
        outcomes = run_campaign(run_scene, scenes, contender, kept, workers)
    except EvaluationError as error:
        raise click.ClickException(str(error)) from None
    seeds = seeds.strip()
    document = summarise(policy, seeds, outcomes)
    output.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    click.echo(f"{policy}, {loop}, seeds {seeds}: {len(outcomes)} scenes")
    for line in _table(document["metrics"]):
        click.echo(line)
    click.echo(f"wrote {output}")
    if report is not None:
        from alpamayo_ros.evaluation.report.page import write_report

        write_report(document, outcomes, loop, report)
        click.echo(f"wrote {report}")


def _check_places(files: list[Path]) -> None:
    """Before the work begins, not after."""
    for number, file in enumerate(files):
        if file.is_dir() or not file.absolute().parent.is_dir():
            raise click.ClickException(f"{file}: no file can be written there; its folder has to exist")
        if file.resolve() in [other.resolve() for other in files[:number]]:
            raise click.ClickException(f"{file} is asked to hold two things; choose two names")
        check_folder(file.parent, file)


def _table(metrics: dict[str, Any]) -> list[str]:
    def bound(value: float | None) -> str:
        return "∞" if value is None else f"{value:.3f}"

    return [
        f"  {name:32} {figure['value']:8.3f}   [{bound(figure['low'])}, {bound(figure['high'])}]"
        for name, figure in metrics.items()
    ]
