"""Ego poses from transforms (/tf, /tf_static), for vehicles that publish no odometry message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from alpamayo_ros.timeline.ego_track import is_rotation


class TransformError(ValueError):
    """Transforms that no pose can be read from: the message names the frames and the remedy."""


@dataclass(frozen=True)
class StampedPose:
    """A pose of the base frame in the fixed frame: position (3,) metres, quaternion (4,) as x, y, z, w."""

    stamp_ns: int
    position: np.ndarray
    quaternion: np.ndarray


@dataclass(frozen=True)
class _Edge:
    """How a frame lies in its parent. matrix: (4, 4), points of the frame to points of the parent."""

    parent: str
    matrix: np.ndarray
    static: bool


class TransformChain:
    """The transforms between a fixed frame and the base frame, of which one moves and any number stand still.

    Each message of the moving one gives a pose at its own stamp: nothing is interpolated here. Two that move (map to
    odom to base_link) have no common stamps, and are refused: choose the frame between them as the fixed one.
    """

    def __init__(self, fixed_frame: str, base_frame: str) -> None:
        self.fixed_frame, self.base_frame = fixed_frame, base_frame
        self._edges: dict[str, _Edge] = {}

    def add(self, message: Any, *, static: bool) -> list[StampedPose]:
        """Take a tf2_msgs/TFMessage, of rclpy or of rosbags; returns the poses that it gives.

        None before all transforms of the chain have been seen. Raises TransformError where more than one moves.
        """
        poses = []
        for transform in message.transforms:
            child = transform.child_frame_id.lstrip("/")
            self._edges[child] = _Edge(transform.header.frame_id.lstrip("/"), _matrix(transform.transform), static)
            pose = None if static else self._pose(child, transform.header.stamp)
            if pose is not None:
                poses.append(pose)
        return poses

    def missing(self) -> str | None:
        """Why there is no pose yet, or None where the chain is complete."""
        if self._sides() is not None:
            return None
        frames = sorted({*self._edges, *(edge.parent for edge in self._edges.values())})
        return (
            f"no transforms lead from {self.fixed_frame} to {self.base_frame}; the frames seen are "
            f"{', '.join(frames) or 'none'}"
        )

    def _pose(self, moved: str, stamp: Any) -> StampedPose | None:
        sides = self._sides()
        if sides is None:
            return None
        above_fixed, above_base = sides
        if moved not in (*above_fixed, *above_base):
            return None
        moving = [frame for frame in (*above_fixed, *above_base) if not self._edges[frame].static]
        if len(moving) > 1:
            steps = ", ".join(f"{self._edges[frame].parent} to {frame}" for frame in moving)
            raise TransformError(
                f"between {self.fixed_frame} and {self.base_frame} more than one transform moves ({steps}); choose a "
                "fixed frame with only one below it, such as odom"
            )
        matrix = np.linalg.inv(self._product(above_fixed)) @ self._product(above_base)
        turned = np.full(4, np.nan)
        if np.isfinite(matrix).all():
            turned = Rotation.from_matrix(matrix[:3, :3]).as_quat()
        return StampedPose(stamp.sec * 1_000_000_000 + stamp.nanosec, matrix[:3, 3], turned)

    def _sides(self) -> tuple[list[str], list[str]] | None:
        """The frames from the fixed one and from the base one up to the nearest frame above both; None where there is
        none."""
        above_fixed, above_base = self._above(self.fixed_frame), self._above(self.base_frame)
        common = next((frame for frame in above_base if frame in above_fixed), None)
        if common is None:
            return None
        return above_fixed[: above_fixed.index(common)], above_base[: above_base.index(common)]

    def _above(self, frame: str) -> list[str]:
        """A frame and all above it; of a ring, each once."""
        frames = [frame]
        while (edge := self._edges.get(frames[-1])) is not None and edge.parent not in frames:
            frames.append(edge.parent)
        return frames

    def _product(self, frames: list[str]) -> np.ndarray:
        matrix = np.eye(4)
        for frame in frames:
            matrix = self._edges[frame].matrix @ matrix
        return matrix


def _matrix(transform: Any) -> np.ndarray:
    moved, turned = transform.translation, transform.rotation
    quaternion = np.array([turned.x, turned.y, turned.z, turned.w])
    matrix = np.full((4, 4), np.nan)  # what is no rotation makes poses that are not finite, and those are refused
    if is_rotation(quaternion):
        matrix[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    matrix[:3, 3] = moved.x, moved.y, moved.z
    matrix[3] = 0, 0, 0, 1
    return matrix
