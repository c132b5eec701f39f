"""High-information samples (paper, section 5.3): prompts where the model prefers other rollouts than the reward does.

A pass over a pool of random prompts, before the first step. Of each group of rollouts the model's preference is
softmax(β · mean log-probability of a token), the reward's is softmax(β · r), and their disagreement the total variation
distance of the two, from 0 to 1. Mean and distance are our choice: by the sums over whole rollouts a model would be
certain of one of them nearly always, and would "disagree" most with a reward that is indifferent and teaches nothing.
The most informative prompts are kept, and as many random ones of the rest of the data. What was chosen is written down,
so a run that goes on has the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from alpamayo_ros.datasets.staging import staged
from alpamayo_ros.training.corpus import Corpus
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.grpo_stage import GrpoStage
from alpamayo_ros.training.parallel import Processes

SELECTION = "selection.json"


def keep_informative(stage: GrpoStage, corpus: Corpus, output: Path, processes: Processes, begun: str) -> None:
    """Leave in the corpus what the recipe wants to train on; begun: fingerprint of the model. Raises TrainingError."""
    recipe = stage.recipe
    if not recipe.candidates:
        return
    if recipe.candidates + recipe.informative > len(corpus):
        raise TrainingError(
            f"the data hold {len(corpus)} samples; candidates + informative = "
            f"{recipe.candidates + recipe.informative} are more: lower them, or set both to 0"
        )
    path = output / "training" / SELECTION
    asked = {"recipe": asdict(recipe), "shards": [str(shard) for shard in corpus.shards], "begun": begun}
    chosen = processes.of_leading(_read(path, asked) if processes.leads else None)
    if chosen is not None:
        corpus.keep(chosen)
        return
    draw = np.random.default_rng((recipe.seed, len(corpus)))
    shuffled = draw.permutation(len(corpus))
    pool, rest = shuffled[: recipe.candidates], shuffled[recipe.candidates :]
    found = _disagreements(stage, corpus, pool.tolist(), processes)
    best = np.argsort(-found, kind="stable")[: recipe.informative]
    numbers = sorted([*pool[best].tolist(), *rest[: recipe.informative].tolist()])
    if processes.leads:
        figures = {"disagreement_chosen": float(found[best].mean()), "disagreement_all": float(found.mean())}
        _write(path, {**asked, **figures, "numbers": numbers})
    processes.wait()
    corpus.keep(numbers)


def disagreement(log_probabilities: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """(prompts,) from 0 to 1, of the mean log-probabilities and rewards of rollouts (prompts, group)."""
    return 0.5 * ((beta * log_probabilities).softmax(dim=1) - (beta * rewards).softmax(dim=1)).abs().sum(dim=1)


def _disagreements(stage: GrpoStage, corpus: Corpus, pool: list[int], processes: Processes) -> np.ndarray:
    """Of every prompt of the pool; each process looks at its share."""
    recipe, found = stage.recipe, torch.zeros(len(pool))
    mine = range(processes.rank, len(pool), processes.count)
    bar = tqdm(total=len(mine), desc="choosing", unit="prompt", disable=None if processes.leads else True)
    for start in range(0, len(mine), recipe.micro_batch):
        share = mine[start : start + recipe.micro_batch]
        # Drawn as in a step that never comes.
        batch = corpus.batch([pool[i] for i in share], dense=False, places=share)
        work = stage.prepare(batch, recipe.steps)
        with processes.precision(recipe), torch.no_grad():
            work = stage.act(work)
            said = stage.log_probabilities(stage.model.vlm, work.inputs).float().cpu()
        rewards = work.inputs["rewards"]
        owners, rollouts = work.inputs["answers"].owners.cpu(), torch.zeros(rewards.numel())
        mean = rollouts.index_add(0, owners, said) / torch.bincount(owners, minlength=len(rollouts))
        found[list(share)] = disagreement(mean.reshape(rewards.shape), rewards, recipe.beta)
        bar.update(len(share))
    bar.close()
    return processes.summed(found).numpy()


def _read(path: Path, asked: dict[str, Any]) -> list[int] | None:
    """What an earlier call chose; None where there was none."""
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text())
        of_this_run = {name: told.get(name) for name in asked} == asked
        numbers: list[int] = told["numbers"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TrainingError(f"{path} is damaged; remove it, or choose another --output") from None
    if not of_this_run:
        raise TrainingError(
            f"{path} is of another recipe, model or other data, and what is chosen cannot grow; choose another --output"
        )
    return numbers


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path) as stage:
        stage.write_text(json.dumps(content))
