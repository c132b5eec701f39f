"""The message classes by name: those of rclpy for live nodes, those of rosbags for bags without ROS.

Both take every field by keyword, so that one function makes the messages of both.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from alpamayo_ros.shipped import shipped_folders

OWN = (
    "CameraStamps", "ChainOfCausation", "ConsistencyVerdict", "CriticalComponent", "DrivingPlan", "GateFailure",
    "GateVerdict", "MetaAction", "StageLatency", "TrajectorySample", "Waypoint",
)  # fmt: skip
USED = {
    "alpamayo_ros": OWN,
    "builtin_interfaces": ("Duration", "Time"),
    "diagnostic_msgs": ("KeyValue",),
    "geometry_msgs": ("Point", "Pose", "PoseStamped", "Quaternion", "Transform", "Twist", "Vector3"),
    "nav_msgs": ("Path",),
    "sensor_msgs": ("CompressedImage", "Image", "PointCloud2", "PointField"),
    "std_msgs": ("ColorRGBA", "Header", "String"),
    "trajectory_msgs": ("MultiDOFJointTrajectory", "MultiDOFJointTrajectoryPoint"),
    "visualization_msgs": ("Marker", "MarkerArray", "MeshFile"),
}
"""The messages that are made here, by package. No two have the same name."""


class MessageTypes:
    """The classes of `USED` as attributes.

    octets: makes what a uint8[] field takes, of bytes or a contiguous uint8 array; it may share their memory.
    """

    def __init__(self, classes: Mapping[str, Any], octets: Callable[[bytes | np.ndarray], Any]) -> None:
        self._classes = dict(classes)
        self.octets = octets

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_classes"][name]
        except KeyError:
            raise AttributeError(f"{name} is not among the messages that are made here") from None


@cache
def live_types() -> MessageTypes:
    """The classes that rclpy publishes. Raises ImportError where ROS 2, or this package's messages, are not there."""
    classes = {
        name: getattr(import_module(f"{package}.msg"), name) for package, names in USED.items() for name in names
    }
    return MessageTypes(classes, _octet_array)


def _octet_array(data: Any) -> array.array[int]:
    made = array.array("B")
    made.frombytes(data)
    return made


@cache
def message_store() -> Typestore:
    """What rosbags reads and writes messages with: those of ROS 2 Jazzy and our own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = shipped_folders("msg")[0]
    definitions: dict[str, Any] = {}
    for name in OWN:
        definitions |= get_types_from_msg((folder / f"{name}.msg").read_text(), f"alpamayo_ros/msg/{name}")
    store.register(definitions)
    return store


@cache
def offline_types() -> MessageTypes:
    """The classes that `message_store` serializes; they need no ROS."""
    known = message_store().types
    classes = {name: known[f"{package}/msg/{name}"] for package, names in USED.items() for name in names}
    return MessageTypes(classes, lambda data: np.frombuffer(data, np.uint8))
