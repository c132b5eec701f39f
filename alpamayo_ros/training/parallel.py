"""One process or many: who this is, how the stage is spread over all, and how its state is gathered.

Every process has the whole model (`none`), or a part of every layer's weights, gradients and optimiser (`fsdp`): what
10 billion weights need.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.recipe import Recipe
from alpamayo_ros.training.stage import Stage
from alpamayo_ros.vla.checkpoint import usable_device

T = TypeVar("T")

_ENVIRONMENT = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
_SPREAD = StateDictOptions(full_state_dict=True, strict=False)
_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: one of them writes a large model, or is still choosing prompts."""


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is, as `torchrun` says; its device."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def begin(cls, device: str | None = None) -> Processes:
        """Join the others, if there are any. device: by default each its own GPU, where there are GPUs.

        Raises CheckpointError for a device that is not there.
        """
        count, rank, local = (int(os.environ.get(name, default)) for name, default in _ENVIRONMENT)
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if chosen.type == "cuda":
            chosen = usable_device(chosen if chosen.index is not None else f"cuda:{local}")
            torch.cuda.set_device(chosen)  # where FSDP puts its part, whichever device the weights are on
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=_PATIENCE)
        return cls(rank, count, chosen)

    def end(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor on the CPU over all processes."""
        if self.count == 1:
            return values
        everywhere = values.to(self.device)
        dist.all_reduce(everywhere)
        return everywhere.cpu()

    def of_leading(self, value: T) -> T:
        """What the leading process has."""
        told = [value]
        if self.count > 1:
            dist.broadcast_object_list(told, device=self.device)
        return told[0]

    def precision(self, recipe: Recipe) -> torch.autocast:
        """Around whatever the network does in training."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")

    @contextmanager
    def attention(self, recipe: Recipe) -> Iterator[None]:
        """Around a forward that gradients are taken of.

        A CPU's attention in bfloat16 is made of single products there: the backward of PyTorch's own kernel takes three
        to five times as long.
        """
        if self.device.type != "cpu" or recipe.precision != "bfloat16":
            yield
            return
        before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()  # type: ignore[no-untyped-call]
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # of any device, despite its name
        try:
            with sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)

    def emulates(self, recipe: Recipe) -> bool:
        """Whether the processor has no products of the recipe's precision: oneDNN makes them of others then."""
        has_bfloat16 = self.device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return recipe.precision == "bfloat16" and not has_bfloat16

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()


class Spread:
    """A stage over all processes. `module` is what is called for the forward."""

    def __init__(self, stage: Stage, processes: Processes) -> None:
        self.stage, self.count = stage, processes.count
        self.sharded = processes.count > 1 and stage.recipe.sharding == "fsdp"
        self.module: nn.Module = stage
        if self.sharded:
            model = stage.model
            for block in (*model.vlm.model.visual.blocks, *model.vlm.model.language_model.layers, *model.expert.layers):
                fully_shard(block)
            fully_shard(stage)
            register_fsdp_forward_method(stage, "act")
        elif processes.count > 1:
            self.module = DistributedDataParallel(stage)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Around `Stage.act`: sharded weights, once gathered, stay whole. Token by token they could not be gathered:
        the processes say sentences of different length, and would wait for each other for ever."""
        if not isinstance(self.stage, FSDPModule):
            yield
            return
        self.stage.set_reshard_after_forward(False)
        yield
        self.stage.set_reshard_after_forward(True)
        for module in self.stage.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    def accumulating(self, last: bool) -> AbstractContextManager[None]:
        """Around forward and backward: gradients go to the other processes with the last micro-batch only."""
        if isinstance(self.stage, FSDPModule):
            self.stage.set_requires_gradient_sync(last)
        if isinstance(self.module, DistributedDataParallel) and not last:
            return self.module.no_sync()
        return nullcontext()

    def clip_gradient(self, largest: float) -> float:
        """Make the gradient's norm no larger than that; returns what it was."""
        norm = nn.utils.clip_grad_norm_([p for p in self.stage.parameters() if p.requires_grad], largest)
        return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def weights(self) -> dict[str, Any]:
        """All weights of the stage, whole and on the CPU; where they are sharded, empty but for the leading process."""
        return get_model_state_dict(self.stage, options=_WHOLE) if self.sharded else self.stage.state_dict()

    def optimiser_states(self, chosen: list[torch.optim.Optimizer]) -> list[dict[str, Any]]:
        """Of all processes; as `weights`."""
        if self.sharded:
            return [get_optimizer_state_dict(self.stage, optimiser, options=_WHOLE) for optimiser in chosen]
        return [optimiser.state_dict() for optimiser in chosen]

    def load(self, weights: dict[str, Any], chosen: list[torch.optim.Optimizer], states: list[dict[str, Any]]) -> None:
        """Go on from trained weights and the optimisers' states. Raises TrainingError where they do not fit."""
        trained = {name for name, parameter in self.stage.named_parameters() if parameter.requires_grad}
        if trained != set(weights):
            raise TrainingError("the saved state is of another stage or model; choose another --output")
        if self.sharded:
            set_model_state_dict(self.stage, weights, options=_SPREAD)
        else:
            self.stage.load_state_dict(weights, strict=False)
        for optimiser, state in zip(chosen, states, strict=True):
            if self.sharded:
                set_optimizer_state_dict(self.stage, optimiser, state, options=_SPREAD)
            else:
                optimiser.load_state_dict(state)
