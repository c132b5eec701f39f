"""`alpamayo annotate`: plans for every moment of a recorded drive."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from alpamayo_ros.cli.places import check_folder

if TYPE_CHECKING:
    from alpamayo_ros.datasets.bag_reader import BagReader
    from alpamayo_ros.nodes.annotator import Annotation
    from alpamayo_ros.nodes.bag_timeline import RefusalCount


@click.command()
@click.argument("bag", type=Path)
@click.option("--rig", required=True, help="Rig profile: the name of a shipped one, or a YAML file.")
@click.option("--model", required=True, help="A model folder, a shipped model's name, or a hub id.")
@click.option("--out", "output", type=Path, required=True, help="The bag to write; must be new.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Plan at each Nth 0.1 s only.")
@click.option("--start", type=click.FloatRange(0), default=0.0, show_default=True, help="Seconds into the bag.")
@click.option("--end", type=click.FloatRange(0), help="Seconds into the bag; by default its end.")
@click.option("--copy", is_flag=True, help="Also copy the topics of BAG.")
@click.option("--overlay", is_flag=True, help="Also draw each plan into the front camera's picture.")
@click.option("--storage", type=click.Choice(["mcap", "sqlite3"]), default="mcap", show_default=True)
@click.option("--language-model", type=Path, help="Folder of the language model that a released config names.")
@click.option("--device", help="cpu, cuda, cuda:1 …; by default the GPU when there is one.")
@click.option(
    "--slop-ms",
    type=click.IntRange(0, 1000),
    default=50,
    show_default=True,
    help="How far a frame may be from its time.",
)
@click.option(
    "--max-lag-ms",
    type=click.IntRange(0, 10000),
    default=150,
    show_default=True,
    help="How far a source may end before the others without being named.",
)
@click.option(
    "--max-jump",
    type=click.FloatRange(0.01, 1000.0),
    default=1.0,
    show_default=True,
    help="How far a pose may be from where the last ones lead, m.",
)
@click.option("--navigation", help='Driving instruction such as "Turn left in 40 m" (1.5 only).')
@click.option("--samples", "num_samples", type=int, default=1, show_default=True, help="Trajectories to sample.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every plan.")
@click.option("--temperature", type=float, help="Of the reasoning; 0 is greedy; by default the model's own.")
@click.option("--max-reasoning-tokens", type=int, default=256, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def annotate(
    bag: Path, rig: str, model: str, output: Path, every: int, start: float, end: float | None, copy: bool,
    overlay: bool, storage: str, language_model: Path | None, device: str | None, slop_ms: int, max_lag_ms: int,
    max_jump: float, navigation: str | None, as_json: bool, **planning: Any,
) -> None:  # fmt: skip
    """Plan at every 0.1 s of BAG, a rosbag2, and write the plans as a new bag.

    A run that was killed is continued by the same command.
    """
    if output.exists():
        raise click.ClickException(f"{output} exists already; remove it or choose another --out")
    check_folder(output.parent, output)
    from alpamayo_ros.datasets.bag_reader import BagReader
    from alpamayo_ros.nodes.annotator import AnnotateOptions, annotate
    from alpamayo_ros.nodes.rig_profile import RigProfile
    from alpamayo_ros.policy import DrivingPolicy

    options = AnnotateOptions(
        every, start, end, navigation, slop_ms, max_lag_ms, max_jump, planning, overlay, copy, storage
    )
    profile = RigProfile.open(rig)
    begin = time.perf_counter()
    with BagReader(bag) as reader, _bar(reader) as bar:

        def told(phase: str, logged_ns: int, found: Annotation) -> None:
            if bar.disable:
                return
            if bar.desc != phase:
                bar.desc, bar.n = phase, 0
            bar.set_postfix_str(f"{found.plans} plans, {_total(found.refused)} refused", refresh=False)
            bar.update(max(0.0, (logged_ns - reader.start_ns) / 1e9 - bar.n))

        policy = DrivingPolicy.from_pretrained(model, language_model=language_model, device=device)
        found = annotate(reader, profile, policy, output, options, told)
    seconds = time.perf_counter() - begin
    if as_json:
        click.echo(json.dumps(_summary(found, output, seconds)))
        return
    fresh = found.plans + _total(found.refused) - found.resumed
    click.echo(f"wrote {output}: {found.plans} plans, {_total(found.refused)} t0s refused")
    resumed = f", {found.resumed} of an earlier run" if found.resumed else ""
    click.echo(f"{fresh} t0s in {seconds:.1f} s, loading included{resumed}")
    for check, count in found.flagged.items():
        click.echo(f"{count} plans fail the gate's check {check.replace('_', ' ')}")
    for line in _tables(found):
        click.echo(line)


def _bar(reader: BagReader) -> Any:
    from tqdm import tqdm

    return tqdm(total=(reader.end_ns - reader.start_ns) / 1e9, desc="planning", disable=None, bar_format=_BAR)


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s of the bag [{elapsed}<{remaining}, {postfix}]"


def _total(counts: dict[Any, RefusalCount]) -> int:
    return sum(known.count for known in counts.values())


def _tables(found: Annotation) -> list[str]:
    lines = []
    for title, first, counts in (
        ("t0s refused", "first t0, ns", found.refused),
        ("messages left out", "logged at, ns", found.left_out),
    ):
        if counts:
            lines.append(f"{title:>17}  {'reason':<20} {'source':<24} {first:<20} for example")
        for (reason, source), known in counts.items():
            lines.append(f"{known.count:17}  {reason:<20} {source:<24} {known.first_ns:<20} {known.text}")
    if found.behind is not None:
        lines.append(f"towards the end t0 did not go on: {found.behind}")
    if found.not_copied:
        lines.append(f"not copied, because nobody knows their types: {', '.join(found.not_copied)}")
    return lines


def _summary(found: Annotation, output: Path, seconds: float) -> dict[str, Any]:
    def listed(counts: dict[Any, RefusalCount]) -> list[dict[str, Any]]:
        return [{"reason": reason, "source": source, **vars(known)} for (reason, source), known in counts.items()]

    return {
        "output": str(output),
        "plans": found.plans,
        "resumed": found.resumed,
        "first_t0_ns": found.first_t0_ns,
        "last_t0_ns": found.last_t0_ns,
        "refused": listed(found.refused),
        "left_out": listed(found.left_out),
        "behind": None if found.behind is None else str(found.behind),
        "gate_failures": found.flagged,
        "not_copied": list(found.not_copied),
        "seconds": seconds,
    }
