"""The engine's key-value cache: allocated once, written at given columns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alpamayo_ros.engine.memory import SeenFrame
from alpamayo_ros.vla.config import DecoderConfig


@dataclass(frozen=True, eq=False)
class Shown:
    """A prompt up to the end of its last picture. ids: of these L tokens. positions: (3, L) of rotary attention.
    frames: which each picture is."""

    ids: list[int]
    positions: Tensor
    frames: tuple[SeenFrame, ...]

    def laid_out_like(self, other: Shown) -> bool:
        """Pictures of other sides may have as many tokens, and other positions behind them."""
        return self.ids == other.ids and torch.equal(self.positions, other.positions)


class StaticCache:
    """Keys (after norm and rotary) and values of all layers: (layers, rows, capacity, kv_heads, head_dim).

    Columns that nobody may see are finite all the same: what is masked is still multiplied, by zero.
    prefix: ids of the prompt's head that the first columns of row 0 hold. shown: the prompt that it holds, where the
        next may keep some of its pictures.
    """

    def __init__(
        self, config: DecoderConfig, rows: int, capacity: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (config.num_hidden_layers, rows, capacity, config.num_key_value_heads, config.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.prefix: list[int] = []
        self.shown: Shown | None = None

    @property
    def rows(self) -> int:
        return self.keys.shape[1]

    @property
    def capacity(self) -> int:
        return self.keys.shape[2]

    def write(self, layer: int, keys: Tensor, values: Tensor, columns: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Put (B, T, kv_heads, head_dim) at columns (T,) of the first B rows; returns theirs up to `end`."""
        rows = len(keys)
        mine = self.keys[layer, :rows], self.values[layer, :rows]
        mine[0].index_copy_(1, columns, keys)
        mine[1].index_copy_(1, columns, values)
        return mine[0][:, :end], mine[1][:, :end]

    def spread(self, length: int) -> None:
        """Give every row the first `length` columns of row 0."""
        if self.rows > 1:
            self.keys[:, 1:, :length] = self.keys[:, :1, :length]
            self.values[:, 1:, :length] = self.values[:, :1, :length]
