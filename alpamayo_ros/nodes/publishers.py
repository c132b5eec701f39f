"""What the planner says: the plan itself, and its views for controllers, for RViz and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from alpamayo_ros.nodes.message_types import live_types
from alpamayo_ros.nodes.plan_messages import driving_plan
from alpamayo_ros.nodes.planning_loop import Planned
from alpamayo_ros.nodes.rig_profile import RigProfile
from alpamayo_ros.types import CameraRole

_DEPTH = 10


class PlanPublishers:
    def __init__(self, node: Node) -> None:
        self._node, self._types = node, live_types()
        self._plan = node.create_publisher(self._types.DrivingPlan, "~/plan", _DEPTH)

    def close(self) -> None:
        self._node.destroy_publisher(self._plan)

    def publish(self, planned: Planned, fixed_frame: str, *, held_back: bool) -> None:
        message = driving_plan(
            self._types,
            planned.plan,
            planned.moment,
            fixed_frame=fixed_frame,
            held_back=held_back,
            skipped=planned.skipped,
        )
        self._plan.publish(message)

    def publish_views(self, planned: Planned, rig: RigProfile, infos: Mapping[CameraRole, Any]) -> None:
        pass
