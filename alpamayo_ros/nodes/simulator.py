"""The built-in world as a node: drives a scenario and publishes what the car's sensors see.

Free running, the expert drives in real time (times `realtime_factor`): something to look at. In lockstep the planner
drives: each state is published, then nothing moves until the plan stamped with its time has come. How fast the machine
is changes nothing there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers

from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.evaluation.closed_loop import drive_policy, find_failure
from alpamayo_ros.nodes.sensor_feed import EVERYTHING, NEWEST, SensorFeed
from alpamayo_ros.nodes.topic_driver import Answer, NoPlanError, TopicDriver
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.scoring import score_drive
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import DEFAULT_ROLES, default_rig

PAUSE_NS = 5_000_000_000
"""Time between two scenarios: more than any history reaches back, so that none mixes them."""
PARAMETERS: dict[str, tuple[Any, str]] = {
    "kind": ("red_light", "Scenario kind; a wrong one lists all."),
    "seed": (0, "Of the scenario."),
    "variant": ("nominal", "nominal or challenging."),
    "cameras": ("r1", "Roles with commas between; r1: the four of Alpamayo-R1, all: all seven."),
    "width": (640, "Of every picture."),
    "height": (384, "Of every picture."),
    "transport": ("compressed", "compressed (JPEG) or raw."),
    "odometry_rate": (50, "Poses a second, a multiple of 10."),
    "lockstep": (False, "Wait for the planner's plan at every 0.1 s, and drive it; else the expert drives."),
    "realtime_factor": (1.0, "Simulated seconds a second, where it does not run in lockstep."),
    "repeat": (False, "Begin again at the end of the scenario, 5 s later."),
    "navigation": (
        False,
        "Publish what a navigation device says on /navigation; in lockstep the planner has to take it.",
    ),
    "timeout": (60.0, "Seconds to wait for a plan in lockstep."),
}


class SettingError(ValueError):
    """Parameters that make no simulation: the message names the parameter and what it may be."""


class RealTime:
    """Waits for simulated times; meanwhile the node answers. rate: simulated seconds a second."""

    def __init__(self, node: Node, rate: float) -> None:
        self._node, self._rate = node, rate
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._begin: tuple[int, float] | None = None
        self._told = False

    def __call__(self, stamp_ns: int) -> None:
        if self._begin is None:
            self._begin = stamp_ns, time.monotonic()
        first_ns, begin = self._begin
        due = begin + (stamp_ns - first_ns) / 1e9 / self._rate
        late = time.monotonic() - due
        if late > 1.0 and not self._told:
            self._told = True
            self._node.get_logger().warning(
                f"{late:.1f} s behind: this machine draws too slowly for realtime_factor {self._rate}; lower it, or "
                "width and height"
            )
        while (left := due - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left)


def simulate(node: Node) -> None:
    """Run as the node's parameters say. Raises SettingError or NoPlanError."""
    values = {name: node.get_parameter(name).value for name in PARAMETERS}
    lockstep = values["lockstep"]
    pace: Callable[[int], None] = (lambda stamp_ns: None) if lockstep else RealTime(node, values["realtime_factor"])
    width, height = values["width"], values["height"]
    if values["transport"] not in ("raw", "compressed"):
        raise SettingError(f"transport is {values['transport']!r}; it must be raw or compressed")
    if not values["realtime_factor"] > 0.0:
        raise SettingError(f"realtime_factor is {values['realtime_factor']}; it must be above 0")
    if min(width, height) < 16:
        raise SettingError(f"width and height are {width} and {height}; pictures have 16x16 pixels or more")
    try:
        scenario = build(values["kind"], values["seed"], values["variant"])
        rig = default_rig(width, height, _roles(values["cameras"]))
        feed = SensorFeed(
            node,
            Renderer(rig, 2 if width <= 640 else 1),
            raw=values["transport"] == "raw",
            odometry_rate=values["odometry_rate"],
            quality=EVERYTHING if lockstep else NEWEST,
            navigation=values["navigation"],
            pace=pace,
        )
    except ValueError as error:
        raise SettingError(str(error)) from None
    driver = TopicDriver(node, feed, timeout=values["timeout"], on_answer=_teller(node)) if lockstep else None
    log = node.get_logger()
    log.info(f"driving {scenario.kind}, seed {scenario.seed}, {scenario.variant}")
    reference = drive_expert(scenario)
    first_ns = EPOCH_NS
    while True:
        feed.begin(first_ns)
        if driver is None:
            for world in reference.worlds:
                feed.show(world)
            last = reference.worlds[-1].tick
        else:
            last = _drive_planner(node, reference, driver)
        log.info(f"the scenario ended after {last / 10:.1f} s")
        if not values["repeat"]:
            return
        first_ns += last * TICK_NS + PAUSE_NS


def _drive_planner(node: Node, reference: Episode, driver: TopicDriver) -> int:
    """The last tick."""
    node.get_logger().info("waiting for the planner")
    driver.wait_for_planner()
    driven, _ = drive_policy(reference, driver)
    failure = find_failure(score_drive(driven), [], driven)
    if failure is not None:
        node.get_logger().warning(failure.reason)
    return driven[-1].tick


def _teller(node: Node) -> Callable[[Answer], None]:
    def tell(answer: Answer) -> None:
        words = answer.proposal.chosen.reasoning
        held = " (held back: braking to a stop)" if answer.plan.held_back else ""
        node.get_logger().info(
            f"{answer.world.time:.1f} s, {answer.world.ego.speed:.1f} m/s, {answer.seconds * 1e3:.0f} ms{held}: {words}"
        )

    return tell


def _roles(names: str) -> tuple[CameraRole, ...]:
    if names in ("r1", "all"):
        return DEFAULT_ROLES if names == "r1" else tuple(CameraRole)
    return tuple(sorted({CameraRole.from_label(name.strip()) for name in names.split(",")}))


def simulator_node(**options: Any) -> Node:
    """A node with the parameters declared. options: of `rclpy.node.Node`."""
    node = Node("simulator", **options)
    for name, (default, description) in PARAMETERS.items():
        node.declare_parameter(name, default, ParameterDescriptor(description=description, read_only=True))
    return node


def main() -> None:
    rclpy.init(args=sys.argv)
    node = simulator_node()
    try:
        simulate(node)
    except (SettingError, NoPlanError) as error:
        node.get_logger().fatal(str(error))
        sys.exit(1)
    except (KeyboardInterrupt, ExternalShutdownException):
        # Joins the thread that answers the signal: it wakes what executors wait with, and that must not be freed yet.
        uninstall_signal_handlers()
    except rclpy_implementation.RCLError:
        if rclpy.ok():
            raise
        uninstall_signal_handlers()  # the signal came while something was being published
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
