"""The planner's parameters and its life cycle: what it refuses, how it ends, and that it begins again."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import pytest
import rclpy
import yaml
from car import RIG, ROLES, TICK, Wire, coast, drive, parameters, wait_until
from planner_bench import SECOND, WARM
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from alpamayo_ros.nodes import planner, sensors
from alpamayo_ros.nodes.planner import PlannerNode
from alpamayo_ros.nodes.rig_profile import RigError, TfSource


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


def test_whole_numbers_will_do_for_floats(bench):
    it = bench(temperature=0, top_p=1)
    assert (it.node.plan_options()["temperature"], it.node.plan_options()["top_p"]) == (0.0, 1.0)
    assert it.node.set_parameters([Parameter("temperature", value=1)])[0].successful
    assert it.node.plan_options()["temperature"] == 1.0
    assert it.node.set_parameters([Parameter("temperature", value=-1.0)])[0].successful
    assert it.node.plan_options()["temperature"] is None
    assert it.node.set_parameters([Parameter("temperature", value=1.0)])[0].successful
    assert it.node.plan_options()["noise_temperature"] is None
    assert it.node.set_parameters([Parameter("noise_temperature", value=0.0)])[0].successful
    assert it.node.plan_options()["noise_temperature"] == 0.0
    assert it.node.plan_options()["max_jerk"] is None
    assert it.node.set_parameters([Parameter("max_jerk", value=3.5)])[0].successful
    assert it.node.plan_options()["max_jerk"] == 3.5
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
