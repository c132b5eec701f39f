"""A model as driver: the pictures of the simulator's cameras go in, its plan comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.evaluation.drivers.driver import Proposal
from alpamayo_ros.policy import DrivingPolicy
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.motion import seen_from
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import CameraFrames, CameraRole, EgoHistory, Observation
from alpamayo_ros.types.rig import default_rig
from alpamayo_ros.vla.config import ModelConfig

_SIDE = 32  # pixels that pictures are a multiple of: two patches of 16, merged
_SHAPE = 5.0 / 3.0  # width over height, the simulator's default


class ModelDriver:
    """Looks through the cameras the model was trained with, at the size it reads, so that nothing is resized.

    num_samples: trajectories sampled at every plan. seed: of every plan, as a node on a car has it; by default it is
    made of the scenario's and the tick. options: others of `DrivingPolicy.plan`.
    """

    def __init__(
        self,
        policy: DrivingPolicy,
        num_samples: int,
        ticks_per_plan: int,
        *,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self.name, self.revision = policy.name, policy.revision
        self.explains = not policy.engine.switches.skip_reasoning
        self.ticks_per_plan = ticks_per_plan
        self._policy, self._num_samples = policy, num_samples
        self._seed, self._options = seed, options
        config = policy.model.config
        self._roles = tuple(CameraRole(role) for role in config.camera_roles)
        self._renderer = renderer_of(config)
        self._pictures: list[tuple[World, dict[CameraRole, np.ndarray]]] = []
        self._memory = Memory()

    def take_over(self, mind: Expert) -> None:
        self._pictures.clear()
        self._memory = Memory()

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        now = driven[-1]
        # Any two seeds give streams that have nothing in common: neighbouring ones may be used.
        seed = now.scenario.seed * 1000 + now.tick if self._seed is None else self._seed
        plan = self._policy.plan(
            self.observe(driven), num_samples=self._num_samples, seed=seed, memory=self._memory, **self._options
        )
        return Proposal(plan.samples, plan.selected)

    def observe(self, driven: Sequence[World]) -> Observation:
        """What the model sees at the last of the states driven so far."""
        config, now = self._policy.model.config, driven[-1]
        newest = driven[-config.frames_per_camera :]
        self._look(newest)
        stamps = np.array([EPOCH_NS + world.tick * TICK_NS for world in newest], dtype=np.int64)
        cameras = tuple(
            CameraFrames(role, np.stack([shown[role] for _, shown in self._pictures]), stamps) for role in self._roles
        )
        past = [world.ego for world in driven[-config.history_steps :]]
        history = EgoHistory(*(part.astype(np.float32) for part in seen_from(now.ego, past)))
        navigation = now.instruction if config.takes_navigation else None
        return Observation(int(stamps[-1]), cameras, history, navigation)

    def _look(self, worlds: Sequence[World]) -> None:
        """Have the pictures of these states and of no others; states that were seen before keep theirs."""
        known = {id(world): shown for world, shown in self._pictures}
        self._pictures = [
            (world, known[id(world)] if id(world) in known else self._renderer.render_all(world)) for world in worlds
        ]


def renderer_of(config: ModelConfig) -> Renderer:
    """The cameras that a model looks through, at the size it reads."""
    width, height = picture_size(config)
    return Renderer(default_rig(width, height, map(CameraRole, config.camera_roles)), supersampling(width))


def supersampling(width: int) -> int:
    """How many times larger pictures are drawn and averaged: thin things show in small ones only so."""
    return 2 if width <= 640 else 1


def picture_size(config: ModelConfig) -> tuple[int, int]:
    """Width and height in pixels of the largest pictures within the model's budget."""
    height = _SIDE
    while _width(height + _SIDE) * (height + _SIDE) <= config.max_pixels:
        height += _SIDE
    return _width(height), height


def _width(height: int) -> int:
    return round(height * _SHAPE / _SIDE) * _SIDE
