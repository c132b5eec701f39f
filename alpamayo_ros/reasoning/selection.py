"""Which of the samples of a plan is driven."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpamayo_ros.types import GateCheck, Judgement, PlanSample


def select(samples: Sequence[PlanSample], judgements: Sequence[Judgement]) -> tuple[int, str]:
    """Index of the sample to drive, and by which rule: the first of the four kinds that there is one of."""
    passing = [i for i, found in enumerate(judgements) if found.gate.passed]
    uncomfortable = [
        i
        for i, found in enumerate(judgements)
        if all(failure.check is GateCheck.COMFORT for failure in found.gate.failures)
    ]
    complete = [i for i, sample in enumerate(samples) if sample.complete]
    for candidates, rule in (
        (passing, "medoid of those that pass the gate"),
        (uncomfortable, "medoid of those that fail the gate by comfort alone"),
        (complete, "medoid of those with complete reasoning; none passes the gate"),
        (list(range(len(samples))), "medoid of all; none has complete reasoning"),
    ):
        if candidates:
            return medoid(samples, candidates), rule
    raise ValueError("no samples to select from")


def medoid(samples: Sequence[PlanSample], candidates: Sequence[int]) -> int:
    """The candidate with the smallest summed distance to the other candidates; a distance is the mean over the
    waypoints in x and y."""
    paths = np.stack([samples[i].trajectory.positions[:, :2] for i in candidates])
    distance = np.linalg.norm(paths[:, None] - paths[None], axis=-1).mean(axis=-1).sum(axis=1)
    return candidates[int(distance.argmin())]
