"""Bags with plans in them, made by a policy that goes straight on."""

from __future__ import annotations

from pathlib import Path

from bag_records import MS, read_bag
from straight_policy import StraightPolicy

from alpamayo_ros.datasets.bag_reader import BagReader
from alpamayo_ros.nodes.annotator import PLAN, AnnotateOptions, Annotation, annotate
from alpamayo_ros.nodes.rig_profile import RigProfile
from alpamayo_ros.vla.errors import ModelInputError

PERIOD = 100 * MS
HISTORY = 1500 * MS
PLANNING = {"num_samples": 1, "seed": 0}


class Straight(StraightPolicy):
    """fails_at: the number of the observation that it refuses, as a model does that runs out of memory."""

    def __init__(self, seconds: float = 0.0, fails_at: int | None = None) -> None:
        super().__init__(seconds=seconds)
        self.model.dtype = "float32"
        self.fails_at = fails_at

    def plan(self, observation, **options):
        if len(self.seen) + 1 == self.fails_at:
            raise ModelInputError("out of memory")
        return super().plan(observation, may_reverse=False, **options)


def annotated(bag: Path, rig: Path, output: Path, policy: StraightPolicy | None = None, **options) -> Annotation:
    with BagReader(bag) as reader:
        return annotate(
            reader, RigProfile.open(rig), policy or Straight(), output,
            AnnotateOptions(**{"planning": PLANNING, **options}), lambda *_: None,
        )  # fmt: skip


def t0s(output: Path, topic: str = PLAN) -> list[int]:
    return [logged_ns for logged_ns, _ in read_bag(output).get(topic, [])]


def expected(first: int, last: int, step: int = PERIOD) -> list[int]:
    return [*range(first, last + 1, step)]
