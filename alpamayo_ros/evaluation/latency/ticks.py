"""What a policy sees, tick after tick of one drive, as on a car: three of its four frames it has seen before."""

from __future__ import annotations

from collections.abc import Iterator

from alpamayo_ros.datasets.drive import HISTORY, Drive
from alpamayo_ros.evaluation.drivers.model import picture_size, supersampling
from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.simulation import DURATION, KINDS, PERIOD, Variant
from alpamayo_ros.types import CameraRole, Observation
from alpamayo_ros.types.rig import default_rig
from alpamayo_ros.vla.config import ModelConfig

MAX_TICKS = round(DURATION / PERIOD) + 2 - HISTORY
"""Observations of one drive: the first has the shortest history that a plan needs."""


def consecutive_observations(
    config: ModelConfig, count: int, *, kind: str, size: tuple[int, int] | None = None, seed: int = 0
) -> Iterator[Observation]:
    """`count` observations 0.1 s apart, each drawn when it is asked for; the expert drives.

    size: width and height of the pictures; by default what the model reads, so that nothing is resized.
    Raises EvaluationError.
    """
    if count > MAX_TICKS:
        raise EvaluationError(f"{count} consecutive plans were asked for; one drive has {MAX_TICKS}")
    if kind not in KINDS:
        raise EvaluationError(f"{kind!r} is no kind of drive; there are {', '.join(KINDS)}")
    width, height = size or picture_size(config)
    rig = default_rig(width, height, map(CameraRole, config.camera_roles))
    drive = Drive.by_expert(kind, seed, Variant.NOMINAL, rig, supersampling(width))
    if len(drive.ticks) < HISTORY + count - 1:
        raise EvaluationError(f"the expert's drive of kind {kind} ends after {len(drive.ticks)} ticks; ask for fewer")
    for tick in range(HISTORY - 1, HISTORY - 1 + count):
        yield drive.observation(tick)
