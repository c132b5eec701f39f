"""`alpamayo plan`: one plan from files."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from alpamayo_ros.types import Plan


@click.command()
@click.option("--images", type=Path, required=True, help="One folder per camera role, pictures named by stamp in ns.")
@click.option("--ego", type=Path, required=True, help="Ego poses, CSV: stamp_ns,x,y,z,qx,qy,qz,qw.")
@click.option("--model", required=True, help="A model folder, a shipped model's name, or a hub id.")
@click.option("--language-model", type=Path, help="Folder of the language model that a released config names.")
@click.option("--device", help="cpu, cuda, cuda:1 …; by default the GPU when there is one.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), help="By default that of the weights.")
@click.option(
    "--t0",
    "t0_ns",
    type=click.IntRange(0, 2**63 - 1),
    help="Time of the plan in ns; by default the newest that all files cover.",
)
@click.option(
    "--slop-ms", type=click.IntRange(0), default=50, show_default=True, help="How far a frame may be from its time."
)
@click.option("--navigation", help='Driving instruction such as "Turn left in 40 m" (1.5 only).')
@click.option("--navigation-guidance", type=float, help="Weight of guidance by the instruction; 1 is none.")
@click.option("--samples", "num_samples", type=int, default=1, show_default=True, help="Trajectories to sample.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--temperature", type=float, help="Of the reasoning; 0 is greedy; by default the model's own.")
@click.option("--top-p", type=float, default=0.98, show_default=True)
@click.option("--max-reasoning-tokens", type=int, default=256, show_default=True)
@click.option("--flow-steps", type=int, help="Euler steps of the flow; by default the model's own.")
@click.option(
    "--noise-temperature", type=float, help="Scale of the noise that the flow begins with; by default the model's own."
)
@click.option(
    "--max-jerk", type=float,
    help="m/s³ with which the plan leaves the acceleration that the car has; 0: it begins with what the model wants; "
    "by default the model's own.",
)  # fmt: skip
@click.option("--autoregressive", is_flag=True, help="Decode the trajectory as 128 tokens instead of by the flow.")
@click.option(
    "--output", type=Path, default=Path("plan"), show_default=True, help="Folder for waypoints.csv, plan.json."
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(
    images: Path,
    ego: Path,
    model: str,
    language_model: Path | None,
    device: str | None,
    dtype: str | None,
    t0_ns: int | None,
    slop_ms: int,
    navigation: str | None,
    output: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Plan once from picture files and ego poses."""
    from alpamayo_ros.datasets.recording import Recording
    from alpamayo_ros.policy import DrivingPolicy

    recording = Recording.open(images, ego)
    policy = DrivingPolicy.from_pretrained(model, language_model=language_model, device=device, dtype=dtype)
    config = policy.model.config
    observation = recording.observation_at(
        recording.newest_t0_ns if t0_ns is None else t0_ns,
        frames=config.frames_per_camera,
        history_steps=config.history_steps,
        slop_ns=slop_ms * 1_000_000,
        navigation=navigation,
    )
    output.mkdir(parents=True, exist_ok=True)  # first: a plan that cannot be kept is not worth minutes on a CPU
    made = policy.plan(observation, **options)
    document = _plan_json(made)
    (output / "plan.json").write_text(json.dumps(document, indent=2) + "\n")
    _write_waypoints(made, output / "waypoints.csv")
    if as_json:
        click.echo(json.dumps(document))
        return
    for number, sample in enumerate(made.samples):
        mark = "→" if number == made.selected else " "
        end = sample.trajectory.positions[-1]
        note = "" if sample.complete else "  (reasoning not completed)"
        click.echo(f"{mark} sample {number}: {end[0]:6.1f} m ahead, {end[1]:+5.1f} m left at 6.4 s{note}")
        click.echo(f"    {' '.join(sample.reasoning.split()) or '(no reasoning text)'}")
        for failure in made.judgements[number].gate.failures:
            click.echo(f"    gate: {failure.check.replace('_', ' ')}: {failure.reason}")
    total = sum(made.latencies_ms.values())
    stages = ", ".join(f"{stage} {ms:.0f}" for stage, ms in made.latencies_ms.items())
    click.echo(f"t0 {made.t0_ns} ns, {total:.0f} ms ({stages})")
    click.echo(f"wrote {output / 'waypoints.csv'} and {output / 'plan.json'}")


def _plan_json(made: Plan) -> dict[str, Any]:
    return {
        "t0_ns": made.t0_ns,
        "model": made.model,
        "revision": made.revision,
        "seed": made.seed,
        "selected": made.selected,
        "selection": made.selection,
        "latencies_ms": made.latencies_ms,
        "samples": [
            {
                "reasoning": sample.reasoning,
                "complete": sample.complete,
                "decision": asdict(found.trace.decision) if found.trace.decision else None,
                "components": [asdict(component) for component in found.trace.components],
                "consistency": asdict(found.consistency),
                "gate": {"passed": found.gate.passed, **asdict(found.gate)},
                "waypoints": [dict(zip(_COLUMNS, row, strict=True)) for row in _rows(made, number)],
            }
            for number, (sample, found) in enumerate(zip(made.samples, made.judgements, strict=True))
        ],
    }


_COLUMNS = (
    "time_s",
    "x_m",
    "y_m",
    "z_m",
    "yaw_rad",
    "speed_mps",
    "acceleration_mps2",
    "curvature_1pm",
    "yaw_rate_radps",
)


def _rows(made: Plan, number: int) -> list[list[float]]:
    path = made.samples[number].trajectory
    columns = (
        path.times, *path.positions.T, path.yaws, path.speeds, path.accelerations, path.curvatures, path.yaw_rates,
    )  # fmt: skip
    return [[round(float(value), 6) for value in row] for row in zip(*columns, strict=True)]


def _write_waypoints(made: Plan, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "selected", *_COLUMNS])
        for number in range(len(made.samples)):
            writer.writerows([number, int(number == made.selected), *row] for row in _rows(made, number))
