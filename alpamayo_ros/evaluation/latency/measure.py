"""Time plans on consecutive ticks of one drive, and those of a reference between them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.evaluation.latency.inputs import read_observation
from alpamayo_ros.evaluation.latency.reference import ReferencePlan, TransformersReference
from alpamayo_ros.evaluation.latency.subject import Settings, Subject
from alpamayo_ros.types import Observation, Plan

SETTLING = 2
"""Plans after the first that count neither as cold nor as steady: what is made at first use is made by then."""


@dataclass
class Timings:
    """Milliseconds of plans: of the first, and of those in the steady state, one entry a plan.

    tokens: of the longest reasoning of each plan in the steady state. passes: of the language model that it took after
        the prompt's, where the engine speculates.
    same_words: of each plan, whether the reference says what we say. furthest_m: the largest distance between a
        waypoint of ours and of the reference's.
    head_tokens: of the prompt before its first picture, which are the same in every plan.
    picture_size: width and height. pictures: how many the vision tower encodes (tubelets, where there are any), and
        patches of each.
    """

    cold: dict[str, float] = field(default_factory=dict)
    cold_total: float = 0.0
    stages: dict[str, list[float]] = field(default_factory=dict)
    total: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    same_words: list[bool] = field(default_factory=list)
    furthest_m: float = 0.0
    prompt_tokens: int = 0
    head_tokens: int = 0
    picture_size: tuple[int, int] = (0, 0)
    pictures: tuple[int, int] = (0, 0)


def time_plans(
    subject: Subject,
    settings: Settings,
    observations: Iterable[Observation],
    reference: TransformersReference | None = None,
) -> Timings:
    """The first plan is cold, the next `SETTLING` are passed over, the rest are the steady state. With a reference,
    both plan every tick, ours first. Drawing the pictures is not counted."""
    timings, memory = Timings(), Memory()
    for number, observation in enumerate(observations):
        if settings.acceptance is not None and number > 0:
            memory.reasoning = _draft(subject, settings, observation, settings.acceptance)
        plan, milliseconds = _timed(subject, settings, observation, memory)
        if number == 0:
            timings.cold, timings.cold_total = dict(plan.latencies_ms), milliseconds
            _describe(timings, subject, observation)
        if number > SETTLING:
            timings.total.append(milliseconds)
            timings.tokens.append(_longest_reasoning(subject, plan))
            timings.passes.append(memory.passes)
            for stage, took in plan.latencies_ms.items():
                timings.stages.setdefault(stage, []).append(took)
        if reference is not None:
            other = reference.plan(
                observation,
                num_samples=settings.num_samples,
                seed=settings.seed,
                max_reasoning_tokens=subject.max_reasoning_tokens,
                flow_steps=settings.flow_steps,
            )
            timings.same_words.append(_words(subject, other) == [sample.reasoning for sample in plan.samples])
            ours = np.stack([sample.trajectory.positions for sample in plan.samples])
            apart = float(np.linalg.norm(ours - other.xyz.numpy(), axis=-1).max())
            timings.furthest_m = max(timings.furthest_m, apart)
            if number > SETTLING:
                timings.reference.append(other.milliseconds)
    return timings


def _describe(timings: Timings, subject: Subject, observation: Observation) -> None:
    """What is the same at every tick."""
    inputs = read_observation(subject.model, observation)
    height, width = observation.cameras[0].images.shape[1:3]
    timings.prompt_tokens, timings.picture_size = len(inputs.ids), (width, height)
    timings.head_tokens = inputs.ids.index(subject.model.config.image_token_id)
    timings.pictures = (len(inputs.grid_thw), int(inputs.grid_thw[0].prod()))


def _draft(subject: Subject, settings: Settings, observation: Observation, right: int) -> list[list[int]]:
    """What will be said, found out beforehand, as sentences that each end in one wrong token: after every `right` right
    ones the next has to be taken. Of several samples that begin alike, one may be given another's sentence."""
    memory = Memory()
    _timed(subject, settings, observation, memory)
    wrong = [subject.model.tokenizer.im_end]
    longest = max(map(len, memory.reasoning))
    return [row[:end] + wrong for end in range(0, longest + right + 1, right + 1) for row in memory.reasoning]


def _timed(subject: Subject, settings: Settings, observation: Observation, memory: Memory) -> tuple[Plan, float]:
    begin = time.perf_counter()
    plan = subject.policy.plan(
        observation,
        num_samples=settings.num_samples,
        seed=settings.seed,
        temperature=settings.temperature,
        top_k=settings.top_k,
        flow_steps=None if settings.autoregressive else settings.flow_steps,
        autoregressive=settings.autoregressive,
        max_reasoning_tokens=subject.max_reasoning_tokens,
        max_jerk=0.0,  # The network alone, which is what the reference runs.
        memory=memory,
    )
    if subject.model.device.type == "cuda":
        torch.cuda.synchronize(subject.model.device)
    return plan, (time.perf_counter() - begin) * 1e3


def _words(subject: Subject, plan: ReferencePlan) -> list[str]:
    texts = (subject.model.tokenizer.decode(row, skip_special=False) for row in plan.tokens.tolist())
    return [text.partition("<|cot_end|>")[0].strip() for text in texts]


def _longest_reasoning(subject: Subject, plan: Plan) -> int:
    """Tokens of its text; where their number is forced, as many."""
    if subject.switches.skip_reasoning:
        return 0
    if subject.forced_tokens is not None:
        return subject.forced_tokens
    return max(len(subject.model.tokenizer.encode(sample.reasoning)) for sample in plan.samples)
