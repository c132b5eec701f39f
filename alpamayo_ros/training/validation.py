"""How a model does on samples it has not learned from, speaking freely: no true word is ever put before its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch

from alpamayo_ros.policy import reasoning_text
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.training.answers import LONGEST
from alpamayo_ros.training.corpus import Batch, Corpus, Moment
from alpamayo_ros.training.sequence import histories, prompt_ids
from alpamayo_ros.training.stage import chosen_numbers
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import AlpamayoModel, Samples
from alpamayo_ros.vla.prompt import batch_prompts
from alpamayo_ros.vla.sampling import GREEDY

ROWS = 16
"""Samples that are read together."""


Judge = Callable[[Batch, Samples], dict[str, float]]


def validate(
    model: AlpamayoModel, corpus: Corpus, count: int, *, autoregressive: bool, judge: Judge | None = None
) -> dict[str, float]:
    """Figures over `count` samples, greedy and with one noise; `autoregressive`: the trajectory as tokens.

    longitudinal, lateral, both: share of right decisions. sentence: share of sentences that are among the true ones.
    component_f1: of the kinds of the named components. ade: mean distance to the driven way over 6.4 s, metres.
    judge: gives sums of further figures, whose means are returned.
    Beside them what needs no model: always_…: the commonest decision; constant_ade: the speed and heading of t0 kept.
    """
    numbers = chosen_numbers(corpus, count)
    judged = Counter[str]()
    right, both_named, named, true, far, constant = Counter[str](), 0, 0, 0, 0.0, 0.0
    decisions: dict[str, Counter[str]] = {"longitudinal": Counter(), "lateral": Counter()}
    for start in range(0, len(numbers), ROWS):
        batch = corpus.batch(numbers[start : start + ROWS], dense=False)
        samples = speak(model, batch.images, batch.moments, autoregressive=autoregressive)
        if judge is not None:
            judged.update(judge(batch, samples))
        for row, moment in enumerate(batch.moments):
            text = reasoning_text(model, samples.reasoning.tokens[row])
            read, wanted = parse(text), moment.label.decision
            lon = read.decision is not None and read.decision.longitudinal == wanted.longitudinal
            lat = read.decision is not None and read.decision.lateral == wanted.lateral
            right.update(longitudinal=lon, lateral=lat, both=lon and lat, sentence=text in moment.label.sentences)
            decisions["longitudinal"][str(wanted.longitudinal)] += 1
            decisions["lateral"][str(wanted.lateral)] += 1
            said, needed = (
                {(component.category, component.kind) for component in components}
                for components in (read.components, moment.label.components)
            )
            both_named += len(said & needed)
            named, true = named + len(said), true + len(needed)
            way = moment.future[0][:, :2]
            far += float((samples.xyz[row, :, :2] - way).norm(dim=-1).mean())
            straight = samples.initial_speed[row] * 0.1 * torch.arange(1, len(way) + 1)
            constant += float((torch.stack([straight, torch.zeros_like(straight)], dim=-1) - way).norm(dim=-1).mean())
    total = len(numbers)
    return {
        **{name: right[name] / total for name in ("longitudinal", "lateral", "both", "sentence")},
        "component_f1": 2 * both_named / max(named + true, 1),
        "ade": far / total,
        **{name: value / total for name, value in judged.items()},
        **{f"always_{axis}": found.most_common(1)[0][1] / total for axis, found in decisions.items()},
        "constant_ade": constant / total,
    }


def speak(
    model: AlpamayoModel, images: list, moments: Sequence[Moment], *, autoregressive: bool
) -> Samples:  # fmt: skip
    """What the model says and plans, greedy."""
    config, tokenizer = model.config, model.tokenizer
    rows, grids = preprocess(images, config)
    of_each = grids.reshape(len(moments), -1, 3)
    prompts = prompt_ids(model, moments, [moment.navigation for moment in moments], of_each)
    return model.sample(
        batch_prompts(prompts, list(of_each), config, tokenizer.pad), rows, grids, *histories(moments), num_samples=1,
        seed=0, sampling=GREEDY, max_new_tokens=LONGEST, num_flow_steps=config.num_inference_steps,
        noise_temperature=config.noise_temperature, autoregressive=autoregressive,
    )  # fmt: skip
