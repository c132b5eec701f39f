"""Short drives through plain `vla` and through the engine, for models of all forms."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from golden_data import FOLDER, MODELS, arrays, frames

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import CameraPictures, Memory
from alpamayo_ros.policy import find_model
from alpamayo_ros.types import CameraRole, Observation
from alpamayo_ros.types.rig import default_rig
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import AlpamayoModel, Samples
from alpamayo_ros.vla.prompt import PromptBatch, batch_prompts, driving_prompt
from alpamayo_ros.vla.sampling import Sampling

SIZE = 96, 160
PERIOD = 100_000_000
DRAWN = Sampling(0.6, 0.98)
CALM = 6.0
"""Waves in a unit of action; what is faster is muted in models with random weights (see `muted`)."""


@dataclass(frozen=True, eq=False)
class Tick:
    cameras: tuple[CameraPictures, ...]
    history: tuple[torch.Tensor, torch.Tensor]
    navigation: str | None = None

    @classmethod
    def of(cls, observation: Observation) -> Tick:
        history = observation.ego_history.positions, observation.ego_history.rotations
        return cls(
            tuple(CameraPictures(int(it.role), it.images, tuple(it.stamps_ns.tolist())) for it in observation.cameras),
            tuple(torch.from_numpy(np.asarray(part, dtype=np.float32))[None] for part in history),
            observation.navigation,
        )


def muted(loaded: AlpamayoModel) -> AlpamayoModel:
    """The model without the fast Fourier features of the noisy action.

    With up to 100 waves in a unit of action, an expert that was trained little or not at all makes up to a metre of
    trajectory from 1e-7 of noise, whatever computes it: to compare trajectories to 1e-4 m then says nothing about who
    computed them. What is left without the fast features does not have that, and drives as well.
    """
    first = loaded.action_in_proj.encoder.trunk[0].weight
    freqs = [fourier.freqs[0] for fourier in loaded.action_in_proj.sinus]
    columns = torch.cat([torch.cat([freq, freq]) for freq in freqs])
    first[:, : len(columns)] *= columns <= CALM
    return loaded


@cache
def tiny() -> AlpamayoModel:
    """The model that ships."""
    return load_model(find_model("alpamayo-tiny"))


@cache
def small(release: str) -> AlpamayoModel:
    """A golden model (random weights, every part of a released one) that reads small pictures, each by itself."""
    loaded = muted(load_model(FOLDER / MODELS[release], language_model=FOLDER / "vlm_tiny"))
    pixels = SIZE[0] * SIZE[1]
    loaded.config = dataclasses.replace(loaded.config, min_pixels=pixels, max_pixels=pixels)
    return loaded


def model(name: str) -> AlpamayoModel:
    return tiny() if name == "tiny" else small(name)


@cache
def drive(name: str, count: int) -> tuple[Tick, ...]:
    """`count` ticks, 0.1 s apart, of a drive that the model can look at."""
    return simulated("red_light", count) if name == "tiny" else invented(count)


@cache
def simulated(kind: str, count: int) -> tuple[Tick, ...]:
    rig = default_rig(SIZE[1], SIZE[0], map(CameraRole, tiny().config.camera_roles))
    driven = Drive.by_expert(kind, 1, "nominal", rig, supersampling=1, ticks=16 + count)
    return tuple(Tick.of(driven.observation(tick)) for tick in range(15, 15 + count))


@cache
def invented(count: int, roles: tuple[int, ...] = (0, 1), depth: int = 2) -> tuple[Tick, ...]:
    seen = {role: np.stack(frames(role + 1, count + depth - 1, *SIZE)) for role in roles}
    data = arrays("action_space")
    history = [torch.from_numpy(data[name][6:7].astype(np.float32)) for name in ("hist_xyz", "hist_rot")]
    return tuple(
        Tick(
            tuple(
                CameraPictures(
                    role, seen[role][tick : tick + depth], tuple((tick + i) * PERIOD for i in range(1, depth + 1))
                )
                for role in roles
            ),
            (history[0], history[1]),
        )
        for tick in range(count)
    )


def prompt_of(
    loaded: AlpamayoModel, tick: Tick, grid_thw: torch.Tensor, *, navigation: str | None = None
) -> PromptBatch:
    bins = loaded.history_tokens.encode(*tick.history)[0]
    roles = [camera.role for camera in tick.cameras]
    ids = driving_prompt(loaded.tokenizer, loaded.config, grid_thw, roles, bins, navigation)
    return batch_prompts([ids], [grid_thw], loaded.config, loaded.tokenizer.pad)


def options(**changes: Any) -> dict[str, Any]:
    defaults = {"num_samples": 1, "seed": 3, "sampling": DRAWN, "max_new_tokens": 20, "num_flow_steps": 5}
    return {**defaults, **changes}


def plainly(loaded: AlpamayoModel, tick: Tick, **changes: Any) -> Samples:
    """What plain `vla` makes of it."""
    rows, grid = preprocess([image for camera in tick.cameras for image in camera.images], loaded.config)
    prompt = prompt_of(loaded, tick, grid, navigation=tick.navigation)
    return loaded.sample(prompt, rows, grid, *tick.history, **options(**changes))


known = cache(plainly)
"""The same once more, where it was asked for before."""


def quickly(engine: Engine, tick: Tick, memory: Memory | None = None, **changes: Any) -> Samples:
    """What the engine makes of it."""
    pictures = engine.look(tick.cameras, memory)
    prompt = prompt_of(engine.model, tick, pictures.grid_thw, navigation=tick.navigation)
    return engine.sample(prompt, pictures, *tick.history, memory=memory, **options(**changes))


def check_same(made: Samples, expected: Samples, allowed: float = 1e-4) -> None:
    assert made.reasoning.tokens.tolist() == expected.reasoning.tokens.tolist()
    assert made.reasoning.complete.tolist() == expected.reasoning.complete.tolist()
    assert made.reasoning.length.tolist() == expected.reasoning.length.tolist()
    assert apart(made, expected) <= allowed
    assert float((made.rot - expected.rot).abs().max()) <= allowed


def apart(one: Samples, other: Samples) -> float:
    """The largest difference of a coordinate, in metres."""
    return float((one.xyz - other.xyz).abs().max())


def check_drive(engine: Engine, ticks: Sequence[Tick], memory: Memory | None, **changes: Any) -> None:
    for tick in ticks:
        check_same(quickly(engine, tick, memory, **changes), known(engine.model, tick, **changes))
