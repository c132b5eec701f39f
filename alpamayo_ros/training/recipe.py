"""A recipe: all that decides a training run besides the model and the data. Read from one table of a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from alpamayo_ros.training.errors import TrainingError

PRECISIONS = ("float32", "bfloat16")
SHARDINGS = ("none", "fsdp")
OPTIMISERS = ("adamw", "muon")
WEIGHTINGS = ("uniform", "acceleration", "motion")
PHRASINGS = ("first", "drawn")
CRITICS = ("rubric", "endpoint")


@dataclass(frozen=True)
class Recipe:
    """What every stage has.

    steps: optimiser steps. batch_size: samples of one step, over all processes. micro_batch: samples that one process
    takes through the network at a time. keyframe_repeats: how often an epoch takes a sample where a decision is taken;
    they are rare among regular ones. learning_rate falls as a cosine to final_learning_rate, after warmup_steps of
    rising; vision_rate: what it is multiplied with for the vision tower. optimiser: `adamw`, or `muon` for the matrices
    inside the blocks (see `optimiser`). weight_decay: part of itself, times the rate, that a step takes off every
    weight but norms and biases. beta_2: part of its mean of squared gradients that AdamW keeps from step to step.
    clip: largest norm of the gradient.
    precision: float32, or bfloat16 by autocast. sharding: of parameters over processes, `none` or `fsdp`. seed: of
    everything that is drawn. log_every, validate_every (0: never), save_every: steps. validation_samples: how many are
    looked at.
    """

    steps: int
    batch_size: int
    micro_batch: int
    learning_rate: float
    final_learning_rate: float
    keyframe_repeats: int = 1
    warmup_steps: int = 100
    vision_rate: float = 1.0
    optimiser: str = "adamw"
    weight_decay: float = 0.05
    beta_2: float = 0.98
    clip: float = 1.0
    precision: str = "float32"
    sharding: str = "none"
    seed: int = 0
    log_every: int = 10
    validate_every: int = 500
    save_every: int = 100
    validation_samples: int = 128

    def __post_init__(self) -> None:
        positive = (
            "steps", "batch_size", "micro_batch", "keyframe_repeats", "learning_rate", "clip", "log_every",
            "save_every", "validation_samples",
        )  # fmt: skip
        rules = {
            **{f"{name} must be above 0": getattr(self, name) > 0 for name in positive},
            "final_learning_rate must be from 0 to learning_rate": (
                0 <= self.final_learning_rate <= self.learning_rate
            ),
            "warmup_steps must be from 0 to steps": 0 <= self.warmup_steps <= self.steps,
            f"precision must be one of {', '.join(PRECISIONS)}": self.precision in PRECISIONS,
            f"sharding must be one of {', '.join(SHARDINGS)}": self.sharding in SHARDINGS,
            f"optimiser must be one of {', '.join(OPTIMISERS)}": self.optimiser in OPTIMISERS,
            "with sharding fsdp, optimiser must be adamw (muon needs whole matrices)": (
                self.sharding == "none" or self.optimiser == "adamw"
            ),
            "seed, validate_every, vision_rate and weight_decay must be 0 or more": (
                min(self.seed, self.validate_every, self.vision_rate, self.weight_decay) >= 0
            ),
            "beta_2 must be in [0, 1)": 0 <= self.beta_2 < 1,
            "with sharding fsdp, validate_every must be 0 (validate the saved model)": (
                self.sharding == "none" or self.validate_every == 0
            ),
            **self._rules(),
        }
        for rule, kept in rules.items():
            if not kept:
                raise TrainingError(rule)

    def _rules(self) -> dict[str, bool]:
        return {}


@dataclass(frozen=True)
class VisionRecipe(Recipe):
    """Stage 0: the vision tower learns dense labels of the simulator. Nothing more to choose."""


@dataclass(frozen=True)
class ImitationRecipe(Recipe):
    """What the two stages have that learn from how somebody drove.

    phrasing: which of a label's sentences is learned, the first one or one drawn anew each time.
    navigation_dropout: part of the instructions that is left out, for guidance.
    history_noise_lateral, history_noise_longitudinal: accelerations in m/s^2 by which the past is another one, see
        `sequence.disguised`.
    """

    phrasing: str = "drawn"
    navigation_dropout: float = 0.1
    history_noise_lateral: float = 0.0
    history_noise_longitudinal: float = 0.0

    def _rules(self) -> dict[str, bool]:
        return {
            f"phrasing must be one of {', '.join(PHRASINGS)}": self.phrasing in PHRASINGS,
            "navigation_dropout must be in [0, 1]": 0 <= self.navigation_dropout <= 1,
            "history_noise_lateral must be 0 or more": self.history_noise_lateral >= 0,
            "history_noise_longitudinal must be 0 or more": self.history_noise_longitudinal >= 0,
        }


@dataclass(frozen=True)
class SftRecipe(ImitationRecipe):
    """Stage 1: the vision-language model learns to reason and to say the trajectory.

    reasoning, trajectory: weights of the two mean cross-entropies; reasoning 0 leaves the Chain of Causation out of the
        sequence (trajectory only). trajectory_share: part of every batch whose trajectory tokens are read; their mean
        is taken over these alone. hidden_trajectories: part of them whose tokens are said without being read.
    dense: weight of the dense labels at the first step; it falls to 0 as a cosine over the run.
    """

    reasoning: float = 1.0
    trajectory: float = 1.0
    trajectory_share: float = 1.0
    hidden_trajectories: float = 0.0
    dense: float = 0.0

    def _rules(self) -> dict[str, bool]:
        return {
            **super()._rules(),
            "weights must be 0 or more, and not all 0": (
                min(self.reasoning, self.trajectory, self.dense) >= 0 and self.reasoning + self.trajectory > 0
            ),
            "trajectory_share must be in (0, 1]": 0 < self.trajectory_share <= 1,
            "hidden_trajectories must be in [0, 1]": 0 <= self.hidden_trajectories <= 1,
            "without reasoning, trajectory_share must be 1": self.reasoning > 0 or self.trajectory_share == 1,
            "trajectory_share of batch_size must be one sample or more": self.batch_size * self.trajectory_share >= 1,
            "with sharding fsdp, micro_batch or trajectory_share must be 1 (each process reads as often)": (
                self.sharding == "none" or self.micro_batch == 1 or self.trajectory_share == 1
            ),
        }


@dataclass(frozen=True)
class ExpertRecipe(ImitationRecipe):
    """Stage 2: the action expert learns flow matching behind the frozen vision-language model.

    times_per_sample: flow times drawn for each sample and step; the language model reads it once for all of them.
    weighting: `uniform`; `acceleration`: an error of curvature counts as the lateral acceleration that it makes; or
        `motion`: so do the errors of speed and position that follow (see `expert_stage`).
    reasoning: 1, or 0 for a model that learns trajectories only.
    own_words: part of the rows that are read behind the sentence that the model says there itself; above 0, so are
        samples that have no sentence.
    """

    times_per_sample: int = 1
    weighting: str = "uniform"
    reasoning: float = 1.0
    own_words: float = 0.0

    def _rules(self) -> dict[str, bool]:
        return {
            **super()._rules(),
            "times_per_sample must be above 0": self.times_per_sample > 0,
            f"weighting must be one of {', '.join(WEIGHTINGS)}": self.weighting in WEIGHTINGS,
            "reasoning must be 0 (trajectory only) or 1": self.reasoning in (0, 1),
            "own_words must be in [0, 1]": 0 <= self.own_words <= 1,
            "with sharding fsdp, own_words must be 0 or 1 (each process speaks as often)": (
                self.sharding == "none" or self.own_words in (0, 1)
            ),
            "without reasoning, own_words must be 0": self.reasoning > 0 or self.own_words == 0,
        }


@dataclass(frozen=True)
class GrpoRecipe(Recipe):
    """Stage 3: the vision-language model learns from rewards for what it says and plans itself. A step's samples are
    prompts here.

    group_size: rollouts of each prompt. temperature, top_p: of the rollouts. longest: tokens of reasoning.
    train_temperature: at which the probabilities of the loss are taken. passes: optimiser steps on the same rollouts.
    clip_low, clip_high: how far below and above 1 a ratio of probabilities still counts. kl: weight of the divergence
        from the model that the run began with; 0 keeps no copy of it. normalise: advantages are divided by their
        group's standard deviation; the paper's are not.
    reasoning, consistency, trajectory: weights of the rewards; 0 turns one off.
    critic: of the reasoning, `rubric`, or `endpoint` with critic_url, critic_model, critic_key (name of an environment
        variable, may be empty), critic_seconds (to wait for an answer) and critic_at_once (questions).
    l2, collision, jerk, far: see `rewards.trajectory`.
    candidates: prompts of the pool from which high-information ones are chosen before the first step, see `selection`;
        0 trains on all data alike. informative: how many are chosen, with as many random ones. beta: sharpness of the
        preferences.
    """

    group_size: int = 12
    temperature: float = 0.6
    top_p: float = 0.98
    longest: int = 48
    train_temperature: float = 1.0
    passes: int = 1
    clip_low: float = 0.2
    clip_high: float = 0.28
    kl: float = 0.0
    normalise: bool = False
    reasoning: float = 1.0
    consistency: float = 1.0
    trajectory: float = 1.0
    critic: str = "rubric"
    critic_url: str = ""
    critic_model: str = ""
    critic_key: str = ""
    critic_seconds: float = 60.0
    critic_at_once: int = 8
    l2: float = 1.0
    collision: float = 1.0
    jerk: float = 0.1
    far: float = 3.0
    candidates: int = 0
    informative: int = 0
    beta: float = 5.0

    def _rules(self) -> dict[str, bool]:
        positive = ("temperature", "longest", "train_temperature", "passes", "far", "critic_seconds", "critic_at_once")
        kept = ("clip_low", "clip_high", "kl", "l2", "collision", "jerk", "candidates", "informative", "beta")
        weights = (self.reasoning, self.consistency, self.trajectory)
        return {
            "group_size must be 2 or more: an advantage is over the others": self.group_size >= 2,
            **{f"{name} must be above 0": getattr(self, name) > 0 for name in positive},
            **{f"{name} must be 0 or more": getattr(self, name) >= 0 for name in kept},
            "top_p must be in (0, 1]": 0 < self.top_p <= 1,
            "clip_low must be below 1": self.clip_low < 1,
            "weights of rewards must be 0 or more, and not all 0": min(weights) >= 0 and sum(weights) > 0,
            f"critic must be one of {', '.join(CRITICS)}": self.critic in CRITICS,
            "critic endpoint needs critic_url and critic_model": (
                self.critic != "endpoint" or bool(self.critic_url and self.critic_model)
            ),
            "informative and candidates are given together, candidates the more": (
                self.informative < self.candidates if self.informative else not self.candidates
            ),
            "with sharding fsdp, kl must be 0 (a copy of the model is not sharded)": (
                self.sharding == "none" or self.kl == 0
            ),
        }


R = TypeVar("R", bound=Recipe)


def read_recipe(path: Path, table: str, kind: type[R], changes: Iterable[str] = ()) -> R:
    """The table of a recipe file, with `changes` as `KEY=VALUE`, the value as TOML has it.

    Raises TrainingError for anything it should not hold, and for what it lacks.
    """
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is no TOML: {error}") from None
    values = document.get(table)
    if not isinstance(values, dict):
        raise TrainingError(f"{path} has no table [{table}]; it has {', '.join(document) or 'none'}")
    values = {**values, **_changed(changes)}
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = [name for name in values if name not in fields]
    if unknown:
        raise TrainingError(f"{path}, [{table}]: unknown key {unknown[0]}; the keys are {', '.join(fields)}")
    required = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    missing = [name for name in required if name not in values]
    if missing:
        raise TrainingError(f"{path}, [{table}]: {missing[0]} is missing")
    typed = {name: _typed(f"{path}, [{table}]", fields[name], value) for name, value in values.items()}
    try:
        return kind(**typed)
    except TrainingError as error:
        raise TrainingError(f"{path}, [{table}]: {error}") from None


def _changed(changes: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for change in changes:
        try:
            found |= tomllib.loads(change)
        except tomllib.TOMLDecodeError:
            raise TrainingError(f'--set {change}: give KEY=VALUE as TOML has it: steps=100, optimiser="muon"') from None
    return found


def _typed(place: str, field: dataclasses.Field[Any], value: Any) -> Any:
    expected = {"int": int, "float": float, "str": str, "bool": bool}[str(field.type)]
    if expected is float and type(value) is int:
        return float(value)
    if type(value) is not expected:
        raise TrainingError(f"{place}: {field.name} is {value!r}; it must be of type {field.type}")
    return value
