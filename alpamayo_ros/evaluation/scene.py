"""One scene of an evaluation, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import Scenario, Variant


@dataclass(frozen=True, order=True)
class Scene:
    """Which scenario."""

    kind: str
    seed: int
    variant: Variant

    def build(self) -> Scenario:
        return build(self.kind, self.seed, self.variant)


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    tick: when.
    planned: x and y of a plan made then, in the ego frame; empty where the plan is not the point.
    """

    reason: str
    tick: int
    planned: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a scene.

    tallies: for each metric that applies its share and its whole; the figure over many scenes is the ratio of their
        sums.
    actions: (acceleration, curvature) of every tick up to what went wrong, or to the end of the drive. The world
        answers to actions only, so they are all that is needed to have the drive again.
    """

    scene: Scene
    tallies: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    actions: tuple[tuple[float, float], ...] = ()
    failure: Failure | None = None

    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "kind": self.scene.kind,
            "seed": self.scene.seed,
            "variant": str(self.scene.variant),
            "tallies": {name: list(tally) for name, tally in self.tallies.items()},
            "actions": [list(pair) for pair in self.actions],
        }
        if self.failure is not None:
            document["failure"] = asdict(self.failure)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Outcome:
        """The inverse of `as_json`. Raises KeyError, TypeError or ValueError for anything else."""
        failure = document.get("failure")
        return cls(
            Scene(document["kind"], document["seed"], Variant(document["variant"])),
            {name: (float(share), float(whole)) for name, (share, whole) in document["tallies"].items()},
            _pairs(document["actions"]),
            failure and Failure(failure["reason"], int(failure["tick"]), _pairs(failure["planned"])),
        )


def _pairs(rows: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(first), float(second)) for first, second in rows)
