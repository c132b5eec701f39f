"""A car on the wire: four cameras at 10 Hz, odometry at 50 Hz and /clock over real topics, each of which can fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np
import rclpy
from alpamayo_ros.msg import DrivingPlan
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from alpamayo_ros.types import CameraRole

TICK = 100_000_000
START = 1_000_000_000_000
ROLES = tuple(CameraRole(role) for role in (0, 1, 2, 6))
FRONT = CameraRole.FRONT_WIDE_120
SPEED = 8.0

RIG = {
    "description": "the car of the tests",
    "ego": {"source": "odometry", "topic": "/odom"},
    "cameras": {role.label: {"topic": f"/{role.label}", "transport": "compressed"} for role in ROLES},
}


def scenery(role: CameraRole, tick: int) -> np.ndarray:
    """(48, 80, 3) uint8: different for every camera and tick, and coarse enough for JPEG."""
    blocks = np.random.default_rng((int(role), tick)).integers(0, 255, (3, 5, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((16, 16, 1), np.uint8))


def jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes()


class Car:
    """Every method that makes something can be replaced by a fault.

    picture(role, tick), stamp(role, tick) in ns, data(picture), copies(role, tick): messages of one frame.
    pose(ns): x, y, z, qx, qy, qz, qw. odometry_runs(ns): whether there is a message then.
    """

    def __init__(self, raw: bool = False, planner: str = "/alpamayo_planner") -> None:
        self.node = rclpy.create_node("car")
        kind = Image if raw else CompressedImage
        self._raw = raw
        self._cameras = {role: self.node.create_publisher(kind, f"/{role.label}", 10) for role in ROLES}
        self._odometry = self.node.create_publisher(Odometry, "/odom", 100)
        self._clock = self.node.create_publisher(Clock, "/clock", 10)
        self.plans: list[DrivingPlan] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.node.create_subscription(DrivingPlan, f"{planner}/plan", self.plans.append, 100)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 100)
        self._forgotten: dict[str, int] = {}
        self.now = START
        self.tick = 0
        self.picture: Callable[[CameraRole, int], np.ndarray] = scenery
        self.stamp: Callable[[CameraRole, int], int] = lambda role, tick: self.now
        self.data: Callable[[np.ndarray], bytes] = jpeg
        self.copies: Callable[[CameraRole, int], int] = lambda role, tick: 1
        self.encoding = "rgb8"
        self.frame, self.base = "odom", "base_link"
        self.pose: Callable[[int], tuple[float, ...]] = lambda ns: ((ns - START) / 1e9 * SPEED, 0, 0, 0, 0, 0, 1)
        self.odometry_runs: Callable[[int], bool] = lambda ns: True

    def step(self) -> None:
        """Publish the next 0.1 s: five poses and a frame of each camera."""
        self.tick += 1
        for part in range(1, 6):
            self._publish_pose(self.now + part * TICK // 5)
        self.now += TICK
        self._clock.publish(Clock(clock=_time(self.now)))
        for role, publisher in self._cameras.items():
            for _ in range(self.copies(role, self.tick)):
                publisher.publish(self._message(role))

    def _publish_pose(self, ns: int) -> None:
        if not self.odometry_runs(ns):
            return
        message = Odometry(child_frame_id=self.base)
        message.header.frame_id, message.header.stamp = self.frame, _time(ns)
        place, turn = message.pose.pose.position, message.pose.pose.orientation
        place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w = map(float, self.pose(ns))
        self._odometry.publish(message)

    def _message(self, role: CameraRole) -> Image | CompressedImage:
        picture = self.picture(role, self.tick)
        if self._raw:
            height, width = picture.shape[:2]
            message = Image(height=height, width=width, encoding=self.encoding, step=3 * width, data=picture.tobytes())
        else:
            message = CompressedImage(format="jpeg", data=self.data(picture))
        message.header.frame_id = f"{role.label}_optical"
        message.header.stamp = _time(self.stamp(role, self.tick))
        return message

    def status(self, name: str) -> DiagnosticStatus | None:
        """The newest status of `name`."""
        for array in reversed(self.diagnostics):
            for status in array.status:
                if status.name.endswith(f": {name}"):
                    return status
        return None

    def refused(self) -> dict[str, int]:
        """Refusals by reason, as the newest diagnostics count them, since `forget`."""
        return {
            reason: count - self._forgotten.get(reason, 0)
            for reason, count in self._refused().items()
            if count > self._forgotten.get(reason, 0)
        }

    def forget(self) -> None:
        """Count refusals from now on."""
        seen = len(self.diagnostics)
        assert wait_until(lambda: len(self.diagnostics) > seen + 1)
        self._forgotten = self._refused()

    def _refused(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for status in self.diagnostics[-1].status if self.diagnostics else []:
            for pair in status.values:
                if pair.key not in ("received", "rate_hz") and not status.name.endswith(": planning"):
                    found[pair.key] = found.get(pair.key, 0) + int(pair.value)
        return found


class Wire:
    """The car and the nodes under test, spinning in a thread of their own."""

    def __init__(self, *nodes) -> None:
        self._executor = SingleThreadedExecutor()
        for node in nodes:
            self._executor.add_node(node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self._executor.shutdown()


def wait_until(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Whether the condition became true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def drive(car: Car, ticks: int, patience: float = 5.0) -> list[int]:
    """Step so often, waiting up to `patience` seconds for a plan of each; returns the t0s in ns that were planned."""
    before = len(car.plans)
    for _ in range(ticks):
        car.step()
        wait_until(lambda: car.plans and t0_of(car.plans[-1]) == car.now, patience)
    return [t0_of(plan) for plan in car.plans[before:]]


def coast(car: Car, ticks: int, pause: float = 0.03) -> list[int]:
    """Step so often where no plan is expected; returns the t0s in ns that were planned all the same."""
    return drive(car, ticks, pause)


def t0_of(plan: DrivingPlan) -> int:
    return plan.header.stamp.sec * 1_000_000_000 + plan.header.stamp.nanosec


def parameters(rig: str, **more) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in {"rig": rig, "use_sim_time": True, **more}.items()]


def _time(ns: int):
    from builtin_interfaces.msg import Time

    return Time(sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)
