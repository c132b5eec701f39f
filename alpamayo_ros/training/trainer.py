"""The training loop. The same for every stage, and for one process or many.

A step's samples are the same whatever the number of processes, and so is its loss: a mean over all of them.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from alpamayo_ros.training.corpus import Corpus, order
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.recipe import Recipe
from alpamayo_ros.training.stage import Stage, Work
from alpamayo_ros.training.state import Progress, load_state, save_state
from alpamayo_ros.vla.checkpoint import save_model

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is, as `torchrun` says; its device."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def begin(cls, device: str | None = None) -> Processes:
        """Join the others, if there are any. device: by default each its own GPU, where there are GPUs."""
        count, rank, local = (int(os.environ.get(name, default)) for name, default in _ENVIRONMENT)
        chosen = torch.device(device or (f"cuda:{local}" if torch.cuda.is_available() else "cpu"))
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        return cls(rank, count, chosen)

    def end(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        return self.rank == 0


_ENVIRONMENT = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))


@dataclass(frozen=True)
class Run:
    """What a call of `train` came to. finished: all steps are done; else its time was up."""

    step: int
    finished: bool
    figures: dict[str, float]


def train(
    stage: Stage,
    corpus: Corpus,
    validation: Corpus | None,
    output: Path,
    processes: Processes,
    *,
    minutes: float = math.inf,
    grow: bool = False,
) -> Run:
    """Train until the recipe's steps are done, or for so many minutes; goes on where an earlier call stopped.

    The model folder `output` is written anew with every state. grow: the data may have more shards than the run began
    with, which begins a new epoch. Raises TrainingError.
    """
    recipe, folder = stage.recipe, output / "training"
    optimiser = _optimiser(stage)
    progress = Progress(0, 0, 0, [str(path) for path in corpus.shards])
    found = load_state(folder, asdict(recipe))
    if found is not None:
        weights, optimiser_state, progress = found
        _load_weights(stage, weights)
        optimiser.load_state_dict(optimiser_state)
        _continue_data(progress, corpus, grow=grow)
    if recipe.batch_size > len(corpus):
        raise TrainingError(f"batch_size is {recipe.batch_size}, but the data hold {len(corpus)} samples")
    wrapped: nn.Module = stage if processes.count == 1 else DistributedDataParallel(stage)
    stage.train()
    end, figures = time.monotonic() + 60.0 * minutes, dict[str, float]()
    writer = SummaryWriter(str(folder / "events"), purge_step=progress.step) if processes.leads else None
    bar = tqdm(
        total=recipe.steps, initial=progress.step, desc=stage.name, unit="step", disable=None if writer else True
    )
    loader = prefetched(_steps(stage, corpus, progress, processes))
    for after, micro_batches in loader:
        rate = learning_rate(recipe, progress.step)
        _set_rate(optimiser, rate)
        losses = _step(wrapped, stage, optimiser, micro_batches, progress.step, processes)
        progress = after
        bar.update()
        if writer is not None and (progress.step % recipe.log_every == 0 or progress.step == 1):
            for name, value in losses.items():
                writer.add_scalar(f"train/{name}", value, progress.step)
            writer.add_scalar("train/learning_rate", rate, progress.step)
            bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()})
        done = progress.step == recipe.steps
        stop = done or _any_says(time.monotonic() > end, processes)
        if validation is not None and recipe.validate_every and (progress.step % recipe.validate_every == 0 or done):
            figures = _validated(stage, validation, processes)
            if writer is not None:
                _tell(figures, progress.step, writer, folder)
        if stop or progress.step % recipe.save_every == 0:
            if processes.leads:
                save_state(folder, _trained(stage), optimiser.state_dict(), progress, asdict(recipe))
                save_model(stage.model, output)
                stage.save_extras(output)
            if processes.count > 1:
                dist.barrier()
        if stop:
            break
    loader.close()
    bar.close()
    if writer is not None:
        writer.close()
    return Run(progress.step, progress.step == recipe.steps, figures)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Of the step after so many: a linear rise, then a cosine."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    share = (step - recipe.warmup_steps) / max(recipe.steps - recipe.warmup_steps, 1)
    low, high = recipe.final_learning_rate, recipe.learning_rate
    return low + (high - low) * 0.5 * (1.0 + math.cos(math.pi * share))


def prefetched(items: Iterable[T]) -> Generator[T]:
    """The items, one made ahead by a thread of its own."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(entry: tuple[T | None, BaseException | None]) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put(entry, timeout=0.1)
                return

    def work() -> None:
        try:
            for item in items:
                put((item, None))
                if stopped.is_set():
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    cv2.setNumThreads(1)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only beside an error
    finally:
        stopped.set()
        thread.join()


def _steps(
    stage: Stage, corpus: Corpus, progress: Progress, processes: Processes
) -> Iterator[tuple[Progress, list[Work]]]:
    """For every step to come: the progress after it, and this process's share of its samples."""
    recipe, step, epoch, place = stage.recipe, progress.step, progress.epoch, progress.place
    numbers = order(recipe.seed, epoch, len(corpus))
    while step < recipe.steps:
        if place + recipe.batch_size > len(corpus):  # what is left of an epoch is less than a batch
            epoch, place = epoch + 1, 0
            numbers = order(recipe.seed, epoch, len(corpus))
        mine = numbers[place : place + recipe.batch_size][processes.rank :: processes.count].tolist()
        micro_batches = [
            stage.prepare(corpus.batch(mine[start : start + recipe.micro_batch], dense=stage.dense), step)
            for start in range(0, len(mine), recipe.micro_batch)
        ]
        step, place = step + 1, place + recipe.batch_size
        yield Progress(step, epoch, place, progress.shards), micro_batches


def _step(
    wrapped: nn.Module,
    stage: Stage,
    optimiser: torch.optim.Optimizer,
    micro_batches: list[Work],
    step: int,
    processes: Processes,
) -> dict[str, float]:
    """One optimiser step; the mean of each loss over all processes."""
    recipe, weights = stage.recipe, stage.weights(step)
    names = list(weights)
    counts = torch.tensor([[float(work.counts.get(name, 0)) for name in names] for work in micro_batches]).sum(0)
    counts = _summed(counts, processes)
    optimiser.zero_grad(set_to_none=True)
    sums = torch.zeros(len(names))
    for number, work in enumerate(micro_batches, start=1):
        last = number == len(micro_batches)
        half = torch.autocast(processes.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
        with wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) and not last else nullcontext():
            with half:
                losses = wrapped(work)
            # DistributedDataParallel divides by the number of processes; our mean is over all samples already.
            scales = [
                processes.count * weights[name] / max(float(count), 1.0)
                for name, count in zip(names, counts, strict=True)
            ]
            parts = [scale * losses[name] for scale, name in zip(scales, names, strict=True)]
            torch.autograd.backward(torch.stack(parts).sum())
        sums += torch.stack([losses[name].detach().float().cpu() for name in names])
    norm = nn.utils.clip_grad_norm_([p for p in stage.parameters() if p.requires_grad], recipe.clip)
    if not bool(torch.isfinite(norm)):
        raise TrainingError(f"the gradient of step {step + 1} is not finite; lower learning_rate or use float32")
    optimiser.step()
    means = _summed(sums, processes) / counts.clamp(min=1.0)
    return {**dict(zip(names, means.tolist(), strict=True)), "gradient": float(norm)}


def _optimiser(stage: Stage) -> torch.optim.Optimizer:
    """AdamW; matrices decay, the rest does not. Each group says how its rate is scaled."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in stage.named_parameters():
        if parameter.requires_grad:
            scale = stage.recipe.vision_rate if ".visual." in name else 1.0
            decay = stage.recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((scale, decay), []).append(parameter)
    listed = [{"params": part, "scale": scale, "weight_decay": decay} for (scale, decay), part in groups.items()]
    return torch.optim.AdamW(listed, lr=stage.recipe.learning_rate, betas=(0.9, stage.recipe.beta_2))


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


def _trained(stage: Stage) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in stage.named_parameters() if parameter.requires_grad}


def _load_weights(stage: Stage, weights: dict[str, Tensor]) -> None:
    trained = _trained(stage)
    if set(trained) != set(weights):
        raise TrainingError("the saved state is of another stage or model; choose another --output")
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(weights[name])


def _continue_data(progress: Progress, corpus: Corpus, *, grow: bool) -> None:
    """Check that the data are those of the run, or begin an epoch with more of them."""
    shards = [str(path) for path in corpus.shards]
    if shards == progress.shards:
        return
    if not grow:
        raise TrainingError(
            f"the run began with {len(progress.shards)} shards, now there are {len(shards)} or others; give the same "
            "data, or --grow to go on with these"
        )
    progress.shards = shards
    progress.epoch, progress.place = progress.epoch + 1, 0


def _validated(stage: Stage, validation: Corpus, processes: Processes) -> dict[str, float]:
    """By the leading process, while the others wait."""
    figures: dict[str, float] = {}
    if processes.leads:
        stage.eval()
        figures = stage.validate(validation)
        stage.train()
    if processes.count > 1:
        dist.barrier()
    return figures


def _tell(figures: dict[str, float], step: int, writer: SummaryWriter, folder: Path) -> None:
    for name, value in figures.items():
        writer.add_scalar(f"validation/{name}", value, step)
    with (folder / "figures.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, **{name: round(value, 4) for name, value in figures.items()}}) + "\n")
    tqdm.write(
        f"step {step}: " + ", ".join(f"{name} {value:.3f}" for name, value in itertools.islice(figures.items(), 8))
    )


def _summed(values: Tensor, processes: Processes) -> Tensor:
    if processes.count == 1:
        return values
    everywhere = values.to(processes.device)
    dist.all_reduce(everywhere)
    return everywhere.cpu()


def _any_says(word: bool, processes: Processes) -> bool:
    return bool(_summed(torch.tensor([float(word)]), processes)[0] > 0)
