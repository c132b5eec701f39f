"""What others read or look at of a plan, in the messages that every ROS 2 tool knows.

`types` is always the message classes to make them of (see `message_types`).
"""

from __future__ import annotations

import sys
import textwrap
from types import ModuleType
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from alpamayo_ros.datasets.overlay import speed_colour
from alpamayo_ros.nodes.message_parts import duration, header, point, pose, quaternion, quaternions, single, vector
from alpamayo_ros.nodes.message_types import MessageTypes
from alpamayo_ros.nodes.names import BASE
from alpamayo_ros.nodes.wording import decision_words, failed_checks
from alpamayo_ros.timeline import Moment
from alpamayo_ros.types import Plan, Trajectory

CLOUD_FIELDS = ("x", "y", "z", "time", "sample", "speed")
"""All float32: metres in base_link at t0, seconds after t0, index of the sample, m/s."""

MARKER_SECONDS = 2.0
"""After which markers vanish where no newer plan replaces them."""

_CHOSEN_WIDTH, _OTHER_WIDTH, _LETTER_HEIGHT, _TEXT_ABOVE = 0.35, 0.06, 0.6, 3.0  # metres
_OTHER, _PASSED, _FAILED = (0.75, 0.8, 0.9, 0.7), (1.0, 1.0, 1.0, 1.0), (1.0, 0.35, 0.3, 1.0)
_LETTERS_IN_LINE = 60


def path(types: MessageTypes, plan: Plan) -> Any:
    """nav_msgs/Path of the chosen sample in base_link at t0: every pose has t0 for its stamp, as that frame has."""
    chosen = plan.chosen.trajectory
    return _path(types, plan.t0_ns, BASE, [plan.t0_ns] * len(chosen.times), chosen.positions, chosen.rotations)


def path_in_fixed_frame(types: MessageTypes, plan: Plan, moment: Moment, fixed_frame: str) -> Any:
    """nav_msgs/Path of the chosen sample in the frame of the ego source, transformed with the pose at t0. The stamp of
    every pose is the time at which the car is to be there."""
    positions, rotations = _in_fixed_frame(plan.chosen.trajectory, moment)
    return _path(types, plan.t0_ns, fixed_frame, _stamps(plan), positions, rotations)


def trajectory(types: MessageTypes, plan: Plan) -> Any:
    """trajectory_msgs/MultiDOFJointTrajectory of the chosen sample, of one joint: base_link in base_link at t0.

    velocities and accelerations are in the axes of base_link at that waypoint: x along the car, y to its left. The
    acceleration to the side is speed times yaw rate. Angular acceleration is not planned, and is left at zero.
    """
    chosen = plan.chosen.trajectory
    turns, yaw_rates = quaternions(chosen.rotations), chosen.yaw_rates
    points = []
    for i, seconds in enumerate(chosen.times.tolist()):
        speed, yaw_rate = float(chosen.speeds[i]), float(yaw_rates[i])
        place = vector(types, *chosen.positions[i])
        points.append(
            types.MultiDOFJointTrajectoryPoint(
                transforms=[types.Transform(translation=place, rotation=quaternion(types, turns[i]))],
                velocities=[_twist(types, speed, 0.0, yaw_rate)],
                accelerations=[_twist(types, float(chosen.accelerations[i]), speed * yaw_rate, 0.0)],
                time_from_start=duration(types, seconds),
            )
        )
    return types.MultiDOFJointTrajectory(header=header(types, plan.t0_ns, BASE), joint_names=[BASE], points=points)


def samples_cloud(types: MessageTypes, plan: Plan) -> Any:
    """sensor_msgs/PointCloud2 of all waypoints of all samples, in base_link at t0; see CLOUD_FIELDS."""
    rows = []
    for index, sample in enumerate(plan.samples):
        of = sample.trajectory
        rows.append(np.column_stack([of.positions, of.times, np.full(len(of.times), index), of.speeds]))
    points = np.concatenate(rows).astype(np.float32)
    size = points.itemsize
    fields = [
        types.PointField(name=name, offset=size * i, datatype=types.PointField.FLOAT32, count=1)
        for i, name in enumerate(CLOUD_FIELDS)
    ]
    return types.PointCloud2(
        header=header(types, plan.t0_ns, BASE),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=sys.byteorder == "big",
        point_step=size * len(fields),
        row_step=points.nbytes,
        data=types.octets(points.view(np.uint8)),
        is_dense=True,  # no point is missing
    )


def reasoning(types: MessageTypes, plan: Plan) -> Any:
    """std_msgs/String: the Chain of Causation of the chosen sample, as the model wrote it."""
    return types.String(data=plan.chosen.reasoning)


def markers(types: MessageTypes, plan: Plan, *, held_back: bool) -> Any:
    """visualization_msgs/MarkerArray: all samples as thin lines; the chosen one thick, coloured by speed, and faint
    where it is held back; above the car its decision, its words and what failed.

    The first marker deletes all before, so that nothing of a plan with more samples stays.
    """
    kind = types.Marker
    clear = _marker(types, plan, "", 0, kind.LINE_STRIP, action=kind.DELETEALL)
    thin = [
        _marker(
            types, plan, "samples", index, kind.LINE_STRIP,
            scale=vector(types, _OTHER_WIDTH, 0.0, 0.0), color=_colour(types, _OTHER),
            points=_line(types, sample.trajectory),
        )
        for index, sample in enumerate(plan.samples)
    ]  # fmt: skip
    chosen = plan.chosen.trajectory
    speeds = np.concatenate(
        [chosen.speeds[:1], chosen.speeds]
    ).tolist()  # the line begins at the car, which has no speed
    opacity = 0.25 if held_back else 1.0
    thick = _marker(
        types, plan, "chosen", 0, kind.LINE_STRIP,
        scale=vector(types, _CHOSEN_WIDTH, 0.0, 0.0), color=_colour(types, (1.0, 1.0, 1.0, opacity)),
        points=_line(types, chosen), colors=[_speed_colour(types, speed, opacity) for speed in speeds],
    )  # fmt: skip
    above = _marker(
        types, plan, "reasoning", 0, kind.TEXT_VIEW_FACING,
        scale=vector(types, 0.0, 0.0, _LETTER_HEIGHT),
        color=_colour(types, _PASSED if plan.judgement.gate.passed else _FAILED),
        pose=pose(types, np.array([0.0, 0.0, _TEXT_ABOVE]), np.array([0.0, 0.0, 0.0, 1.0])),
        text=_text(plan, held_back),
    )  # fmt: skip
    return types.MarkerArray(markers=[clear, *thin, thick, above])


def picture(types: MessageTypes, pixels: np.ndarray, stamp_ns: int, frame: str) -> Any:
    """sensor_msgs/Image, rgb8, of pixels (H, W, 3) uint8 RGB."""
    height, width = pixels.shape[:2]
    return types.Image(
        header=header(types, stamp_ns, frame),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=types.octets(np.ascontiguousarray(pixels)),
    )


def autoware_messages() -> ModuleType | None:
    """Autoware's planning messages, or None where they are not installed."""
    try:
        import autoware_planning_msgs.msg
    except ModuleNotFoundError as error:
        if error.name != "autoware_planning_msgs":
            raise  # installed, but broken
        return None
    return autoware_planning_msgs.msg


def autoware_trajectory(types: MessageTypes, autoware: ModuleType, plan: Plan, moment: Moment, fixed_frame: str) -> Any:
    """autoware_planning_msgs/Trajectory of the chosen sample in the frame of the ego source; `autoware` is
    `autoware_messages()`.

    A unicycle does not slip: the lateral velocity is zero. Wheel angles are left at zero: the wheelbase is not
    known. Autoware counts an acceleration as positive where the car gets faster in the direction it moves in.
    """
    chosen = plan.chosen.trajectory
    positions, rotations = _in_fixed_frame(chosen, moment)
    turns, yaw_rates = quaternions(rotations), chosen.yaw_rates
    direction = np.where(chosen.speeds < 0.0, -1.0, 1.0)
    points = [
        autoware.TrajectoryPoint(
            time_from_start=duration(types, float(chosen.times[i])),
            pose=pose(types, positions[i], turns[i]),
            longitudinal_velocity_mps=single(chosen.speeds[i]),
            lateral_velocity_mps=0.0,
            acceleration_mps2=single(chosen.accelerations[i] * direction[i]),
            heading_rate_rps=single(yaw_rates[i]),
            front_wheel_angle_rad=0.0,
            rear_wheel_angle_rad=0.0,
        )
        for i in range(len(chosen.times))
    ]
    return autoware.Trajectory(header=header(types, plan.t0_ns, fixed_frame), points=points)


def _in_fixed_frame(of: Trajectory, moment: Moment) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) and rotations (N, 3, 3) of a trajectory in the frame of the ego source."""
    ego = Rotation.from_quat(moment.quaternion).as_matrix()
    return of.positions @ ego.T + moment.position, ego @ of.rotations


def _stamps(plan: Plan) -> list[int]:
    return [plan.t0_ns + round(seconds * 1e6) * 1000 for seconds in plan.chosen.trajectory.times.tolist()]


def _path(
    types: MessageTypes, t0_ns: int, frame: str, stamps: list[int], positions: np.ndarray, rotations: np.ndarray
) -> Any:
    turns = quaternions(rotations)
    poses = [
        types.PoseStamped(header=header(types, stamp, frame), pose=pose(types, positions[i], turns[i]))
        for i, stamp in enumerate(stamps)
    ]
    return types.Path(header=header(types, t0_ns, frame), poses=poses)


def _twist(types: MessageTypes, forward: float, left: float, turning: float) -> Any:
    return types.Twist(linear=vector(types, forward, left, 0.0), angular=vector(types, 0.0, 0.0, turning))


def _line(types: MessageTypes, of: Trajectory) -> list[Any]:
    """From the car along the waypoints."""
    return [point(types, place) for place in np.concatenate([np.zeros((1, 3)), of.positions])]


def _text(plan: Plan, held_back: bool) -> str:
    judgement = plan.judgement
    decided = " / ".join(decision_words(judgement.trace.decision))
    lines = [decided, *textwrap.wrap(plan.chosen.reasoning, _LETTERS_IN_LINE)]
    if failed := failed_checks(judgement.gate):
        lines.append(f"{'held back' if held_back else 'gate'}: {failed}")
    return "\n".join(lines)


def _colour(types: MessageTypes, parts: tuple[float, float, float, float]) -> Any:
    red, green, blue, opacity = (single(part) for part in parts)
    return types.ColorRGBA(r=red, g=green, b=blue, a=opacity)


def _speed_colour(types: MessageTypes, speed: float, opacity: float) -> Any:
    red, green, blue = speed_colour(speed)
    return _colour(types, (red / 255, green / 255, blue / 255, opacity))


def _marker(types: MessageTypes, plan: Plan, namespace: str, index: int, kind: int, **given: Any) -> Any:
    """A marker in base_link at t0; what is not given is empty."""
    top = header(types, plan.t0_ns, BASE)
    fields = {
        "action": types.Marker.ADD,
        "pose": pose(types, np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])),
        "scale": vector(types, 1.0, 1.0, 1.0),
        "color": _colour(types, (0.0, 0.0, 0.0, 0.0)),
        "points": [],
        "colors": [],
        "text": "",
    }
    return types.Marker(
        header=top,
        ns=namespace,
        id=index,
        type=kind,
        lifetime=duration(types, MARKER_SECONDS),
        frame_locked=False,
        texture_resource="",
        texture=types.CompressedImage(header=top, format="", data=types.octets(b"")),
        uv_coordinates=[],
        mesh_resource="",
        mesh_file=types.MeshFile(filename="", data=types.octets(b"")),
        mesh_use_embedded_materials=False,
        **(fields | given),
    )
