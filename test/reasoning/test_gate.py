"""The gate: each check fails for what it is there for, and for nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from alpamayo_ros.reasoning.gate import judge
from alpamayo_ros.types import EgoHistory, GateCheck, PlanSample, Trajectory

TIMES = 0.1 * np.arange(1, 65)
WORDS = "Keep the current speed and lane since the lane ahead is clear."


def history_of(speed: float) -> EgoHistory:
    positions = np.zeros((16, 3))
    positions[:, 0] = speed * 0.1 * np.arange(-15, 1)
    return EgoHistory(positions, np.broadcast_to(np.eye(3), (16, 3, 3)).copy())


def straight(speeds: np.ndarray, first: float) -> Trajectory:
    """Along x; `first` is the speed at t0."""
    both = np.concatenate([[first], speeds])
    positions = np.zeros((64, 3))
    positions[:, 0] = np.cumsum((both[1:] + both[:-1]) * 0.05)
    return Trajectory(TIMES, positions, np.tile(np.eye(3), (64, 1, 1)), speeds, np.diff(both) * 10, np.zeros(64))


def failed(path: Trajectory, *, speed: float = 10.0, words: str = WORDS, complete: bool = True, **options) -> set:
    verdict = judge(PlanSample(path, words, complete), history_of(speed), **options).gate
    assert verdict.passed == (not verdict.failures)
    assert all(failure.reason for failure in verdict.failures)
    return {failure.check for failure in verdict.failures}


def steady(speed: float = 10.0) -> Trajectory:
    return straight(np.full(64, speed), speed)


@pytest.mark.parametrize("speed", [3.0, 10.0, 30.0])
def test_a_sound_plan_passes(speed):
    assert failed(steady(speed), speed=speed) == set()


def test_it_must_start_where_the_car_is():
    assert failed(steady(14.0), speed=10.0) == {GateCheck.STARTS_AT_CAR}
    aside = dataclasses.replace(steady(), positions=steady().positions + np.array([0.0, 0.5, 0.0]))
    assert GateCheck.STARTS_AT_CAR in failed(aside)


def test_bounds_of_acceleration_and_curvature():
    path = steady()
    hard = path.accelerations.copy()
    hard[30] = -9.9
    assert failed(dataclasses.replace(path, accelerations=hard)) == {GateCheck.ACCELERATION}
    tight = path.curvatures.copy()
    tight[30] = 0.21
    assert failed(dataclasses.replace(path, curvatures=tight)) == {GateCheck.CURVATURE}


def test_a_float32_at_a_bound_is_within_it():
    path = steady()
    hard, tight = path.accelerations.astype(np.float32), path.curvatures.astype(np.float32)
    hard[30], tight[30] = -9.8, 0.2
    assert float(abs(hard[30])) > 9.8
    assert float(tight[30]) > 0.2
    assert failed(dataclasses.replace(path, accelerations=hard)) == set()
    assert failed(dataclasses.replace(path, curvatures=tight)) == set()
    hard[30], tight[30] = 9.801, -0.201
    assert failed(dataclasses.replace(path, accelerations=hard)) == {GateCheck.ACCELERATION}
    assert failed(dataclasses.replace(path, curvatures=tight)) == {GateCheck.CURVATURE}


def test_reversing_needs_leave():
    speeds = np.linspace(0.0, -1.0, 64)
    assert GateCheck.REVERSING in failed(straight(speeds, 0.0), speed=0.0)
    assert GateCheck.REVERSING not in failed(straight(speeds, 0.0), speed=0.0, may_reverse=True)
    assert GateCheck.REVERSING not in failed(straight(np.full(64, -0.05), 0.0), speed=0.0)


def test_comfort_names_the_quantity():
    path = straight(np.maximum(10.0 - 6.0 * TIMES, 0.0), 10.0)
    words = "Stop since the traffic light is red."
    verdict = judge(PlanSample(path, words, True), history_of(10.0)).gate
    assert [failure.check for failure in verdict.failures] == [GateCheck.COMFORT]
    assert "lon_accel -6.00 outside -4.05" in verdict.failures[0].reason


def test_words_and_motion_must_agree():
    stop = "Stop since the traffic light is red."
    assert failed(steady(), words=stop) == {GateCheck.LONGITUDINAL_CONSISTENCY}
    turn = "Turn left since the left-turn arrow is green."
    assert GateCheck.LATERAL_CONSISTENCY in failed(steady(), words=turn)
    both = {GateCheck.LONGITUDINAL_CONSISTENCY, GateCheck.LATERAL_CONSISTENCY}
    assert failed(steady(), words="") == both
    assert failed(steady(), complete=False) == {GateCheck.REASONING_COMPLETE}
