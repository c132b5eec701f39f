"""A planner behind topics, as driver of a closed loop: the same loop that drives a model in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from alpamayo_ros.evaluation.drivers import Proposal
from alpamayo_ros.msg import DrivingPlan
from alpamayo_ros.nodes.names import PLANNER
from alpamayo_ros.nodes.plan_messages import trajectory_of
from alpamayo_ros.nodes.sensor_feed import EVERYTHING, NAVIGATION_REMAP, SensorFeed
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.motion import trajectory_of as way_of
from alpamayo_ros.simulation.world import PERIOD, Ego, World, drive
from alpamayo_ros.types import PlanSample, Trajectory

PLAN = f"/{PLANNER}/plan"
BRAKING, JERK, SETTLING = 2.0, 2.0, 1.0
"""m/s², m/s³ and s: of the stop where a plan is held back. Within the comfort bounds."""
TELL_S = 10.0
"""Seconds after which it is said again what is waited for."""


class NoPlanError(RuntimeError):
    """There is no plan to drive: the message says for which time, and what is known of why."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a planner answered at a state. seconds: from the last sensor message to the arrival of the plan."""

    world: World
    plan: DrivingPlan
    proposal: Proposal
    seconds: float


class TopicDriver:
    """Publishes what the sensors see, waits for the plan stamped with that time, and lets its first actions be driven.

    An instruction of a navigation device that is new at a state is sent before anything else of that state, which waits
    until the planner says on /diagnostics that the instruction is in use: so it decides about the plan of that state,
    and about none before, however fast the machine is.
    A plan that the planner held back is not driven: the car brakes to a stop with `BRAKING`, wheels as they are.

    timeout: seconds to wait for a plan. on_answer: told of every plan. check: called while waiting; what it raises
    ends the drive. NoPlanError: no plan came in time, or the planner says on /diagnostics that none will.
    """

    name = "the planner behind topics"
    revision = ""
    explains = True

    def __init__(
        self,
        node: Node,
        feed: SensorFeed,
        *,
        timeout: float,
        ticks_per_plan: int = 1,
        on_answer: Callable[[Answer], None] = lambda answer: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.ticks_per_plan = ticks_per_plan
        self._feed, self._timeout, self._on_answer, self._check = feed, timeout, on_answer, check
        self._plans: dict[int, DrivingPlan] = {}
        self._troubles: dict[str, tuple[float, str]] = {}  # by source: when the planner said so, and what
        self._navigation = ""  # what the planner says has become of the last instruction
        self._planning = "the planner says nothing on /diagnostics"
        self._shown = 0
        self._node = node
        node.create_subscription(DrivingPlan, PLAN, self._on_plan, EVERYTHING)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)

    def close(self) -> None:
        self._executor.shutdown()

    def wait_for_planner(self) -> None:
        """Until it listens to all sensors and can be heard; `check` ends the wait. The log says what is waited for."""
        told = time.monotonic()
        while (unheard := self._feed.unheard) or not self._node.count_publishers(PLAN):
            self._spin()
            if time.monotonic() > told + TELL_S:
                told = time.monotonic()
                lacks = [f"listens to {', '.join(unheard)}"] if unheard else []
                lacks += [] if self._node.count_publishers(PLAN) else [f"publishes {PLAN}"]
                self._node.get_logger().warning(f"waiting for the planner: nobody {', nobody '.join(lacks)}")

    def settle(self, complete: Callable[[], bool]) -> None:
        """Hear what is on its way to the node until it is complete. Raises NoPlanError where it does not come."""
        end = time.monotonic() + self._timeout
        while not complete():
            self._spin()
            if time.monotonic() > end:
                raise NoPlanError(f"the planner has not published all topics of its plans within {self._timeout:g} s")

    def take_over(self, mind: Expert) -> None:
        self._shown = 0
        self._plans.clear()

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        now = driven[-1]
        for world in driven[self._shown :]:
            instruction = self._feed.instruct(world)
            if instruction is not None:
                self._wait_for_navigation(instruction)
            self._feed.show(world)
        self._shown = len(driven)
        begin = time.monotonic()
        plan = self._wait(self._feed.stamp_ns(now.tick), begin)
        proposal = _proposal(plan, now.ego, steps)
        self._on_answer(Answer(now, plan, proposal, time.monotonic() - begin))
        return proposal

    def _wait(self, t0_ns: int, begin: float) -> DrivingPlan:
        while t0_ns not in self._plans:
            self._spin()
            said = [text for heard, text in self._troubles.values() if heard > begin]
            # Each t0 is tried once. What is said of others may belong to the warm-up, however late.
            refused = [text for text in said if f"t0 = {t0_ns} ns" in text]
            if refused:
                raise NoPlanError(f"the planner refuses it: {refused[0]}")
            if time.monotonic() > begin + self._timeout:
                why = "; ".join(said) or self._planning
                raise NoPlanError(f"no plan for t0 = {t0_ns} ns within {self._timeout:g} s: {why}")
        return self._plans.pop(t0_ns)

    def _wait_for_navigation(self, instruction: str) -> None:
        wanted, end = f"in use: {instruction}" if instruction else "none given", time.monotonic() + self._timeout
        while self._navigation != wanted:
            self._spin()
            if self._navigation.startswith("refused: "):
                raise NoPlanError(f"the planner does not take the instruction {instruction!r}: {self._navigation}")
            if time.monotonic() > end:
                raise NoPlanError(
                    f"the planner does not say within {self._timeout:g} s that it has the instruction {instruction!r}; "
                    f"start it with the remapping {NAVIGATION_REMAP}"
                )

    def _spin(self) -> None:
        self._check()
        self._executor.spin_once(timeout_sec=0.05)

    def _on_plan(self, plan: DrivingPlan) -> None:
        stamp = plan.header.stamp
        self._plans[stamp.sec * 1_000_000_000 + stamp.nanosec] = plan

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """The planner has a status of its planning and one of each source, as in "/alpamayo_planner: ego"."""
        for status in message.status:
            node, _, source = status.name.partition(": ")
            if node != f"/{PLANNER}":
                continue
            if source == "planning":
                self._planning = f"the planner says: {status.message}"
                self._navigation = next((pair.value for pair in status.values if pair.key == "navigation"), "")
            elif status.level == DiagnosticStatus.OK:
                self._troubles.pop(source, None)
            else:
                self._troubles[source] = time.monotonic(), f"{source}: {status.message}"


def _proposal(plan: DrivingPlan, ego: Ego, steps: int) -> Proposal:
    """Raises NoPlanError for what cannot be driven."""
    try:
        samples = tuple(
            PlanSample(trajectory_of(sample), sample.reasoning.text, sample.reasoning.complete)
            for sample in plan.samples
        )
        proposal = Proposal(samples, plan.selected, stop(ego, steps) if plan.held_back else None)
        if len(proposal.driven.times) < steps:
            raise ValueError(f"it has {len(proposal.driven.times)} waypoints, {steps} are to be driven")
    except (ValueError, IndexError) as error:
        raise NoPlanError(f"the plan of t0 = {plan.header.stamp.sec} s cannot be driven: {error}") from None
    return proposal


def stop(ego: Ego, steps: int) -> Trajectory:
    """Braking to a comfortable stop, wheels as they are."""
    egos = [ego]
    for _ in range(steps):
        before = egos[-1]
        # The last metres ever more gently, and an end to it.
        wish = -min(BRAKING, before.speed / SETTLING + 0.1)
        egos.append(drive(before, max(wish, min(before.acceleration, 0.0) - JERK * PERIOD), before.curvature))
    return way_of(ego, egos[1:])
