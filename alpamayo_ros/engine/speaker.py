"""Reasoning, token by token in what it says and many tokens at once in what it costs.

A draft of what will be said is fed in one pass. At each of its places the token is chosen as if nothing had been
guessed; as long as that is the token of the draft, the next place holds too, and what comes behind the first other
token is dropped. So the words are those of `AlpamayoModel.reason`, whatever the draft, greedy or drawn.
"""

from __future__ import annotations

import torch

from alpamayo_ros.engine.choice import Chooser
from alpamayo_ros.engine.draft import LONGEST_DRAFT, SENTENCES, guess
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.reader import Reader, Reading
from alpamayo_ros.vla.model import AlpamayoModel, Reasoning, ended_rows


class Speaker:
    def __init__(self, model: AlpamayoModel, reader: Reader) -> None:
        tokenizer = model.tokenizer
        self._reader, self._device = reader, model.device
        self._begin, self._close = tokenizer.special_ids["traj_future_start"], tokenizer.special_ids["cot_end"]
        self._end, self._pad = tokenizer.im_end, tokenizer.pad

    def first_draft(self, memory: Memory | None) -> list[int]:
        """What to read with the prompt: one draft for all samples, as the prompt is read once for all."""
        return guess(memory.reasoning, [], LONGEST_DRAFT) if memory is not None and memory.reasoning else []

    def reason(
        self, reading: Reading, draft: list[int], rows: int, chooser: Chooser, limit: int, memory: Memory | None
    ) -> Reasoning:
        """At most `limit` tokens behind the prompt. Each of `rows` has the columns of the prompt, and of the draft that
        was read with it.

        Rows go on together, by what the least lucky draft had right: a row whose draft was right for longer says the
        same again, as its draws belong to their places.
        """
        last = memory.reasoning if memory is not None else []
        said: list[list[int]] = [[] for _ in range(rows)]
        drafts = [draft] * rows
        logits, passes = reading.logits.expand(rows, -1, -1), 0
        while True:
            choices = self._reader.ids(chooser.choose(logits, len(said[0]))).tolist()
            if self._hear(said, choices, drafts, limit):
                break
            drafts = self._drafts(last, said)
            fed = torch.tensor([[row[-1], *draft] for row, draft in zip(said, drafts, strict=True)])
            logits = self._reader.say(reading, fed, reading.length + len(said[0]) - 1)
            passes += 1
        reasoning = ended_rows(torch.tensor(said, device=self._device), self._begin, self._end, self._pad)
        if memory is not None:
            lengths = reasoning.length.tolist()
            told = [row[:length] for row, length in zip(said, lengths, strict=True)]
            memory.reasoning = told + [words for words in last if words not in told][:SENTENCES]
            memory.passes = passes
        return reasoning

    def begin_at_once(self, reading: Reading) -> Reasoning:
        """No reasoning: its end and the start of the trajectory are put into row 0."""
        tokens = torch.tensor([[self._close, self._begin, self._pad]])
        self._reader.say(reading, tokens[:, :2], reading.length)
        return ended_rows(tokens.to(self._device), self._begin, self._end, self._pad)

    def _hear(self, said: list[list[int]], choices: list[list[int]], drafts: list[list[int]], limit: int) -> bool:
        """Take over what was chosen, as far as the drafts were right; whether that is all, as in plain `vla`."""
        for place in range(len(choices[0])):
            began = all(self._begin in row for row in said)
            for row, chosen in zip(said, choices, strict=True):
                row.append(self._pad if self._end in row else chosen[place])
            if began or all(self._end in row for row in said) or len(said[0]) == limit:
                return True
            for row, draft in zip(said, drafts, strict=True):
                # What a row that has ended would say does not matter.
                if place < len(draft) and row[-1] != draft[place] and self._end not in row:
                    return False
        return False

    def _drafts(self, last: list[list[int]], said: list[list[int]]) -> list[list[int]]:
        """A draft for each row, all of one length."""
        if not last:
            return [[] for _ in said]
        # Each row begins with what it said in the last plan itself.
        drafts = [guess([*last[row : row + 1], *last], words, LONGEST_DRAFT) for row, words in enumerate(said)]
        longest = max(map(len, drafts))
        return [draft + [self._pad] * (longest - len(draft)) for draft in drafts]
