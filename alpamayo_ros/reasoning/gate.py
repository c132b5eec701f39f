"""The gate: causal validation of every sample at run time. It judges; what becomes of a bad plan, its host decides."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from alpamayo_ros.reasoning.comfort import BOUNDS, exceeded
from alpamayo_ros.reasoning.consistency import check_consistency
from alpamayo_ros.reasoning.meta_actions import meta_actions
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.types import (
    ConsistencyVerdict,
    EgoHistory,
    GateCheck,
    GateFailure,
    GateVerdict,
    Judgement,
    PlanSample,
    Trajectory,
)

MAX_ACCELERATION = 9.8
"""m/s², either way: the bound of the released unicycle action space."""
MAX_CURVATURE = 0.2
"""1/m, either way. Ours: a circle of 5 m radius is about the tightest that a passenger car turns. The released action
space reaches farther, to 0.33 (config/alpamayo_r1_10b.json)."""
ROUNDING = 1e-4
"""m/s² or 1/m by which a value at a bound may exceed it: 9.8 as float32 is more than 9.8. Ours."""
REVERSING_SPEED = -0.12
"""m/s; below it a car reverses (the public autolabeler's bound). A stop that overshoots by less is a stop."""
START_DISTANCE = 0.3
"""m between the first waypoint and where the car is carried to in that 0.1 s. Full braking explains 0.05 m; the rest is
for speed that is known from poses. Ours."""
START_HEADING = 0.1
"""rad between the first waypoint's heading and the car's, beside what the largest curvature allows. Ours."""


def judge(sample: PlanSample, history: EgoHistory, *, may_reverse: bool = False) -> Judgement:
    """Read the words, describe the path, and pass both through the gate.

    history: the poses that the sample was planned from. may_reverse: whether reversing was asked for.
    """
    trace, actions = parse(sample.reasoning), meta_actions(sample.trajectory)
    consistency = check_consistency(trace, actions)
    failures = (
        *_motion_failures(sample.trajectory, history, may_reverse),
        *_word_failures(sample.complete, consistency),
    )
    return Judgement(trace, actions, consistency, GateVerdict(failures))


def _motion_failures(path: Trajectory, history: EgoHistory, may_reverse: bool) -> Iterator[GateFailure]:
    speed = np.linalg.norm(history.positions[-1] - history.positions[-2]) / 0.1
    backwards = history.positions[-2, 0] > 0.0
    step = float(path.times[0])
    carried = np.array([-speed if backwards else speed, 0.0]) * step
    off = float(np.linalg.norm(path.positions[0, :2] - carried))
    turned = abs(float(path.yaws[0]))
    if off > START_DISTANCE or turned > START_HEADING + MAX_CURVATURE * speed * step:
        yield GateFailure(
            GateCheck.STARTS_AT_CAR,
            f"the first waypoint is {off:.2f} m and {math.degrees(turned):.0f}° from where a car at {speed:.1f} m/s is",
        )
    if (hardest := float(np.abs(path.accelerations).max())) > MAX_ACCELERATION + ROUNDING:
        yield GateFailure(GateCheck.ACCELERATION, f"{hardest:.1f} m/s²; no car exceeds {MAX_ACCELERATION}")
    if (tightest := float(np.abs(path.curvatures).max())) > MAX_CURVATURE + ROUNDING:
        yield GateFailure(GateCheck.CURVATURE, f"{tightest:.2f} 1/m; {MAX_CURVATURE} is the most that passes")
    if not may_reverse and (slowest := float(path.speeds.min())) < REVERSING_SPEED:
        yield GateFailure(GateCheck.REVERSING, f"reverses at {-slowest:.1f} m/s, which nobody asked for")
    if worst := exceeded(path.positions, path.yaws):
        outside = (f"{name} {value:.2f} outside {BOUNDS[name][0]} … {BOUNDS[name][1]}" for name, value in worst.items())
        yield GateFailure(GateCheck.COMFORT, "; ".join(outside))


def _word_failures(complete: bool, consistency: ConsistencyVerdict) -> Iterator[GateFailure]:
    if not complete:
        yield GateFailure(GateCheck.REASONING_COMPLETE, "the model did not finish its reasoning")
    if not consistency.longitudinal.agrees:
        yield GateFailure(GateCheck.LONGITUDINAL_CONSISTENCY, consistency.longitudinal.reason)
    if not consistency.lateral.agrees:
        yield GateFailure(GateCheck.LATERAL_CONSISTENCY, consistency.lateral.reason)
