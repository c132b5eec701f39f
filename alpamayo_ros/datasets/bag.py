"""A drive as a rosbag2: cameras by role, odometry, transforms. Written without ROS, by `rosbags`.

/camera/<role>/image_raw/compressed   sensor_msgs/CompressedImage (JPEG), or /camera/<role>/image_raw sensor_msgs/Image
/camera/<role>/camera_info            sensor_msgs/CameraInfo, frame <role>_optical (x right, y down, z forward)
/odom                                 nav_msgs/Odometry, odom to base_link, twist in base_link
/tf, /tf_static                       odom to base_link at the odometry's rate; base_link to every <role>_optical
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from alpamayo_ros.datasets.drive import Drive, Motion
from alpamayo_ros.datasets.staging import DatasetError, staged
from alpamayo_ros.types.rig import Camera, Distorted, Pinhole

ODOM, BASE = "odom", "base_link"
JPEG_QUALITY = 95
STORAGE = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
_FOREVER = QosTime(9223372036, 854775807)  # as rosbag2 writes "no limit"
_store = get_typestore(Stores.ROS2_JAZZY)
_types = {name.rpartition("/")[2]: made for name, made in _store.types.items()}


@dataclass(frozen=True)
class BagOptions:
    """storage: mcap or sqlite3. raw: Image (rgb8) instead of CompressedImage. odometry_rate: Hz, a multiple of 10."""

    storage: str = "mcap"
    raw: bool = False
    odometry_rate: int = 50


def image_topic(role: str, raw: bool) -> str:
    return f"/camera/{role}/image_raw" if raw else f"/camera/{role}/image_raw/compressed"


def write_bag(drive: Drive, folder: Path, options: BagOptions, *, ticks: Iterable[int]) -> dict[str, int]:
    """Write the drive as a bag; returns the number of messages by topic. Raises DatasetError where `folder` exists.

    Every message is logged at its header's stamp.
    """
    with staged(folder) as place:
        try:
            with Writer(place, version=9, storage_plugin=STORAGE[options.storage]) as writer:
                return _Bag(writer, options).fill(drive, ticks)
        except WriterError as error:
            raise DatasetError(f"{folder}: {error}") from None


class _Bag:
    def __init__(self, writer: Writer, options: BagOptions) -> None:
        self.writer, self.options = writer, options
        self.connections: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def fill(self, drive: Drive, ticks: Iterable[int]) -> dict[str, int]:
        roles = drive.rig.roles
        self.write("/tf_static", drive.stamp_ns(0), _tf([_mount(drive.stamp_ns(0), drive.rig[role]) for role in roles]))
        motions = iter(drive.motions(self.options.odometry_rate))
        motion = next(motions, None)
        picture: Callable[..., Any] = _raw if self.options.raw else _compressed
        for tick in ticks:
            stamp = drive.stamp_ns(tick)
            for role in roles:
                header = _header(stamp, f"{role.label}_optical")
                self.write(image_topic(role.label, self.options.raw), stamp, picture(header, drive.picture(tick, role)))
                self.write(f"/camera/{role.label}/camera_info", stamp, camera_info(header, drive.rig[role]))
            # Up to the next frame, so that the bag is in the order of time.
            while motion is not None and motion.stamp_ns < drive.stamp_ns(tick + 1):
                self.write("/odom", motion.stamp_ns, _odometry(motion))
                self.write("/tf", motion.stamp_ns, _tf([_ego(motion)]))
                motion = next(motions, None)
        return self.counts

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        if topic not in self.connections:
            self.connections[topic] = self._connect(topic, message.__msgtype__)
        self.writer.write(self.connections[topic], stamp_ns, _store.serialize_cdr(message, message.__msgtype__))
        self.counts[topic] = self.counts.get(topic, 0) + 1

    def _connect(self, topic: str, kind: str) -> Any:
        durability = QosDurability.TRANSIENT_LOCAL if topic == "/tf_static" else QosDurability.VOLATILE
        qos = Qos(
            QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, durability, _FOREVER, _FOREVER,
            QosLiveliness.AUTOMATIC, _FOREVER, False,
        )  # fmt: skip
        return self.writer.add_connection(topic, kind, typestore=_store, offered_qos_profiles=[qos])


def camera_info(header: Any, camera: Camera) -> Any:
    """Pinhole as `plumb_bob` without distortion, distorted as `rational_polynomial`; f-theta as `equidistant`,
    r = f (theta + k1 theta^3 + … + k4 theta^9).

    Raises DatasetError for an f-theta polynomial that has other terms.
    """
    lens = camera.intrinsics
    if isinstance(lens, Pinhole):
        model, distortion, fx, fy = "plumb_bob", [0.0] * 5, lens.fx, lens.fy
    elif isinstance(lens, Distorted):
        model, distortion, fx, fy = "rational_polynomial", list(lens.distortion), lens.fx, lens.fy
    else:
        terms = [*lens.forward, *[0.0] * 10]
        if any(terms[0:10:2]) or any(terms[10:]):
            raise DatasetError(f"camera {camera.role.label}: CameraInfo has odd powers of the angle up to the 9th only")
        model, fx, fy = "equidistant", terms[1], terms[1] * lens.stretch
        distortion = [terms[power] / fx for power in (3, 5, 7, 9)]
    matrix = np.array([fx, 0.0, lens.cx, 0.0, fy, lens.cy, 0.0, 0.0, 1.0])
    projection = np.array([fx, 0.0, lens.cx, 0.0, 0.0, fy, lens.cy, 0.0, 0.0, 0.0, 1.0, 0.0])
    return _types["CameraInfo"](
        header=header, height=lens.height, width=lens.width, distortion_model=model, d=np.array(distortion), k=matrix,
        r=np.eye(3).ravel(), p=projection, binning_x=0, binning_y=0,
        roi=_types["RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )  # fmt: skip


def _header(stamp_ns: int, frame: str) -> Any:
    seconds, rest = divmod(stamp_ns, 1_000_000_000)
    return _types["Header"](stamp=_types["Time"](sec=seconds, nanosec=rest), frame_id=frame)


def _compressed(header: Any, picture: np.ndarray) -> Any:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return _types["CompressedImage"](header=header, format="jpeg", data=data.ravel())


def _raw(header: Any, picture: np.ndarray) -> Any:
    height, width = picture.shape[:2]
    return _types["Image"](
        header=header, height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width, data=picture.ravel()
    )


def _vector(x: float, y: float, z: float) -> Any:
    return _types["Vector3"](x=x, y=y, z=z)


def _quaternion(x: float, y: float, z: float, w: float) -> Any:
    return _types["Quaternion"](x=x, y=y, z=z, w=w)


def _odometry(motion: Motion) -> Any:
    turn = _quaternion(0.0, 0.0, math.sin(motion.yaw / 2), math.cos(motion.yaw / 2))
    pose = _types["Pose"](position=_types["Point"](x=motion.x, y=motion.y, z=0.0), orientation=turn)
    twist = _types["Twist"](linear=_vector(motion.speed, 0.0, 0.0), angular=_vector(0.0, 0.0, motion.yaw_rate))
    return _types["Odometry"](
        header=_header(motion.stamp_ns, ODOM), child_frame_id=BASE,
        pose=_types["PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
        twist=_types["TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
    )  # fmt: skip


def _tf(transforms: list[Any]) -> Any:
    return _types["TFMessage"](transforms=transforms)


def _ego(motion: Motion) -> Any:
    turn = _quaternion(0.0, 0.0, math.sin(motion.yaw / 2), math.cos(motion.yaw / 2))
    moved = _types["Transform"](translation=_vector(motion.x, motion.y, 0.0), rotation=turn)
    return _types["TransformStamped"](header=_header(motion.stamp_ns, ODOM), child_frame_id=BASE, transform=moved)


def _mount(stamp_ns: int, camera: Camera) -> Any:
    # The transform of a child frame takes its points to the parent: the camera's axes in the rig frame.
    turn = _quaternion(*(float(part) for part in Rotation.from_matrix(camera.rotation.T).as_quat()))
    moved = _types["Transform"](translation=_vector(*(float(part) for part in camera.position)), rotation=turn)
    return _types["TransformStamped"](
        header=_header(stamp_ns, BASE), child_frame_id=f"{camera.role.label}_optical", transform=moved
    )
