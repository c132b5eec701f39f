"""The demo: simulator and planner as two processes over real topics, scenarios in closed loop, all of it kept.

This process is the simulator, the planner is its child. They go in lockstep, so that the drives do not depend on how
fast the machine is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from nav_msgs.msg import Path as PathMessage
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from trajectory_msgs.msg import MultiDOFJointTrajectory

from alpamayo_ros.datasets.bag import Bag, open_bag
from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.datasets.film import write_film
from alpamayo_ros.datasets.sensor_messages import Message
from alpamayo_ros.evaluation.closed_loop import drive_policy
from alpamayo_ros.evaluation.drivers.model import renderer_of
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.msg import DrivingPlan
from alpamayo_ros.nodes.domains import own_domain
from alpamayo_ros.nodes.driven_scene import DrivenScene, live_line, stage_medians, table
from alpamayo_ros.nodes.message_types import message_store
from alpamayo_ros.nodes.names import PLANNER
from alpamayo_ros.nodes.planner_process import PlannerProcess
from alpamayo_ros.nodes.sensor_feed import EVERYTHING, SensorFeed
from alpamayo_ros.nodes.sensors import stamp_of
from alpamayo_ros.nodes.simulator import PAUSE_NS
from alpamayo_ros.nodes.topic_driver import Answer, TopicDriver
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.world import Variant
from alpamayo_ros.vla.checkpoint import load_config

SCENES = (
    Scene("red_light", 1, Variant.NOMINAL),
    Scene("jaywalker", 3, Variant.CHALLENGING),
    Scene("cut_in", 1, Variant.NOMINAL),
)
KEPT: dict[str, Any] = {
    f"/{PLANNER}/plan": DrivingPlan,
    f"/{PLANNER}/path": PathMessage,
    f"/{PLANNER}/path_in_odom": PathMessage,
    f"/{PLANNER}/trajectory": MultiDOFJointTrajectory,
    f"/{PLANNER}/samples": PointCloud2,
}
"""What the bag has of the planner: all that is stamped, but the overlay, which the video shows."""


@dataclass(frozen=True)
class DemoModel:
    """folder: of the model. options: parameters of the planner for it."""

    folder: Path
    language_model: Path | None
    options: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters of the planner."""
        return {
            "rig": "simulator",
            "model": str(self.folder),
            "language_model": str(self.language_model or ""),
            **self.options,
        }


def run_demo(
    model: DemoModel,
    output: Path,
    scenes: Sequence[Scene] = SCENES,
    *,
    seconds: float = 20.0,
    timeout: float = 60.0,
    say: Callable[[str], None],
    progress: Callable[[range], Iterable[int]],
) -> list[DrivenScene]:
    """Drive the scenes; write bag, video, strip and summary into `output`, a folder that is there.

    seconds: of each scene at most. timeout: for one plan, in seconds. say: takes what happens, line by line. progress:
    wraps the pages of each scene's part of the video.
    Raises PlannerError, NoPlanError or DomainError. No process is left, however it ends.
    """
    config, _ = load_config(model.folder, model.language_model)
    renderer = renderer_of(config)
    with ExitStack() as stack:
        domain = stack.enter_context(own_domain())
        say(f"ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST: to look on with your own tools")
        say("starting the planner: it loads the model and warms up …")
        planner = stack.enter_context(PlannerProcess(model.parameters, output / "planner.log", domain))
        context = stack.enter_context(_ros(domain))
        node = Node("simulator", context=context)
        bag = stack.enter_context(open_bag(output / "bag", store=message_store()))
        newest: dict[str, int] = {}
        for topic, kind in KEPT.items():
            node.create_subscription(kind, topic, partial(_keep, bag, newest, topic, kind), EVERYTHING, raw=True)
        feed = SensorFeed(node, renderer, raw=False, navigation=config.takes_navigation, record=bag.write)
        answers: list[Answer] = []

        def on_answer(answer: Answer) -> None:
            answers.append(answer)
            say(live_line(answer))

        driver = TopicDriver(node, feed, timeout=timeout, on_answer=on_answer, check=planner.check)
        stack.callback(driver.close)
        planner.bring_up(context)
        driver.wait_for_planner()
        driven_scenes: list[DrivenScene] = []
        first_ns = EPOCH_NS
        for scene in scenes:
            say(f"\n{scene.kind}, seed {scene.seed}, {scene.variant}")
            reference = drive_expert(scene.build(), ticks=round(seconds * 10))
            feed.begin(first_ns)
            answers.clear()
            driven, consistent = drive_policy(reference, driver)
            driver.settle(partial(_complete, newest, answers))
            driven_scenes.append(DrivenScene.of(scene, reference, driven, tuple(answers), consistent))
            say(f"→ {driven_scenes[-1].outcome()}")
            first_ns += driven[-1].tick * TICK_NS + PAUSE_NS
    say("\ndrawing the video …")
    reels = [scene.reel(renderer.rig.roles, progress(range(len(scene.driven)))) for scene in driven_scenes]
    write_film(reels, output / "drive.mp4", output / "drive.png")
    _report(driven_scenes, output / "summary.json", say)
    return driven_scenes


def _report(driven_scenes: Sequence[DrivenScene], summary: Path, say: Callable[[str], None]) -> None:
    """Write the figures of the drives; say their table, and where the time of a plan goes."""
    figures = json.dumps([scene.figures() for scene in driven_scenes], indent=2, allow_nan=False)
    summary.write_text(figures + "\n")
    say("")
    for line in table(driven_scenes):
        say(line)
    medians = stage_medians([answer for scene in driven_scenes for answer in scene.answers])
    say("stages, median ms: " + ", ".join(f"{stage} {ms:.1f}" for stage, ms in medians.items()))


@contextmanager
def _ros(domain: int) -> Iterator[Context]:
    context = Context()
    # Ctrl-C stays Python's, so that everything is cleaned up on the way out.
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield context
    finally:
        rclpy.shutdown(context=context)


def _keep(bag: Bag, newest: dict[str, int], topic: str, kind: Any, data: bytes) -> None:
    """Write a serialised message as it came, at its stamp. newest: the last stamp, by topic."""
    package, name = kind.__module__.split(".")[0], kind.__name__
    newest[topic] = stamp_of(data)
    bag.write(Message(topic, f"{package}/msg/{name}", newest[topic], data))


def _complete(newest: dict[str, int], answers: Sequence[Answer]) -> bool:
    """Whether all that the planner publishes of these plans has come: each topic is in order, so its last message has.

    Of a plan that is held back there are no path and no trajectory to drive.
    """
    for topic in KEPT:
        always = topic in (f"/{PLANNER}/plan", f"/{PLANNER}/samples")
        stamps = [answer.plan.header.stamp for answer in answers if always or not answer.plan.held_back]
        if stamps and newest.get(topic, 0) < stamps[-1].sec * 1_000_000_000 + stamps[-1].nanosec:
            return False
    return True
