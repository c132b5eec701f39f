"""Keys and values of frames that the last plan read too, brought to their places in the prompt of this one.

A token of a kept frame was read behind an older prompt, and what it saw there stays in it: that is all that is
approximate here. Text between pictures, such as the number of a frame, is read anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from alpamayo_ros.engine.cache import Shown, StaticCache
from alpamayo_ros.engine.decoder import rotary_of, rotate
from alpamayo_ros.engine.memory import SeenFrame
from alpamayo_ros.vla.config import ModelConfig
from alpamayo_ros.vla.prompt import PromptBatch


def shown_in(prompt: PromptBatch, frames: Sequence[SeenFrame], config: ModelConfig) -> Shown:
    """What one prompt (1, L) shows."""
    end = int((prompt.ids[0] == config.image_token_id).nonzero()[-1]) + 1
    return Shown(prompt.ids[0, :end].tolist(), prompt.positions[:, 0, :end], tuple(frames))


def keep(cache: StaticCache, last: Shown | None, now: Shown | None, config: ModelConfig) -> set[int]:
    """The columns of row 0 that hold pictures of this prompt afterwards, moved there from where the last prompt had
    them. None, where the two are not laid out alike.

    Rotations of one plane add up: a key of position p that is turned on by d is the key of p + d. Height and width of a
    picture's tokens count from where it stands, so all three axes move by the same d.
    """
    if last is None or now is None or not last.laid_out_like(now):
        return set()
    columns = columns_of(now, config.image_token_id)
    before = dict(zip(last.frames, columns, strict=True))
    moves = [
        (old, new)
        for frame, there in zip(now.frames, columns, strict=True)
        if frame in before
        for old, new in zip(before[frame], there, strict=True)
    ]
    if moves:
        old, new = torch.tensor(moves).T
        _move(cache, old, new, now.positions[:, new] - now.positions[:, old], config)
    return {new for _, new in moves}


def columns_of(shown: Shown, image_token_id: int) -> list[list[int]]:
    """Of each picture; between two of them there is text."""
    found: list[list[int]] = []
    for column, token in enumerate(shown.ids):
        if token == image_token_id:
            if column == 0 or shown.ids[column - 1] != token:
                found.append([])
            found[-1].append(column)
    return found


def _move(cache: StaticCache, old: Tensor, new: Tensor, further: Tensor, config: ModelConfig) -> None:
    """Columns (N,) of row 0 to others, `further` (3, N) on. Not to be recorded: done twice it moves them twice."""
    device = cache.keys.device
    cos, sin = (part[0].to(device) for part in rotary_of(further[:, None], config.language))
    old, new = old.to(device), new.to(device)
    # Layer by layer: the keys of all in float32 would take as much memory as the cache.
    for keys, values in zip(cache.keys[:, 0], cache.values[:, 0], strict=True):
        keys[new] = rotate(keys[old].float(), cos, sin).to(keys.dtype)
        values[new] = values[old]
