"""`alpamayo bench`: how fast the parts are on this machine."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator

import click

from alpamayo_ros.cli.bench_model import latency, memory, picture_size, roofline


@click.group()
def bench() -> None:
    """Measure speed on this machine."""


@bench.command()
@click.option("--width", type=click.IntRange(32, 4096), default=160, show_default=True)
@click.option("--height", type=click.IntRange(32, 4096), default=96, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def cameras(width: int, height: int, seed: int, as_json: bool) -> None:
    """Pictures a second that one core draws: R1's four cameras, five moments of a drive of every kind."""
    rates = dict(_rates(width, height, seed))
    figures = sorted(rates.values())
    report = {
        "machine": platform.processor() or platform.machine(),
        "size": f"{width}x{height}",
        "mean": round(len(figures) / sum(1 / figure for figure in figures), 1),
        "slowest": round(figures[0], 1),
        "fastest": round(figures[-1], 1),
        "by_kind": {kind: round(rate, 1) for kind, rate in rates.items()},
    }
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(
        f"{report['size']}: {report['mean']} pictures/s a core over all kinds "
        f"(slowest kind {report['slowest']}, fastest {report['fastest']}; CPU time)"
    )


def _rates(width: int, height: int, seed: int) -> Iterator[tuple[str, float]]:
    """Pictures for each second of CPU time, kind by kind; making the ground of a scenario is not counted."""
    import cv2
    from tqdm import tqdm

    from alpamayo_ros.simulation import KINDS, Renderer, build, drive_expert
    from alpamayo_ros.types.rig import default_rig

    cv2.setNumThreads(1)
    rig = default_rig(width, height)
    for kind in tqdm(list(KINDS), unit="kind"):
        worlds = drive_expert(build(kind, seed, "nominal")).worlds[::40][:5]
        renderer = Renderer(rig)
        renderer.render_all(worlds[0])
        begin = time.process_time()
        for world in worlds:
            renderer.render_all(world)
        yield kind, len(worlds) * len(rig.roles) / (time.process_time() - begin)


@bench.command()
@click.option("--model", default="alpamayo-tiny", show_default=True, help="A folder, a shipped name, or a hub id.")
@click.option("--language-model", default="", help="Folder of the language model that a config names.")
@click.option("--max-reasoning-tokens", type=click.IntRange(1, 4096), default=256, show_default=True)
@click.option("--samples", "num_samples", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--size", default="1920x1080", show_default=True, metavar="WIDTHxHEIGHT", help="Of the JPEG pictures.")
@click.option("--camera-rate", type=click.FloatRange(10.0, 60.0), default=30.0, show_default=True)
@click.option("--odometry-rate", type=click.FloatRange(10.0, 200.0), default=100.0, show_default=True)
@click.option("--seconds", type=click.FloatRange(2.0, 600.0), default=10.0, show_default=True, help="Of either part.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def ros(
    model: str,
    language_model: str,
    max_reasoning_tokens: int,
    num_samples: int,
    size: str,
    as_json: bool,
    **rates: float,
) -> None:
    """Four cameras and odometry over real topics, in a ROS domain of their own: the cost of receiving, the age of
    frames, stamp to plan."""
    pixels = picture_size(size)
    try:
        from alpamayo_ros.nodes.bench import Request, measure
    except ImportError as error:
        raise click.ClickException(
            f"bench ros needs ROS 2 and this package's messages ({error}); in a checkout use `make build`, elsewhere "
            "source the workspace"
        ) from None

    parameters = {
        "model": model,
        "language_model": language_model,
        "max_reasoning_tokens": max_reasoning_tokens,
        "num_samples": num_samples,
    }
    try:
        measured = measure(Request(pixels, parameters=parameters, **rates))
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"size": size, "model": model, **rates, **measured}))
        return
    for part, figures in measured.items():
        for name, value in figures.items():
            click.echo(f"{part:9} {name:24} {value:10.2f}")


bench.add_command(latency)
bench.add_command(memory)
bench.add_command(roofline)
