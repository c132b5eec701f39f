"""The driver that gets its plans over topics: what it drives, and what ends its wait."""

import time
from contextlib import contextmanager

import numpy as np
import pytest
from fake_planner import FakePlanner, constant_plan, nanoseconds
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import SCENE, T0, simulated

from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.evaluation.closed_loop import WARM_UP, drive_policy
from alpamayo_ros.nodes import topic_driver
from alpamayo_ros.nodes.topic_driver import BRAKING, JERK, NoPlanError, TopicDriver, stop
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.world import Ego
from alpamayo_ros.simulation.world import drive as advance_ego
from alpamayo_ros.types.rig import DEFAULT_ROLES


@contextmanager
def driven_over_topics(domain, answer, plans=3, **options):
    """A driver that talks to a fake planner, the planner, and a reference of so many plans."""
    with FakePlanner(domain, DEFAULT_ROLES, answer) as planner, simulated(domain) as (node, feed):
        driver = TopicDriver(node, feed, timeout=options.pop("timeout", 20.0), **options)
        driver.wait_for_planner()
        feed.begin(EPOCH_NS)
        yield driver, planner, drive_expert(SCENE.build(), ticks=WARM_UP + plans)


def test_who_waits_for_a_planner_says_what_lacks(ros_domain: int, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    """As where its model takes whichever cameras there are, and the car has fewer than the rig."""
    monkeypatch.setattr(topic_driver, "TELL_S", 0.1)
    end = time.monotonic() + 2.0

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError

    with (
        FakePlanner(ros_domain, DEFAULT_ROLES[:1], constant_plan),
        simulated(ros_domain) as (node, feed),
        pytest.raises(TimeoutError),
    ):
        TopicDriver(node, feed, timeout=20.0, check=check).wait_for_planner()
    unheard = ", ".join(f"/camera/{role.label}/image_raw" for role in DEFAULT_ROLES[1:])
    assert f"waiting for the planner: nobody listens to {unheard}\n" in capfd.readouterr().err


def test_in_lockstep_every_state_is_published_and_every_plan_is_driven(ros_domain: int) -> None:
    answers = []
    with driven_over_topics(ros_domain, lambda stamp: constant_plan(stamp, 0.5, 0.01), on_answer=answers.append) as (
        driver,
        planner,
        reference,
    ):
        driven, _ = drive_policy(reference, driver)
        stamps = [EPOCH_NS + tick * TICK_NS for tick in range(WARM_UP + 3)]
        for role in DEFAULT_ROLES:
            assert planner.stamps(f"/camera/{role.label}/image_raw") == stamps
        odometry = planner.stamps("/odom")
        assert set(np.diff(odometry)) == {20_000_000}, "50 Hz without a gap"
        assert odometry[-1] == stamps[-1]
        clocks = [nanoseconds(message.clock) for message in planner.heard["/clock"]]
        assert clocks == sorted(clocks)
        pose = planner.heard["/odom"][-1].pose.pose.position
    assert (pose.x, pose.y) == (driven[-2].ego.x, driven[-2].ego.y)
    assert [answer.world.tick for answer in answers] == [WARM_UP, WARM_UP + 1, WARM_UP + 2]
    expected = driven[WARM_UP].ego
    for world in driven[WARM_UP + 1 :]:
        expected = advance_ego(expected, float(np.float32(0.5)), float(np.float32(0.01)))
        assert world.ego == expected


def test_a_plan_that_is_held_back_is_not_driven(ros_domain: int) -> None:
    def answer(stamp):
        plan = constant_plan(stamp, 3.0)
        plan.held_back = True
        return plan

    with driven_over_topics(ros_domain, answer) as (driver, _, reference):
        driven, _ = drive_policy(reference, driver)
    assert [world.ego.acceleration for world in driven[WARM_UP + 1 :]] == sorted(
        (world.ego.acceleration for world in driven[WARM_UP + 1 :]), reverse=True
    )
    assert driven[-1].ego.acceleration < 0.0


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 40.0), st.floats(-BRAKING, 4.0), st.floats(-0.05, 0.05))
def test_the_stop_is_comfortable_and_comes_to_an_end(speed: float, acceleration: float, curvature: float) -> None:
    way = stop(Ego(0.0, 0.0, 0.0, speed, acceleration, curvature), 300)
    assert way.speeds[-1] == 0.0, "after 30 s"
    assert (np.diff(way.speeds) <= 0.0).all()
    assert (way.accelerations >= -BRAKING - 1e-9).all()
    # From an acceleration the foot goes off the pedal at once; from there on the brake is pressed gently.
    moving = way.accelerations[way.speeds > 0.0]
    pressed = np.diff(np.concatenate([[min(acceleration, 0.0)], moving]))
    assert (pressed >= -JERK * 0.1 - 1e-9).all()


def test_without_a_plan_the_reason_is_told(ros_domain: int) -> None:
    said = ("camera front_wide_120", "its picture is black")
    with (
        driven_over_topics(ros_domain, lambda stamp: said, timeout=3.0) as (driver, _, reference),
        pytest.raises(NoPlanError, match=f"^no plan for t0 = {T0} ns within 3 s: camera front_wide_120: .* black$"),
    ):
        drive_policy(reference, driver)


def test_a_refusal_of_the_time_that_is_waited_for_ends_the_drive_at_once(ros_domain: int) -> None:
    def answer(stamp):
        return "ego", f"poses have a gap of 300 ms within the history at t0 = {nanoseconds(stamp)} ns"

    begin = time.monotonic()
    with (
        driven_over_topics(ros_domain, answer, timeout=300.0) as (driver, _, reference),
        pytest.raises(NoPlanError, match=f"refuses it: ego: poses have a gap .* t0 = {T0} ns"),
    ):
        drive_policy(reference, driver)
    assert time.monotonic() - begin < 100.0


@pytest.mark.parametrize("waypoints", [0, 1])
def test_a_plan_that_is_too_short_is_not_driven(ros_domain: int, waypoints: int) -> None:
    with (
        driven_over_topics(
            ros_domain, lambda stamp: constant_plan(stamp, 0.0, waypoints=waypoints), ticks_per_plan=2
        ) as (driver, _, reference),
        pytest.raises(NoPlanError, match="cannot be driven: .*waypoints"),
    ):
        drive_policy(reference, driver)


def test_what_ends_the_planner_ends_the_wait(ros_domain: int) -> None:
    asked = []

    def answer(stamp):
        asked.append(stamp)

    def check() -> None:
        if asked:
            raise RuntimeError("it is gone")

    with (
        driven_over_topics(ros_domain, answer, check=check) as (driver, _, reference),
        pytest.raises(RuntimeError, match="it is gone"),
    ):
        drive_policy(reference, driver)
