"""Which topic is which camera, and where the ego pose comes from: a YAML file for each kind of vehicle."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from alpamayo_ros.nodes.names import BASE
from alpamayo_ros.shipped import shipped_folders
from alpamayo_ros.timeline import Refusal, RefusalReason
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import looking
from alpamayo_ros.vla.config import ModelConfig

TRANSPORTS = ("raw", "compressed")

# ROS' rules (design.ros2.org, "Topic and Service name mapping to DDS"), without ~ and {}, which mean nothing in a bag.
_TOPIC = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


class RigError(ValueError):
    """A rig profile that cannot be used: the message names the file, the entry and the remedy."""


@dataclass(frozen=True)
class Mount:
    """Where a camera is on the vehicle: position in metres in the rig frame (x forward, y left, z up, origin on the
    ground under the middle of the rear axle); yaw to the left, pitch upwards, roll to the right, in degrees."""

    position: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3), rig to camera (x right, y down, z along the optical axis)."""
        c, s = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        about_axis = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        return about_axis @ looking(math.radians(self.yaw), math.radians(self.pitch))


@dataclass(frozen=True)
class CameraSource:
    """The topics of one camera. camera_info and mount are needed to draw into its picture, not to plan."""

    role: CameraRole
    topic: str
    transport: str
    camera_info: str | None
    mount: Mount | None


@dataclass(frozen=True)
class OdometrySource:
    """Ego poses from nav_msgs/Odometry. base_frame: what its messages call the vehicle's base (child_frame_id)."""

    topic: str
    base_frame: str = BASE

    def check(self, child_frame: str) -> None:
        """Raises Refusal for the poses of something else: of the antenna, say, or of the lidar."""
        if child_frame.lstrip("/") != self.base_frame.lstrip("/"):
            raise Refusal(
                RefusalReason.EGO_FRAME,
                "ego",
                f"{self.topic} has the poses of {child_frame!r} (child_frame_id), wanted are those of "
                f"{self.base_frame!r}; if both are the vehicle's base, write `base_frame: {child_frame!r}` under `ego` "
                "in the rig profile",
            )


@dataclass(frozen=True)
class TfSource:
    """Ego poses from transforms: base_frame in fixed_frame."""

    fixed_frame: str
    base_frame: str


@dataclass(frozen=True)
class RigProfile:
    """cameras: ascending by role."""

    name: str
    description: str
    ego: OdometrySource | TfSource
    cameras: Mapping[CameraRole, CameraSource]

    @classmethod
    def open(cls, name: str | Path) -> RigProfile:
        """The profile in a YAML file, or the shipped one of that name. Raises RigError."""
        path = _find(str(name))
        try:
            document = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RigError(f"{path} is no YAML file: {' '.join(str(error).split())}") from None
        try:
            return _read(path.stem, document)
        except RigError as error:
            raise RigError(f"{path}: {error}") from None

    def of_roles(self, roles: Iterable[CameraRole]) -> RigProfile:
        """Only the cameras that a model looks through. Raises RigError where one of them is not on this rig."""
        wanted = sorted(roles)
        missing = [role.label for role in wanted if role not in self.cameras]
        if missing:
            raise RigError(
                f"rig {self.name} has no camera {', '.join(missing)}, which the model needs; it has "
                f"{', '.join(role.label for role in self.cameras)}"
            )
        return RigProfile(self.name, self.description, self.ego, {role: self.cameras[role] for role in wanted})

    def for_model(self, config: ModelConfig) -> RigProfile:
        """Only the cameras that a model looks through: those it was trained with, or, where it takes any, all that it
        knows and this rig has. Raises RigError where one that it needs is not on this rig."""
        roles = [CameraRole(role) for role in config.camera_roles]
        if config.any_camera_subset:
            roles = [role for role in roles if role in self.cameras]
        return self.of_roles(roles)


def shipped_rigs() -> dict[str, Path]:
    """The profiles that come with the package, by name."""
    folders = [folder / "rigs" for folder in reversed(shipped_folders("config"))]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise RigError(f"{name} is no file; give the path of a rig profile")
        return Path(name)
    shipped = shipped_rigs()
    if name not in shipped:
        raise RigError(
            f"unknown rig {name!r}; shipped are {', '.join(shipped) or 'none'}; a profile of your own is given by its "
            "path, which ends in .yaml"
        )
    return shipped[name]


def _read(name: str, document: Any) -> RigProfile:
    _check_keys("the file", document, needed=("ego", "cameras"), optional=("description",))
    cameras = document["cameras"]
    if not isinstance(cameras, dict) or not cameras:
        raise RigError("`cameras` must map roles to topics")
    sources: dict[CameraRole, CameraSource] = {}
    for label, entry in cameras.items():
        try:
            role = CameraRole.from_label(str(label))
        except ValueError as error:
            raise RigError(f"cameras: {error}") from None
        sources[role] = _camera(role, entry)
    topics = [source.topic for source in sources.values()]
    doubled = sorted({topic for topic in topics if topics.count(topic) > 1})
    if doubled:
        raise RigError(
            f"topic {', '.join(doubled)} is given to more than one camera; each role needs a camera of its own"
        )
    by_role = {role: sources[role] for role in sorted(sources)}
    return RigProfile(name, str(document.get("description", "")), _ego(document["ego"]), by_role)


def _camera(role: CameraRole, entry: Any) -> CameraSource:
    place = f"camera {role.label}"
    _check_keys(place, entry, needed=("topic", "transport"), optional=("camera_info", "mount"))
    if entry["transport"] not in TRANSPORTS:
        raise RigError(f"{place}: transport is {entry['transport']!r}; it must be {' or '.join(TRANSPORTS)}")
    info = entry.get("camera_info")
    return CameraSource(
        role,
        _topic(place, entry["topic"]),
        entry["transport"],
        None if info is None else _topic(f"{place}, camera_info", info),
        _mount(place, entry["mount"]) if "mount" in entry else None,
    )


def _mount(place: str, entry: Any) -> Mount:
    _check_keys(f"{place}, mount", entry, needed=("position",), optional=("yaw", "pitch", "roll"))
    position = entry["position"]
    numbers = (
        [*position, *(entry.get(angle, 0.0) for angle in ("yaw", "pitch", "roll"))] if _is_triple(position) else []
    )
    if not numbers or not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        raise RigError(f"{place}, mount: give position as three metres, and yaw, pitch, roll in degrees")
    x, y, z, yaw, pitch, roll = (float(number) for number in numbers)
    return Mount((x, y, z), yaw, pitch, roll)


def _ego(entry: Any) -> OdometrySource | TfSource:
    if isinstance(entry, dict) and entry.get("source") == "tf":
        _check_keys("ego", entry, needed=("source", "fixed_frame", "base_frame"))
        return TfSource(str(entry["fixed_frame"]), str(entry["base_frame"]))
    _check_keys("ego", entry, needed=("source", "topic"), optional=("base_frame",))
    if entry["source"] != "odometry":
        raise RigError(f"ego: source is {entry['source']!r}; it must be odometry or tf")
    base_frame = entry.get("base_frame", BASE)
    if not isinstance(base_frame, str):
        raise RigError(f"ego: base_frame is {base_frame!r}; give the name of a frame, or '' where it has none")
    return OdometrySource(_topic("ego", entry["topic"]), base_frame)


def _topic(place: str, topic: Any) -> str:
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
        raise RigError(
            f"{place}: {topic!r} is no topic name of ROS: between slashes are letters, digits and _, no digit first"
        )
    return topic


def _is_triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3


def _check_keys(place: str, entry: Any, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    if not isinstance(entry, dict):
        raise RigError(f"{place}: expected the entries {', '.join(needed)}, not {entry!r}")
    missing = [key for key in needed if key not in entry]
    unknown = [str(key) for key in entry if key not in (*needed, *optional)]
    if missing or unknown:
        words = [f"lacks {', '.join(missing)}"] if missing else []
        words += (
            [f"has the unknown entries {', '.join(unknown)}; known are {', '.join((*needed, *optional))}"]
            if unknown
            else []
        )
        raise RigError(f"{place} {' and '.join(words)}")
