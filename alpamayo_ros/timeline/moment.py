"""All that belongs to one t0: chosen, not yet looked at."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from alpamayo_ros.timeline.ego_track import EgoTrack
from alpamayo_ros.timeline.frame import Frame
from alpamayo_ros.timeline.frame_choice import wanted_times
from alpamayo_ros.timeline.picture_checks import find_frozen
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason
from alpamayo_ros.types import CameraFrames, CameraRole, EgoHistory, Observation

MOVED_M, MOVED_RAD = 0.2, np.deg2rad(1.0)
"""A vehicle that has gone or turned this far sees another picture: at 1080p and 120°, 1 degree shifts everything by 16
pixels, and 0.2 m what is 3 m beside the camera by 60. Slower than 0.7 m/s, 0.2 m are not reached within 4 frames: there
a frozen camera cannot be told from a world that stands still."""


@dataclass(frozen=True, eq=False)
class Moment:
    """The frames and poses of t0. Cheap to make: no picture is decoded before `observe`.

    frames: by role, ascending by role; of each camera oldest first.
    stamps_ns: by role, (N,) int64. skews_ns: by role, (N,) int64, stamp minus wanted time.
    ego_history: float32, in the ego frame at t0.
    position: (3,) float64 metres, quaternion: (4,) float64 as x, y, z, w: the ego pose at t0 in the fixed frame.
    frame: name of the fixed frame (odom or map); empty where a recording does not say it.
    """

    t0_ns: int
    frames: dict[CameraRole, tuple[Frame, ...]]
    stamps_ns: dict[CameraRole, np.ndarray]
    skews_ns: dict[CameraRole, np.ndarray]
    ego_history: EgoHistory
    position: np.ndarray
    quaternion: np.ndarray
    frame: str
    _ego: EgoTrack
    _decoders: Executor

    @classmethod
    def of(
        cls,
        t0_ns: int,
        frames: Mapping[CameraRole, tuple[Frame, ...]],
        ego: EgoTrack,
        frame: str,
        history_steps: int,
        decoders: Executor,
    ) -> Moment:
        """The moment of frames that were chosen for t0. frame: that of the poses. decoders: where pictures are decoded,
        best a thread for each camera. Raises Refusal where the poses do not cover its history."""
        history = ego.history_at(t0_ns, history_steps)
        position, rotation = ego.poses_at(np.array([t0_ns], dtype=np.int64))
        stamps = {role: np.array([frame.stamp_ns for frame in frames[role]], np.int64) for role in sorted(frames)}
        return cls(
            t0_ns,
            {role: frames[role] for role in stamps},
            stamps,
            {role: of_camera - wanted_times(t0_ns, len(of_camera)) for role, of_camera in stamps.items()},
            EgoHistory(history.positions.astype(np.float32), history.rotations.astype(np.float32)),
            position[0],
            rotation.as_quat()[0],
            frame,
            ego,
            decoders,
        )

    def observe(self, navigation: str | None = None) -> Observation:
        """Decode the pictures, check them, and hand them over. Raises Refusal, or ObservationError for poses that are
        no drive."""
        # All cameras at once: decoders release the interpreter, and 16 pictures in a row take too long.
        cameras = tuple(self._decoders.map(self._camera, self.frames))
        return Observation(self.t0_ns, cameras, self.ego_history, navigation)

    def _camera(self, role: CameraRole) -> CameraFrames:
        frames, stamps = self.frames[role], self.stamps_ns[role]
        pictures = [frame.pixels() for frame in frames]
        source = frames[0].source
        sizes = {(picture.shape[1], picture.shape[0]) for picture in pictures}
        if len(sizes) > 1:
            found = ", ".join(f"{width}×{height}" for width, height in sorted(sizes))
            raise Refusal(
                RefusalReason.CAMERA_RESIZED, source, f"its pictures differ in size: {found}; wait until it is settled"
            )
        frozen = find_frozen(pictures, partial(self._moved, stamps))
        if frozen is not None:
            raise Refusal(
                RefusalReason.CAMERA_FROZEN,
                source,
                f"it shows the same picture at {stamps[frozen[0]]} and {stamps[frozen[1]]} ns although the vehicle "
                "moved; restart it",
            )
        return CameraFrames(role, np.stack(pictures), stamps)

    def _moved(self, times_ns: np.ndarray) -> np.ndarray:
        """(N, N) bool: whether the vehicle has visibly moved between two of the times (N,)."""
        positions, rotations = self._ego.poses_at(times_ns)
        far = np.linalg.norm(positions[:, None] - positions, axis=-1) > MOVED_M
        quaternions = rotations.as_quat()
        turned = 2 * np.arccos(np.clip(np.abs(quaternions @ quaternions.T), 0, 1)) > MOVED_RAD
        return far | turned
