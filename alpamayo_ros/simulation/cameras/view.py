"""What of a camera's picture does not depend on the scene: where each pixel looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from alpamayo_ros.simulation.cameras.ground import GroundRaster
from alpamayo_ros.simulation.cameras.palette import Palette
from alpamayo_ros.simulation.cameras.sky import HEIGHT, HIGHEST, LOWEST, WIDTH
from alpamayo_ros.types.rig import Camera

FARTHEST = 350.0
"""Ground further away than this is drawn as if it were here, metres."""


class View:
    """A camera at drawing resolution.

    ground: (rows, W, 2) float32, the place of each pixel from row `first` on, in the rig frame. bands: (first row, last
    row, level of the ground raster) from the horizon down.
    """

    def __init__(self, camera: Camera, scale: int) -> None:
        lens = camera.intrinsics
        self.camera = camera.resized(lens.width * scale, lens.height * scale)
        self.width, self.height = lens.width * scale, lens.height * scale
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        rays = self.camera.intrinsics.unproject(np.stack([columns, rows], axis=-1).astype(np.float64))
        rays = rays @ self.camera.rotation
        down = rays[..., 2] < -camera.position[2] / FARTHEST
        below, above = down.any(axis=1), (~down).any(axis=1)
        self.first = int(np.argmax(below)) if below.any() else self.height
        self.last_sky = int(np.flatnonzero(above)[-1]) + 1 if above.any() else 0
        reach = camera.position[2] / np.maximum(-rays[..., 2], camera.position[2] / FARTHEST)
        place = camera.position[:2] + rays[..., :2] * reach[..., None]
        self.ground = place[self.first :].astype(np.float32)
        self.sky_mask = (~down)[self.first : self.last_sky].astype(np.uint8)
        self.distance = np.hypot(place[..., 0], place[..., 1])[self.first :].astype(np.float32)
        self.radians_per_pixel = self._pixel_angle()
        self.bands = self._bands()
        azimuth = np.arctan2(rays[..., 1], rays[..., 0])[: self.last_sky]
        elevation = np.arcsin(np.clip(rays[..., 2], -1.0, 1.0))[: self.last_sky]
        self.sky_column = ((azimuth + math.pi) / (2 * math.pi) * WIDTH).astype(np.float32)
        self.sky_row = ((HIGHEST - elevation) / (HIGHEST - LOWEST) * (HEIGHT - 1)).astype(np.float32)

    def _pixel_angle(self) -> float:
        lens = self.camera.intrinsics
        middle = np.array([[lens.cx - 0.5, lens.cy], [lens.cx + 0.5, lens.cy]])
        a, b = lens.unproject(middle)
        return float(math.acos(min(1.0, a @ b)))

    def _bands(self) -> list[tuple[int, int, int]]:
        """Rows by the resolution of the ground that suits them: a pixel's mean footprint."""
        if self.first >= self.height:
            return []
        reach = np.median(self.distance, axis=1)
        size = self.radians_per_pixel * reach * np.sqrt(np.maximum(reach / self.camera.position[2], 1.0)) * 0.55
        level = np.digitize(size, [0.24, 1.0])
        bands, start = [], 0
        for row in range(1, len(level) + 1):
            if row == len(level) or level[row] != level[start]:
                bands.append((start, row, int(level[start])))
                start = row
        return bands


@dataclass(eq=False)
class Backdrop:
    """A view in the light of one scene: weights of the ground picture and of the haze over it (rows, W) float32."""

    view: View
    keep: np.ndarray
    veil: np.ndarray
    haze: np.ndarray

    @staticmethod
    def make(view: View, light: Palette) -> Backdrop:
        veil = light.veil(view.distance).astype(np.float32)
        beam = light.beam(view.ground[..., 0], view.ground[..., 1])
        # The raster is already as dark as the scene; the beams bring back what they light.
        keep = ((1.0 - veil) * (1.0 + beam * 5.0)).astype(np.float32)
        if light.wet:
            # A wet road mirrors the sky at grazing angles.
            graze = np.clip(view.distance / 60.0, 0.0, 1.0).astype(np.float32) * 0.3
            veil = np.minimum(veil + graze, 1.0)
        haze = np.empty((*view.distance.shape, 3), np.uint8)
        haze[:] = np.clip(light.haze, 0, 255)
        return Backdrop(view, keep, veil, haze)

    def draw(self, image: np.ndarray, raster: GroundRaster, sky: np.ndarray, pose: tuple[float, float, float]) -> None:
        """Ground and sky into `image` (H, W, 3) as seen from the rig at x, y, yaw."""
        view = self.view
        if view.last_sky:
            turn = (pose[2] / (2 * math.pi) * WIDTH) % WIDTH
            column = view.sky_column + np.float32(turn)
            cv2.remap(
                sky, column, view.sky_row, cv2.INTER_LINEAR, dst=image[: view.last_sky], borderMode=cv2.BORDER_WRAP
            )
        if view.first >= view.height:
            return
        ground: np.ndarray = np.empty((view.height - view.first, view.width, 3), np.uint8)
        for first, last, level in view.bands:
            columns, rows = raster_coordinates(raster, view.ground[first:last], pose, level)
            cv2.remap(
                raster.levels[level], columns, rows, cv2.INTER_LINEAR, dst=ground[first:last],
                borderMode=cv2.BORDER_CONSTANT, borderValue=raster.beside,
            )  # fmt: skip
        ground = cv2.blendLinear(ground, self.haze, self.keep, self.veil)
        overlap = view.last_sky - view.first
        if overlap > 0:
            cv2.copyTo(image[view.first : view.last_sky], view.sky_mask, ground[:overlap])
        image[view.first :] = ground


def raster_coordinates(
    raster: GroundRaster, ground: np.ndarray, pose: tuple[float, float, float], level: int
) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows (float32) of a level of the raster under places (…, 2) in the rig frame."""
    x, y, yaw = pose
    step = raster.resolution * 4**level
    c, s = math.cos(yaw) / step, math.sin(yaw) / step
    # Points of a coarser level sit in the middle of those that they stand for.
    half = (4**level - 1) / 2 / 4**level
    ox, oy = (x - raster.corner[0]) / step - half, (y - raster.corner[1]) / step - half
    forward, left = ground[..., 0], ground[..., 1]
    columns = forward * np.float32(c) - left * np.float32(s) + np.float32(ox)
    rows = forward * np.float32(s) + left * np.float32(c) + np.float32(oy)
    return columns, rows
