"""What a dataset is made of. The same plan gives the same bytes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from alpamayo_ros.datasets.handover import ModelDrive
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.types import CameraRole

FORMAT = 1
"""Version of the layout on disk."""
MOST = 1_000_000
"""Drives of one dataset: more are a mistyped range. Two datasets are read as easily as one."""


@dataclass(frozen=True)
class DatasetPlan:
    """What is asked for. Raises DatasetError for pictures that are not made of whole blocks, and too many drives.

    seeds: first and last. every: ticks between samples at regular times, 0 for keyframes alone. size: width and height
    of every picture. picture: jpg or png; quality: of jpg. dense: side in pixels of the blocks that get labels, 0 for
    none. others: things nearby that are tested for being no cause. disturbance: strength of what pushes the car off its
    way once in every drive (see `disturbance`), 0 for undisturbed drives. drives_per_shard: one shard at most is lost
    when a run is killed. driven: drives of a model with the expert beside it (see `handover`); where there are any,
    the drives are these, as far as seeds, kinds and variants take them in.
    """

    seeds: tuple[int, int]
    kinds: tuple[str, ...]
    variants: tuple[str, ...]
    roles: tuple[CameraRole, ...]
    size: tuple[int, int] = (160, 96)
    every: int = 10
    picture: str = "jpg"
    quality: int = 95
    dense: int = 0
    others: int = 1
    disturbance: float = 0.0
    drives_per_shard: int = 16
    driven: tuple[ModelDrive, ...] = ()

    def __post_init__(self) -> None:
        if self.dense and any(side % self.dense for side in self.size):
            raise DatasetError(f"pictures of {self.size[0]}x{self.size[1]} are not made of {self.dense}-pixel blocks")

        count = (self.seeds[1] - self.seeds[0] + 1) * len(self.kinds) * len(self.variants)
        if count > MOST:
            raise DatasetError(f"{count:,} drives are asked for; {MOST:,} are the most of one dataset")
        if self.driven and not self.drives:
            raise DatasetError("none of the drives is among these seeds, kinds and variants")
        if self.driven and self.disturbance:
            raise DatasetError("a drive is either disturbed or one of a model that is taken over; make two datasets")

    @property
    def drives(self) -> list[tuple[str, int, str]]:
        """Kind, seed and variant of every drive: each seed goes through all kinds, so that shards are mixed."""
        seeds = range(self.seeds[0], self.seeds[1] + 1)
        drives = [(kind, seed, variant) for seed in seeds for kind in self.kinds for variant in self.variants]
        driven = {(drive.kind, drive.seed, drive.variant) for drive in self.driven}
        return [drive for drive in drives if drive in driven] if driven else drives

    def by_model(self, kind: str, seed: int, variant: str) -> ModelDrive:
        """How a model drove one of the drives."""
        return next(drive for drive in self.driven if (drive.kind, drive.seed, drive.variant) == (kind, seed, variant))

    @property
    def shards(self) -> list[list[tuple[str, int, str]]]:
        """The drives of every shard."""
        drives, size = self.drives, self.drives_per_shard
        return [drives[start : start + size] for start in range(0, len(drives), size)]

    def described(self) -> dict[str, Any]:
        """As JSON has it."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        driven = hashlib.sha256(repr(self.driven).encode()).hexdigest()[:12] if self.driven else ""
        return {"format": FORMAT, **plain, "roles": [role.label for role in self.roles], "driven": driven}
