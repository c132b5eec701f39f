"""What the policy sees at t0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alpamayo_ros.types.camera import CameraFrames, CameraRole


class ObservationError(ValueError):
    """An observation that no plan can be made from: the message names the value and the remedy."""


@dataclass(frozen=True, eq=False)
class EgoHistory:
    """Past poses of the ego vehicle in the ego frame at t0 (x forward, y left, z up), oldest first, 0.1 s apart.

    positions: (16, 3) metres, at t0 - 1.5 s … t0; the last is the origin.
    rotations: (16, 3, 3) ego-at-that-time to ego-at-t0; the last is the identity.
    """

    positions: np.ndarray
    rotations: np.ndarray


@dataclass(frozen=True, eq=False)
class Observation:
    """Everything a plan is made from. Construction checks it; a wrong one raises ObservationError.

    t0_ns: the time of the plan in nanoseconds.
    cameras: frames by camera, ascending by role, no role twice.
    navigation: a driving instruction such as "Turn left in 40 m", or None.
    """

    t0_ns: int
    cameras: tuple[CameraFrames, ...]
    ego_history: EgoHistory
    navigation: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.t0_ns, int):
            raise ObservationError(f"t0 is {self.t0_ns!r}; give nanoseconds as an int")
        if not self.cameras:
            raise ObservationError("no camera in the observation; give the frames of at least one")
        for camera in self.cameras:
            _check_frames(camera)
            _check_age(camera, self.t0_ns)
        _check_order([camera.role for camera in self.cameras])
        _check_history(self.ego_history)

    @property
    def roles(self) -> tuple[CameraRole, ...]:
        return tuple(camera.role for camera in self.cameras)


MAX_FRAME_AGE_NS = 500_000_000
"""Newest frame to t0, either way. The timeline is stricter; this refuses frames of another time altogether."""

MAX_POSITION = 1000.0
"""Metres from the origin in 1.5 s of driving; beyond lies another frame, or damage."""


def _check_age(camera: CameraFrames, t0_ns: int) -> None:
    age = t0_ns - int(camera.stamps_ns[-1])
    if abs(age) > MAX_FRAME_AGE_NS:
        raise ObservationError(
            f"camera {camera.role.label}: its newest frame is {age / 1e9:.1f} s before t0; give the frames of t0"
        )


def _check_order(roles: list[CameraRole]) -> None:
    labels = ", ".join(role.label for role in roles)
    doubled = sorted({role for role in roles if roles.count(role) > 1})
    if doubled:
        raise ObservationError(
            f"camera {', '.join(role.label for role in doubled)} appears twice in [{labels}]; give each role once"
        )
    if roles != sorted(roles):
        expected = ", ".join(role.label for role in sorted(roles))
        raise ObservationError(f"cameras are out of order: [{labels}]; sort them by role: [{expected}]")


def _check_frames(camera: CameraFrames) -> None:
    if not isinstance(camera.role, CameraRole):
        raise ObservationError(f"camera role {camera.role!r} is no CameraRole; use CameraRole({camera.role!r})")
    images, stamps, name = camera.images, camera.stamps_ns, f"camera {camera.role.label}"
    if not isinstance(images, np.ndarray) or not isinstance(stamps, np.ndarray):
        raise ObservationError(f"{name}: images and stamps must be numpy arrays; stack them first")
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise ObservationError(f"{name}: images have shape {images.shape}; expected (frames, height, width, 3), RGB")
    if images.dtype != np.uint8:
        raise ObservationError(f"{name}: images are {images.dtype}; expected uint8 in 0 … 255")
    if stamps.shape != (len(images),) or stamps.dtype != np.int64:
        raise ObservationError(
            f"{name}: stamps are {stamps.dtype} {stamps.shape}; expected int64 nanoseconds, one for each of the "
            f"{len(images)} frames"
        )
    if not (np.diff(stamps) > 0).all():
        raise ObservationError(f"{name}: stamps are not strictly ascending ({stamps.tolist()}); order frames by time")


def _check_history(history: EgoHistory) -> None:
    for name, array, shape, expected in (
        ("positions", history.positions, (3,), "(poses, 3)"),
        ("rotations", history.rotations, (3, 3), "(poses, 3, 3)"),
    ):
        if not array.size or array.shape[1:] != shape:
            raise ObservationError(f"ego history: {name} have shape {array.shape}; expected {expected}")
        if not np.issubdtype(array.dtype, np.floating):
            raise ObservationError(f"ego history: {name} are {array.dtype}; expected floating point")
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if bad.size:
            raise ObservationError(f"ego history: pose {bad[0]} has non-finite {name}; drop it and wait for odometry")
    if len(history.positions) != len(history.rotations):
        raise ObservationError(
            f"ego history: {len(history.positions)} positions but {len(history.rotations)} rotations; give one of each "
            "for each pose"
        )
    if np.abs(history.positions).max() > MAX_POSITION:
        raise ObservationError(
            f"ego history: a position is {np.abs(history.positions).max():.3g} m from the origin; express poses in the "
            "ego frame at t0"
        )
    gram = history.rotations @ history.rotations.transpose(0, 2, 1)
    off = np.flatnonzero(np.abs(gram - np.eye(3)).max(axis=(1, 2)) > 1e-3)
    if off.size:
        raise ObservationError(
            f"ego history: rotation {off[0]} is not orthonormal; normalise the quaternion it is from"
        )
    mirrored = np.flatnonzero(np.linalg.det(history.rotations) < 0)
    if mirrored.size:
        raise ObservationError(
            f"ego history: rotation {mirrored[0]} is a mirror image; use right-handed axes (x forward, y left, z up)"
        )
    at_origin = np.abs(history.positions[-1]).max() < 1e-3 and np.abs(history.rotations[-1] - np.eye(3)).max() < 1e-3
    if not at_origin:
        raise ObservationError("ego history: the last pose is not the origin; express all poses in the ego frame at t0")
