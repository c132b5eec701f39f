"""Launch files run by the real `launch`: `make test-launch` fetches it, see launcher.py."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(sys.prefix) / "launch"
LAUNCHER = Path(__file__).with_name("launcher.py")


class Launched:
    """A launch that runs. Its output is kept line by line; services and topics are watched from this process."""

    def __init__(self, file: Path, arguments: dict[str, Any], environment: dict[str, str]) -> None:
        import rclpy

        given = [f"{name}:={value}" for name, value in arguments.items()]
        command = [HARNESS / "bin/python", "-E", LAUNCHER, HARNESS / "jazzy", file, *given]
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("watcher", context=self.context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def until(self, holds: Callable[[], Any], seconds: float = 180.0) -> Any:
        """What `holds` returns once it is true. Fails with the output where the launch ends before, or time is up."""
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            assert self.process.poll() is None, f"the launch has ended:\n{self.output}"
            assert time.monotonic() < deadline, f"nothing within {seconds} s:\n{self.output}"
            self._executor.spin_once(timeout_sec=0.1)
        return value

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Ask until there is an answer: the middleware may lose the first, whose asker it has not found yet."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready)
        asked: list[tuple[float, Any]] = []

        def answer() -> Any:
            if not asked or time.monotonic() > asked[-1][0] + 10.0:
                asked.append((time.monotonic(), client.call_async(kind.Request(**fields))))
            return next((future.result() for _, future in asked if future.done()), None)

        found = self.until(answer)
        self.node.destroy_client(client)
        return found

    def state(self, name: str) -> str:
        from lifecycle_msgs.srv import GetState

        return str(self.call(GetState, f"{name}/get_state").current_state.label)

    def parameters(self, name: str, *names: str) -> list[Any]:
        from rcl_interfaces.srv import GetParameters
        from rclpy.parameter import parameter_value_to_python

        answer = self.call(GetParameters, f"{name}/get_parameters", names=names)
        return [parameter_value_to_python(value) for value in answer.values]

    def end(self, seconds: float = 180.0) -> int:
        """The exit status, once the launch has ended by itself."""
        status = self.process.wait(seconds)
        self._reader.join()
        return status

    def interrupt(self) -> int:
        """Ctrl-C, which a terminal sends to the launch and to all that it has started; returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.end()

    def started(self) -> list[int]:
        """Processes that the launch has started."""
        return [int(pid) for pid in re.findall(r"process started with pid \[(\d+)\]", self.output)]

    def left_over(self) -> list[int]:
        """Those of them that are still there."""
        return [pid for pid in self.started() if Path(f"/proc/{pid}").exists()]

    def close(self) -> None:
        self.node.destroy_node()
        self._executor.shutdown()
        self.context.shutdown()
        if self.process.poll() is None:
            self.interrupt()


@pytest.fixture
def launch(ros_domain: int) -> Iterator[Callable[..., Launched]]:
    """Starts a launch file, given as its path and arguments by name."""
    if not (HARNESS / "ready").is_file():
        pytest.fail(f"{HARNESS} has no `launch` to run launch files with: use `make test-launch`")
    begun: list[Launched] = []

    def begin(file: Path, environment: dict[str, str] | None = None, **arguments: Any) -> Launched:
        # The launcher's Fast DDS is a patch release newer than that of the wheels; their shared memory does not mix.
        inherited = {**(environment or os.environ), "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
        begun.append(Launched(file, arguments, inherited))
        return begun[-1]

    yield begin
    for launched in begun:
        launched.close()
