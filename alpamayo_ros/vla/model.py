"""Alpamayo-R1 and 1.5, whole: from pictures, ego history and prompt to reasoning and trajectories.

`sample` is the model's work in order; read it first. Every other module of this folder is one of its steps.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from alpamayo_ros.vla.action_in_proj import ActionInProj
from alpamayo_ros.vla.action_space import UnicycleActionSpace
from alpamayo_ros.vla.config import ModelConfig
from alpamayo_ros.vla.decoder import Decoder, KVCache
from alpamayo_ros.vla.flow_matching import Velocity, guided, integrate
from alpamayo_ros.vla.jerk_limit import limit_jerk
from alpamayo_ros.vla.prompt import PromptBatch
from alpamayo_ros.vla.sampling import (
    NOISE_STREAM,
    REASONING_STREAM,
    TRAJECTORY_STREAM,
    RowStreams,
    Sampling,
    next_tokens,
)
from alpamayo_ros.vla.tokenizer import AlpamayoTokenizer
from alpamayo_ros.vla.trajectory_tokens import DeltaTokens, FutureTokens
from alpamayo_ros.vla.vision import VisionFeatures
from alpamayo_ros.vla.vision_language import VisionLanguageModel, causal_mask

Choose = Callable[[Tensor], Tensor]
"""Logits (B, vocab) to ids (B,)."""


@dataclass
class Context:
    """What the language model has read and said so far, one row per sample.

    cache: keys and values. prompt_length: its columns that hold the prompt. is_real: (B, cache.length) bool, False on
    padding. rope_delta: (B,). logits: (B, vocab) for the next token.
    """

    cache: KVCache
    prompt_length: int
    is_real: Tensor
    rope_delta: Tensor
    logits: Tensor

    def repeat(self, times: int, capacity: int) -> Context:
        rows = (part.repeat_interleave(times, dim=0) for part in (self.is_real, self.rope_delta, self.logits))
        return Context(self.cache.repeat(times, capacity), self.prompt_length, *rows)


@dataclass(frozen=True)
class Reasoning:
    """The text part of a rollout.

    tokens: (B, T) generated ids, `pad` after the end of a row. complete: (B,) whether the row reached
        `<|traj_future_start|>`. length: (B,) tokens up to and including that, or all of them.
    """

    tokens: Tensor
    complete: Tensor
    length: Tensor


@dataclass(frozen=True)
class Samples:
    """What `AlpamayoModel.sample` returns; row = prompt × num_samples + sample. All but `reasoning` is on the CPU.

    action: (B, 64, 2) normalised. xyz: (B, 64, 3). rot: (B, 64, 3, 3). initial_speed: (B,).
    stage_ms: wall time by stage.
    """

    reasoning: Reasoning
    action: Tensor
    xyz: Tensor
    rot: Tensor
    initial_speed: Tensor
    stage_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Guidance:
    """Navigation guidance: the same prompts without their route, and how far to exaggerate the difference."""

    prompt_without_route: PromptBatch
    weight: float


class AlpamayoModel(nn.Module):
    """Submodule names are those of the released state dicts."""

    def __init__(self, config: ModelConfig, tokenizer: AlpamayoTokenizer) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        constants = getattr(torch, config.model_dtype)
        self.vlm = VisionLanguageModel(config)
        self.expert = Decoder(config.expert)
        self.action_space = UnicycleActionSpace(config.action_space, persistent=config.is_r1, constants_dtype=constants)
        self.action_in_proj = ActionInProj(
            config.action_in_proj, config.expert.hidden_size, persistent=config.is_r1, constants_dtype=constants
        )
        self.action_out_proj = nn.Linear(config.expert.hidden_size, 2)
        self.history_tokens = DeltaTokens(config.history_tokens)
        self.future_tokens = FutureTokens(config.future_tokens, constants)

    @property
    def device(self) -> torch.device:
        return self.action_out_proj.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.action_out_proj.weight.dtype

    # ---------------------------------------------------------------- the whole

    # Not inference mode: weights that are gathered from other processes on the way are to learn afterwards.
    @torch.no_grad()
    def sample(
        self,
        prompt: PromptBatch,
        pixel_values: Tensor,
        grid_thw: Tensor,
        history_xyz: Tensor,
        history_rot: Tensor,
        *,
        num_samples: int,
        seed: int | Sequence[int],
        sampling: Sampling,
        max_new_tokens: int,
        num_flow_steps: int,
        noise_temperature: float = 1.0,
        guidance: Guidance | None = None,
        autoregressive: bool = False,
    ) -> Samples:
        """Reason, then decode a trajectory by flow matching, or token by token when `autoregressive`.

        prompt of B rows; pixel_values (P, 1536) and grid_thw (images, 3) of all its pictures; history (B, 16, 3) and
        (B, 16, 3, 3). seed: of all rows, or one for each prompt. Returns B × num_samples rows.
        """
        clock = StageClock(self.device)
        rows = len(prompt.ids) * num_samples

        def chooser(purpose: int) -> Choose:
            streams = RowStreams(seed, rows, purpose)
            return lambda logits: next_tokens(logits, sampling, streams)

        features = self.vlm.encode_images(pixel_values.to(self.device), grid_thw)
        clock.lap("vision")
        room = max_new_tokens + self.config.tokens_per_future_traj + 1
        context = self.read(prompt, features, room).repeat(num_samples, prompt.ids.shape[1] + room)
        clock.lap("prefill")
        reasoning = self.reason(context, chooser(REASONING_STREAM), max_new_tokens)
        clock.lap("reasoning")

        if autoregressive:
            action = self.speak_action(context, reasoning, chooser(TRAJECTORY_STREAM))
            clock.lap("trajectory_tokens")
        else:
            velocity = self.velocity(context, reasoning)
            if guidance is not None:
                other = self.listen(self.read(guidance.prompt_without_route, features, room), reasoning)
                velocity = guided(velocity, self.velocity(other, reasoning), guidance.weight)
            noise = RowStreams(seed, rows, NOISE_STREAM).normal(self.config.action_space.n_waypoints, 2)
            action = integrate(velocity, (noise * noise_temperature).to(self.device), num_flow_steps)[-1]
            clock.lap("flow_matching")

        samples = self.drive(reasoning, action, history_xyz, history_rot)
        clock.lap("unicycle")
        return dataclasses.replace(samples, stage_ms=clock.stage_ms)

    def drive(
        self, reasoning: Reasoning, action: Tensor, history_xyz: Tensor, history_rot: Tensor, max_jerk: float = 0.0
    ) -> Samples:
        """The trajectories of actions (B × num_samples, 64, 2) behind histories of B rows, without stage times.

        max_jerk: m/s³ with which they leave the acceleration that the car has, see `jerk_limit`; 0: they begin as they
        are.
        """
        # On the CPU: 64 steps are nothing to a GPU, and its cumulative sums are not reproducible to the bit.
        action = action.cpu()
        times = len(action) // len(history_xyz)
        history_xyz, history_rot = (part.cpu().repeat_interleave(times, dim=0) for part in (history_xyz, history_rot))
        initial_speed, acceleration = self.action_space.motion_at_t0(history_xyz, history_rot)
        if max_jerk:
            action = limit_jerk(self.action_space, action, initial_speed, acceleration, max_jerk)
        xyz, rot = self.action_space.action_to_trajectory(action, history_xyz, history_rot, initial_speed)
        return Samples(reasoning, action, xyz, rot, initial_speed)

    # ---------------------------------------------------------------- reading and speaking

    def read(self, prompt: PromptBatch, features: VisionFeatures, room: int = 0) -> Context:
        """Prefill: run the whole prompt (B rows), with room for so many more columns in the cache."""
        prompt = prompt.to(self.device)
        rows, length = prompt.ids.shape
        cache = KVCache.empty(self.config.language, rows, length + room, self.device, self.dtype)
        mask = causal_mask(prompt.is_real, length)
        hidden = self.vlm(prompt.ids, prompt.positions, cache, mask, features)
        cache.length += length
        return Context(cache, length, prompt.is_real, prompt.rope_delta, self.vlm.logits(hidden[:, -1]))

    def feed(self, context: Context, tokens: Tensor, is_real: Tensor) -> None:
        """Append text tokens (B, T) to the context; where `is_real` (B, T) is False, nothing will look at them."""
        cache = context.cache
        columns = torch.arange(cache.length, cache.length + tokens.shape[1], device=self.device)
        positions = (columns + context.rope_delta[:, None]).expand(3, -1, -1)
        context.is_real = torch.cat([context.is_real, is_real], dim=1)
        hidden = self.vlm(tokens, positions, cache, causal_mask(context.is_real, tokens.shape[1]))
        cache.length += tokens.shape[1]
        context.logits = self.vlm.logits(hidden[:, -1])

    def reason(self, context: Context, choose: Choose, max_new_tokens: int) -> Reasoning:
        """Generate the Chain of Causation, trajectory tokens masked.

        A row ends with `<|im_end|>`. All stop one token after the last of them has said `<|traj_future_start|>`, so
        that this token's keys and values are in the cache.
        """
        begin, end, pad = self.tokenizer.special_ids["traj_future_start"], self.tokenizer.im_end, self.tokenizer.pad
        first, last = self.tokenizer.future_bin_0, self.tokenizer.future_bin_0 + self.config.traj_vocab_size
        rows = len(context.logits)
        began = torch.zeros(rows, dtype=torch.bool, device=self.device)
        ended = torch.zeros_like(began)
        spoken: list[Tensor] = []
        while True:
            context.logits[:, first:last] = -torch.inf
            token = torch.where(ended, pad, choose(context.logits))
            finished = bool(began.all())
            spoken.append(token)
            began |= token == begin
            ended |= token == end
            if finished or bool(ended.all()) or len(spoken) == max_new_tokens:
                break
            self.feed(context, token[:, None], ~ended[:, None])
        return ended_rows(torch.stack(spoken, dim=1), begin, end, pad)

    def listen(self, context: Context, reasoning: Reasoning) -> Context:
        """Another context (B rows), repeated for each sample, in which the same reasoning was said."""
        times = len(reasoning.tokens) // len(context.logits)
        room = context.cache.length + reasoning.tokens.shape[1] + self.config.action_space.n_waypoints
        context = context.repeat(times, room)
        column = torch.arange(reasoning.tokens.shape[1], device=self.device)
        self.feed(context, reasoning.tokens, column < reasoning.length[:, None])
        return context

    def answer(self, context: Context, choose: Choose, max_new_tokens: int) -> Tensor:
        """Generate the answer to a question: ids (1, T), up to its closing token."""
        context = context.repeat(1, context.cache.length + max_new_tokens)
        closing = (self.tokenizer.special_ids["answer_end"], self.tokenizer.im_end)
        spoken: list[Tensor] = []
        while len(spoken) < max_new_tokens:
            token = choose(context.logits)
            if int(token) in closing:
                break
            spoken.append(token)
            self.feed(context, token[:, None], torch.ones_like(token, dtype=torch.bool)[:, None])
        return torch.stack(spoken, dim=1) if spoken else torch.empty(1, 0, dtype=torch.long)

    # ---------------------------------------------------------------- trajectories, two ways

    def velocity(self, context: Context, reasoning: Reasoning) -> Velocity:
        """The expert's velocity field, behind the prompt and the reasoning in the context.

        The 64 action tokens see each other, the prompt without its padding, and the reasoning up to
        `<|traj_future_start|>`. In a row that never said it, they see what was said, and follow one position beyond it.
        A row depends on itself alone. That deviates from the original twice: R1 leaves left padding visible (1.5 does
        not), and both let a row that ended with `<|im_end|>` see the padding that longer rows append to it.
        """
        cache, visible, offset = context.cache, *self._visible(context, reasoning)
        steps = self.config.action_space.n_waypoints
        positions = (torch.arange(steps, device=self.device) + (context.rope_delta + offset)[:, None]).expand(3, -1, -1)
        among_themselves = torch.ones(len(visible), steps, dtype=torch.bool, device=self.device)
        mask = None
        if not bool(visible.all()):
            mask = torch.cat([visible, among_themselves], dim=1)[:, None, None].expand(-1, 1, steps, -1)

        def velocity(action: Tensor, moment: float) -> Tensor:
            embedded = self.action_in_proj(action, torch.full((len(action),), moment, device=self.device))
            return self.action_out_proj(self.expert(embedded, positions, cache, mask))

        return velocity

    def speak_action(self, context: Context, reasoning: Reasoning, choose: Choose) -> Tensor:
        """The autoregressive half of the dual representation: 128 trajectory tokens, decoded to actions (B, 64, 2)."""
        visible, offset = self._visible(context, reasoning)
        # Rows stopped at different columns. All continue in the same columns, each at its own position, and begin by
        # saying (once more, where it was said) the start of the trajectory.
        begin = self.tokenizer.special_ids["traj_future_start"]
        column = torch.arange(visible.shape[1], device=self.device)
        visible = visible & ~(reasoning.complete[:, None] & (column == (offset - 1)[:, None]))
        position = context.rope_delta + offset - reasoning.complete.long()
        first, num_bins = self.tokenizer.future_bin_0, self.config.future_tokens.num_bins
        token = torch.full_like(offset, begin)
        bins: list[Tensor] = []
        for _ in range(self.config.tokens_per_future_traj):
            visible = torch.cat([visible, torch.ones_like(visible[:, :1])], dim=1)
            hidden = self.vlm(
                token[:, None], position[None, :, None].expand(3, -1, -1), context.cache, visible[:, None, None]
            )
            context.cache.length += 1
            bins.append(choose(self.vlm.logits(hidden[:, -1])[:, first : first + num_bins]))
            token = first + bins[-1]
            position = position + 1
        return self.future_tokens.decode_actions(torch.stack(bins, dim=1))

    def _visible(self, context: Context, reasoning: Reasoning) -> tuple[Tensor, Tensor]:
        """Columns (B, cache.length) that the trajectory may see, and the column (B,) behind each row's reasoning."""
        offset = context.prompt_length + reasoning.length
        column = torch.arange(context.cache.length, device=self.device)
        return context.is_real & (column < offset[:, None]), offset


def ended_rows(tokens: Tensor, begin: int, end: int, pad: int) -> Reasoning:
    """Where each row (B, T) ends: at the first `begin`, else at the first `end`, else at T; `pad` behind."""
    columns = torch.arange(tokens.shape[1], device=tokens.device)

    def first(wanted: int) -> Tensor:
        return torch.where(tokens == wanted, columns, tokens.shape[1]).amin(dim=1)

    complete = first(begin) < tokens.shape[1]
    length = (torch.where(complete, first(begin), first(end)) + 1).clamp(max=tokens.shape[1])
    return Reasoning(torch.where(columns < length[:, None], tokens, pad), complete, length)


class StageClock:
    """Wall time by stage; on a GPU each lap waits for the work that was queued."""

    def __init__(self, device: torch.device) -> None:
        self.stage_ms: dict[str, float] = {}
        self._device = device
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.stage_ms[stage] = (now - self._last) * 1e3
        self._last = now
