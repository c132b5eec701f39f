"""The language model of the engine: it reads a prompt, and what is said behind it, into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alpamayo_ros.engine.backend import make_stack
from alpamayo_ros.engine.cache import StaticCache
from alpamayo_ros.engine.decoder import Place, Rotary, rotary_of
from alpamayo_ros.engine.draft import LONGEST_DRAFT
from alpamayo_ros.engine.graphs import Graphs
from alpamayo_ros.engine.linear import make_linear
from alpamayo_ros.engine.memory import SeenFrame
from alpamayo_ros.engine.streaming import keep, shown_in
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.prompt import PromptBatch
from alpamayo_ros.vla.vision import VisionFeatures

SPAN = 128
"""Columns: where passes are recorded, they see a multiple of so many, so that few are recorded."""


@dataclass
class Reading:
    """A prompt that was read.

    cache: whose first columns hold it. length: so many. rope_delta: what to add to a later column to get its position.
    logits: (1, 1 + D, words) of what follows it and each of the D tokens of a draft that was read with it, in the
        vocabulary of `Reader.ids`.
    """

    cache: StaticCache
    length: int
    rope_delta: int
    logits: Tensor


class Reader:
    """rounded: whether passes see a multiple of SPAN columns, and take a power of two of tokens."""

    def __init__(self, model: AlpamayoModel, switches: Switches, graphs: Graphs, *, rounded: bool) -> None:
        language = model.vlm.model.language_model
        self._config, self._device, self._dtype = model.config, model.device, model.dtype
        self._graphs, self._rounded, self._keeps_prefix = graphs, rounded, switches.prefix_cache
        self._stack = make_stack(language, switches)
        self._embed = language.embed_tokens
        first, last = model.tokenizer.future_bin_0, model.tokenizer.future_bin_0 + model.config.traj_vocab_size
        head = model.vlm.lm_head.weight
        self._silent = None if switches.text_head else (first, last)
        parts = [head] if self._silent else [head[:first], head[last:]]
        self._head = [make_linear(part, None, switches) for part in parts if len(part)]
        self._skipped = (0, 0) if self._silent else (first, last - first)
        self._angles = rotary_of(torch.arange(0, 1).expand(3, 1, -1), model.config.language)
        # Positions of the last prompt, and their angles.
        self._last_angles = torch.empty(0, dtype=torch.long), self._angles

    def ids(self, words: Tensor) -> Tensor:
        """The ids of what was chosen from logits."""
        first, count = self._skipped
        return torch.where(words >= first, words + count, words)

    def read(
        self,
        prompt: PromptBatch,
        features: VisionFeatures,
        cache: StaticCache,
        draft: Sequence[int] = (),
        frames: Sequence[SeenFrame] = (),
    ) -> Reading:
        """Prefill one prompt (1, L) into row 0. Its head, up to the first picture, may be there from the last time.

        draft: at most LONGEST_DRAFT tokens that may be said, behind the prompt. frames: which its pictures are, where
        those that were there the last time are not read again.
        """
        ids = prompt.ids[0].tolist()
        length, delta = len(ids), int(prompt.rope_delta)
        head = ids.index(self._config.image_token_id) if self._keeps_prefix else 0
        fed = [*draft] + [ids[-1]] * (LONGEST_DRAFT - len(draft) if draft and self._rounded else 0)
        # Plans of a drive mostly have prompts of one length.
        if not torch.equal(prompt.positions, self._last_angles[0]):
            cos, sin = (part.to(self._device) for part in rotary_of(prompt.positions, self._config.language))
            self._last_angles = prompt.positions, (cos, sin)
        more = self._angles_at(length + delta, len(fed))
        cos, sin = (
            torch.cat([part, behind[None]], dim=1) for part, behind in zip(self._last_angles[1], more, strict=True)
        )
        # Nothing is there until all is: who runs out of memory on the way may plan again.
        last, cache.shown = cache.shown, None
        if cache.prefix != ids[:head]:
            cache.prefix = []
            self._read(ids[:head], (cos, sin), range(head), features, cache, 1)
            cache.prefix = ids[:head]
        shown = shown_in(prompt, frames, self._config) if frames else None
        kept = keep(cache, last, shown, self._config)
        columns = [column for column in range(head, length + len(fed)) if column not in kept]
        logits = self._read(ids + fed, (cos, sin), columns, features, cache, 1 + len(fed))
        cache.shown = shown
        return Reading(cache, length, delta, logits[:, : 1 + len(draft)])

    def _read(
        self,
        ids: list[int],
        rotary: Rotary,
        read: Sequence[int],
        features: VisionFeatures,
        cache: StaticCache,
        asked: int,
    ) -> Tensor:
        """Tokens at the columns that are to be read, the last of them the last of all: logits (1, asked, words) of what
        follows the last. ids, rotary: of all columns. features: of all pictures in them."""
        end, columns = len(ids), torch.tensor(read)
        # Kernels for causal attention know no gaps.
        whole = len(read) == end - read[0]

        def prefill(ids: Tensor, cos: Tensor, sin: Tensor, columns: Tensor, *pictures: Tensor) -> tuple[Tensor]:
            hidden, deepstack = self._embed(ids), None
            if pictures:
                where, tokens, deep = pictures
                hidden.index_copy_(1, where, tokens[None].to(hidden.dtype))
                deepstack = where, deep
            place = Place(cache, columns, end, "causal" if whole else _up_to(columns, end), asked=asked)
            return (self._logits(self._stack(hidden, (cos, sin), place, deepstack)),)

        tokens = torch.tensor(ids)
        is_picture = tokens == self._config.image_token_id
        # Not in what is fed behind the prompt: a draft may name a place for a picture, and there is none for it.
        is_picture[end - asked + 1 :] = False
        where = is_picture[columns].nonzero()[:, 0]
        pictures: tuple[Tensor, ...] = ()
        if len(where):
            number = (is_picture.cumsum(0) - 1)[columns[where]].to(self._device)
            pictures = where.to(self._device), features.tokens[number], features.deepstack[:, number]
        tokens, columns = tokens[columns][None].to(self._device), columns.to(self._device)
        angles = (part[:, columns].to(self._dtype) for part in rotary)
        inputs = (tokens, *angles, columns, *pictures)
        key = ("prefill", id(cache), end, whole, asked, *(part.shape for part in inputs))
        return self._graphs.run(key, prefill, *inputs)[0]

    def say(self, reading: Reading, tokens: Tensor, start: int) -> Tensor:
        """Tokens (B, T) at columns from `start`, behind what is there: logits (B, T, words) of what follows each."""
        count = tokens.shape[1]
        tokens = tokens.to(self._device)
        if self._rounded:
            tokens = torch.cat([tokens, tokens[:, :1].expand(-1, self.rounded(count) - count)], dim=1)
        size = tokens.shape[1]
        end = self.span(start + size)
        cache = reading.cache

        def block(tokens: Tensor, cos: Tensor, sin: Tensor, columns: Tensor) -> tuple[Tensor]:
            visible = None
            # The pass is used again at other columns before the same end: where it begins is no reason to see all.
            if self._rounded or size > 1:
                visible = _up_to(columns, end)
            return (self._logits(self.hidden(tokens, (cos, sin), Place(cache, columns, end, visible))),)

        cos, sin = (part[None].to(self._dtype) for part in self.angles(reading, start, size))
        columns = torch.arange(start, start + size, device=self._device)
        key = ("block", id(cache), len(tokens), size, end)
        return self._graphs.run(key, block, tokens, cos, sin, columns)[0][:, :count]

    def hidden(self, tokens: Tensor, rotary: Rotary, place: Place) -> Tensor:
        """What the layers make of tokens (B, T): (B, T, hidden)."""
        return self._stack(self._embed(tokens), rotary, place)

    def angles(self, reading: Reading, start: int, count: int) -> Rotary:
        """cos and sin (count, 1, head_dim) float32 of text at columns from `start`."""
        return self._angles_at(start + reading.rope_delta, count)

    def _angles_at(self, first: int, count: int) -> Rotary:
        if first + count > self._angles[0].shape[1]:
            size = 1 << (first + count).bit_length()
            self._angles = rotary_of(torch.arange(size, device=self._device).expand(3, 1, -1), self._config.language)
        cos, sin = self._angles
        return cos[0, first : first + count], sin[0, first : first + count]

    def span(self, columns: int) -> int:
        return -(-columns // SPAN) * SPAN if self._rounded else columns

    def rounded(self, tokens: int) -> int:
        return 1 << (tokens - 1).bit_length() if self._rounded else tokens

    def _logits(self, hidden: Tensor) -> Tensor:
        logits = [part(hidden).float() for part in self._head]
        whole = logits[0] if len(logits) == 1 else torch.cat(logits, dim=-1)
        if self._silent:
            whole[..., self._silent[0] : self._silent[1]] = -torch.inf
        return whole


def _up_to(columns: Tensor, end: int) -> Tensor:
    """(1, T, end) bool: tokens at columns (T,) see those up to their own."""
    return (torch.arange(end, device=columns.device) <= columns[:, None])[None]
