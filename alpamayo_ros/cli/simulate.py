"""`alpamayo simulate`: drives of the simulator's expert as files."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alpamayo_ros.cli.places import check_folder

if TYPE_CHECKING:
    from alpamayo_ros.datasets.drive import Drive
    from alpamayo_ros.types import CameraRole


@click.group()
def simulate() -> None:
    """Write drives of the built-in simulator to disk: training data, recordings, bags, videos."""


class _Size(click.ParamType):
    name = "WIDTHxHEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and int(width) >= 16 and int(height) >= 16):
            self.fail(f"{value!r} is no size such as 640x384, of 16x16 pixels or more", param, ctx)
        return int(width), int(height)


class _Roles(click.ParamType):
    name = "ROLE,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[CameraRole, ...]:
        from alpamayo_ros.types import CameraRole
        from alpamayo_ros.types.rig import DEFAULT_ROLES

        if not isinstance(value, str):
            return tuple(value)
        if value in ("r1", "all"):
            return DEFAULT_ROLES if value == "r1" else tuple(CameraRole)
        try:
            return tuple(sorted({CameraRole.from_label(label.strip()) for label in value.split(",")}))
        except ValueError as error:
            self.fail(str(error), param, ctx)


_CAMERAS_HELP = "Camera roles with commas between, `r1` for the four of Alpamayo-R1, `all` for all seven."
_VARIANTS = ["nominal", "challenging"]


def _of_one_drive(
    output: str, check: Callable[[Path, dict[str, Any]], None], size: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that say which drive, and where to; the command gets them as a Drive and a path.

    check: refuses a path and the command's own options before the drive is made.
    size: of the pictures by default; None for the fixed sizes of a video's page.
    """

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--kind", default="red_light", show_default=True, help="Scenario kind; a wrong one lists all.")
        @click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
        @click.option("--variant", type=click.Choice(_VARIANTS), default="nominal", show_default=True)
        @click.option("--seconds", type=click.FloatRange(0.2, 20.0), default=20.0, show_default=True)
        @click.option("--cameras", type=_Roles(), default="r1", show_default=True, help=_CAMERAS_HELP)
        @click.option("--output", type=Path, default=Path(output), show_default=True, help="Where to; must be new.")
        @click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
        @functools.wraps(command)
        def run(
            kind: str, seed: int, variant: str, seconds: float, cameras: tuple[CameraRole, ...], output: Path,
            size: tuple[int, int] | None = None, **options: Any,
        ) -> None:  # fmt: skip
            _check_new(output)
            _check_kinds([kind])
            check(output, options)
            drive = _drive(kind, seed, variant, round(seconds * 10), size, cameras)
            return command(drive=drive, output=output, **options)

        if size is None:
            return run
        return click.option("--size", type=_Size(), default=size, show_default=True, help="Of every picture.")(run)

    return wrap


def _drive(
    kind: str, seed: int, variant: str, ticks: int, size: tuple[int, int] | None, roles: tuple[CameraRole, ...]
) -> Drive:
    from alpamayo_ros.datasets.drive import Drive
    from alpamayo_ros.datasets.page import page_rig
    from alpamayo_ros.types.rig import default_rig

    rig = page_rig(roles) if size is None else default_rig(*size, roles=roles)
    # Small pictures show thin things only when they are drawn larger and averaged; large ones need it less.
    return Drive.by_expert(kind, seed, variant, rig, 2 if size is not None and size[0] <= 640 else 1, ticks)


def _check_kinds(kinds: list[str]) -> None:
    from alpamayo_ros.simulation.scenarios import KINDS

    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise click.ClickException(f"unknown scenario kind {', '.join(unknown)}; the kinds are {', '.join(KINDS)}")


def _check_new(output: Path) -> None:
    if output.exists():  # before the work begins, not after
        raise click.ClickException(f"{output} exists already; remove it or choose another --output")
    check_folder(output.parent, output)


def _check_rate(output: Path, options: dict[str, Any]) -> None:
    rate = options["odometry_rate"]
    if rate < 10 or rate % 10:
        raise click.ClickException(f"--odometry-rate is {rate}; it must be a multiple of 10")


def _check_film(output: Path, options: dict[str, Any]) -> None:
    if output.suffix != ".mp4":
        raise click.ClickException(f"--output is {output}; a video must be named .mp4")
    strip = _strip_beside(output, options["strip"])
    if strip.absolute() == output.absolute():
        raise click.ClickException(f"--strip and --output are both {output}; choose two names")
    _check_new(strip)


def _strip_beside(video: Path, strip: Path | None) -> Path:
    return video.with_suffix(".png") if strip is None else strip


def _progress(drive: Drive, what: str) -> Any:
    from tqdm import tqdm

    return tqdm(drive.ticks, desc=what, unit="frame", disable=None)


def _report(drive: Drive, output: Path, as_json: bool, lines: list[str], **facts: Any) -> None:
    scenario = drive.scenario
    if not as_json:
        for line in [f"wrote {output}: {scenario.kind}, seed {scenario.seed}, {scenario.variant}", *lines]:
            click.echo(line)
        return
    described = {"kind": scenario.kind, "seed": scenario.seed, "variant": str(scenario.variant)}
    stamps = {"first_stamp_ns": drive.stamp_ns(0), "last_stamp_ns": drive.stamp_ns(drive.ticks[-1])}
    roles = [role.label for role in drive.rig.roles]
    click.echo(json.dumps({"output": str(output), **described, **stamps, "cameras": roles, **facts}))


@simulate.command()
@_of_one_drive("recording", _check_rate, "640x384")
@click.option("--format", "suffix", type=click.Choice(["jpg", "png"]), default="jpg", show_default=True)
@click.option("--odometry-rate", type=int, default=50, show_default=True, help="Poses a second; a multiple of 10.")
def recording(drive: Drive, output: Path, as_json: bool, suffix: str, odometry_rate: int) -> None:
    """One drive as plain files: a folder of pictures for each camera role, and ego.csv."""
    from alpamayo_ros.datasets.recording import write_recording

    ticks = _progress(drive, "recording")
    write_recording(drive, output, ticks=ticks, odometry_rate=odometry_rate, suffix=f".{suffix}")
    pictures = len(drive.ticks) * len(drive.rig.roles)
    lines = [
        f"{pictures} pictures of {len(drive.rig.roles)} cameras, {len(drive.motions(odometry_rate))} poses",
        f"plan on it: alpamayo plan --images {output / 'images'} --ego {output / 'ego.csv'} --model MODEL",
    ]
    _report(drive, output, as_json, lines, pictures=pictures, poses=len(drive.motions(odometry_rate)))


@simulate.command()
@_of_one_drive("drive.mp4", _check_film)
@click.option("--strip", type=Path, help="Picture strip (.png); by default beside the video.")
def video(drive: Drive, output: Path, as_json: bool, strip: Path | None) -> None:
    """One drive to look at: an annotated MP4 and a picture strip of its decisions."""
    from alpamayo_ros.datasets.captions import captions_of
    from alpamayo_ros.datasets.film import Reel, moments_of, write_film

    strip = _strip_beside(output, strip)
    captions = captions_of(drive)
    moments = moments_of(captions, 8)
    write_film([Reel(drive, captions, _progress(drive, "video"), moments)], output, strip)
    lines = [f"{len(drive.ticks)} pages at 10 Hz; strip of {len(moments)} moments: {strip}"]
    _report(drive, output, as_json, lines, strip=str(strip), pages=len(drive.ticks), moments=moments)


@simulate.command()
@_of_one_drive("bag", _check_rate, "640x384")
@click.option("--storage", type=click.Choice(["mcap", "sqlite3"]), default="mcap", show_default=True)
@click.option("--raw", is_flag=True, help="sensor_msgs/Image instead of CompressedImage.")
@click.option("--odometry-rate", type=int, default=50, show_default=True, help="Poses a second; a multiple of 10.")
def bag(drive: Drive, output: Path, as_json: bool, **options: Any) -> None:
    """One drive as a rosbag2: cameras, camera info, odometry, transforms."""
    from alpamayo_ros.datasets.bag import BagOptions, write_bag

    counts = write_bag(drive, output, BagOptions(**options), ticks=_progress(drive, "bag"))
    _report(drive, output, as_json, [f"{count:6} {topic}" for topic, count in counts.items()], messages=counts)


class _Seeds(click.ParamType):
    name = "A-B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        first, dash, last = str(value).partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            self.fail(f"{value!r} is no range of seeds such as 0-99", param, ctx)
        return int(first), int(last)


@simulate.command()
@click.option("--seeds", type=_Seeds(), help="First and last seed; by default 0-9, or all that --driven has.")
@click.option("--kinds", default="all", show_default=True, help="Scenario kinds with commas between.")
@click.option("--variant", type=click.Choice([*_VARIANTS, "all"]), default="all", show_default=True)
@click.option("--cameras", type=_Roles(), default="r1", show_default=True, help=_CAMERAS_HELP)
@click.option("--size", type=_Size(), default="160x96", show_default=True, help="Of every picture.")
@click.option(
    "--every",
    type=click.FloatRange(0.0, 20.0),
    default=1.0,
    show_default=True,
    help="Seconds between samples beside the keyframes; 0 for keyframes alone.",
)
@click.option("--picture", type=click.Choice(["jpg", "png"]), default="jpg", show_default=True)
@click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of jpg.")
@click.option("--dense", type=click.IntRange(min=0), default=0, help="Also label blocks of so many pixels, as 16.")
@click.option(
    "--disturbance",
    type=click.FloatRange(0.0, 3.0),
    default=0.0,
    show_default=True,
    help="Push the car off its way once in every drive, so strongly, and take samples of how it finds back.",
)
@click.option(
    "--driven",
    "by_model",
    type=Path,
    help="Drives of a model, as .scenes.jsonl of `evaluate closed-loop`: what the expert would do there.",
)
@click.option("--drives-per-shard", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; by default one for each CPU core.")
@click.option(
    "--output", type=Path, default=Path("dataset"), show_default=True, help="A new folder, or one to go on in."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def dataset(
    seeds: tuple[int, int] | None, kinds: str, variant: str, cameras: tuple[CameraRole, ...], every: float,
    by_model: Path | None, workers: int | None, output: Path, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Labelled samples of many drives, as tar shards. The same command goes on where a killed one stopped."""
    import os

    from tqdm import tqdm

    from alpamayo_ros.datasets.handover import read_drives
    from alpamayo_ros.datasets.plan import DatasetPlan
    from alpamayo_ros.datasets.production import write_dataset
    from alpamayo_ros.simulation.scenarios import KINDS

    names = list(KINDS) if kinds == "all" else list(dict.fromkeys(kind.strip() for kind in kinds.split(",")))
    _check_kinds(names)
    check_folder(output, output)
    variants = tuple(_VARIANTS) if variant == "all" else (variant,)
    driven = read_drives(by_model) if by_model is not None else ()
    if seeds is None:
        found = [drive.seed for drive in driven]
        seeds = (min(found), max(found)) if found else (0, 9)
    plan = DatasetPlan(seeds, tuple(names), variants, cameras, every=round(every * 10), driven=driven, **options)
    count = workers or len(os.sched_getaffinity(0))
    with tqdm(total=len(plan.drives), desc="dataset", unit="drive", disable=None) as bar:
        for done in write_dataset(plan, output, count):
            bar.update(done - bar.n)
    summary = (output / "dataset.json").read_text()
    if as_json:
        click.echo(json.dumps({"output": str(output), **json.loads(summary)}))
        return
    told = json.loads(summary)
    size = told["bytes"] / 1e6
    click.echo(f"wrote {output}: {told['samples']} samples of {told['drives']} drives, {size:.1f} MB")
    for group, what in (("dropped", "left out"), ("wordless", "without words")):
        for check, number in told[group].items():
            click.echo(f"{number:8} {what}: {check}  (e.g. {told['examples'][check]})")
