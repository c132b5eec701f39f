"""The parameter files and the RViz configuration say what the planner knows and publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

CONFIG = Path(__file__).resolve().parents[2] / "config"
KINDS = {
    "Path": "nav_msgs/msg/Path",
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "Image": "sensor_msgs/msg/Image",
}
"""What a display of rviz_default_plugins shows."""


def values(name: str) -> dict[str, Any]:
    """Of the one node that a parameter file is for."""
    [(node, entry)] = yaml.safe_load((CONFIG / name).read_text()).items()
    assert node == "/**/alpamayo_planner"
    assert list(entry) == ["ros__parameters"]
    return entry["ros__parameters"]


def test_the_parameter_file_has_every_parameter_with_its_default() -> None:
    from alpamayo_ros.nodes.parameters import SPECS

    shipped = values("planner.yaml")

    assert shipped == {name: spec.default for name, spec in SPECS.items()}
    assert all(type(shipped[name]) is type(spec.default) for name, spec in SPECS.items())  # 1 is no 1.0 to ROS


@pytest.mark.parametrize("name", ["planner.yaml", "demo.yaml"])
def test_a_parameter_file_is_accepted(name: str) -> None:
    from alpamayo_ros.nodes.parameters import SPECS, Parameters

    shipped = values(name)

    assert set(shipped) <= set(SPECS)
    Parameters.of({**{name: spec.default for name, spec in SPECS.items()}, **shipped})


def test_rviz_shows_what_the_planner_publishes(ros_domain: int) -> None:
    import rclpy

    from alpamayo_ros.nodes.publishers import PlanPublishers

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = rclpy.create_node("alpamayo_planner", context=context)
    try:
        PlanPublishers(node)
        published = dict(node.get_publisher_names_and_types_by_node("alpamayo_planner", "/"))
    finally:
        node.destroy_node()
        context.shutdown()

    displays = yaml.safe_load((CONFIG / "alpamayo.rviz").read_text())["Visualization Manager"]["Displays"]
    shown = [display for display in displays if "Topic" in display]
    assert {display["Class"].partition("/")[2] for display in shown} == set(KINDS)
    for display in shown:
        plugins, _, kind = display["Class"].partition("/")
        assert plugins == "rviz_default_plugins"
        assert published.get("/" + display["Topic"]["Value"]) == [KINDS[kind]], display["Name"]
