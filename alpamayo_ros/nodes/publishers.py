"""What the planner says: the plan itself, and its views for controllers, for RViz and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from alpamayo_ros.nodes import views
from alpamayo_ros.nodes.calibration import CalibrationError, camera_of
from alpamayo_ros.nodes.message_types import live_types
from alpamayo_ros.nodes.overlay import draw_overlay
from alpamayo_ros.nodes.plan_messages import driving_plan
from alpamayo_ros.nodes.planning_loop import Planned
from alpamayo_ros.nodes.rig_profile import RigProfile
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import Camera

_DEPTH = 10


class PlanPublishers:
    """~/plan, ~/path, ~/path_in_odom, ~/trajectory, ~/reasoning, ~/samples, ~/markers, ~/overlay; where Autoware's
    messages are installed, ~/autoware_trajectory."""

    def __init__(self, node: Node) -> None:
        self._node, self._types = node, live_types()
        types = self._types
        self._autoware = views.autoware_messages()
        kinds = {
            "plan": types.DrivingPlan,
            "path": types.Path,
            "path_in_odom": types.Path,
            "trajectory": types.MultiDOFJointTrajectory,
            "reasoning": types.String,
            "samples": types.PointCloud2,
            "markers": types.MarkerArray,
            "overlay": types.Image,
        }
        if self._autoware is not None:
            kinds["autoware_trajectory"] = self._autoware.Trajectory
        self._publishers = {name: node.create_publisher(kind, f"~/{name}", _DEPTH) for name, kind in kinds.items()}
        self._uncalibrated = ""

    def close(self) -> None:
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)

    def publish(self, planned: Planned, fixed_frame: str, *, held_back: bool) -> None:
        """The plan, always. What a controller would drive, unless it is held back."""
        plan, moment, types = planned.plan, planned.moment, self._types
        message = driving_plan(
            types, plan, moment, fixed_frame=fixed_frame, held_back=held_back, skipped=planned.skipped
        )
        self._publishers["plan"].publish(message)
        self._publishers["reasoning"].publish(views.reasoning(types, plan))
        if held_back:
            return
        self._publishers["path"].publish(views.path(types, plan))
        self._publishers["path_in_odom"].publish(views.path_in_fixed_frame(types, plan, moment, fixed_frame))
        self._publishers["trajectory"].publish(views.trajectory(types, plan))
        if self._autoware is not None:
            self._publishers["autoware_trajectory"].publish(
                views.autoware_trajectory(types, self._autoware, plan, moment, fixed_frame)
            )

    def publish_views(
        self, planned: Planned, rig: RigProfile, infos: Mapping[CameraRole, Any], *, held_back: bool
    ) -> None:
        """What only people look at: made only where somebody does."""
        plan, types = planned.plan, self._types
        if self._is_heard("samples"):
            self._publishers["samples"].publish(views.samples_cloud(types, plan))
        if self._is_heard("markers"):
            self._publishers["markers"].publish(views.markers(types, plan, held_back=held_back))
        if self._is_heard("overlay"):
            self._publish_overlay(planned, rig, infos, held_back)

    def _publish_overlay(
        self, planned: Planned, rig: RigProfile, infos: Mapping[CameraRole, Any], held_back: bool
    ) -> None:
        frames = planned.moment.frames
        role = CameraRole.FRONT_WIDE_120 if CameraRole.FRONT_WIDE_120 in frames else next(iter(frames))
        page = draw_overlay(
            frames[role][-1].pixels(), self._camera(rig, infos, role), planned.plan, held_back=held_back
        )
        picture = views.picture(self._types, page, planned.plan.t0_ns, f"{role.label}_optical")
        self._publishers["overlay"].publish(picture)

    def _camera(self, rig: RigProfile, infos: Mapping[CameraRole, Any], role: CameraRole) -> Camera | None:
        """The calibrated camera, or None: the picture then says so."""
        try:
            return camera_of(rig.cameras[role], infos.get(role))
        except CalibrationError as error:
            if str(error) != self._uncalibrated:
                self._uncalibrated = str(error)
                self._node.get_logger().warning(f"camera {role.label} has no usable calibration: {error}")
            return None

    def _is_heard(self, name: str) -> bool:
        return bool(self._publishers[name].get_subscription_count())
