"""The planner as a process of its own, brought up through its lifecycle, and gone when its starter is."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from alpamayo_ros.nodes.topic_driver import PLANNER
from alpamayo_ros.shipped import shipped_folders

_PR_SET_PDEATHSIG = 1  # of prctl(2)


class PlannerError(RuntimeError):
    """The planner does not run: the message has its own last words."""


class PlannerProcess:
    """A running planner in a ROS domain, until the block ends: on simulated time, and it misses no message (demo.yaml).

    What it prints goes to `log`. It does not outlive this process, however that ends (Linux).
    """

    def __init__(self, parameters: dict[str, Any], log: Path, domain: int) -> None:
        self._log = log
        arguments = ["--params-file", str(shipped_folders("config")[0] / "demo.yaml"), "-p", "use_sim_time:=true"]
        arguments += [part for name, value in parameters.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
        parent, libc = os.getpid(), ctypes.CDLL(None)

        def end_with_parent() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # which has ended in between
                os._exit(1)

        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "alpamayo_ros.nodes.planner", "--ros-args", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for this process, which ends the other
                preexec_fn=end_with_parent,  # noqa: PLW1509, it calls nothing that another thread may hold
            )

    def __enter__(self) -> PlannerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises PlannerError where the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise PlannerError(f"the planner has ended with status {status}: {self._last_words()}")

    def bring_up(self, context: Context) -> None:
        """Have it configured (which loads the model) and activated (which warms it up). Raises PlannerError."""
        node = Node("planner_starter", context=context)
        executor = SingleThreadedExecutor(context=context)
        client = node.create_client(ChangeState, f"/{PLANNER}/change_state")
        while not client.wait_for_service(0.2):
            self.check()
        for name, transition in (
            ("configured", Transition.TRANSITION_CONFIGURE),
            ("activated", Transition.TRANSITION_ACTIVATE),
        ):
            answer = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            while not answer.done():
                self.check()
                rclpy.spin_until_future_complete(node, answer, executor, timeout_sec=0.2)
            if not answer.result().success:
                raise PlannerError(f"the planner is not {name}: {self._last_words()}")
        executor.shutdown()
        node.destroy_node()

    def _last_words(self) -> str:
        """Its last error, or else its last line, without what rclpy writes before it."""
        time.sleep(0.2)  # the answer may be here before the words are
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "[ERROR]" in line or "[FATAL]" in line]
        line = (errors or lines or ["it said nothing"])[-1]
        words = line.partition(f"[{PLANNER}]: ")[2] or line
        return f"{words} (all of it: {self._log})"
