"""An observation as the network reads it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from alpamayo_ros.types import Observation
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.prompt import driving_prompt


class Inputs(NamedTuple):
    """ids: of the prompt. pixel_values: (P, 1536). grid_thw: (pictures, 3). history_xyz: (1, 16, 3). history_rot:
    (1, 16, 3, 3)."""

    ids: list[int]
    pixel_values: Tensor
    grid_thw: Tensor
    history_xyz: Tensor
    history_rot: Tensor


def read_observation(model: AlpamayoModel, observation: Observation) -> Inputs:
    """Everything on the CPU, as `DrivingPolicy.plan` prepares it."""
    pictures = [picture for camera in observation.cameras for picture in camera.images]
    pixel_values, grid_thw = preprocess(pictures, model.config)
    history = observation.ego_history
    xyz, rot = (
        torch.from_numpy(np.asarray(part, dtype=np.float32))[None] for part in (history.positions, history.rotations)
    )
    bins = model.history_tokens.encode(xyz, rot)[0]
    roles = [int(role) for role in observation.roles]
    ids = driving_prompt(model.tokenizer, model.config, grid_thw, roles, bins, observation.navigation)
    return Inputs(ids, pixel_values, grid_thw, xyz, rot)
