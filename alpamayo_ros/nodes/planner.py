"""The live planner: a lifecycle node that turns cameras and ego motion into plans.

configure loads rig and model, activate warms up and begins to plan, deactivate stops, cleanup frees the model.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.signals import uninstall_signal_handlers
from std_msgs.msg import Header, String

from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.nodes.health import Health
from alpamayo_ros.nodes.names import PLANNER
from alpamayo_ros.nodes.parameters import HOLD_BACK, ParameterError, declare, read
from alpamayo_ros.nodes.planning_loop import Planned, PlanningLoop
from alpamayo_ros.nodes.publishers import PlanPublishers
from alpamayo_ros.nodes.rig_profile import RigError, RigProfile
from alpamayo_ros.nodes.sensors import TRANSIENT_LOCAL, Sensors, SerializedPicture
from alpamayo_ros.policy import INPUT_ERRORS, DrivingPolicy
from alpamayo_ros.timeline import FRAME_PERIOD_NS, Refusal, RefusalReason, TimeContract, Timeline
from alpamayo_ros.types import CameraFrames, CameraRole, EgoHistory, Observation

_WARM_UP_TOKENS = 32
"""About as many as the longest draft that is checked in one pass."""
_DONE, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


Transition = Callable[["PlannerNode", LifecycleState], TransitionCallbackReturn]


def _told(transition: Transition) -> Transition:
    """rclpy drops what a transition raises without a word: say it first."""

    @wraps(transition)
    def told(node: PlannerNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception:
            if rclpy.ok():  # else a signal has ended ROS in the middle of it
                node.get_logger().fatal(traceback.format_exc())
            raise

    return told


class PlannerNode(LifecycleNode):
    """Publishes below its own name; see `PlanPublishers` for what. Hears the topics of its rig and ~/navigation."""

    def __init__(self, **options: Any) -> None:
        super().__init__(PLANNER, **options)
        declare(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        self._policy: DrivingPolicy | None = None
        self._loop: PlanningLoop | None = None
        self._instruction: str | None = None
        self._problem: str | None = None
        self._while_configured, self._while_active = ExitStack(), ExitStack()

    # ---------------------------------------------------------------- lifecycle

    @_told
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._settings = read(self)
            rig = RigProfile.open(self._settings.rig)
            self._policy = DrivingPolicy.from_pretrained(
                self._settings.model,
                language_model=self._settings.language_model or None,
                device=self._settings.device or None,
                dtype=self._settings.dtype or None,
            )
            self._rig = rig.for_model(self._policy.model.config)
        except (ParameterError, RigError, OSError, *INPUT_ERRORS) as error:
            self._policy = None
            self.get_logger().error(f"not configured: {error}")
            return _FAILED
        self._while_configured.callback(self._free)
        self._outlets = PlanPublishers(self)
        self._while_configured.callback(self._outlets.close)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._while_configured.callback(self.destroy_publisher, self._diagnostics)
        self.get_logger().info(
            f"configured: model {self._policy.name} ({self._policy.revision}) on {self._policy.model.device}, rig "
            f"{self._rig.name} with {', '.join(role.label for role in self._rig.cameras)}"
        )
        return _DONE

    @_told
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        assert self._policy is not None
        try:
            self._warm_up(self._policy)
            config, parameters = self._policy.model.config, self._settings
            contract = TimeContract(
                tuple(self._rig.cameras),
                frames_per_camera=config.frames_per_camera,
                history_steps=config.history_steps,
                slop_ns=parameters.slop_ms * 1_000_000,
                max_lag_ns=parameters.max_lag_ms * 1_000_000,
                max_jump_m=parameters.max_jump,
            )
            timeline = Timeline(contract, SerializedPicture.decode)
            sources = [*(f"camera {role.label}" for role in self._rig.cameras), "ego"]
            self._health = Health(self.get_fully_qualified_name(), self._rig.name, sources)
            self._problem = None
            self._loop = PlanningLoop(self._policy, timeline, self)
            self._loop.start()
            self._while_active.callback(self._loop.stop)
            self._sensors = Sensors(self, self._rig, timeline, parameters, self._on_news, self._on_sensor_refusal)
            self._while_active.callback(self._sensors.close)
        except (RigError, *INPUT_ERRORS) as error:
            self._while_active.close()
            self.get_logger().error(f"not activated: {error}")
            return _FAILED
        self._instruction = None
        heard = self.create_subscription(String, "~/navigation", self._on_navigation, TRANSIENT_LOCAL)
        self._while_active.callback(self.destroy_subscription, heard)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(parameters.diagnostics_period, self._report, clock=steady)
        self._while_active.callback(self.destroy_timer, timer)
        return super().on_activate(state)

    @_told
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._while_active.close()
        return super().on_deactivate(state)

    @_told
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._while_configured.close()
        return _DONE

    @_told
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return _DONE

    @_told
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return _DONE

    def destroy_node(self) -> None:
        self._release()
        super().destroy_node()

    def _release(self) -> None:
        """The plan in progress is finished first, and told to nobody."""
        self._while_active.close()
        self._while_configured.close()

    def _free(self) -> None:
        self._policy = self._loop = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _warm_up(self, policy: DrivingPolicy) -> None:
        """Plan twice for nobody: the first plans of a process take several times as long, and what reads a draft is
        used from the second on."""
        options = {**self._settings.plan_options(), "max_reasoning_tokens": _WARM_UP_TOKENS}
        memory = Memory()
        for number in range(2):
            policy.plan(_noise(policy, tuple(self._rig.cameras), number), memory=memory, **options)

    # ---------------------------------------------------------------- what is heard

    def _on_news(self, source: str, late: bool) -> None:
        self._health.received(source)
        assert self._loop is not None
        if late:
            self._loop.reconsider()
        self._loop.notify()

    def _on_sensor_refusal(self, refusal: Refusal) -> None:
        self._health.refused(refusal)
        if refusal.reason in (RefusalReason.TIME_JUMP, RefusalReason.EGO_JUMP, RefusalReason.EGO_FRAME):
            self.get_logger().warning(str(refusal), throttle_duration_sec=1.0)
        if refusal.reason is RefusalReason.TIME_JUMP:
            assert self._loop is not None
            self._loop.restart()

    def _on_navigation(self, message: String) -> None:
        assert self._policy is not None
        if not message.data.strip():
            self._instruction = None
            self._health.navigation("none given")
            return
        try:
            self._policy.check_navigation(message.data)
        except INPUT_ERRORS as error:
            self._instruction = None
            self._health.navigation(f"refused: {error}")
            self.get_logger().error(f"navigation refused: {error}")
        else:
            self._instruction = message.data
            self._health.navigation(f"in use: {message.data}")
        self._report()

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            read(self, **{change.name: change.value for change in changes})
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter]) -> None:
        self._settings = read(self)

    # ---------------------------------------------------------------- what the loop asks and tells, in its thread

    def check_time(self, t0_ns: int) -> None:
        now = self.get_clock().now().nanoseconds
        allowed = self._settings.max_age_ms * 1_000_000
        if abs(now - t0_ns) <= allowed:
            return
        if now == 0:
            text = "use_sim_time is set, but nobody publishes /clock"
        else:
            side = "before" if now > t0_ns else "after"
            text = (
                f"stamps are {abs(now - t0_ns) / 1e9:.1f} s {side} this node's clock; allowed: {allowed / 1e9:.1f} s; "
                "synchronise the clocks; for a bag or a simulator, set use_sim_time and have /clock published"
            )
        raise Refusal(RefusalReason.CLOCK, "clock", text)

    def is_up(self) -> bool:
        return bool(self.context.ok())

    def plan_options(self) -> dict[str, Any]:
        return self._settings.plan_options()

    def navigation(self) -> str | None:
        return self._instruction

    def take_plan(self, planned: Planned) -> None:
        failed = [failure.check.value for failure in planned.plan.judgement.gate.failures]
        parameters = self._settings
        held = parameters.gate_policy == HOLD_BACK and any(check in parameters.holding_checks for check in failed)
        self._outlets.publish(planned, held_back=held)
        self._health.planned(planned, held)
        self._tell(f"held back: {', '.join(failed)}" if held else "", "the gate holds plans back")
        try:
            self._outlets.publish_views(planned, self._rig, self._sensors.infos, held_back=held)
        except Exception:  # what only people look at must not cost anybody the plans
            if not self.is_up():
                return
            self.get_logger().error(f"not drawn: {traceback.format_exc()}", throttle_duration_sec=10.0)

    def take_refusal(self, refusal: Refusal) -> None:
        self._health.refused(refusal)
        self._health.stopped_by(str(refusal))
        self._tell(f"{refusal.source} {refusal.reason.value}", str(refusal))

    def take_failure(self, error: Exception) -> None:
        self._health.failed()
        self._health.stopped_by(str(error))
        self._tell(f"{type(error).__name__}", str(error))

    # ---------------------------------------------------------------- what is told

    def _tell(self, problem: str, text: str) -> None:
        """Say it once, when a problem begins and when it is over; /diagnostics has the rest."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            self.get_logger().warning(f"no plan to drive: {text}")
        else:
            self.get_logger().info("planning")
        self._report()

    def _report(self) -> None:
        fault, since = (None, None) if self._loop is None else (self._loop.fault, self._loop.planning_since)
        if fault is not None:
            self._health.ended_by(f"{type(fault).__name__}: {fault}")
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=stamp), status=self._health.statuses(since)))
        if fault is not None:
            raise RuntimeError("the planning thread has ended") from fault


def _noise(policy: DrivingPolicy, roles: tuple[CameraRole, ...], number: int) -> Observation:
    """An observation of the right shape that shows nothing: the so many-th of a drive, whose newest frames are new."""
    config = policy.model.config
    count, steps = config.frames_per_camera, config.history_steps
    stamps = FRAME_PERIOD_NS * np.arange(1 + number, 1 + number + count, dtype=np.int64)
    pictures = np.random.default_rng(0).integers(0, 256, (number + count, 288, 512, 3), dtype=np.uint8)[number:]
    cameras = tuple(CameraFrames(role, pictures, stamps) for role in roles)
    history = EgoHistory(np.zeros((steps, 3), np.float32), np.tile(np.eye(3, dtype=np.float32), (steps, 1, 1)))
    return Observation(int(stamps[-1]), cameras, history)


def main() -> None:
    rclpy.init(args=sys.argv)
    try:
        node = PlannerNode()
    except (ParameterError, ParameterException) as error:
        get_logger(PLANNER).fatal(f"not started: {error}")
        rclpy.try_shutdown()
        sys.exit(1)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while rclpy.ok():
            try:
                executor.spin()
            except rclpy_implementation.RCLError as error:
                # rclpy raises it here when somebody asks for a transition that the state does not have.
                if rclpy.ok():
                    node.get_logger().error(str(error))
    except (KeyboardInterrupt, ExternalShutdownException):
        # Joins the thread that answers the signal: it wakes what executors wait with, and that must not be freed yet.
        uninstall_signal_handlers()
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
