"""The planner over real topics: what goes in, what comes out, and what each fault of the inputs leads to."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from alpamayo_ros.msg import DrivingPlan
from car import FRONT, RIG, ROLES, START, TICK, Car, Wire, coast, drive, jpeg, parameters, scenery, t0_of, wait_until
from nav_msgs.msg import Path as Path_
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import String
from straight_policy import StraightPolicy
from trajectory_msgs.msg import MultiDOFJointTrajectory
from visualization_msgs.msg import MarkerArray

from alpamayo_ros.nodes import planner, sensors, views
from alpamayo_ros.nodes.planner import PlannerNode
from alpamayo_ros.nodes.rig_profile import RigError, TfSource
from alpamayo_ros.policy import DrivingPolicy

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
VIEWS = {
    "path": Path_,
    "path_in_odom": Path_,
    "trajectory": MultiDOFJointTrajectory,
    "reasoning": String,
    "samples": PointCloud2,
    "markers": MarkerArray,
    "overlay": Image,
}
SECOND = 1_000_000_000
WARM = 16
"""Ticks until the history is whole."""


class Bench:
    """A planner of known answers, active, and a car that it hears."""

    def __init__(self, folder: Path, policy: StraightPolicy, raw: bool = False, namespace: str = "", **options) -> None:
        cameras = {
            label: {**camera, "transport": "raw" if raw else "compressed"} for label, camera in RIG["cameras"].items()
        }
        rig = folder / "rig.yaml"
        rig.write_text(yaml.safe_dump({**RIG, "cameras": cameras}))
        self.policy = policy
        overrides = parameters(str(rig), diagnostics_period=0.1, **options)
        self.node = PlannerNode(namespace=namespace, parameter_overrides=overrides)
        self.car = Car(raw, self.node.get_fully_qualified_name())
        assert self.node.trigger_configure().name == "SUCCESS"
        assert self.node.trigger_activate().name == "SUCCESS"
        self.wire = Wire(self.node, self.car.node)
        assert wait_until(lambda: self.car.node.count_subscribers("/odom") and self.car.diagnostics)

    def warm_up(self) -> None:
        """Drive until the history is whole."""
        coast(self.car, WARM - 1)
        assert drive(self.car, 1) == [self.car.now]
        self.car.forget()

    def close(self) -> None:
        self.wire.close()
        self.node.trigger_shutdown()
        self.node.destroy_node()
        self.car.node.destroy_node()


@pytest.fixture
def bench(tmp_path, ros_domain, monkeypatch):
    """Makes a Bench; closes it in the end."""
    made: list[Bench] = []

    def make(
        raw: bool = False,
        seconds: float = 0.0,
        takes_navigation: bool = False,
        words: str | None = None,
        namespace: str = "",
        **options,
    ):
        policy = StraightPolicy(seconds=seconds, takes_navigation=takes_navigation)
        policy.words = policy.words if words is None else words
        monkeypatch.setattr(DrivingPolicy, "from_pretrained", lambda *_, **__: policy)
        made.append(Bench(tmp_path, policy, raw, namespace, **options))
        return made[-1]

    rclpy.init(domain_id=ros_domain)
    yield make
    for each in made:
        each.close()
    rclpy.shutdown()


def test_every_t0_is_planned_with_what_belongs_to_it(bench):
    it = bench()
    it.warm_up()
    assert drive(it.car, 10) == [START + tick * TICK for tick in range(WARM + 1, WARM + 11)]
    plan = it.car.plans[-1]
    assert plan.header.frame_id == "base_link"
    assert (plan.ego_pose.header.frame_id, plan.ego_pose.header.stamp) == ("odom", plan.header.stamp)
    assert plan.ego_pose.pose.position.x == pytest.approx(8.0 * (WARM + 10) * 0.1, abs=1e-6)
    assert [camera.role for camera in plan.cameras] == [0, 1, 2, 6]
    assert plan.gate.passed
    assert plan.samples[0].reasoning.text == it.policy.words
    observation = it.policy.seen[-1]
    newest = START + (WARM + 10) * TICK
    for camera in observation.cameras:
        assert camera.stamps_ns.tolist() == [newest - i * TICK for i in (3, 2, 1, 0)]
        for frame, tick in zip(camera.images, range(WARM + 7, WARM + 11), strict=True):
            assert np.abs(frame.astype(int) - scenery(camera.role, tick)).mean() < 30
    np.testing.assert_allclose(observation.ego_history.positions[:, 0], 0.8 * np.arange(-15, 1), atol=1e-5)


def test_raw_pictures_arrive_to_the_bit(bench):
    it = bench(raw=True)
    it.warm_up()
    drive(it.car, 1)
    for camera in it.policy.seen[-1].cameras:
        np.testing.assert_array_equal(camera.images[-1], scenery(camera.role, WARM + 1))


def test_all_views_of_a_plan_are_published(bench):
    it = bench(num_samples=2)
    heard: dict[str, list] = {name: [] for name in VIEWS}
    for name, kind in VIEWS.items():
        it.car.node.create_subscription(kind, f"/alpamayo_planner/{name}", heard[name].append, 10)
    it.warm_up()
    drive(it.car, 2)
    plan = it.car.plans[-1]
    stamped = [name for name in VIEWS if name not in ("reasoning", "markers")]
    assert wait_until(
        lambda: all(heard[name] and heard[name][-1].header.stamp == plan.header.stamp for name in stamped)
    )
    assert wait_until(lambda: heard["reasoning"] and heard["markers"])
    end = plan.samples[0].waypoints[-1].pose.position.x
    assert heard["path"][-1].header.frame_id == "base_link"
    assert heard["path"][-1].poses[-1].pose.position.x == pytest.approx(end)
    assert heard["path_in_odom"][-1].header.frame_id == "odom"
    assert heard["path_in_odom"][-1].poses[-1].pose.position.x == pytest.approx(end + plan.ego_pose.pose.position.x)
    assert len(heard["trajectory"][-1].points) == 64
    assert heard["reasoning"][-1].data == it.policy.words
    assert heard["samples"][-1].width * heard["samples"][-1].height == 128
    assert any(it.policy.words[:30] in marker.text.replace("\n", " ") for marker in heard["markers"][-1].markers)
    assert (heard["overlay"][-1].encoding, heard["overlay"][-1].width) == ("rgb8", 960)


# ---------------------------------------------------------------- faults


def stopped(car: Car) -> None:
    car.copies = lambda role, tick: int(role != FRONT)


def black(car: Car) -> None:
    car.picture = lambda role, tick: scenery(role, tick) * (role != FRONT)


def frozen(car: Car) -> None:
    car.picture = lambda role, tick: scenery(role, 1 if role == FRONT else tick)


def late(car: Car) -> None:
    car.stamp = lambda role, tick: car.now - (200_000_000 if role == FRONT else 0)


def truncated(car: Car) -> None:
    car.data = lambda picture: jpeg(picture)[: len(jpeg(picture)) * 2 // 3]


def resized(car: Car) -> None:
    car.picture = lambda role, tick: scenery(role, tick)[:: 1 + (role == FRONT), ::1]


def not_finite(car: Car) -> None:
    car.pose = lambda ns: (np.nan, 0, 0, 0, 0, 0, 1)


def not_running(car: Car) -> None:
    car.odometry_runs = lambda ns: False


WHOLE_HISTORY = 1.5  # s that poses must reach back once they are sound again


@pytest.mark.parametrize(
    ("fault", "reasons", "memory"),
    [
        (stopped, {"camera_late", "camera_out_of_step"}, 0.3),
        (black, {"camera_black"}, 0.3),
        (frozen, {"camera_frozen"}, 0.3),
        (late, {"camera_late", "camera_out_of_step", "camera_duplicate"}, 0.3),
        (truncated, {"camera_damaged"}, 0.3),
        (not_finite, {"ego_not_finite", "ego_late", "ego_gap", "ego_short"}, WHOLE_HISTORY),
        (not_running, {"ego_late", "ego_gap", "ego_short"}, WHOLE_HISTORY),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_refused_with_its_reason_and_plans_come_back(bench, fault, reasons, memory):
    it = bench()
    it.warm_up()
    sound = dict(vars(it.car))
    fault(it.car)
    begin = it.car.now
    during = coast(it.car, 8, pause=0.12)
    assert [t0 for t0 in during if t0 > begin + TICK] == []
    assert wait_until(lambda: set(it.car.refused()) & reasons), it.car.refused()
    assert it.car.status("planning").level != b"\x00"
    for name in ("picture", "stamp", "data", "copies", "pose", "odometry_runs"):
        setattr(it.car, name, sound[name])
    over = it.car.now
    after = coast(it.car, round(memory * 10) + 2, pause=0.12)
    after += drive(it.car, 5)
    assert after, it.car.refused()
    # The model's window over the fault has to pass: 0.3 s of frames, 1.5 s of poses. From then on at once.
    assert after[0] <= over + round(memory * SECOND) + SECOND
    assert after[-5:] == [it.car.now - i * TICK for i in (4, 3, 2, 1, 0)]
    assert set(it.car.refused()) <= reasons
    assert wait_until(lambda: it.car.status("planning").message == "planning", 4.0)


def test_frames_that_come_twice_or_in_disorder_change_nothing(bench):
    it = bench()
    it.car.copies = lambda role, tick: 2
    it.warm_up()
    assert len(drive(it.car, 5)) == 5
    assert wait_until(lambda: it.car.refused().get("camera_duplicate", 0) >= 4 * 5)
    # Two frames swap places on the wire: the one of this tick comes before that of the tick before.
    it.car.copies = lambda role, tick: 1 if role != FRONT or tick % 2 == 0 else 0
    step = it.car.step

    def swapped() -> None:
        step()
        if it.car.tick % 2 == 0:
            it.car.tick -= 1
            missed = it.car._message(FRONT)
            it.car.tick += 1
            missed.header.stamp.sec, missed.header.stamp.nanosec = divmod(it.car.now - TICK, SECOND)
            it.car._cameras[FRONT].publish(missed)

    it.car.step = swapped
    # The frame of an odd tick is missing until the next, even one brings it; then the newest t0 can be planned.
    planned = [t0 for _ in range(6) for t0 in (*drive(it.car, 1), *coast(it.car, 1))]
    assert len(planned) >= 5
    assert planned == sorted(set(planned))
    assert set(it.car.refused()) <= {"camera_duplicate", "camera_out_of_step"}


def test_another_size_in_flight_is_refused_until_it_is_settled(bench):
    it = bench()
    it.warm_up()
    resized(it.car)
    assert coast(it.car, 3, pause=0.15) == []
    assert len(drive(it.car, 5)) == 5
    assert wait_until(lambda: set(it.car.refused()) == {"camera_resized"}), it.car.refused()


def test_an_encoding_that_nobody_reads_is_named(bench):
    it = bench(raw=True)
    it.car.encoding = "32FC3"
    assert coast(it.car, WARM + 2) == []
    assert wait_until(lambda: "camera_encoding" in it.car.refused())
    assert "32FC3" in " ".join(status.message for array in it.car.diagnostics for status in array.status)


def test_a_jump_of_the_ego_pose_starts_the_history_anew(bench):
    it = bench()
    it.warm_up()
    where = it.car.pose
    it.car.pose = lambda ns: (where(ns)[0] + 50.0, *where(ns)[1:])
    jumped = it.car.now
    planned = coast(it.car, 18, pause=0.1) + drive(it.car, 2)
    assert it.car.refused()["ego_jump"] == 1
    assert planned[0] <= jumped + round((WHOLE_HISTORY + 0.2) * SECOND)
    assert planned[-1] == it.car.now
    for observation in it.policy.seen:
        assert np.abs(np.diff(observation.ego_history.positions[:, 0])).max() < 1.0


def test_poses_of_another_frame_than_the_base_are_refused(bench, capfd):
    it = bench()
    it.warm_up()
    it.car.base = "gnss_antenna"
    assert [t0 for t0 in coast(it.car, 8, pause=0.12) if t0 > START + (WARM + 1) * TICK] == []
    assert wait_until(lambda: {"ego_frame", "ego_late"} <= set(it.car.refused()))
    assert it.car.status("ego").level == b"\x01"
    assert "/odom has the poses of 'gnss_antenna' (child_frame_id)" in capfd.readouterr().err
    it.car.base = "base_link"
    coast(it.car, WARM + 2)
    assert drive(it.car, 3)[-3:] == [it.car.now - i * TICK for i in (2, 1, 0)]


def test_time_set_back_to_the_start_is_a_new_beginning(bench):
    it = bench()
    it.warm_up()
    it.car.now, it.car.tick = START - 500 * TICK, 0
    again = it.car.now
    planned = coast(it.car, WARM + 3, pause=0.1) + drive(it.car, 2)
    assert planned[-1] == it.car.now
    assert planned[0] <= again + 18 * TICK
    assert it.car.refused()["time_jump"] == 1


def test_stamps_of_another_clock_are_refused_with_a_hint(bench):
    it = bench()
    it.car._clock.publish = lambda message: None  # nobody publishes /clock, and use_sim_time is set
    assert coast(it.car, WARM + 2) == []
    assert wait_until(lambda: "nobody publishes /clock" in it.car.status("planning").message)


def test_when_planning_takes_too_long_the_newest_t0_wins(bench):
    it = bench(seconds=0.25)
    it.warm_up()
    for _ in range(30):
        it.car.step()
        time.sleep(0.1)
    assert wait_until(lambda: it.car.plans and t0_of(it.car.plans[-1]) >= it.car.now - 3 * TICK)
    t0s = [t0_of(plan) for plan in it.car.plans]
    skipped = [plan.skipped for plan in it.car.plans]
    assert all(b > a for a, b in pairwise(t0s))
    assert skipped[1:] == [(b - a) // TICK - 1 for a, b in pairwise(t0s)]
    assert sum(skipped) >= 10
    assert it.car.refused() == {}


def test_a_subscriber_that_never_reads_does_not_hold_the_planner_up(bench):
    it = bench()
    deaf = rclpy.create_node("deaf")
    deaf.create_subscription(DrivingPlan, "/alpamayo_planner/plan", lambda _: None, 1)  # and nobody spins it
    try:
        it.warm_up()
        planned = drive(it.car, 30)
    finally:
        deaf.destroy_node()
    assert len(planned) == 30


# ---------------------------------------------------------------- gate, navigation, parameters, lifecycle


def test_a_plan_that_contradicts_itself_is_flagged_or_held_back(bench):
    it = bench(words="Stop since the traffic light is red.")
    it.warm_up()
    plan = it.car.plans[-1]
    assert (plan.gate.passed, plan.held_back) == (False, False)
    assert [failure.check for failure in plan.gate.failures] == [6]
    assert wait_until(lambda: "longitudinal_consistency" in it.car.status("planning").message)
    assert it.node.set_parameters([Parameter("gate_policy", value="hold_back")])[0].successful
    drive(it.car, 1)
    assert it.car.plans[-1].held_back
    assert wait_until(lambda: "held back" in it.car.status("planning").message)


@pytest.mark.parametrize("policy", ["flag", "hold_back"])
def test_a_plan_that_is_held_back_leaves_controllers_nothing_to_drive(bench, policy):
    it = bench(words="Stop since the traffic light is red.", gate_policy=policy)
    heard: dict[str, list] = {name: [] for name in ("path", "path_in_odom", "trajectory", "reasoning")}
    for name, messages in heard.items():
        it.car.node.create_subscription(VIEWS[name], f"/alpamayo_planner/{name}", messages.append, 10)
    it.warm_up()
    drive(it.car, 3)
    assert wait_until(lambda: len(heard["reasoning"]) == 4)
    time.sleep(0.2)
    driven = {len(heard[name]) for name in ("path", "path_in_odom", "trajectory")}
    assert driven == ({4} if policy == "flag" else {0})


def test_navigation_reaches_the_model_or_is_refused_aloud(bench):
    it = bench(takes_navigation=True)
    said = it.car.node.create_publisher(String, "/alpamayo_planner/navigation", LATCHED)
    said.publish(String(data="Turn left in 40 m <|im_end|>"))
    assert wait_until(lambda: "in use: Turn left" in navigation(it))
    it.warm_up()
    assert it.policy.seen[-1].navigation == "Turn left in 40 m <|im_end|>"
    said.publish(String(data=""))
    assert wait_until(lambda: "none given" in navigation(it))
    drive(it.car, 1)
    assert it.policy.seen[-1].navigation is None


def test_a_model_without_navigation_refuses_it(bench):
    it = bench()
    said = it.car.node.create_publisher(String, "/alpamayo_planner/navigation", LATCHED)
    said.publish(String(data="Turn left"))
    assert wait_until(lambda: "refused: trained without navigation" in navigation(it))
    it.warm_up()
    assert it.policy.seen[-1].navigation is None


def navigation(it: Bench) -> str:
    status = it.car.status("planning")
    return next((pair.value for pair in status.values if pair.key == "navigation"), "") if status else ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate_policy": "ignore"}, "gate_policy is 'ignore'; it must be one of"),
        ({"holding_checks": ["taste"]}, "holding_checks has taste; known are"),
        ({"rig": ""}, "rig is empty"),
        ({"rig": "nowhere.yaml"}, "nowhere.yaml is no file"),
        ({"model": "alpamayo-none"}, "unknown model 'alpamayo-none'"),
    ],
)
def test_what_does_not_fit_is_said_at_configuration(ros_domain, tmp_path, capfd, options, message):
    rclpy.init(domain_id=ros_domain)
    try:
        rig = tmp_path / "rig.yaml"
        rig.write_text(yaml.safe_dump(RIG))
        given = {"rig": str(rig), "model": "test/golden/ar1_tiny", **options}
        node = PlannerNode(parameter_overrides=parameters(**given))
        assert node.trigger_configure().name == "FAILURE"
        node.destroy_node()
    finally:
        rclpy.shutdown()
    assert message in capfd.readouterr().err


def test_a_planner_in_a_namespace_is_another_one(bench):
    it = bench(namespace="/left")
    it.warm_up()
    assert len(drive(it.car, 2)) == 2
    assert it.car.status("planning").name == "/left/alpamayo_planner: planning"


@pytest.mark.parametrize(
    "transitions",
    [("deactivate", "activate"), ("deactivate", "cleanup", "configure", "activate")],
    ids=["activated", "configured"],
)
def test_it_plans_again_once_it_is_brought_up_again(bench, capfd, transitions):
    it = bench()
    it.warm_up()
    it.wire.close()
    for name in transitions:
        assert getattr(it.node, f"trigger_{name}")().name == "SUCCESS"
    it.wire = Wire(it.node, it.car.node)
    assert wait_until(lambda: it.car.node.count_subscribers("/odom"))
    it.car.now += 10 * SECOND
    coast(it.car, WARM + 2)
    assert drive(it.car, 3)[-3:] == [it.car.now - i * TICK for i in (2, 1, 0)]
    assert len([line for line in capfd.readouterr().err.splitlines() if line.endswith(": planning")]) == 2


def test_an_activation_that_fails_leaves_no_subscription(bench, monkeypatch):
    it = bench()
    it.wire.close()
    assert it.node.trigger_deactivate().name == "SUCCESS"

    class NoPoses:
        def __init__(self, *_) -> None:
            raise RigError("tf2_ros is not installed")

    monkeypatch.setattr(sensors, "TfPoses", NoPoses)
    it.node._rig = replace(it.node._rig, ego=TfSource("odom", "base_link"))
    assert it.node.trigger_activate().name == "FAILURE"
    assert not any(it.node.count_subscribers(f"/{role.label}") for role in ROLES)
    it.wire = Wire(it.node, it.car.node)


def test_a_source_that_fell_silent_is_an_error(bench):
    it = bench()
    it.warm_up()
    assert it.car.status("ego").level != b"\x02"
    assert wait_until(lambda: it.car.status("ego").message.startswith("nothing for 1."))
    assert it.car.status("ego").level == b"\x02"
    drive(it.car, 1)
    assert wait_until(lambda: it.car.status("ego").level != b"\x02")


def test_poses_in_another_frame_are_a_new_beginning_and_no_plan_mixes_them(bench):
    it = bench(seconds=0.3)
    it.warm_up()
    it.car.step()  # planned from poses in odom; while that lasts, the localisation changes
    assert wait_until(lambda: it.policy.seen[-1].t0_ns == it.car.now)
    before, it.car.frame = it.car.now, "map"
    coast(it.car, WARM + 2, pause=0.1)
    drive(it.car, 1)
    frames = {t0_of(plan): plan.ego_pose.header.frame_id for plan in it.car.plans}
    assert frames[before] == "odom"
    assert frames[it.car.now] == "map"
    assert all(frame == ("odom" if t0 <= before else "map") for t0, frame in frames.items())
    assert it.car.refused()["ego_jump"] == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_planning_thread_is_told_before_the_node_ends(bench):
    it = bench()
    it.warm_up()
    it.wire.close()
    it.wire = Wire(it.car.node)
    executor = SingleThreadedExecutor()
    executor.add_node(it.node)

    def broken(*_, **__) -> None:
        raise RuntimeError("the GPU fell off the bus")

    it.policy.plan = broken
    it.car.step()
    with pytest.raises(RuntimeError, match="the planning thread has ended"):
        spin_for(executor, 10.0)
    assert wait_until(lambda: "RuntimeError: the GPU fell off the bus" in it.car.status("planning").message)
    assert it.car.status("planning").level == b"\x02"
    executor.shutdown()


def test_what_cannot_be_drawn_costs_no_plan(bench, monkeypatch, capfd):
    it = bench()
    it.car.node.create_subscription(MarkerArray, "/alpamayo_planner/markers", lambda _: None, 10)

    def broken(*_, **__) -> None:
        raise ValueError("no such colour")

    monkeypatch.setattr(views, "markers", broken)
    it.warm_up()
    assert len(drive(it.car, 3)) == 3
    assert wait_until(lambda: it.node._outlets._is_heard("markers"))
    assert len(drive(it.car, 2)) == 2
    assert capfd.readouterr().err.count("ValueError: no such colour") == 1


def test_whole_numbers_will_do_for_floats(bench):
    it = bench(temperature=0, top_p=1)
    assert (it.node.plan_options()["temperature"], it.node.plan_options()["top_p"]) == (0.0, 1.0)
    assert it.node.set_parameters([Parameter("temperature", value=1)])[0].successful
    assert it.node.plan_options()["temperature"] == 1.0
    assert it.node.set_parameters([Parameter("temperature", value=-1.0)])[0].successful
    assert it.node.plan_options()["temperature"] is None
    assert it.node.set_parameters([Parameter("temperature", value=1.0)])[0].successful
    found = it.node.set_parameters([Parameter("temperature", value=11)])[0]
    assert (found.successful, found.reason) == (False, "temperature is 11.0; it must be -1.0 … 10.0")
    assert not it.node.set_parameters([Parameter("temperature", value="hot")])[0].successful
    assert it.node.plan_options()["temperature"] == 1.0


@pytest.mark.parametrize("given", ["num_samples:=many", "temperature:=-1.5"])
def test_a_parameter_that_nobody_can_use_is_one_line_and_status_1(ros_domain, monkeypatch, capfd, given):
    monkeypatch.setattr(sys, "argv", ["planner", "--ros-args", "-p", given])
    with pytest.raises(SystemExit) as ended:
        planner.main()
    assert ended.value.code == 1
    said = capfd.readouterr().err
    assert "Traceback" not in said
    (line,) = said.strip().splitlines()
    assert "FATAL" in line
    assert given.split(":")[0] in line


def spin_for(executor: SingleThreadedExecutor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)


@pytest.mark.slow
def test_memory_does_not_grow_over_ten_minutes_at_10_hz(bench):
    """Also where this machine cannot keep up: what it passes over is counted, and must leave nothing behind either."""
    it = bench(num_samples=2)
    for name, kind in VIEWS.items():
        it.car.node.create_subscription(kind, f"/alpamayo_planner/{name}", lambda _: None, 10)
    it.warm_up()
    resident = [resident_mib()]
    begin = time.monotonic()
    for tick in range(1, 6001):
        it.car.step()
        time.sleep(max(0.0, begin + 0.1 * tick - time.monotonic()))
        for kept in (it.car.plans, it.car.diagnostics, it.policy.seen):
            del kept[:-1]
        if tick % 100 == 0:
            resident.append(resident_mib())
    counts = {pair.key: pair.value for pair in it.car.status("planning").values}
    passed_over, took = counts["skipped"], time.monotonic() - begin
    print(f"{took:.0f} s: {counts['plans']} plans, {passed_over} t0s passed over, refused {it.car.refused()}")
    print("MiB every 10 s:", [round(each, 1) for each in resident])
    assert int(counts["plans"]) > 600  # one a second is enough to see a leak
    # The least of two minutes each: a picture that is being drawn takes 8 MiB for a moment. 5 MiB: the allocator takes
    # two more now and then; a KiB that stays of each of 6000 plans is 6.
    assert min(resident[-12:]) - min(resident[6:18]) < 5.0


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
