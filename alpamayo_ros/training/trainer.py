"""The training loop. The same for every stage, and for one process or many.

A step's samples are the same whatever the number of processes, and so is its loss: a mean over all of them.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import torch
from torch import Tensor

from alpamayo_ros.datasets.staging import settle
from alpamayo_ros.training.corpus import Corpus, order
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.log import Log
from alpamayo_ros.training.optimiser import optimisers, set_rate
from alpamayo_ros.training.parallel import Processes, Spread
from alpamayo_ros.training.recipe import Recipe
from alpamayo_ros.training.stage import Stage, Work
from alpamayo_ros.training.state import Progress, load_state, save_state
from alpamayo_ros.vla.checkpoint import save_model

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """What a call of `train` came to. finished: all steps are done; else its time was up. figures: of its last
    validation."""

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
    begun: str = "",
    minutes: float = math.inf,
    grow: bool = False,
) -> Run:
    """Train until the recipe's steps are done, or for so many minutes; goes on where an earlier call stopped.

    The model folder `output` is written anew with every state. begun: fingerprint of the model's folder; a run goes on
    with the same one only. grow: the data may have more shards than the run began
    with, which begins a new epoch. Raises TrainingError.
    """
    recipe, folder = stage.recipe, output / "training"
    if recipe.batch_size % processes.count:
        raise TrainingError(
            f"batch_size is {recipe.batch_size}; it must be a multiple of the {processes.count} processes"
        )
    if recipe.batch_size > len(corpus):
        raise TrainingError(f"batch_size is {recipe.batch_size}, but the data hold {len(corpus)} samples")
    spread = Spread(stage, processes)
    chosen = optimisers(stage)
    progress = Progress(0, 0, 0, [str(path) for path in corpus.shards], begun)
    found = load_state(folder, asdict(recipe))
    if found is not None:
        weights, optimiser_states, progress = found
        if progress.begun != begun:
            raise TrainingError(f"{folder} holds a run that began with another model; choose another --output")
        spread.load(weights, chosen, optimiser_states)
        _continue_data(progress, corpus, grow=grow)
    if processes.of_leading(progress) != progress:
        raise TrainingError(f"the processes go on from different states; all need the same {output}, on a shared disk")
    stage.train()
    end = time.monotonic() + 60.0 * minutes
    log = Log(folder, stage.name, recipe.steps, progress.step, leads=processes.leads)
    # A run that was ended in the middle of a validation begins with it.
    figures = processes.of_leading(log.validated(progress.step))
    if figures is None:
        figures = _validated(stage, validation, progress.step, log, processes)
    ahead = prefetched(_steps(stage, corpus, progress, processes))
    with closing(log), closing(ahead):
        for after, micro_batches in ahead:
            rate = learning_rate(recipe, progress.step)
            set_rate(chosen, rate)
            with spread.acting(), processes.precision(recipe):
                acted = [stage.act(work) for work in micro_batches]
            for _ in range(stage.passes):
                losses = _step(spread, chosen, acted, progress.step, processes)
            progress = after
            log.advance()
            if progress.step % recipe.log_every == 0 or progress.step == 1:
                log.losses(progress.step, losses, rate)
            # All stop when the clock of one of them says so.
            late = processes.summed(torch.tensor([float(time.monotonic() > end)]))
            stop = progress.step == recipe.steps or bool(late[0] > 0)
            if stop or progress.step % recipe.save_every == 0:
                weights, optimiser_states = spread.weights(), spread.optimiser_states(chosen)
                if processes.leads:
                    _save(stage, weights, optimiser_states, progress, output)
                processes.wait()
            figures = _validated(stage, validation, progress.step, log, processes) or figures
            if stop:
                break
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
    numbers = order(corpus, recipe.seed, epoch, recipe.keyframe_repeats)
    while step < recipe.steps:
        if place + recipe.batch_size > len(numbers):  # what is left of an epoch is less than a batch
            epoch, place = epoch + 1, 0
            numbers = order(corpus, recipe.seed, epoch, recipe.keyframe_repeats)
        batch = numbers[place : place + recipe.batch_size].tolist()
        mine = range(processes.rank, len(batch), processes.count)
        shares = (mine[start : start + recipe.micro_batch] for start in range(0, len(mine), recipe.micro_batch))
        micro_batches = [
            stage.prepare(corpus.batch([batch[i] for i in share], dense=stage.dense, places=share), step)
            for share in shares
        ]
        step, place = step + 1, place + recipe.batch_size
        yield Progress(step, epoch, place, progress.shards, progress.begun), micro_batches


def _save(
    stage: Stage,
    weights: dict[str, Tensor],
    optimiser_states: list[dict[str, Any]],
    progress: Progress,
    output: Path,
) -> None:
    """The state comes last: what a kill has left half written before it is written again by whoever goes on."""
    of_model = {name.removeprefix("model."): part for name, part in weights.items() if name.startswith("model.")}
    save_model(stage.model, output, weights=of_model)
    stage.save_extras(output, weights)
    settle(*(path for path in output.iterdir() if path.is_file()), output)
    trained = {name for name, parameter in stage.named_parameters() if parameter.requires_grad}
    kept = {name: part for name, part in weights.items() if name in trained}
    save_state(output / "training", kept, optimiser_states, progress, asdict(stage.recipe))


def _step(
    spread: Spread,
    chosen: list[torch.optim.Optimizer],
    micro_batches: list[Work],
    step: int,
    processes: Processes,
) -> dict[str, float]:
    """One optimiser step; the mean of each loss over all processes."""
    recipe, weights = spread.stage.recipe, spread.stage.weights(step)
    names = list(weights)
    counts = torch.tensor([[float(work.counts.get(name, 0)) for name in names] for work in micro_batches]).sum(0)
    counts = processes.summed(counts)
    for optimiser in chosen:
        optimiser.zero_grad(set_to_none=True)
    sums = torch.zeros(len(names))
    for number, work in enumerate(micro_batches, start=1):
        with spread.accumulating(last=number == len(micro_batches)):
            with processes.precision(recipe), processes.attention(recipe):
                losses = spread.module(work)
            # Gradients are averaged over the processes; our mean is over all samples already.
            scales = [
                processes.count * weights[name] / max(float(count), 1.0)
                for name, count in zip(names, counts, strict=True)
            ]
            parts = [scale * losses[name] for scale, name in zip(scales, names, strict=True)]
            torch.autograd.backward(torch.stack(parts).sum())
        sums += torch.stack([losses[name].detach().float().cpu() for name in names])
    norm = spread.clip_gradient(recipe.clip)
    if not math.isfinite(norm):
        raise TrainingError(f"the gradient of step {step + 1} is not finite; lower learning_rate or use float32")
    for optimiser in chosen:
        optimiser.step()
    means = processes.summed(sums) / counts.clamp(min=1.0)
    return {**dict(zip(names, means.tolist(), strict=True)), "gradient": norm}


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


def _validated(stage: Stage, validation: Corpus | None, step: int, log: Log, processes: Processes) -> dict[str, float]:
    """By the leading process, while the others wait; nothing where no validation is due after a step."""
    figures: dict[str, float] = {}
    every, steps = stage.recipe.validate_every, stage.recipe.steps
    if validation is None or not every or not step or (step % every and step != steps):
        return figures
    if processes.leads:
        stage.eval()
        figures = stage.validate(validation)
        stage.train()
        log.validation(step, figures)
    processes.wait()
    return figures
