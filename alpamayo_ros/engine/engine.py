"""One plan after the other, as fast as exactness allows. `sample` is what `AlpamayoModel.sample` is; read it first.

It takes one prompt, which has no padding, and that makes every mask simple: a row sees a prefix of its columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from alpamayo_ros.engine.cache import StaticCache
from alpamayo_ros.engine.choice import Chooser
from alpamayo_ros.engine.decoder import Place
from alpamayo_ros.engine.draft import LONGEST_DRAFT
from alpamayo_ros.engine.flow import Behind, Flow
from alpamayo_ros.engine.graphs import Graphs
from alpamayo_ros.engine.memory import CameraPictures, Memory, SeenFrame
from alpamayo_ros.engine.reader import SPAN, Reader, Reading
from alpamayo_ros.engine.sight import Pictures, Sight
from alpamayo_ros.engine.speaker import Speaker
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.engine.trajectory import TrajectorySpeaker
from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.model import AlpamayoModel, Guidance, Reasoning, Samples, StageClock
from alpamayo_ros.vla.prompt import PromptBatch
from alpamayo_ros.vla.sampling import (
    NOISE_STREAM,
    REASONING_STREAM,
    TRAJECTORY_STREAM,
    RowStreams,
    Sampling,
    next_tokens,
)
from alpamayo_ros.vla.vision import VisionFeatures

USUAL_LIMIT = 256
"""Tokens of reasoning that a cache always has room for, so that a shorter plan, such as a warm-up, makes none anew."""


class Engine:
    """Takes over the weights of a model when it is made; a change of them later is not seen everywhere.

    rounded: whether sizes of passes are rounded up, so that few of them are recorded; by default where they are, on
    CUDA. Raises ModelInputError for a switch that the model does not take, or whose library was not built, or was from
    another version.
    """

    def __init__(self, model: AlpamayoModel, switches: Switches, *, rounded: bool | None = None) -> None:
        if switches.streaming and model.config.vision.tubelets:
            raise ModelInputError(
                "streaming keeps frames from one plan to the next, and this model joins the frames of a camera to "
                "tubelets, each of which is new in every plan; leave it off, or take a model without tubelets"
            )
        narrow = switches.float8 == "weights_and_activations" and model.device.type == "cuda"
        if narrow and torch.cuda.get_device_capability(model.device) < (8, 9):
            raise ModelInputError(
                "products of float8 numbers need a GPU of compute capability 8.9 or more; take float8=weights, which "
                "widens them, or leave it off"
            )
        self.model, self.switches = model, switches
        self._graphs = Graphs(model.device, static=switches.static_graphs)
        self._rounded = model.device.type == "cuda" and switches.static_graphs if rounded is None else rounded
        self._sight = Sight(model, switches, self._graphs)
        self._reader = Reader(model, switches, self._graphs, rounded=self._rounded)
        self._speaker = Speaker(model, self._reader)
        self._trajectory_speaker = TrajectorySpeaker(model, self._reader, switches, self._graphs)
        self._flow = Flow(model, switches)
        self._drafts = switches.speculation and not switches.skip_reasoning
        self._caches: dict[str, StaticCache] = {}

    @property
    def cache_bytes(self) -> int:
        """Of keys and values, as they were made for the last plan."""
        return sum(cache.keys.nbytes + cache.values.nbytes for cache in self._caches.values())

    def look(self, cameras: Sequence[CameraPictures], memory: Memory | None = None) -> Pictures:
        """Pictures of cameras, ascending by role and with the same number of frames, for `sample`.

        memory: of the drive, whose last plan saw most of them. Raises ModelInputError.
        """
        return self._sight.look(cameras, memory)

    @torch.inference_mode()
    def sample(
        self,
        prompt: PromptBatch,
        pictures: Pictures,
        history_xyz: Tensor,
        history_rot: Tensor,
        *,
        num_samples: int,
        seed: int,
        sampling: Sampling,
        max_new_tokens: int,
        num_flow_steps: int,
        noise_temperature: float = 1.0,
        guidance: Guidance | None = None,
        autoregressive: bool = False,
        max_jerk: float = 0.0,
        memory: Memory | None = None,
    ) -> Samples:
        """Samples of one prompt. All but `pictures`, of `look`, and the following is as in `AlpamayoModel.sample`.

        max_jerk: as in `AlpamayoModel.drive`.
        memory: of the drive; the same as `pictures` were made with. Without one a plan depends on nothing before it.
        """
        if len(prompt.ids) != 1:
            raise ValueError(f"the engine takes one prompt at a time, not {len(prompt.ids)}")
        clock = StageClock(self.model.device)
        features = self._sight.encode(pictures)
        clock.lap("vision")
        cache = self._cache("told", num_samples, prompt.ids.shape[1], max_new_tokens)
        draft = self._speaker.first_draft(memory if self._drafts else None)
        frames = pictures.frames if self.switches.streaming else ()
        reading = self._reader.read(prompt, features, cache, draft, frames)
        cache.spread(reading.length + len(draft))
        clock.lap("prefill")
        reasoning = self._reason(reading, draft, num_samples, sampling, seed, max_new_tokens, memory)
        clock.lap("reasoning")
        if autoregressive:
            streams = RowStreams(seed, num_samples, TRAJECTORY_STREAM)
            action = self._trajectory_speaker.speak(
                reading,
                reasoning,
                self._visible(reading, reasoning),
                lambda logits: next_tokens(logits, sampling, streams),
            )
            clock.lap("trajectory_tokens")
        else:
            readings = [(reading, self._visible(reading, reasoning))]
            if guidance is not None:
                other = guidance.prompt_without_route
                readings.append(self._listen(other, features, frames, reasoning, max_new_tokens))
            weight = 1.0 if guidance is None else guidance.weight
            noise = RowStreams(seed, num_samples, NOISE_STREAM).normal(self.model.config.action_space.n_waypoints, 2)
            action = self._act(noise * noise_temperature, num_flow_steps, readings, reasoning, weight)
            clock.lap("flow_matching")
        samples = self.model.drive(reasoning, action, history_xyz, history_rot, max_jerk)
        clock.lap("unicycle")
        return dataclasses.replace(samples, stage_ms=clock.stage_ms)

    def _reason(
        self,
        reading: Reading,
        draft: list[int],
        samples: int,
        sampling: Sampling,
        seed: int,
        limit: int,
        memory: Memory | None,
    ) -> Reasoning:
        if self.switches.skip_reasoning:
            reasoning = self._speaker.begin_at_once(reading)
        else:
            rows = 1 if self.switches.shared_reasoning else samples
            streams = RowStreams(seed, rows, REASONING_STREAM)
            chooser = Chooser(sampling, streams, quick=self.switches.quick_choice)
            reasoning = self._speaker.reason(reading, draft, rows, chooser, limit, memory if self._drafts else None)
        if len(reasoning.tokens) == samples:
            return reasoning
        reading.cache.spread(reading.length + reasoning.tokens.shape[1])
        parts = (reasoning.tokens, reasoning.complete, reasoning.length)
        return Reasoning(*(part.repeat_interleave(samples, dim=0) for part in parts))

    def _listen(
        self,
        prompt: PromptBatch,
        features: VisionFeatures,
        frames: Sequence[SeenFrame],
        reasoning: Reasoning,
        limit: int,
    ) -> tuple[Reading, list[int]]:
        """Another prompt, behind which the same reasoning was said, and how many columns each row may see of it."""
        cache = self._cache("without route", len(reasoning.tokens), prompt.ids.shape[1], limit)
        reading = self._reader.read(prompt, features, cache, frames=frames)
        cache.spread(reading.length)
        self._reader.say(reading, reasoning.tokens, reading.length)
        return reading, [reading.length + length for length in reasoning.length.tolist()]

    def _visible(self, reading: Reading, reasoning: Reasoning) -> list[int]:
        """How many columns the trajectory of each row may see: what is in the cache of its reasoning, without an
        `<|im_end|>`, as in `AlpamayoModel.velocity`."""
        ended = (reasoning.tokens == self.model.tokenizer.im_end).any(dim=1)
        fed = reasoning.tokens.shape[1] - 1
        return (reading.length + (reasoning.length - ended.long()).clamp(max=fed)).tolist()

    def _act(
        self,
        noise: Tensor,
        steps: int,
        readings: Sequence[tuple[Reading, list[int]]],
        reasoning: Reasoning,
        weight: float,
    ) -> Tensor:
        """Actions (K, 64, 2) from noise (K, 64, 2), behind readings and how many columns each row may see of them: the
        prompt, and without its route where there is guidance."""
        device, count = self.model.device, noise.shape[1]
        self._flow.prepare(steps)
        inputs, spans = [noise.to(device)], []
        for reading, visible in readings:
            start = self._reader.span(max(visible))
            angles = [
                self._reader.angles(reading, reading.length + length, count) for length in reasoning.length.tolist()
            ]
            inputs += [*map(torch.stack, zip(*angles, strict=True))]
            column = torch.arange(start + count, device=device)
            inputs.append(column[start:])
            # Recorded passes are used again at other lengths: then where it ends is no reason to see all.
            masked = self._rounded or set(visible) != {start}
            if masked:
                seen = torch.tensor(visible, device=device)[:, None]
                inputs.append(((column < seen) | (column >= start))[:, None])
            spans.append((reading.cache, start + count, masked))

        def act(noise: Tensor, *given: Tensor) -> tuple[Tensor]:
            parts, behind = iter(given), []
            for cache, end, masked in spans:
                rotary, columns = (next(parts), next(parts)), next(parts)
                behind.append(Behind(rotary, Place(cache, columns, end, next(parts) if masked else None)))
            return (self._flow(noise, steps, behind, weight),)

        key = ("flow", len(noise), steps, weight, *((id(cache), end, masked) for cache, end, masked in spans))
        # It outlives the next run.
        return self._graphs.run(key, act, *inputs)[0].clone()

    def _cache(self, name: str, rows: int, prompt_length: int, max_new_tokens: int) -> StaticCache:
        """The cache called so, made anew where it has other rows or too few columns."""
        config = self.model.config
        behind = max(
            config.tokens_per_future_traj + 1, config.action_space.n_waypoints + SPAN, LONGEST_DRAFT + 1 + SPAN
        )
        needed = prompt_length + self._reader.rounded(max(max_new_tokens, USUAL_LIMIT)) + behind
        cache = self._caches.get(name)
        if cache is None or cache.rows != rows or cache.capacity < needed:
            if cache is not None:
                # Passes were recorded over the old one, and there may be no room for both.
                self._graphs.forget()
                del self._caches[name], cache
            # Another instruction may make the prompt longer: all would be recorded anew.
            capacity = (-(-needed // SPAN) + 1) * SPAN
            cache = StaticCache(config.language, rows, capacity, self.model.device, self.model.dtype)
            self._caches[name] = cache
        return cache
