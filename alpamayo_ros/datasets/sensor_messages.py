"""What a vehicle's sensors publish, as serialised ROS messages, made without ROS by `rosbags`: the same bytes go into
a bag and over a topic.

/camera/<role>/image_raw/compressed   sensor_msgs/CompressedImage (JPEG), or /camera/<role>/image_raw sensor_msgs/Image
/camera/<role>/camera_info            sensor_msgs/CameraInfo, frame <role>_optical (x right, y down, z forward)
/odom                                 nav_msgs/Odometry, odom to base_link, twist in base_link
/tf, /tf_static                       odom to base_link at the odometry's rate; base_link to every <role>_optical
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from alpamayo_ros.datasets.drive import Motion
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import Camera, Distorted, Pinhole, Rig

ODOM, BASE = "odom", "base_link"
JPEG_QUALITY = 95
_store = get_typestore(Stores.ROS2_JAZZY)
_types = {name.rpartition("/")[2]: made for name, made in _store.types.items()}


@dataclass(frozen=True)
class Message:
    """kind: as in `sensor_msgs/msg/Image`. stamp_ns: that of its header. data: serialised (CDR)."""

    topic: str
    kind: str
    stamp_ns: int
    data: bytes


def image_topic(role: str, raw: bool) -> str:
    return f"/camera/{role}/image_raw" if raw else f"/camera/{role}/image_raw/compressed"


def info_topic(role: str) -> str:
    return f"/camera/{role}/camera_info"


class SensorMessages:
    """The messages of a rig's cameras and of its odometry. raw: Image (rgb8) instead of CompressedImage."""

    def __init__(self, rig: Rig, raw: bool) -> None:
        self.rig, self.raw = rig, raw

    def mounts(self, stamp_ns: int) -> Message:
        """Where the cameras are."""
        mounted = [_mount(stamp_ns, camera) for camera in self.rig.cameras.values()]
        return _message("/tf_static", stamp_ns, _tf(mounted))

    def pictures(self, stamp_ns: int, pictures: Mapping[CameraRole, np.ndarray]) -> Iterator[Message]:
        """Picture (H, W, 3) uint8 RGB and camera info of every camera."""
        picture = _raw if self.raw else _compressed
        for role, pixels in pictures.items():
            header = _header(stamp_ns, f"{role.label}_optical")
            yield _message(image_topic(role.label, self.raw), stamp_ns, picture(header, pixels))
            yield _message(info_topic(role.label), stamp_ns, camera_info(header, self.rig[role]))

    def motion(self, motion: Motion) -> Iterator[Message]:
        """Odometry, and the same as a transform."""
        yield _message("/odom", motion.stamp_ns, _odometry(motion))
        yield _message("/tf", motion.stamp_ns, _tf([_ego(motion)]))


def _message(topic: str, stamp_ns: int, message: Any) -> Message:
    return Message(topic, message.__msgtype__, stamp_ns, bytes(_store.serialize_cdr(message, message.__msgtype__)))


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
