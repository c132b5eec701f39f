"""What the language model reads: template, pictures, ego history, and text from outside.

A driving prompt is, in order: system text, pictures (1.5 names cameras and frames), ego history, navigation (1.5), the
request, and the opening of the Chain of Causation. A question prompt has a question instead of history and request.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.vla.config import ModelConfig
from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.tokenizer import AlpamayoTokenizer

SYSTEM = "You are a driving assistant that generates safe and accurate actions."
REQUEST = "output the chain-of-thought reasoning of the driving process, then output the future trajectory."
CAMERA_NAMES = (
    "Front left camera",
    "Front camera",
    "Front right camera",
    "Rear left camera",
    "Rear camera",
    "Rear right camera",
    "Front telephoto camera",
)
"""1.5's name of each camera role."""


@dataclass(frozen=True)
class PromptBatch:
    """Prompts of different length, padded on the left to one length L.

    ids: (B, L). is_real: (B, L) bool, False on padding. positions: (3, B, L) time, height, width of rotary attention.
    rope_delta: (B,) what to add to a later column's number to get its position.
    """

    ids: Tensor
    is_real: Tensor
    positions: Tensor
    rope_delta: Tensor

    def to(self, device: torch.device) -> PromptBatch:
        return PromptBatch(*(part.to(device) for part in (self.ids, self.is_real, self.positions, self.rope_delta)))


def driving_prompt(
    tokenizer: AlpamayoTokenizer,
    config: ModelConfig,
    grid_thw: Tensor,
    cameras: list[int],
    history_bins: Tensor,
    navigation: str | None = None,
) -> list[int]:
    """Ids of the prompt that asks for reasoning and a trajectory.

    grid_thw: (images, 3), camera by camera, oldest frame first. cameras: their roles, ascending.
    history_bins: (48,) delta tokens. navigation: 1.5 only; it is text from outside.
    """
    if navigation is not None:
        check_takes_navigation(config, navigation)
    if len(history_bins) != config.tokens_per_history_traj:
        raise ModelInputError(f"{len(history_bins)} history tokens; the model expects {config.tokens_per_history_traj}")
    ids = [*_encoded(tokenizer, _opening() + _pictures(config, grid_thw, cameras))]
    first_history_id = tokenizer.future_bin_0 + config.future_tokens.num_bins
    ids.append(tokenizer.special_ids["traj_history_start"])
    ids += (history_bins + first_history_id).tolist()
    ids.append(tokenizer.special_ids["traj_history_end"])
    if navigation is not None:
        ids.append(tokenizer.special_ids["route_start"])
        ids += tokenizer.encode_outside(navigation)
        ids.append(tokenizer.special_ids["route_end"])
    return ids + tokenizer.encode(REQUEST + _closing("<|cot_start|>"))


def check_takes_navigation(config: ModelConfig, text: str) -> None:
    """Raises ModelInputError for a model that was trained without driving instructions."""
    if not config.takes_navigation:
        raise ModelInputError(
            f"navigation text {text[:60]!r} was given, but {config.model_type} was trained without navigation; "
            "drop the text or use a 1.5 model"
        )


def question_prompt(
    tokenizer: AlpamayoTokenizer, config: ModelConfig, grid_thw: Tensor, cameras: list[int], question: str
) -> list[int]:
    """Ids of the prompt that asks a question about the pictures (1.5 only); arguments as in `driving_prompt`."""
    if not config.takes_navigation:
        raise ModelInputError(f"{config.model_type} was trained without question answering; use a 1.5 model")
    ids = tokenizer.encode(_opening() + _pictures(config, grid_thw, cameras))
    ids.append(tokenizer.special_ids["question_start"])
    ids += tokenizer.encode_outside(question)
    ids.append(tokenizer.special_ids["question_end"])
    return ids + tokenizer.encode(_closing("<|answer_start|>"))


def batch_prompts(prompts: list[list[int]], grids: list[Tensor], config: ModelConfig, pad_id: int) -> PromptBatch:
    """Pad prompts on the left and place them; `grids` holds each prompt's own grid_thw (images, 3)."""
    length = max(map(len, prompts))
    ids = torch.full((len(prompts), length), pad_id)
    is_real = torch.zeros(len(prompts), length, dtype=torch.bool)
    positions = torch.ones(3, len(prompts), length, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        start = length - len(prompt)
        ids[row, start:] = torch.tensor(prompt)
        is_real[row, start:] = True
        positions[:, row, start:] = rotary_positions(ids[row, start:], grids[row], config)
    rope_delta = positions.amax(dim=(0, 2)) + 1 - length
    return PromptBatch(ids, is_real, positions, rope_delta)


def rotary_positions(ids: Tensor, grid_thw: Tensor, config: ModelConfig) -> Tensor:
    """Positions (3, L) of one prompt (L,): text counts on, a picture spreads over height and width at one time."""
    merge = config.vision.spatial_merge_size
    images = np.flatnonzero(ids.numpy() == config.image_token_id)
    # In numpy: so many small tensors would take longer than the rest of a short prompt.
    parts: list[np.ndarray] = []
    place = column = seen = 0

    def add_text(end: int) -> None:
        parts.append(np.broadcast_to(np.arange(place, place + end - column), (3, end - column)))

    for _, grid_h, grid_w in grid_thw.tolist():
        h, w = grid_h // merge, grid_w // merge
        own = images[seen : seen + h * w]
        if len(own) < h * w or own[-1] - own[0] >= h * w:
            raise ModelInputError(f"the prompt has no {h * w} image tokens for a picture of grid {grid_h}×{grid_w}")
        first = int(own[0])
        add_text(first)
        place += first - column
        time = np.full(h * w, place)
        parts.append(np.stack([time, np.repeat(place + np.arange(h), w), np.tile(place + np.arange(w), h)]))
        place += max(h, w)
        column, seen = first + h * w, seen + h * w
    if seen < len(images):
        raise ModelInputError("the prompt has more image tokens than its pictures give")
    add_text(len(ids))
    return torch.from_numpy(np.concatenate(parts, axis=1))


@lru_cache(maxsize=16)
def _encoded(tokenizer: AlpamayoTokenizer, text: str) -> tuple[int, ...]:
    """Ids of a text that comes again: in the prompts of a drive, thousands of places for what the pictures show."""
    return tuple(tokenizer.encode(text))


def _opening() -> str:
    return f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"


def _closing(answer: str) -> str:
    return f"<|im_end|>\n<|im_start|>assistant\n{answer}"


def _pictures(config: ModelConfig, grid_thw: Tensor, cameras: list[int]) -> str:
    if len(grid_thw) % len(cameras):
        raise ModelInputError(f"{len(grid_thw)} pictures do not divide among {len(cameras)} cameras")
    if any(a >= b for a, b in itertools.pairwise(cameras)):
        raise ModelInputError(f"cameras {cameras} must be ascending by role, each once; sort them")
    frames = len(grid_thw) // len(cameras)
    merged = config.vision.spatial_merge_size**2
    text = []
    for i, (t, h, w) in enumerate(grid_thw.tolist()):
        camera, frame = divmod(i, frames)
        if config.include_camera_ids and frame == 0:
            text.append(f"{CAMERA_NAMES[cameras[camera]]}: ")
        if config.include_frame_nums:
            text.append(f"frame {frame} ")
        text.append("<|vision_start|>" + "<|image_pad|>" * (t * h * w // merged) + "<|vision_end|>")
    return "".join(text)
