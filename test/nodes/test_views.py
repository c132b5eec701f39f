"""What other tools read of a plan: same waypoints, same times, nothing that a later plan cannot take back."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from nodes.plans import T0, brake, content, fixed_pose, moment_of, nudge, plan_of, turn, unreadable
from reasoning.motions import unicycle
from scipy.spatial.transform import Rotation

from alpamayo_ros.datasets.overlay import speed_colour
from alpamayo_ros.nodes import views
from alpamayo_ros.nodes.message_types import live_types, message_store, offline_types
from alpamayo_ros.types import PlanSample

PLAN = plan_of(brake(), turn(10.0), unreadable(), selected=1)
MOMENT = moment_of()
NANOSECONDS = [100_000_000 * i for i in range(1, 65)]


@pytest.fixture(params=[live_types, offline_types], ids=["rclpy", "rosbags"])
def types(request):
    return request.param()


def ns(stamp) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


def xyz(place) -> tuple[float, float, float]:
    return place.x, place.y, place.z


def matrix(turn) -> np.ndarray:
    return Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()


ALL = {
    "nav_msgs/msg/Path": lambda types: views.path_in_fixed_frame(types, PLAN, MOMENT, "odom"),
    "trajectory_msgs/msg/MultiDOFJointTrajectory": lambda types: views.trajectory(types, PLAN),
    "sensor_msgs/msg/PointCloud2": lambda types: views.samples_cloud(types, PLAN),
    "visualization_msgs/msg/MarkerArray": lambda types: views.markers(types, PLAN, held_back=False),
    "std_msgs/msg/String": lambda types: views.reasoning(types, PLAN),
    "sensor_msgs/msg/Image": lambda types: views.picture(types, np.full((4, 6, 3), 9, np.uint8), T0, "front"),
}


@pytest.mark.parametrize("kind", ALL)
def test_live_and_offline_messages_are_the_same(kind):
    from rclpy.serialization import deserialize_message

    live, offline = ALL[kind](live_types()), ALL[kind](offline_types())
    assert content(offline) == content(live)
    assert deserialize_message(bytes(message_store().serialize_cdr(offline, kind)), type(live)) == live


def test_path_in_base_link(types):
    path, chosen = views.path(types, PLAN), PLAN.chosen.trajectory
    assert (path.header.frame_id, ns(path.header.stamp)) == ("base_link", T0)
    assert [(each.header.frame_id, ns(each.header.stamp)) for each in path.poses] == [("base_link", T0)] * 64
    np.testing.assert_allclose([xyz(each.pose.position) for each in path.poses], chosen.positions)
    turned = [matrix(each.pose.orientation) for each in path.poses]
    np.testing.assert_allclose(turned, chosen.rotations, atol=1e-9)


def test_path_in_the_fixed_frame(types):
    path, chosen = views.path_in_fixed_frame(types, PLAN, MOMENT, "map"), PLAN.chosen.trajectory
    position, rotation = fixed_pose()
    assert (path.header.frame_id, ns(path.header.stamp)) == ("map", T0)
    assert [ns(each.header.stamp) - T0 for each in path.poses] == NANOSECONDS
    for i in (0, 31, 63):
        pose = path.poses[i].pose
        np.testing.assert_allclose(xyz(pose.position), position + rotation @ chosen.positions[i], atol=1e-9)
        np.testing.assert_allclose(matrix(pose.orientation), rotation @ chosen.rotations[i], atol=1e-9)


def test_trajectory(types):
    message, chosen = views.trajectory(types, PLAN), PLAN.chosen.trajectory
    assert (message.header.frame_id, ns(message.header.stamp), list(message.joint_names)) == (
        "base_link", T0, ["base_link"],
    )  # fmt: skip
    assert [ns(each.time_from_start) for each in message.points] == NANOSECONDS
    for i, each in enumerate(message.points):
        assert len(each.transforms) == len(each.velocities) == len(each.accelerations) == 1
        np.testing.assert_allclose(xyz(each.transforms[0].translation), chosen.positions[i])
        np.testing.assert_allclose(matrix(each.transforms[0].rotation), chosen.rotations[i], atol=1e-9)
        assert xyz(each.velocities[0].linear) == pytest.approx((chosen.speeds[i], 0.0, 0.0))
        assert xyz(each.velocities[0].angular) == pytest.approx((0.0, 0.0, chosen.yaw_rates[i]))
        sideways = chosen.speeds[i] ** 2 * chosen.curvatures[i]
        assert xyz(each.accelerations[0].linear) == pytest.approx((chosen.accelerations[i], sideways, 0.0))
    # In the car's axes: turned into base_link at t0, the velocity is how the positions go on.
    i = 40
    velocity = matrix(message.points[i].transforms[0].rotation) @ xyz(message.points[i].velocities[0].linear)
    step = (chosen.positions[i + 1] - chosen.positions[i - 1]) / 0.2
    np.testing.assert_allclose(velocity, step, rtol=0.02, atol=0.1)


def test_samples_cloud(types):
    cloud = views.samples_cloud(types, PLAN)
    assert [(field.name, field.offset, field.datatype, field.count) for field in cloud.fields] == [
        (name, 4 * i, 7, 1) for i, name in enumerate(("x", "y", "z", "time", "sample", "speed"))
    ]
    assert (cloud.header.frame_id, ns(cloud.header.stamp)) == ("base_link", T0)
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 3 * 64, 24, 3 * 64 * 24)
    assert (cloud.is_dense, cloud.is_bigendian, len(cloud.data)) == (True, False, cloud.row_step)
    points = np.frombuffer(cloud.data, "<f4").reshape(3, 64, 6)
    for index, sample in enumerate(PLAN.samples):
        np.testing.assert_allclose(points[index, :, :3], sample.trajectory.positions, rtol=1e-6)
        np.testing.assert_allclose(points[index, :, 3], 0.1 * np.arange(1, 65), rtol=1e-6)
        assert (points[index, :, 4] == index).all()
        np.testing.assert_allclose(points[index, :, 5], sample.trajectory.speeds, rtol=1e-6)


def test_reasoning(types):
    assert views.reasoning(types, PLAN).data == PLAN.chosen.reasoning


class Screen:
    """Shows markers as RViz does: DELETEALL empties it, a marker replaces the one of its namespace and id."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, int], object] = {}

    def show(self, array) -> None:
        for marker in array.markers:
            if marker.action == 3:
                self.shown.clear()
            else:
                assert marker.action == 0
                assert (marker.ns, marker.id) not in self.shown
                self.shown[marker.ns, marker.id] = marker


def test_markers_of_a_smaller_plan_leave_nothing_behind(types):
    screen = Screen()
    screen.show(views.markers(types, PLAN, held_back=False))
    assert {key[0] for key in screen.shown} == {"samples", "chosen", "reasoning"}
    assert len(screen.shown) == 3 + 2
    screen.show(views.markers(types, plan_of(nudge()), held_back=False))
    assert set(screen.shown) == {("samples", 0), ("chosen", 0), ("reasoning", 0)}


def test_markers(types):
    screen = Screen()
    screen.show(views.markers(types, PLAN, held_back=False))
    for marker in screen.shown.values():
        assert (marker.header.frame_id, ns(marker.header.stamp)) == ("base_link", T0)
        assert 0 < ns(marker.lifetime) <= 5 * 10**9
        turned = marker.pose.orientation
        assert (turned.x, turned.y, turned.z, turned.w) == (0.0, 0.0, 0.0, 1.0)
    for index, sample in enumerate(PLAN.samples):
        thin = screen.shown["samples", index]
        np.testing.assert_allclose([xyz(place) for place in thin.points][1:], sample.trajectory.positions)
        assert (thin.type, len(thin.points), len(thin.colors)) == (4, 65, 0)
    chosen, path = screen.shown["chosen", 0], PLAN.chosen.trajectory
    assert chosen.type == 4
    assert chosen.scale.x > 3 * screen.shown["samples", 0].scale.x
    assert xyz(chosen.points[0]) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose([xyz(place) for place in chosen.points][1:], path.positions)
    assert len(chosen.colors) == len(chosen.points)
    for colour, speed in zip(chosen.colors[1:], path.speeds, strict=True):
        assert (colour.r, colour.g, colour.b) == pytest.approx(tuple(c / 255 for c in speed_colour(speed)), abs=1e-6)
        assert colour.a == 1.0
    text = screen.shown["reasoning", 0]
    assert (text.type, text.pose.position.z) == (9, 3.0)
    assert PLAN.chosen.reasoning in text.text.replace("\n", " ")


def test_markers_say_the_decision_and_what_failed(types):
    def text_of(plan, held_back):
        array = views.markers(types, plan, held_back=held_back)
        return next(m for m in array.markers if m.ns == "reasoning"), next(m for m in array.markers if m.ns == "chosen")

    passed, shown = text_of(plan_of(brake()), False)
    assert passed.text.splitlines()[0] == "stop for static constraints / no change of path"
    assert "gate" not in passed.text
    failed, _ = text_of(plan_of(unreadable()), False)
    assert failed.text.splitlines()[0] == "speed: not read / path: not read"
    assert failed.text.splitlines()[-1].startswith("gate: reasoning complete")
    assert failed.color != passed.color
    held, faint = text_of(plan_of(unreadable()), True)
    assert held.text.splitlines()[-1].startswith("held back: ")
    assert max(colour.a for colour in faint.colors) < min(colour.a for colour in shown.colors)
    long = plan_of(PlanSample(unicycle(5.0), "many words " * 40, True))
    assert max(len(line) for line in text_of(long, False)[0].text.splitlines()[1:-1]) <= 60


def test_picture(types):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    message = views.picture(types, pixels, T0, "front_wide_120_optical")
    assert (message.height, message.width, message.step, message.encoding) == (5, 7, 21, "rgb8")
    assert (message.header.frame_id, ns(message.header.stamp)) == ("front_wide_120_optical", T0)
    assert (np.frombuffer(message.data, np.uint8) == pixels.ravel()).all()


class Record(SimpleNamespace):
    """A message of the fields that Autoware's has, and no others."""

    FIELDS: tuple[str, ...] = ()

    def __init__(self, **fields: object) -> None:
        assert set(fields) <= set(self.FIELDS)
        super().__init__(**fields)


class TrajectoryPoint(Record):
    FIELDS = (
        "time_from_start", "pose", "longitudinal_velocity_mps", "lateral_velocity_mps", "acceleration_mps2",
        "heading_rate_rps", "front_wheel_angle_rad", "rear_wheel_angle_rad",
    )  # fmt: skip


class AutowareTrajectory(Record):
    FIELDS = ("header", "points")


def test_without_autoware_there_are_no_messages(monkeypatch):
    monkeypatch.setitem(sys.modules, "autoware_planning_msgs", ModuleType("autoware_planning_msgs"))
    with pytest.raises(ModuleNotFoundError):  # a package without its messages is broken, not absent
        views.autoware_messages()
    monkeypatch.delitem(sys.modules, "autoware_planning_msgs")
    assert views.autoware_messages() is None


def test_autoware_trajectory(types, monkeypatch):
    package, messages = ModuleType("autoware_planning_msgs"), ModuleType("autoware_planning_msgs.msg")
    package.msg = messages
    messages.Trajectory, messages.TrajectoryPoint = AutowareTrajectory, TrajectoryPoint
    monkeypatch.setitem(sys.modules, "autoware_planning_msgs", package)
    monkeypatch.setitem(sys.modules, "autoware_planning_msgs.msg", messages)
    autoware = views.autoware_messages()
    assert autoware is messages

    message, chosen = views.autoware_trajectory(types, autoware, PLAN, MOMENT, "map"), PLAN.chosen.trajectory
    position, rotation = fixed_pose()
    assert (message.header.frame_id, ns(message.header.stamp)) == ("map", T0)
    assert [ns(each.time_from_start) for each in message.points] == NANOSECONDS
    for i in (0, 20, 63):
        each = message.points[i]
        np.testing.assert_allclose(xyz(each.pose.position), position + rotation @ chosen.positions[i])
        assert each.longitudinal_velocity_mps == pytest.approx(chosen.speeds[i])
        assert each.acceleration_mps2 == pytest.approx(chosen.accelerations[i])
        assert each.heading_rate_rps == pytest.approx(chosen.yaw_rates[i])
        assert (each.lateral_velocity_mps, each.front_wheel_angle_rad, each.rear_wheel_angle_rad) == (0.0, 0.0, 0.0)

    backing = plan_of(PlanSample(unicycle(-1.0, lambda t: -0.3), "Reverse.", True))
    message = views.autoware_trajectory(types, autoware, backing, MOMENT, "map")
    assert message.points[5].longitudinal_velocity_mps < -1.0
    assert message.points[5].acceleration_mps2 == pytest.approx(0.3)  # it gets faster, backwards
