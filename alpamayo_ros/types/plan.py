"""What the policy answers: K sampled trajectories, each with its Chain of Causation and what was found about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alpamayo_ros.types.judgement import Judgement


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Waypoints in the ego frame at t0 (x forward, y left, z up); N = 64 at t0 + 0.1 … t0 + 6.4 s.

    times: (N,) seconds after t0.
    positions: (N, 3) metres.
    rotations: (N, 3, 3) ego-at-that-time to ego-at-t0.
    speeds: (N,) m/s at the waypoint; negative when reversing.
    accelerations: (N,) m/s², over the interval that ends at the waypoint.
    curvatures: (N,) 1/m, over the same interval; positive to the left.
    """

    times: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray
    speeds: np.ndarray
    accelerations: np.ndarray
    curvatures: np.ndarray

    @property
    def yaws(self) -> np.ndarray:
        """(N,) heading in radians, positive to the left."""
        return np.arctan2(self.rotations[:, 1, 0], self.rotations[:, 0, 0])

    @property
    def yaw_rates(self) -> np.ndarray:
        """(N,) rad/s at the waypoint: speed times curvature."""
        return self.speeds * self.curvatures


@dataclass(frozen=True, eq=False)
class PlanSample:
    """One sampled trajectory and the reasoning that led to it.

    reasoning: the Chain of Causation as the model wrote it.
    complete: whether the model itself ended its reasoning and began the trajectory. When False the token limit or
        the end of the turn came first, and the trajectory was decoded without that signal.
    """

    trajectory: Trajectory
    reasoning: str
    complete: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """All samples for one observation.

    judgements: one for each sample.
    selected: index of the sample to drive; `selection` says by which rule.
    latencies_ms: wall time by stage.
    model, revision: where the weights came from.
    """

    t0_ns: int
    samples: tuple[PlanSample, ...]
    judgements: tuple[Judgement, ...]
    selected: int
    selection: str
    seed: int
    model: str
    revision: str
    latencies_ms: dict[str, float] = field(default_factory=dict)

    @property
    def chosen(self) -> PlanSample:
        return self.samples[self.selected]

    @property
    def judgement(self) -> Judgement:
        """Of the chosen sample."""
        return self.judgements[self.selected]
