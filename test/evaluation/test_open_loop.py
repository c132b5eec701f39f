import numpy as np
import pytest

from alpamayo_ros.evaluation.drivers import Proposal, make_driver
from alpamayo_ros.evaluation.open_loop import SAMPLES, comfort_score, displacement_tallies, run_scene
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.simulation.motion import trajectory_of
from alpamayo_ros.simulation.world import Ego, Variant, drive
from alpamayo_ros.types import PlanSample, Trajectory


def straight(speed: float, acceleration: float = 0.0) -> Trajectory:
    egos = [Ego(3.0, -2.0, 0.4, speed)]
    for _ in range(64):
        egos.append(drive(egos[-1], acceleration, 0.0))
    return trajectory_of(egos[0], egos[1:])


def test_the_expert_plans_what_it_drives() -> None:
    outcome = run_scene(Scene("slow_lead", 2, Variant.NOMINAL), make_driver("expert", num_samples=1))
    share, whole = outcome.tallies["min_ade_1"]
    assert whole == 13
    assert share / whole < 1e-6
    assert "min_ade_6" not in outcome.tallies
    assert outcome.failure is None


def test_constant_velocity_is_right_for_a_while() -> None:
    scene = Scene("red_light", 0, Variant.NOMINAL)
    outcome = run_scene(scene, make_driver("constant-velocity", num_samples=1))
    errors = [outcome.tallies[f"min_ade_1_at_{horizon}s"][0] / 13 for horizon in (0.5, 1.0, 2.5, 5.0, 6.4)]
    assert errors == sorted(errors)
    assert errors[0] < 0.1 < 1.0 < errors[-1]
    assert outcome.failure is not None
    assert outcome.failure.planned


def test_six_samples_are_judged_by_the_best_and_one_by_the_first() -> None:
    speeds = (12.0, 9.0, 10.1, 8.0, 14.0, 11.0)
    proposal = Proposal(tuple(PlanSample(straight(speed), "", complete=True) for speed in speeds))
    tallies = displacement_tallies(proposal, straight(10.0).positions)
    assert len(speeds) == SAMPLES
    mean = np.arange(1, 65).mean() / 10
    assert tallies["min_ade_1"][0] == pytest.approx(2.0 * mean)
    assert tallies["min_ade_6"][0] == pytest.approx(0.1 * mean)
    assert tallies["min_ade_6"] == tallies["min_ade_6_at_6.4s"]


def test_a_trajectory_is_in_the_frame_it_starts_in() -> None:
    path = straight(10.0, acceleration=1.0)
    np.testing.assert_allclose(path.positions[:, 1:], 0.0, atol=1e-9)
    assert path.positions[0, 0] == pytest.approx(1.005)
    assert path.times[-1] == pytest.approx(6.4)


def test_a_plan_that_ends_while_it_brakes_is_comfortable() -> None:
    assert comfort_score(straight(15.0, acceleration=-1.5)) == 1.0
    assert comfort_score(straight(30.0, acceleration=-4.5)) == pytest.approx(5 / 6)
