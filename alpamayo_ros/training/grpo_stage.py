"""Stage 3: the vision-language model learns from rewards for what it says and plans itself (GRPO; paper, section 5.3).

A group of rollouts for each prompt, drawn from the newest weights: reasoning, then the trajectory as tokens. What is
better than its group's mean becomes likelier, token by token, in reasoning and trajectory alike. What never came to its
trajectory is worse than all that did, by the whole span of the rewards. The action expert is not touched; it reads a
cache that has changed, so `alpamayo train expert` follows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alpamayo_ros.policy import plan_samples
from alpamayo_ros.training.answers import Answers, answers_of
from alpamayo_ros.training.corpus import Batch, Corpus
from alpamayo_ros.training.policy_loss import advantages, clipped_objective, divergence
from alpamayo_ros.training.recipe import GrpoRecipe
from alpamayo_ros.training.rewards.reward import Attempt, Reward
from alpamayo_ros.training.sequence import REASONING, TRAJECTORY, Memory, histories, prompt_ids, streams
from alpamayo_ros.training.situation import Situation, situation_of
from alpamayo_ros.training.stage import Stage, Work, chosen_numbers
from alpamayo_ros.training.validation import validate
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import default_rig
from alpamayo_ros.vla.model import AlpamayoModel, Samples
from alpamayo_ros.vla.prompt import batch_prompts
from alpamayo_ros.vla.sampling import Sampling
from alpamayo_ros.vla.vision_language import VisionLanguageModel, causal_mask

_DRIVEN_AGAIN = 16
"""Moments of the data that are tried before the first step: there it shows if another simulator made most of them."""


class GrpoStage(Stage):
    name = "grpo"
    recipe: GrpoRecipe

    def __init__(self, model: AlpamayoModel, recipe: GrpoRecipe, rewards: Sequence[tuple[float, Reward]]) -> None:
        """rewards: those that count, with their weights."""
        super().__init__(model, recipe)
        self.reference = copy.deepcopy(model.vlm) if recipe.kl > 0 else None
        self.model.vlm.requires_grad_(True)
        self.passes = recipe.passes
        self._rewards = rewards
        self._rig = default_rig(roles=[CameraRole(role) for role in model.config.camera_roles])

    def check(self, corpus: Corpus) -> None:
        """All moments must begin with a drive of the simulator's; a few are driven again."""
        taken_over = [moment for moment in corpus.moments if moment.origin is None]
        some = [corpus.moments[number] for number in chosen_numbers(corpus, _DRIVEN_AGAIN)]
        for moment in [*taken_over, *some]:
            situation_of(moment, self._rig)

    def prepare(self, batch: Batch, step: int) -> Work:
        rows, grids = self.pictures(batch)
        of_each = grids.reshape(len(batch), -1, 3)
        ids = prompt_ids(self.model, batch.moments, [moment.navigation for moment in batch.moments], of_each)
        inputs = {
            "rows": rows,
            "grids": grids,
            "prompt": batch_prompts(ids, list(of_each), self.model.config, self.model.tokenizer.pad).to(rows.device),
            "history": histories(batch.moments),
            "seeds": [int(draw.integers(2**62)) for draw in streams(self.recipe.seed, step, batch)],
            "situations": [situation_of(moment, self._rig) for moment in batch.moments],
        }
        return Work({}, inputs)

    @torch.no_grad()
    def act(self, work: Work) -> Work:
        """Roll out, reward, and keep the log-probabilities of what was said where several passes learn from it."""
        recipe, inputs = self.recipe, work.inputs
        samples = self.model.sample(
            inputs["prompt"], inputs["rows"], inputs["grids"], *inputs["history"], num_samples=recipe.group_size,
            seed=inputs["seeds"], sampling=Sampling(recipe.temperature, recipe.top_p), max_new_tokens=recipe.longest,
            num_flow_steps=self.model.config.num_inference_steps, autoregressive=True,
        )  # fmt: skip
        scores = self._scores(inputs["situations"], samples)
        unfinished = (~samples.reasoning.complete).float().cpu()
        total = sum(weight * (scores[reward.name] - reward.span * unfinished) for weight, reward in self._rewards)
        assert isinstance(total, Tensor)
        grouped = total.reshape(-1, recipe.group_size)
        inputs = {**inputs, "answers": answers_of(self.model, samples), "rewards": grouped}
        advantage = advantages(grouped, normalise=recipe.normalise).flatten().to(self.model.device)
        inputs["advantage"] = advantage[inputs["answers"].owners]
        if self.passes > 1:
            inputs["before"] = self.log_probabilities(self.model.vlm, inputs)
        if self.reference is not None:
            inputs["reference"] = self.log_probabilities(self.reference, inputs)
        inputs["told"] = {
            "reward": total.sum(),
            **{f"reward_{name}": values.sum() for name, values in scores.items()},
            "unfinished": unfinished.sum(),
            "advantage_std": grouped.std(dim=1).sum(),
        }
        counts = dict.fromkeys(("policy", "clipped", "kl_rollout", "kl_reference"), len(inputs["advantage"]))
        counts |= dict.fromkeys(inputs["told"], len(total)) | {"advantage_std": len(grouped)}
        return Work(counts, inputs)

    def _scores(self, situations: Sequence[Situation], samples: Samples) -> dict[str, Tensor]:
        """Each reward (rollouts,) of as many samples for each situation."""
        plans = plan_samples(self.model, samples)
        each = len(plans) // len(situations)
        attempts = [Attempt(situations[number // each], plan) for number, plan in enumerate(plans)]
        return {reward.name: torch.tensor(reward.score(attempts)) for _, reward in self._rewards}

    def log_probabilities(self, vlm: VisionLanguageModel, inputs: dict[str, Any]) -> Tensor:
        """Of all chosen tokens, in the order of `Answers.owners`, as the decoding chose them: reasoning without
        trajectory tokens, the trajectory among its bins. A prompt is read once for its whole group."""
        prompt, answers, group = inputs["prompt"], inputs["answers"], self.recipe.group_size
        features, read = vlm.encode_images(inputs["rows"], inputs["grids"]), Memory()
        length = prompt.ids.shape[1]
        hidden = vlm(prompt.ids, prompt.positions, read, causal_mask(prompt.is_real, length), features)
        steps = answers.ids.shape[1] - 1
        column = torch.arange(length, length + steps, device=hidden.device)
        positions = (column + prompt.rope_delta[:, None]).repeat_interleave(group, dim=0)
        mine = torch.ones(steps, steps, dtype=torch.bool, device=hidden.device).tril().expand(len(positions), -1, -1)
        asked = prompt.is_real.repeat_interleave(group, dim=0)[:, None].expand(-1, steps, -1)
        memory = Memory(
            [(k.repeat_interleave(group, dim=0), v.repeat_interleave(group, dim=0)) for k, v in read.layers]
        )
        mask = torch.cat([asked, mine], dim=2)[:, None]
        said = vlm(answers.ids[:, :-1], positions.expand(3, -1, -1), memory, mask)
        # The state before a token says it; before the first one it is the prompt's last.
        states = torch.cat([hidden[:, -1:].repeat_interleave(group, dim=0), said], dim=1)
        return torch.cat([self._chosen(vlm, states, answers, part) for part in (REASONING, TRAJECTORY)])

    def _chosen(self, vlm: VisionLanguageModel, states: Tensor, answers: Answers, part: int) -> Tensor:
        config, first = self.model.config, self.model.tokenizer.future_bin_0
        where = answers.parts == part
        logits, ids = vlm.logits(states[where]) / self.recipe.train_temperature, answers.ids[where]
        if part == REASONING:
            columns = torch.arange(logits.shape[1], device=logits.device)
            is_trajectory = (columns >= first) & (columns < first + config.traj_vocab_size)
            logits = logits.masked_fill(is_trajectory, -torch.inf)
        else:
            logits, ids = logits[:, first : first + config.future_tokens.num_bins], ids - first
        return logits.log_softmax(dim=-1).gather(1, ids[:, None])[:, 0]

    def forward(self, work: Work) -> dict[str, Tensor]:
        recipe, inputs = self.recipe, work.inputs
        now = self.log_probabilities(self.model.vlm, inputs)
        # In an only pass the weights are still those that rolled out.
        before = inputs.get("before", now.detach())
        gain, clipped = clipped_objective(now, before, inputs["advantage"], recipe.clip_low, recipe.clip_high)
        sums = {"policy": -gain.sum(), "clipped": clipped.sum(), "kl_rollout": divergence(before, now.detach()).sum()}
        if self.reference is not None:
            sums["kl_reference"] = divergence(now, inputs["reference"]).sum()
        return {**sums, **{name: value.to(now.device) for name, value in inputs["told"].items()}}

    def weights(self, step: int) -> dict[str, float]:
        """Of the loss; what has weight 0 is told, not learned."""
        rewards = ("reward", *(f"reward_{reward.name}" for _, reward in self._rewards))
        found = {
            "policy": 1.0,
            **dict.fromkeys(("clipped", "kl_rollout", *rewards, "unfinished", "advantage_std"), 0.0),
        }
        return found | ({"kl_reference": self.recipe.kl} if self.reference is not None else {})

    def validate(self, corpus: Corpus) -> dict[str, float]:
        """Beside the usual figures: the rewards of what is said and planned greedily."""

        def judge(batch: Batch, samples: Samples) -> dict[str, float]:
            situations = [situation_of(moment, self._rig) for moment in batch.moments]
            scores = self._scores(situations, samples)
            return {f"reward_{name}": float(values.sum()) for name, values in scores.items()}

        return validate(self.model, corpus, self.recipe.validation_samples, autoregressive=True, judge=judge)
