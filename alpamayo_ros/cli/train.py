"""`alpamayo train`: make a model and train it by stages. Under `torchrun` the same commands use many processes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from alpamayo_ros.cli.places import check_folder
from alpamayo_ros.shipped import shipped_folders

if TYPE_CHECKING:
    from alpamayo_ros.training.corpus import Corpus
    from alpamayo_ros.training.parallel import Processes
    from alpamayo_ros.training.stage import Stage
    from alpamayo_ros.vla.model import AlpamayoModel

S = TypeVar("S", bound="Stage")


def _shipped(name: str) -> Path:
    """A file of config/training, wherever the command is called."""
    return shipped_folders("config")[0] / "training" / name


def _check_new(output: Path) -> None:
    """Raises ClickException where a model's folder is there already or cannot be made."""
    if output.exists():
        raise click.ClickException(f"{output} exists already; remove it or choose another --output")
    check_folder(output.parent, output)


@click.group()
def train() -> None:
    """Train a model: begin, vision, sft, grpo if wanted, expert, each on the model that the one before it left.

    A model whose expert is trained may have grpo too, and then expert again.
    """


@train.command()
@click.option(
    "--shape", type=Path, default=lambda: _shipped("alpamayo_tiny.json"), show_default="that of alpamayo-tiny",
    help="JSON file with the shape of the model.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random weights.")
@click.option("--output", type=Path, required=True, help="Folder of the model; must be new.")
def begin(shape: Path, seed: int, output: Path) -> None:
    """Make a model of a given shape, with its vocabulary and random weights."""
    from alpamayo_ros.training.initial import initial_model
    from alpamayo_ros.vla.checkpoint import save_model

    _check_new(output)
    model = initial_model(shape, seed)
    save_model(model, output)
    parts = {"vision": model.vlm.model.visual, "language": model.vlm, "expert": model.expert}
    sizes = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in parts.items()}
    sizes["language"] -= sizes["vision"]
    listed = ", ".join(f"{name} {size:.1f} M" for name, size in sizes.items())
    click.echo(f"wrote {output}: {listed}; {len(model.tokenizer)} tokens")


def _options(command: Callable[..., None]) -> Callable[..., None]:
    @click.option(
        "--recipe", type=Path, default=lambda: _shipped("alpamayo_tiny.toml"), show_default="that of alpamayo-tiny",
        help="TOML file with a table of the stage. For the released models: config/training/released_10b.toml.",
    )  # fmt: skip
    @click.option(
        "--set", "changes", multiple=True, metavar="KEY=VALUE",
        help="Instead of the recipe's; may be repeated. The keys are described in alpamayo_ros/training/recipe.py; a "
        "wrong one is answered with all.",
    )  # fmt: skip
    @click.option("--model", type=Path, required=True, help="Folder of the model to begin with.")
    @click.option("--data", type=Path, multiple=True, required=True, help="Folder of a dataset; may be repeated.")
    @click.option("--validation", type=Path, help="Folder of a dataset of other seeds.")
    @click.option("--output", type=Path, required=True, help="Folder of the trained model, or one to go on in.")
    @click.option("--unfinished", is_flag=True, help="Take the complete shards of datasets that are being written.")
    @click.option("--grow", is_flag=True, help="Go on with more shards than the run began with.")
    @click.option("--minutes", type=click.FloatRange(min=0.0), help="Stop after so long; the same command goes on.")
    @click.option("--device", help="cpu, cuda …; by default a GPU for each process, when there are GPUs.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(**options)

    return run


@train.command()
@_options
def vision(recipe: Path, changes: tuple[str, ...], model: Path, **options: Any) -> None:
    """Stage 0: the vision tower learns the simulator's dense labels."""
    from alpamayo_ros.training.recipe import VisionRecipe, read_recipe
    from alpamayo_ros.training.vision_stage import VisionStage

    chosen = read_recipe(recipe, "vision", VisionRecipe, changes)
    _run(model, lambda loaded: VisionStage(loaded, chosen), **options)


@train.command()
@_options
def sft(recipe: Path, changes: tuple[str, ...], model: Path, **options: Any) -> None:
    """Stage 1: the vision-language model learns to reason and to say the trajectory."""
    from alpamayo_ros.training.recipe import SftRecipe, read_recipe
    from alpamayo_ros.training.sft_stage import SftStage
    from alpamayo_ros.training.vision_stage import load_head

    chosen = read_recipe(recipe, "sft", SftRecipe, changes)
    _run(
        model,
        lambda loaded: SftStage(loaded, chosen, load_head(loaded, model) if chosen.dense > 0 else None),
        **options,
    )


@train.command()
@_options
def grpo(recipe: Path, changes: tuple[str, ...], model: Path, **options: Any) -> None:
    """Stage 3: the vision-language model learns from rewards for what it says and plans itself.

    The action expert reads what this changes: run `alpamayo train expert` afterwards.
    """
    from alpamayo_ros.training.grpo_stage import GrpoStage
    from alpamayo_ros.training.recipe import GrpoRecipe, read_recipe
    from alpamayo_ros.training.rewards.choice import chosen_rewards
    from alpamayo_ros.training.selection import keep_informative

    chosen = read_recipe(recipe, "grpo", GrpoRecipe, changes)
    _run(model, lambda loaded: GrpoStage(loaded, chosen, chosen_rewards(chosen)), keep_informative, **options)


@train.command()
@_options
def expert(recipe: Path, changes: tuple[str, ...], model: Path, **options: Any) -> None:
    """Stage 2: the action expert learns flow matching, the rest is frozen."""
    from alpamayo_ros.training.expert_stage import ExpertStage
    from alpamayo_ros.training.recipe import ExpertRecipe, read_recipe

    chosen = read_recipe(recipe, "expert", ExpertRecipe, changes)
    _run(model, lambda loaded: ExpertStage(loaded, chosen), **options)


@train.command()
@click.option("--model", type=Path, required=True, help="Folder of a trained model.")
@click.option("--output", type=Path, required=True, help="Folder for the copy; must be new.")
def export(model: Path, output: Path) -> None:
    """Copy a trained model without what only training needs; weights are stored as bfloat16, half the size.

    They are still float32 when they are loaded: that is what the copy's config.json asks for.
    """
    import torch

    from alpamayo_ros.vla.checkpoint import load_model, save_model

    _check_new(output)
    loaded = load_model(model, dtype=torch.float32)
    # Constants (of the action space, of Fourier features) are no weights: rounded, they would be others.
    halved = {name: part.bfloat16() for name, part in loaded.named_parameters()}
    save_model(loaded, output, weights=loaded.state_dict() | halved)
    size = sum(path.stat().st_size for path in output.iterdir()) / 1e6
    click.echo(f"wrote {output}: {size:.1f} MB")


@train.command()
@click.option(
    "--model", "models", type=Path, multiple=True, required=True,
    help="Folder of a model, of each; one that is named twice counts twice.",
)  # fmt: skip
@click.option("--output", type=Path, required=True, help="Folder of the mean; must be new.")
def average(models: tuple[Path, ...], output: Path) -> None:
    """Write the mean of the weights of models that were trained on from the same one.

    As of a model before and after a round on new data: it keeps some of what that round forgot.
    """
    from alpamayo_ros.training.average import mean_model
    from alpamayo_ros.vla.checkpoint import save_model

    _check_new(output)
    save_model(mean_model(models), output)
    click.echo(f"wrote {output}: the mean of {len(models)} models")


def _run(
    model: Path, make: Callable[[AlpamayoModel], S],
    choose: Callable[[S, Corpus, Path, Processes, str], None] | None = None, *,
    data: tuple[Path, ...], validation: Path | None,
    output: Path, unfinished: bool, grow: bool, minutes: float | None, device: str | None, as_json: bool,
) -> None:  # fmt: skip
    import torch

    from alpamayo_ros.datasets.staging import locked
    from alpamayo_ros.training.corpus import Corpus, find_shards
    from alpamayo_ros.training.parallel import Processes
    from alpamayo_ros.training.trainer import train
    from alpamayo_ros.vla.checkpoint import fingerprint, load_model

    if model.resolve() == output.resolve():
        raise click.ClickException(f"--model and --output are both {output}; choose two folders")
    check_folder(output, output)
    processes = Processes.begin(device)
    with ExitStack() as stack:
        stack.callback(processes.end)
        # Shards may still be coming: all processes take those that the leading one finds.
        shards = processes.of_leading(find_shards(data, unfinished=unfinished))
        # Weights that learn are float32: what a step changes is too small for bfloat16.
        begun, stage = fingerprint(model), make(load_model(model, device=processes.device, dtype=torch.float32))
        if processes.leads and processes.emulates(stage.recipe):
            click.echo(
                "this processor has no bfloat16 products and makes them of others, many times as slowly as float32 "
                "ones; --set 'precision=\"float32\"' avoids that",
                err=True,
            )
        roles = stage.model.config.camera_roles
        held_out = None if validation is None else Corpus(find_shards([validation], unfinished=False), roles)
        corpus = Corpus(shards, roles, wordless=stage.wordless)
        stage.check(corpus)
        if held_out is not None:
            corpus.check_apart_from(held_out)
            stage.check(held_out)
        if processes.leads:
            stack.enter_context(locked(output / "training"))
        if choose is not None:
            choose(stage, corpus, output, processes, begun)
        limit = float("inf") if minutes is None else minutes
        run = train(stage, corpus, held_out, output, processes, begun=begun, minutes=limit, grow=grow)
    if not processes.leads:
        return
    if as_json:
        click.echo(json.dumps({"output": str(output), "step": run.step, "finished": run.finished, **run.figures}))
        return
    state = "finished" if run.finished else "stopped, the same command goes on"
    click.echo(f"wrote {output}: step {run.step} of {stage.recipe.steps}, {state}")
