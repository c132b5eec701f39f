"""The trajectory as tokens of the language model: what `AlpamayoModel.speak_action` is, over the engine's cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from alpamayo_ros.engine.decoder import Place
from alpamayo_ros.engine.graphs import Graphs
from alpamayo_ros.engine.linear import make_linear
from alpamayo_ros.engine.reader import Reader, Reading
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.model import AlpamayoModel, Choose, Reasoning


class TrajectorySpeaker:
    def __init__(self, model: AlpamayoModel, reader: Reader, switches: Switches, graphs: Graphs) -> None:
        self._reader, self._graphs, self._device, self._dtype = reader, graphs, model.device, model.dtype
        self._decode = model.future_tokens.decode_actions
        self._begin, self._first = model.tokenizer.special_ids["traj_future_start"], model.tokenizer.future_bin_0
        self._count = model.config.tokens_per_future_traj
        bins = model.config.future_tokens.num_bins
        self._head = make_linear(model.vlm.lm_head.weight[self._first : self._first + bins], None, switches)

    def speak(self, reading: Reading, reasoning: Reasoning, visible: Sequence[int], choose: Choose) -> Tensor:
        """Actions (K, 64, 2) behind what was said; visible: columns that each row may see of it.

        Rows stopped at different columns. All go on in the same, each at its own position, and begin by saying (once
        more, where it was said) the start of the trajectory.
        """
        start, lengths = reading.length + reasoning.tokens.shape[1] - 1, reasoning.length - reasoning.complete.long()
        ends = [reading.length + length for length in lengths.tolist()]
        angles = [self._reader.angles(reading, end, self._count) for end in ends]
        cos, sin = (torch.stack(part).to(self._dtype) for part in zip(*angles, strict=True))
        seen = torch.tensor([[min(pair)] for pair in zip(visible, ends, strict=True)], device=self._device)
        tokens = torch.full((len(ends), 1), self._begin, device=self._device)
        bins: list[Tensor] = []
        for place in range(self._count):
            column = start + place
            logits = self._logits(reading, tokens, cos[:, place, None], sin[:, place, None], column, start, seen)
            bins.append(choose(logits))
            tokens = (self._first + bins[-1])[:, None]
        return self._decode(torch.stack(bins, dim=1))

    def _logits(
        self, reading: Reading, tokens: Tensor, cos: Tensor, sin: Tensor, column: int, start: int, seen: Tensor
    ) -> Tensor:
        """(K, bins) of what follows tokens (K, 1) at a column, which see their rows' columns before `seen` (K, 1), and
        those from `start`."""
        cache, end = reading.cache, self._reader.span(column + 1)
        columns = torch.arange(end, device=self._device)
        visible = (columns < seen) | ((columns >= start) & (columns <= column))

        def step(tokens: Tensor, cos: Tensor, sin: Tensor, columns: Tensor, visible: Tensor) -> tuple[Tensor]:
            hidden = self._reader.hidden(tokens, (cos, sin), Place(cache, columns, end, visible[:, None]))
            return (self._head(hidden[:, -1]).float(),)

        key = ("trajectory", id(cache), len(tokens), end)
        return self._graphs.run(key, step, tokens, cos, sin, columns[column : column + 1], visible)[0]
