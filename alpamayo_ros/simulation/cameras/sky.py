"""The sky and the skyline as a panorama around the viewer."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from alpamayo_ros.simulation.cameras.palette import Palette

WIDTH, HEIGHT = 720, 150
LOWEST, HIGHEST = math.radians(-6.0), math.radians(69.0)
"""The panorama: points around the full circle (twice, so that no azimuth wraps) and from `LOWEST` to `HIGHEST`."""


@lru_cache(maxsize=8)
def _clouds(seed: int) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(100 + seed))
    field = np.zeros((HEIGHT, WIDTH), np.float32)
    for rows, columns, weight in ((5, 9, 0.5), (10, 24, 0.3), (24, 60, 0.2), (60, 180, 0.1)):
        rough = rng.random((rows, columns)).astype(np.float32)
        rough[:, -1] = rough[:, 0]
        field += weight * cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return field


@lru_cache(maxsize=8)
def _skyline(seed: int) -> np.ndarray:
    """(WIDTH,) elevation of the far horizon in radians: woods, hills and a few high houses."""
    rng = np.random.Generator(np.random.Philox(200 + seed))
    angle = np.arange(WIDTH) / WIDTH * 2 * np.pi
    line = np.full(WIDTH, 0.018)
    for waves in (2, 3, 5, 9, 14):
        line += 0.016 / math.sqrt(waves) * np.sin(waves * angle + rng.uniform(0, 6.28)) * rng.uniform(0.2, 1.0)
    line += rng.uniform(0.0, 0.006, WIDTH)
    for _ in range(14):
        at, wide = int(rng.integers(0, WIDTH)), int(rng.integers(5, 14))
        line[at : at + wide] = np.maximum(line[at : at + wide], rng.uniform(0.02, 0.07))
    return np.maximum(line, 0.004)


def panorama(light: Palette, seed: int) -> np.ndarray:
    """(HEIGHT, 2 * WIDTH, 3) uint8; rows from the top down, columns from azimuth -pi to the left."""
    seed %= 4
    elevation = np.linspace(HIGHEST, LOWEST, HEIGHT)[:, None]
    azimuth = (np.arange(WIDTH) / WIDTH * 2 * np.pi - np.pi)[None, :]
    rise = np.clip(elevation / 0.8, 0.0, 1.0) ** 0.55
    sky = np.array(light.horizon) * (1 - rise[..., None]) + np.array(light.zenith) * rise[..., None]
    sky = np.broadcast_to(sky, (HEIGHT, WIDTH, 3)).copy()
    if light.sun.any():
        sun_azimuth, sun_elevation = math.atan2(light.sun[1], light.sun[0]), math.asin(light.sun[2])
        away = np.cos(elevation) * math.cos(sun_elevation) * np.cos(azimuth - sun_azimuth)
        away = np.arccos(np.clip(away + np.sin(elevation) * math.sin(sun_elevation), -1.0, 1.0))
        glow = np.exp(-((away / 0.35) ** 2)) * 0.45 + (away < 0.05)
        sky += np.clip(glow, 0, 1)[..., None] * (np.array([255.0, 246.0, 220.0]) - sky)
        cover = np.clip((_clouds(seed) - 0.52) * 4.0, 0.0, 0.85) * np.clip(elevation / 0.25, 0.0, 1.0)
        bright = 0.55 * np.array([255.0, 255.0, 255.0]) + 0.45 * np.array(light.horizon)
        sky += cover[..., None] * (bright - sky)
    line = _skyline(seed)[None, :]
    far = 0.55 * np.array(light.haze) + 0.45 * np.array([70.0, 86.0, 72.0]) * (light.ambient + light.direct)
    if light.visibility < 300.0:
        far = np.array(light.haze)
    sky = np.where((elevation < line)[..., None], far, sky)
    image = np.clip(sky, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.concatenate([image, image], axis=1))
