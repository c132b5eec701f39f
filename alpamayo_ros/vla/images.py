"""Camera pictures to the rows that the vision tower reads, equal to the original's on uint8.

A picture is resized to multiples of 32 pixels within the model's pixel budget, shown twice in time (one temporal
patch), cut into 16 × 16 patches, and scaled to [−1, 1]. Patches that the tower later merges 2 × 2 stand together.
With tubelets a temporal patch holds frames that follow each other instead: they count as one picture from here on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alpamayo_ros.vla.config import ModelConfig, VisionConfig
from alpamayo_ros.vla.errors import ModelInputError

MAX_ASPECT_RATIO = 200
"""Above this ratio of sides Qwen's preprocessing refuses a picture."""


def smart_resize(height: int, width: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Target (height, width): multiples of `factor`, area within the budget, aspect nearly kept (Qwen2-VL's rule)."""
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise ModelInputError(f"picture of {width}×{height}: its sides differ by more than {MAX_ASPECT_RATIO} times")
    new_height, new_width = round(height / factor) * factor, round(width / factor) * factor
    if new_height * new_width > max_pixels:
        beta = math.sqrt(height * width / max_pixels)
        new_height = max(factor, math.floor(height / beta / factor) * factor)
        new_width = max(factor, math.floor(width / beta / factor) * factor)
    elif new_height * new_width < min_pixels:
        beta = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * beta / factor) * factor
        new_width = math.ceil(width * beta / factor) * factor
    return new_height, new_width


def preprocess(images: Sequence[np.ndarray], config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Patch rows and grids of RGB pictures, each (H, W, 3) uint8; camera by camera, oldest first.

    Returns pixel_values (Σ t h w, 3 · 2 · 16 · 16) float32 and grid_thw (pictures, 3) in patches.
    """
    frames, vision = [resize(image, config) for image in images], config.vision
    first = frames[:: vision.temporal_patch_size] if vision.tubelets else frames
    grids = [(1, *(side // vision.patch_size for side in frame.shape[1:])) for frame in first]
    return pixel_values(frames, vision), torch.tensor(grids)


def pixel_values(frames: Sequence[Tensor], vision: VisionConfig) -> Tensor:
    """Rows as of `preprocess`, of frames (3, h, w) uint8 at the model's size; with tubelets, camera by camera."""
    depth = vision.temporal_patch_size
    if vision.tubelets:
        groups = [torch.stack([*frames[i : i + depth]], dim=1) for i in range(0, len(frames), depth)]
    else:
        # A still picture fills all frames of its temporal patch.
        groups = [picture[:, None].expand(-1, depth, -1, -1) for picture in frames]
    rows = torch.cat([patch_rows(group[None], vision) for group in groups])
    # In place, because these rows are large.
    return rows.float().sub_(127.5).div_(127.5)


def resize(image: np.ndarray, config: ModelConfig) -> Tensor:
    """The picture (H, W, 3) uint8 at the model's size: (3, h, w) uint8."""
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ModelInputError(f"picture is {image.dtype} {image.shape}; expected uint8 (height, width, 3), RGB")
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    height, width = image.shape[:2]
    factor = config.vision.patch_size * config.vision.spatial_merge_size
    size = smart_resize(height, width, factor, config.min_pixels, config.max_pixels)
    if size == (height, width):
        return pixels.contiguous()
    # On uint8 the two passes round to uint8 in between, as the original's do. A float path differs by up to 7 levels.
    return F.interpolate(pixels[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]


def patch_rows(pixels: Tensor, vision: VisionConfig) -> Tensor:
    """Rows (N h w, 3 · T · 16 · 16) uint8 of pictures (N, 3, T, H, W) uint8, each ordered (h / 2, w / 2, 2, 2)."""
    count, channels, frames, height, width = pixels.shape
    patch, merge = vision.patch_size, vision.spatial_merge_size
    h, w = height // patch, width // patch
    blocks = pixels.reshape(count, channels, frames, h // merge, merge, patch, w // merge, merge, patch)
    return blocks.permute(0, 3, 6, 4, 7, 1, 2, 5, 8).reshape(count * h * w, -1)
