from dataclasses import replace

import numpy as np
import pytest

from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.motion import trajectory_of
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import drive
from alpamayo_ros.training.rewards.trajectory import TrajectoryReward, crashes

L2, COLLISION, JERK = (TrajectoryReward(*weights, far=3.0) for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))


def planned(world, acceleration, curvature):
    """64 steps with the same action."""
    egos = [world.ego]
    for _ in range(64):
        egos.append(drive(egos[-1], acceleration, curvature))
    return trajectory_of(egos[0], egos[1:])


def moved(attempt, **changes):
    plan = replace(attempt.sample.trajectory, **changes)
    return replace(attempt, sample=replace(attempt.sample, trajectory=plan))


def test_the_expert_drives_its_own_way_without_a_crash(by_expert):
    assert L2.score(by_expert) == pytest.approx([0.0] * len(by_expert), abs=1e-6)
    assert COLLISION.score(by_expert) == [0.0] * len(by_expert)
    assert min(JERK.score(by_expert)) > -0.2


def test_distance_counts_up_to_a_bound(by_expert):
    positions = by_expert[0].sample.trajectory.positions
    away = [moved(by_expert[0], positions=positions + np.array([0.0, metres, 0.0])) for metres in (0.3, 1.5, 3.0, 90.0)]
    assert L2.score(away) == pytest.approx([-0.1, -0.5, -1.0, -1.0], abs=1e-6)


def test_jerk_is_the_mean_over_its_bound_of_comfort(by_expert):
    steps = np.arange(64) * 0.1
    zeros, turns = np.zeros(64), np.broadcast_to(np.eye(3), (64, 3, 3))
    smooth, jerked = (np.stack([path, zeros, zeros], axis=1) for path in (5.0 * steps, 5.0 * steps + steps**3 / 6.0))
    scores = JERK.score([moved(by_expert[0], positions=one, rotations=turns) for one in (smooth, jerked)])
    assert scores[0] == pytest.approx(0.0, abs=1e-6)
    assert scores[1] == pytest.approx(-1.0 / 8.37, rel=1e-3)


def test_who_does_not_yield_crashes_and_who_does_not_steer_leaves_the_road():
    worlds = drive_expert(build("jaywalker", 0, "nominal")).worlds
    keeps = [crashes(world, planned(world, 0.0, 0.0)) for world in worlds[20:120:20]]
    assert any(keeps)
    assert not all(keeps), "past the pedestrian the road is free"
    assert not any(
        crashes(worlds[tick], trajectory_of(worlds[tick].ego, [w.ego for w in worlds[tick + 1 : tick + 65]]))
        for tick in range(20, 120, 40)
    )
    bend = drive_expert(build("sharp_curve", 0, "nominal")).worlds[20]
    assert crashes(bend, planned(bend, 0.0, 0.0))
    assert crashes(bend, planned(bend, 0.0, 0.05)), "off to the side at once"


def test_a_hit_from_behind_is_not_the_planners_fault():
    world = drive_expert(build("slow_lead", 0, "nominal"), ticks=30).worlds[-1].copy()
    [lead] = [actor for actor in world.actors if actor.x > world.ego.x][:1]
    lead.reacts, lead.desired, lead.speed, lead.accelerates = False, 25.0, 25.0, 9.0
    lead.s -= np.hypot(lead.x - world.ego.x, lead.y - world.ego.y) + 20.0
    lead.settle()
    world.actors = [lead]
    assert not crashes(world, planned(world, 0.0, 0.0))


def test_what_is_off_is_not_driven(by_expert, monkeypatch):
    monkeypatch.setattr("alpamayo_ros.training.rewards.trajectory.advance", None)
    assert L2.score(by_expert[:1]) == pytest.approx([0.0], abs=1e-6)
