"""The messages are real ROS messages: Python nodes exchange them, and C++ packages compile against them."""

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]

PUBLISHER = """
import time, rclpy
from alpamayo_ros.msg import Waypoint
rclpy.init()
node = rclpy.create_node("planner")
publisher = node.create_publisher(Waypoint, "waypoint", 1)
waypoint = Waypoint(speed=8.5, acceleration=-0.5, curvature=0.0625, yaw_rate=0.53125)
waypoint.time_from_start.sec, waypoint.time_from_start.nanosec = 6, 400_000_000
waypoint.pose.position.x = 51.25
while True:
    publisher.publish(waypoint)
    time.sleep(0.05)
"""


def test_a_waypoint_reaches_another_process(ros_domain: int) -> None:
    import rclpy
    from alpamayo_ros.msg import Waypoint

    received: list[Waypoint] = []
    publisher = subprocess.Popen([sys.executable, "-c", PUBLISHER])
    rclpy.init(domain_id=ros_domain)
    try:
        node = rclpy.create_node("controller")
        node.create_subscription(Waypoint, "waypoint", received.append, 1)
        deadline = time.monotonic() + 20
        while not received and time.monotonic() < deadline:
            assert publisher.poll() is None, "the publishing process ended"
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        rclpy.shutdown()
        publisher.kill()
        publisher.wait()

    expected = Waypoint(speed=8.5, acceleration=-0.5, curvature=0.0625, yaw_rate=0.53125)
    expected.time_from_start.sec, expected.time_from_start.nanosec = 6, 400_000_000
    expected.pose.position.x = 51.25
    assert received[:1] == [expected]


DOWNSTREAM_CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(downstream CXX)
find_package(alpamayo_ros REQUIRED)
add_executable(downstream main.cpp)
target_compile_features(downstream PRIVATE cxx_std_17)
target_link_libraries(downstream ${alpamayo_ros_TARGETS})
"""

DOWNSTREAM_CPP = """
#include <alpamayo_ros/msg/driving_plan.hpp>
#include <iostream>
int main() {
  using namespace alpamayo_ros::msg;
  DrivingPlan plan;
  plan.samples.resize(1);
  plan.samples[0].waypoints.resize(64);
  plan.samples[0].waypoints[0].speed = 8.5f;
  plan.samples[0].reasoning.longitudinal = ChainOfCausation::LONGITUDINAL_YIELD;
  plan.samples[0].reasoning.components.resize(1);
  plan.samples[0].reasoning.components[0].category = CriticalComponent::TRAFFIC_LIGHT;
  plan.gate.failures.resize(1);
  plan.gate.failures[0].check = GateFailure::CURVATURE;
  std::cout << to_yaml(plan, true);
}
"""


def test_a_cpp_project_compiles_against_the_messages(tmp_path: Path) -> None:
    import alpamayo_ros.msg

    prefix = next(p for p in Path(alpamayo_ros.msg.__file__).parents if (p / "share/alpamayo_ros/cmake").is_dir())
    prefixes = ":".join([str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")])
    environment = os.environ | {"AMENT_PREFIX_PATH": prefixes, "CMAKE_PREFIX_PATH": prefixes}
    (tmp_path / "CMakeLists.txt").write_text(DOWNSTREAM_CMAKE)
    (tmp_path / "main.cpp").write_text(DOWNSTREAM_CPP)
    build = tmp_path / "build"

    for step in (
        ["cmake", "-S", tmp_path, "-B", build],
        ["cmake", "--build", build],
    ):
        done = subprocess.run(step, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    printed = subprocess.run([build / "downstream"], capture_output=True, text=True, check=True).stdout

    assert "speed: 8.5" in printed


def test_the_installed_version_is_that_of_package_xml() -> None:
    assert importlib.metadata.version("alpamayo_ros") == ElementTree.parse(ROOT / "package.xml").findtext("version")
