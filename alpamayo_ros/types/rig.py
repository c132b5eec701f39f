"""Cameras on a vehicle: intrinsics (pinhole, distorted, f-theta), where each is mounted, and which way it looks.

Frames: rig — x forward, y left, z up, origin on the ground under the middle of the rear axle. Camera — x right, y down,
z along the optical axis. Pixels — x right, y down, (0, 0) is the middle of the first pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alpamayo_ros.types.camera import CameraRole


@dataclass(frozen=True)
class Pinhole:
    """Perspective projection: u = cx + fx x / z, v = cy + fy y / z. Lengths in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) of points (..., 3) in the camera frame, and whether each is in front (...,)."""
        front = points[..., 2] > 1e-3
        depth = np.where(front, points[..., 2], 1e-3)
        u = self.cx + self.fx * points[..., 0] / depth
        v = self.cy + self.fy * points[..., 1] / depth
        return np.stack([u, v], axis=-1), front

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Unit rays (..., 3) in the camera frame through pixels (..., 2)."""
        x, y = (pixels[..., 0] - self.cx) / self.fx, (pixels[..., 1] - self.cy) / self.fy
        rays = np.stack([x, y, np.ones_like(x)], axis=-1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def resized(self, width: int, height: int) -> Pinhole:
        """The same lens with another number of pixels."""
        sx, sy = width / self.width, height / self.height
        return Pinhole(
            width, height, self.fx * sx, self.fy * sy, (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        )


@dataclass(frozen=True)
class FTheta:
    """NVIDIA's f-theta model: the distance from the principal point in pixels is a polynomial of the angle to the axis.

    forward: coefficients of r(theta), ascending powers, radians to pixels. backward: of theta(r), pixels to radians.
    stretch: height of a pixel row over width of a pixel column, one for square pixels. limit: largest angle in radians
    for which the polynomial holds; beyond it the projection goes on linearly and points are marked as not seen.
    """

    width: int
    height: int
    cx: float
    cy: float
    forward: tuple[float, ...]
    backward: tuple[float, ...]
    stretch: float = 1.0
    limit: float = math.radians(100.0)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) of points (..., 3) in the camera frame, and whether each is within `limit` (...,)."""
        side = np.hypot(points[..., 0], points[..., 1])
        theta = np.arctan2(side, points[..., 2])
        held = np.minimum(theta, self.limit)
        radius = np.zeros_like(theta)
        for coefficient in reversed(self.forward):
            radius = radius * held + coefficient
        radius = radius * (theta / np.maximum(held, 1e-9))
        scale = radius / np.maximum(side, 1e-9)
        pixels = np.stack([self.cx + points[..., 0] * scale, self.cy + points[..., 1] * scale * self.stretch], axis=-1)
        return pixels, theta < self.limit

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Unit rays (..., 3) in the camera frame through pixels (..., 2)."""
        x, y = pixels[..., 0] - self.cx, (pixels[..., 1] - self.cy) / self.stretch
        radius = np.hypot(x, y)
        theta = np.zeros_like(radius)
        for coefficient in reversed(self.backward):
            theta = theta * radius + coefficient
        scale = np.sin(theta) / np.maximum(radius, 1e-9)
        return np.stack([x * scale, y * scale, np.cos(theta)], axis=-1)

    def resized(self, width: int, height: int) -> FTheta:
        """The same lens with another number of pixels."""
        sx, sy = width / self.width, height / self.height
        return FTheta(
            width,
            height,
            (self.cx + 0.5) * sx - 0.5,
            (self.cy + 0.5) * sy - 0.5,
            tuple(c * sx for c in self.forward),
            tuple(c / sx**power for power, c in enumerate(self.backward)),
            self.stretch * sy / sx,
            self.limit,
        )


@dataclass(frozen=True)
class Distorted:
    """A pinhole whose lens bends rays: the radial and tangential distortion of OpenCV and of ROS (`plumb_bob`,
    `rational_polynomial`).

    distortion: k1, k2, p1, p2, k3, k4, k5, k6. Beyond `limit` the picture would fold back, and points are not seen.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float, float, float, float, float]

    @cached_property
    def limit(self) -> float:
        """Tangent of the angle to the axis up to which the lens takes larger angles further out; 85° at most."""
        reach = np.linspace(0.0, math.tan(math.radians(85.0)), 4000)
        radial, bottom = self._radial(reach**2)
        folds = np.flatnonzero((np.diff(reach * radial) <= 0.0) | (bottom[1:] <= 0.0))
        return float(reach[folds[0]] if folds.size else reach[-1])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) of points (..., 3) in the camera frame, and whether each is seen (...,)."""
        front = points[..., 2] > 1e-3
        flat = points[..., :2] / np.where(front, points[..., 2], 1e-3)[..., None]
        reach = np.linalg.norm(flat, axis=-1)
        seen = front & (reach < self.limit)
        flat = flat * np.minimum(1.0, self.limit / np.maximum(reach, 1e-9))[..., None]
        bent = flat * self._radial((flat**2).sum(axis=-1))[0][..., None] + self._tangential(flat)
        return bent * (self.fx, self.fy) + (self.cx, self.cy), seen

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Unit rays (..., 3) in the camera frame through pixels (..., 2)."""
        bent = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        flat = bent
        for _ in range(50):  # there is no closed form; each round is nearer, as far as lenses are made
            flat = (bent - self._tangential(flat)) / self._radial((flat**2).sum(axis=-1))[0][..., None]
        rays = np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def resized(self, width: int, height: int) -> Distorted:
        """The same lens with another number of pixels."""
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return Distorted(width, height, self.fx * sx, self.fy * sy, cx, cy, self.distortion)

    def _radial(self, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Factor of the distance from the axis, at its square (...,), and the denominator in it."""
        k1, k2, _, _, k3, k4, k5, k6 = self.distortion
        bottom = 1.0 + square * (k4 + square * (k5 + square * k6))
        return (1.0 + square * (k1 + square * (k2 + square * k3))) / bottom, bottom

    def _tangential(self, flat: np.ndarray) -> np.ndarray:
        """(..., 2) shift of places (..., 2)."""
        p1, p2 = self.distortion[2:4]
        x, y = flat[..., 0], flat[..., 1]
        square = x**2 + y**2
        return np.stack(
            [2.0 * p1 * x * y + p2 * (square + 2.0 * x**2), p1 * (square + 2.0 * y**2) + 2.0 * p2 * x * y], axis=-1
        )


Intrinsics = Pinhole | FTheta | Distorted


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera. rotation: (3, 3), rig to camera; position: (3,), of the camera in the rig frame, metres."""

    role: CameraRole
    intrinsics: Intrinsics
    rotation: np.ndarray
    position: np.ndarray

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (..., 2) of points (..., 3) in the rig frame, and whether the lens sees that direction (...,)."""
        return self.intrinsics.project((points - self.position) @ self.rotation.T)

    def sees(self, points: np.ndarray) -> np.ndarray:
        """(...,) whether points (..., 3) in the rig frame fall into the picture; occlusion is not considered."""
        pixels, valid = self.project(points)
        inside = (pixels > -0.5).all(axis=-1)
        inside &= (pixels[..., 0] < self.intrinsics.width - 0.5) & (pixels[..., 1] < self.intrinsics.height - 0.5)
        return inside & valid

    def resized(self, width: int, height: int) -> Camera:
        """The same camera with another number of pixels."""
        return Camera(self.role, self.intrinsics.resized(width, height), self.rotation, self.position)


class Rig:
    """The cameras of a vehicle by role. Raises ValueError where a role comes twice."""

    def __init__(self, cameras: Iterable[Camera]) -> None:
        ordered = sorted(cameras, key=lambda camera: camera.role)
        self.cameras: dict[CameraRole, Camera] = {camera.role: camera for camera in ordered}
        if len(self.cameras) != len(ordered):
            raise ValueError("a rig has one camera of each role at most")

    @property
    def roles(self) -> tuple[CameraRole, ...]:
        return tuple(self.cameras)

    def __getitem__(self, role: CameraRole) -> Camera:
        if role not in self.cameras:
            raise KeyError(f"no camera {role.label} on this rig; it has {', '.join(r.label for r in self.roles)}")
        return self.cameras[role]

    def resized(self, width: int, height: int) -> Rig:
        """The same rig with another number of pixels in every camera."""
        return Rig(camera.resized(width, height) for camera in self.cameras.values())


def looking(yaw: float, pitch: float = 0.0) -> np.ndarray:
    """(3, 3) rig-to-camera rotation of a camera that looks `yaw` to the left of forward and `pitch` upwards."""
    forward = np.array([math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    return np.stack([right, np.cross(forward, right), forward])


def f_theta_lens(width: int, height: int, field_of_view: float) -> FTheta:
    """An f-theta lens whose picture is `field_of_view` radians wide, with the mild compression of real ones."""
    half = field_of_view / 2.0
    bend = -0.03
    scale = (width / 2.0) / (half + bend * half**3)
    forward = (0.0, scale, 0.0, scale * bend)
    theta = np.linspace(0.0, math.radians(100.0), 400)
    radius = scale * (theta + bend * theta**3)
    powers = np.stack([radius**p for p in (1, 3, 5, 7)], axis=1) / scale ** np.array([1, 3, 5, 7])
    solved = np.linalg.lstsq(powers, theta, rcond=None)[0]
    backward = [0.0] * 8
    for power, value in zip((1, 3, 5, 7), solved.tolist(), strict=True):
        backward[power] = value / scale**power
    return FTheta(width, height, (width - 1) / 2, (height - 1) / 2, forward, tuple(backward))


def pinhole_lens(width: int, height: int, field_of_view: float) -> Pinhole:
    """A pinhole whose picture is `field_of_view` radians wide (below pi)."""
    focal = width / 2.0 / math.tan(field_of_view / 2.0)
    return Pinhole(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


MOUNTS: dict[CameraRole, tuple[tuple[float, float, float], float, float]] = {
    CameraRole.CROSS_LEFT_120: ((2.35, 0.93, 1.05), 68.0, 0.0),
    CameraRole.FRONT_WIDE_120: ((1.75, 0.0, 1.45), 0.0, -1.0),
    CameraRole.CROSS_RIGHT_120: ((2.35, -0.93, 1.05), -68.0, 0.0),
    CameraRole.REAR_LEFT_70: ((2.2, 0.95, 1.0), 148.0, 0.0),
    CameraRole.REAR_TELE_30: ((-0.95, 0.0, 1.3), 180.0, 0.0),
    CameraRole.REAR_RIGHT_70: ((2.2, -0.95, 1.0), -148.0, 0.0),
    CameraRole.FRONT_TELE_30: ((1.75, 0.06, 1.45), 0.0, 0.5),
}
"""Position in the rig frame in metres, yaw to the left and pitch upwards in degrees.

The places of a production car with this camera set (windscreen, front fenders, tailgate). Of our own choosing: the
released rigs differ from car to car.
"""

DEFAULT_ROLES = (
    CameraRole.CROSS_LEFT_120,
    CameraRole.FRONT_WIDE_120,
    CameraRole.CROSS_RIGHT_120,
    CameraRole.FRONT_TELE_30,
)
"""The four cameras that Alpamayo-R1 looks through."""


def default_rig(
    width: int = 160, height: int = 96, roles: Iterable[CameraRole] = DEFAULT_ROLES, pinhole: bool = False
) -> Rig:
    """The simulator's rig: the given roles at `MOUNTS`, each with the field of view in its name.

    f-theta lenses as on the released data; `pinhole` replaces them where a consumer can only deal with those.
    """
    lens = pinhole_lens if pinhole else f_theta_lens
    cameras = []
    for role in roles:
        position, yaw, pitch = MOUNTS[role]
        field_of_view = math.radians(int(role.label.rsplit("_", 1)[1]))
        rotation = looking(math.radians(yaw), math.radians(pitch))
        cameras.append(Camera(role, lens(width, height, field_of_view), rotation, np.array(position)))
    return Rig(cameras)
