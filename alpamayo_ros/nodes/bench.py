"""How long pictures take to become plans over real topics, and what receiving them costs."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from alpamayo_ros.msg import DrivingPlan
from alpamayo_ros.nodes.domains import own_domain
from alpamayo_ros.nodes.names import PLANNER
from alpamayo_ros.nodes.parameters import Parameters, declare, read
from alpamayo_ros.nodes.planner import PlannerNode
from alpamayo_ros.nodes.rig_profile import RigProfile
from alpamayo_ros.nodes.sensors import Sensors, SerializedPicture
from alpamayo_ros.nodes.traffic import Traffic
from alpamayo_ros.timeline import TimeContract, Timeline
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import DEFAULT_ROLES


@dataclass(frozen=True)
class Request:
    """seconds: of each of the two measurements. parameters: of the planner, by name."""

    size: tuple[int, int]
    camera_rate: float
    odometry_rate: float
    seconds: float
    parameters: dict[str, Any] = field(default_factory=dict)


def measure(request: Request) -> dict[str, Any]:
    """Receive without planning, then plan, in a ROS domain that nobody else hears: what is sent looks like a car.

    Raises RuntimeError where no domain is free, nothing arrives, or no plan comes.
    """
    rig = RigProfile.open("simulator").of_roles(CameraRole(role) for role in DEFAULT_ROLES)
    with (
        own_domain() as domain,
        _traffic(Traffic(rig, request.size, request.camera_rate, request.odometry_rate, domain)),
    ):
        rclpy.init(args=[], domain_id=domain)
        try:
            return {"ingest": _receive(rig, request), "planning": _plan(request)}
        finally:
            rclpy.try_shutdown()


@contextmanager
def _traffic(traffic: Traffic) -> Iterator[None]:
    # A fresh interpreter: a forked one would share this one's participants.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=traffic.send, args=(stop,), daemon=True)
    process.start()
    try:
        yield
    finally:
        stop.set()
        process.join(timeout=10)
        process.kill()


@contextmanager
def _spinning(*nodes: Node) -> Iterator[None]:
    executor, stop = SingleThreadedExecutor(), Event()
    for node in nodes:
        executor.add_node(node)

    def spin() -> None:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        executor.shutdown()


def _receive(rig: RigProfile, request: Request) -> dict[str, float]:
    """CPU time of receiving and placing every message, without a single look at a picture."""
    node = Node("ingest")
    declare(node)
    parameters: Parameters = read(node)
    counts = {"messages": 0, "refused": 0}

    def count(name: str) -> None:
        counts[name] += 1

    timeline = Timeline(TimeContract(tuple(rig.cameras)), SerializedPicture.decode)
    sensors = Sensors(
        node, rig, timeline, parameters, lambda source, late: count("messages"), lambda refusal: count("refused")
    )
    with _spinning(node):
        _wait_for(lambda: counts["messages"] > 0, "nothing arrives from the traffic process")
        time.sleep(1.0)
        before, cpu, clock = counts["messages"], time.process_time(), time.monotonic()
        time.sleep(request.seconds)
        received, used, elapsed = (
            counts["messages"] - before, time.process_time() - cpu, time.monotonic() - clock,
        )  # fmt: skip
    sensors.close()
    node.destroy_node()
    sent = elapsed * (request.camera_rate * len(rig.cameras) + request.odometry_rate)
    return {
        "cpu_share_of_one_core": used / elapsed,
        "cpu_ms_per_message": used / max(received, 1) * 1e3,
        "received_share": received / sent,
    }


def _plan(request: Request) -> dict[str, float]:
    node = PlannerNode(parameter_overrides=[Parameter(name, value=value) for name, value in request.parameters.items()])
    if node.trigger_configure().name != "SUCCESS":
        raise RuntimeError("the planner could not be configured; it says why above")
    observed: list[float] = []
    policy = node._policy
    assert policy is not None
    plan = policy.plan

    def timed(observation: Any, **options: Any) -> Any:
        newest = max(int(camera.stamps_ns[-1]) for camera in observation.cameras)
        observed.append((time.time_ns() - newest) / 1e6)
        return plan(observation, **options)

    policy.plan = timed  # type: ignore[method-assign]
    if node.trigger_activate().name != "SUCCESS":
        raise RuntimeError("the planner could not be activated; it says why above")
    listener = Node("listener")
    waited: list[float] = []
    skipped: list[int] = []

    def on_plan(message: Any) -> None:
        stamp = message.header.stamp
        waited.append((time.time_ns() - stamp.sec * 10**9 - stamp.nanosec) / 1e6)
        skipped.append(message.skipped)

    listener.create_subscription(DrivingPlan, f"/{PLANNER}/plan", on_plan, 10)
    with _spinning(node, listener):
        _wait_for(lambda: len(waited) > 2, "no plan within 60 s; the planner says why above")
        del waited[:], skipped[:], observed[:]
        time.sleep(request.seconds)
        _wait_for(lambda: waited, "no plan within 60 s; the planner says why above")
    node.trigger_shutdown()
    node.destroy_node()
    listener.destroy_node()
    ages = {f"frame_age_{name}_ms": value for name, value in _percentiles(observed).items()}
    totals = {f"stamp_to_plan_{name}_ms": value for name, value in _percentiles(waited).items()}
    return {"plans": len(waited), "skipped": sum(skipped), **ages, **totals}


def _wait_for(condition: Any, problem: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(problem)
        time.sleep(0.01)


def _percentiles(values: list[float]) -> dict[str, float]:
    return {"p50": float(np.percentile(values, 50)), "p99": float(np.percentile(values, 99))}
