"""What validation tells of sight: what is found, how far away, and how well it is located."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from alpamayo_ros.simulation.cameras.labels import LOCATED
from alpamayo_ros.training.dense import LOCATED_PRESENCES, PRESENCES, located, present, split

RANGES = (0, 8, 15, 25, 40, 60, 90)
"""Metres between which it is told apart what is found."""
_SILENT = 0.999
"""Of the patches that have nothing of a kind, where nothing may be said."""


class SightScore:
    """Over patches, which have something where it is at least half present.

    f1_…: of each presence, said at a probability of one half or more. found_…_15_25m: part of the patches with lines on
    the road, vehicles, people or obstacles so far away that is found, where one in a thousand of those that have none
    is a false alarm. range_error_…, across_error_…: of ranges in their logarithm, of places across in blocks.
    """

    def __init__(self) -> None:
        self.counts = torch.zeros(3, len(PRESENCES))
        self.errors = torch.zeros(2, len(LOCATED) + len(LOCATED_PRESENCES))
        self.seen: list[Tensor] = []
        """Of LOCATED: logits, how far present, logarithms of ranges; (3, rows, 4)."""

    def add(self, outputs: Tensor, labels: Tensor) -> None:
        _, presences, _, positions = split(outputs)
        said, true = presences >= 0, present(labels) >= 0.5
        self.counts += torch.stack([part.sum(0).float().cpu() for part in (said & true, said, true)])
        wanted, there = located(labels)
        kinds = len(LOCATED)
        self.seen.append(
            torch.stack([presences[:, LOCATED_PRESENCES[:kinds]], there[:, :kinds], wanted[:, :kinds]]).cpu()
        )
        there = (there >= 0.5).float()
        self.errors += torch.stack([((positions - wanted).abs() * there).sum(0).cpu(), there.sum(0).cpu()])

    def figures(self) -> dict[str, float]:
        """Of what occurs at all, and the mean of the F1s."""
        both, said, true = self.counts
        f1 = {f"f1_{name}": float(2 * both[i] / (said[i] + true[i])) for i, name in enumerate(PRESENCES) if true[i] > 0}
        names = [PRESENCES[i] for i in LOCATED_PRESENCES]
        keys = [*(f"range_error_{name}" for name in names[: len(LOCATED)]), *(f"across_error_{name}" for name in names)]
        errors = {key: float(error / count) for key, error, count in zip(keys, *self.errors, strict=True) if count > 0}
        return {"f1_mean": sum(f1.values()) / max(len(f1), 1), **f1, **self._found(names[: len(LOCATED)]), **errors}

    def _found(self, names: list[str]) -> dict[str, float]:
        found: dict[str, float] = {}
        logits, there, ranges = torch.cat(self.seen, dim=1)
        for name, logit, presence, away in zip(names, logits.T, there.T, ranges.exp().T, strict=True):
            if not bool((presence == 0).any()):
                continue
            alarm = logit[presence == 0].quantile(_SILENT)
            for near, far in pairwise(RANGES):
                patches = logit[(presence >= 0.5) & (near <= away) & (away < far)]
                if len(patches):
                    found[f"found_{name}_{near}_{far}m"] = float((patches > alarm).float().mean())
        return found
