"""`alpamayo bench latency`, `roofline` and `memory`: what a model costs on this machine."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from alpamayo_ros.cli.switches import changed, switch_option

if TYPE_CHECKING:
    from alpamayo_ros.evaluation.latency.subject import Settings, Subject

_SHAPES = ("tiny", "0.5b", "3b", "10b")
"""Keys of `evaluation.latency.shapes.SHAPES`: `--help` has no time to import them."""
_DEFAULT_COC_TOKENS = 40


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What all three have in common."""

    @click.option("--model", help="A folder, a shipped name, or a hub id.  [default: alpamayo-tiny]")
    @click.option(
        "--shape", type=click.Choice(_SHAPES),
        help="Instead of a model: random weights of this shape, at the release's token counts.",
    )  # fmt: skip
    @click.option(
        "--size", metavar="WIDTHxHEIGHT",
        help="Of the pictures.  [default: 1920x1080 for a shape, for a model what it reads]",
    )  # fmt: skip
    @click.option(
        "--coc-tokens", type=click.IntRange(2, 256),
        help=f"With --shape: tokens that the reasoning is forced to have.  [default: {_DEFAULT_COC_TOKENS}]",
    )  # fmt: skip
    @click.option("--flow-steps", type=click.IntRange(1, 1000), help="By default the model's own.")
    @click.option(
        "--precision", type=click.Choice(["float32", "bfloat16", "fp8"]),
        help="By default the one its configuration names: bfloat16 for a shape, as the release has.",
    )  # fmt: skip
    @click.option("--plain", is_flag=True, help="Every switch of the engine off.")
    @switch_option
    @click.option("--device", help="cpu, cuda, cuda:1 …; by default the GPU when there is one.")
    @click.option("--drive", "kind", default="red_light", show_default=True, help="Kind of scenario that is driven.")
    @click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
    @functools.wraps(command)
    def run(**options: Any) -> None:
        from alpamayo_ros.evaluation.errors import EvaluationError

        try:
            command(**options)
        except EvaluationError as error:
            raise click.ClickException(str(error)) from None

    return run


_samples = click.option("--samples", "num_samples", type=click.IntRange(1, 64), default=1, show_default=True, help="K.")
_ticks = click.option(
    "--ticks", type=click.IntRange(1, 180), default=20, show_default=True, help="Plans in the steady state."
)


@click.command()
@_options
@_samples
@_ticks
@click.option(
    "--temperature", type=click.FloatRange(0.0), default=0.0, show_default=True, help="Of the reasoning; 0 is greedy."
)
@click.option(
    "--acceptance", type=click.IntRange(1, 31),
    help="With --shape: declares that drafts have so many tokens right before a wrong one; without it, no drafts.",
)  # fmt: skip
@click.option(
    "--decoding", type=click.Choice(["flow", "tokens"]), default="flow", show_default=True,
    help="How the trajectory is decoded: by flow matching, or as tokens of the language model.",
)  # fmt: skip
@click.option(
    "--reference", type=click.Choice(["transformers"]),
    help="Also time the same weights there, tick by tick in turn, and give the ratio.",
)  # fmt: skip
def latency(ticks: int, kind: str, decoding: str, reference: str | None, as_json: bool, **asked: Any) -> None:
    """Milliseconds of each stage of a plan, p50 and p99, over consecutive ticks of one drive."""
    if reference is not None and asked["temperature"] != 0:
        raise click.UsageError("--reference needs --temperature 0: only greedily do both say the same")
    if decoding == "tokens" and (reference is not None or asked["flow_steps"] is not None):
        raise click.UsageError("--decoding tokens has no flow: leave out --flow-steps and --reference")
    from alpamayo_ros.evaluation.latency.latency import latency_report

    subject, settings = _open(**asked)
    settings = dataclasses.replace(settings, autoregressive=decoding == "tokens")
    report = latency_report(subject, settings, ticks=ticks, kind=kind, with_reference=reference is not None)
    _print(report, _latency_lines, as_json)


@click.command()
@_options
@_samples
@_ticks
def roofline(ticks: int, kind: str, as_json: bool, **asked: Any) -> None:
    """Each stage against this machine's own copy and matrix rates."""
    from alpamayo_ros.evaluation.latency.roofline import roofline_report

    subject, settings = _open(**asked)
    _print(roofline_report(subject, settings, ticks=ticks, kind=kind), _roofline_lines, as_json)


@click.command()
@_options
@click.option("--samples", default="1,2,4", show_default=True, metavar="K,K,…", help="Numbers of samples, in turn.")
def memory(samples: str, kind: str, as_json: bool, **asked: Any) -> None:
    """Weights, key-value cache and the highest use of memory, for each number of samples."""
    numbers = [part.strip() for part in samples.split(",")]
    if not all(number.isdecimal() and 1 <= int(number) <= 64 for number in numbers):
        raise click.BadParameter(f"{samples!r} is no list of numbers from 1 to 64, as in 1,2,4", param_hint="--samples")
    from alpamayo_ros.evaluation.latency.memory import memory_report

    counts = [int(number) for number in numbers]
    subject, settings = _open(num_samples=max(counts), **asked)
    _print(memory_report(subject, settings, samples=counts, kind=kind), _memory_lines, as_json)


def _open(
    *, model: str | None, shape: str | None, size: str | None, coc_tokens: int | None, flow_steps: int | None,
    precision: str | None, plain: bool, changes: tuple[str, ...], device: str | None, num_samples: int,
    temperature: float = 0.0, acceptance: int | None = None,
) -> tuple[Subject, Settings]:  # fmt: skip
    if model is not None and shape is not None:
        raise click.UsageError("--model and --shape exclude each other")
    if coc_tokens is not None and shape is None:
        raise click.UsageError("--coc-tokens is for --shape: a trained model ends its reasoning itself")
    if acceptance is not None and shape is None:
        raise click.UsageError("--acceptance is for --shape: of a trained model it is measured")
    from alpamayo_ros.engine.switches import EXACT, PLAIN

    switches = changed(PLAIN if plain else EXACT, changes)
    if acceptance is not None and switches.streaming:
        raise click.UsageError(
            "--acceptance does not go with streaming: the plan that finds the words out takes the place of what is kept"
        )
    if shape is not None:
        # What random weights say is no continuation of what they said a tick ago.
        switches = dataclasses.replace(switches, speculation=acceptance is not None)
    import torch

    from alpamayo_ros.evaluation.latency.subject import Settings, open_subject

    subject = open_subject(
        model=model or "alpamayo-tiny",
        shape=shape,
        size=None if size is None else picture_size(size),
        precision=precision,
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
        num_samples=num_samples,
        coc_tokens=coc_tokens or _DEFAULT_COC_TOKENS,
        switches=switches,
    )
    steps = flow_steps or subject.model.config.num_inference_steps
    return subject, Settings(num_samples, temperature, steps, acceptance=acceptance)


def picture_size(text: str) -> tuple[int, int]:
    """Width and height from WIDTHxHEIGHT. Raises click.BadParameter."""
    width, by, height = text.partition("x")
    if not (by and width.isdecimal() and height.isdecimal() and int(width) >= 64 and int(height) >= 64):
        raise click.BadParameter(f"{text!r} is no WIDTHxHEIGHT of at least 64x64", param_hint="--size")
    return int(width), int(height)


def _print(report: dict[str, Any], lines: Callable[[dict[str, Any]], list[str]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report))
        return
    for line in [*_heading(report), "", *lines(report)]:
        click.echo(line)


def _heading(report: dict[str, Any]) -> list[str]:
    from alpamayo_ros.engine.switches import Switches

    forced = ", forced" if report["coc_tokens_forced"] else ""
    samples = report["samples"] if isinstance(report["samples"], int) else ", ".join(map(str, report["samples"]))
    how = "greedy" if report["temperature"] == 0 else f"temperature {report['temperature']}"
    steps = report["flow_steps"]
    decoding = "trajectory as tokens" if steps is None else f"{steps} flow steps"
    kept = ", ".join([report["exactness"], *report["approximations"]])
    subject = (
        f"{report['shape']}: {report['parameters'] / 1e6:.1f} M parameters, {report['weights']} weights, "
        f"{report['precision']} on {report['device']}: {report['machine']}"
    )
    load = (
        f"{report['cameras']} cameras × {report['frames']} frames of {report['picture_size']}, "
        f"prompt {report['prompt_tokens']} tokens, reasoning {report['coc_tokens']} tokens{forced}, "
        f"{decoding}, K = {samples}, {how}; {kept}"
    )
    lines = [subject, load]
    if report["passes"] is not None:
        declared = report["acceptance_declared"]
        source = "drafts of the last plan's words, measured" if declared is None else f"{declared} right, declared"
        lines.append(f"{report['passes']:.1f} passes of the language model after the prompt's ({source})")
    off = [name for name, value in report["switches"].items() if value is False and getattr(Switches, name)]
    if off:
        lines.append(f"off: {', '.join(off)}")
    return lines


def _roofline_lines(report: dict[str, Any]) -> list[str]:
    names = ("gflop", "gb", "limit", "floor_ms", "products_ms", "p50_ms", "share")
    lines = [
        f"this machine: copies {report['copy_gb_s']:.1f} GB/s, products {report['matmul_gflop_s']:.0f} GFLOP/s at best",
        f"{'':16}" + "".join(f"{name:>12}" for name in names),
    ]
    for stage, figure in report["stages"].items():
        shown = {
            name: f"{value:.3f}" if isinstance(value, float) else value or "none" for name, value in figure.items()
        }
        lines.append(f"{stage:16}" + "".join(f"{shown[name]:>12}" for name in names))
    return lines


def _memory_lines(report: dict[str, Any]) -> list[str]:
    names = ("cache_mb", "working_mb", "peak_mb")
    lines = [
        f"weights {report['weights_mb']:.1f} MB; in use are {report['counted']}",
        f"{'K':>4}" + "".join(f"{name:>12}" for name in names),
    ]
    for number, figure in report["by_samples"].items():
        lines.append(f"{number:>4}" + "".join(f"{figure[name]:12.1f}" for name in names))
    return lines


def _latency_lines(report: dict[str, Any]) -> list[str]:
    cold = report["cold"]
    lines = [
        f"first plan, then {report['ticks']} in the steady state, along a drive of kind {report['drive']}",
        f"{'ms':24}{'cold':>10}{'p50':>10}{'p99':>10}",
    ]
    for stage, figure in report["stages"].items():
        lines.append(f"{stage:24}{cold['stages_ms'][stage]:10.2f}{figure['p50_ms']:10.2f}{figure['p99_ms']:10.2f}")
    total, reference = report["total"], report["reference"]
    lines.append(f"{'total':24}{cold['total_ms']:10.2f}{total['p50_ms']:10.2f}{total['p99_ms']:10.2f}")
    if reference is not None:
        lines += [
            f"{reference['name']:24}{'':10}{reference['p50_ms']:10.2f}{reference['p99_ms']:10.2f}",
            f"ratio of p50 {report['ratio']:.2f}",
            f"same words in {reference['same_words']:.0%} of plans, waypoints {reference['furthest_m']:.1e} m apart",
        ]
        if reference["vision"] != "transformers":
            lines.append("its vision tower is ours: transformers has none with a convolutional stem or tubelets")
    return lines
