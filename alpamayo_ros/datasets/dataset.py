"""Reading a dataset that `alpamayo simulate dataset` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpamayo_ros.datasets.sample import Sample, decode
from alpamayo_ros.datasets.shard import check, unpack
from alpamayo_ros.datasets.staging import DatasetError


@dataclass(frozen=True, eq=False)
class Dataset:
    """A complete dataset. shards: its files, in order. summary: its `dataset.json`."""

    folder: Path
    shards: tuple[Path, ...]
    summary: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Raises DatasetError where there is no dataset, or an incomplete one."""
        path = folder / "dataset.json"
        if not path.is_file():
            begun = (folder / "plan.json").is_file()
            state = "a dataset that is not complete; run its command again" if begun else "no dataset"
            raise DatasetError(f"{folder} holds {state}")
        try:
            summary = json.loads(path.read_text())
            shards = tuple(folder / name for name in summary["shards"])
        except (ValueError, KeyError, TypeError):
            raise DatasetError(f"{path} is damaged; remove it and run the dataset's command again") from None
        missing = [shard.name for shard in shards if not shard.is_file()]
        if missing:
            raise DatasetError(f"{folder} lacks {missing[0]}; run its command again")
        return cls(folder, shards, summary)

    def __len__(self) -> int:
        return int(self.summary["samples"])

    def __iter__(self) -> Iterator[Sample]:
        return self.samples(self.shards)

    def samples(self, shards: Sequence[Path]) -> Iterator[Sample]:
        """The samples of some shards, in their order: what one of several readers takes, or what a seed has shuffled.

        Raises DatasetError for a damaged shard, when it is reached.
        """
        for shard in shards:
            check(shard)
            for key, parts in unpack(shard):
                yield decode(key, parts)
