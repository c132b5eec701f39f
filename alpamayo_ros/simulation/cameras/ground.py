"""The ground seen from above: a textured raster of road, paint and verges, in several resolutions."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from alpamayo_ros.simulation.cameras.palette import GROUND, WHITE_PAINT, YELLOW_PAINT, Colour, Palette
from alpamayo_ros.simulation.road import Ground, Marking, Paint
from alpamayo_ros.simulation.world import Daylight, Scenario

FINEST = 0.1
BUDGET = 2_600_000
"""Finest resolution in metres, and the number of raster points that it must not exceed."""
LINE_WIDTH = 0.14
"""Width of a painted line in metres."""
DASHES: dict[Paint, tuple[float, float]] = {
    Paint.DASHED_WHITE: (3.0, 6.0),
    Paint.DASHED_YELLOW: (3.0, 6.0),
    Paint.SHORT_DASHES: (1.5, 1.5),
}
LAYERS: tuple[Ground, ...] = (Ground.GRASS, Ground.GRAVEL, Ground.SIDEWALK, Ground.CURB, Ground.ASPHALT)
LAYERS += (Ground.OLD_ASPHALT, Ground.BUMP, Ground.MEDIAN)
"""From below to above. The median is the island of a roundabout, which lies on its asphalt."""
OFF, ROAD, WALK, LINE, BAR = range(5)
"""Values of the label raster: beside the road, road, sidewalk and curb, lane line, crosswalk or stop line."""


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    """(1024, 1024, 3) uint8 around 128: fine grain on blotches."""
    rng = np.random.Generator(np.random.Philox(7))
    grain: np.ndarray = rng.normal(0.0, 26.0, (1024, 1024)).astype(np.float32)
    for size, weight in ((256, 22.0), (64, 20.0), (16, 14.0)):
        rough = rng.normal(0.0, weight, (size, size)).astype(np.float32)
        grain = grain + cv2.resize(np.pad(rough, 1, mode="wrap"), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    tint = rng.normal(0.0, 3.0, (1024, 1024, 3)).astype(np.float32)
    return np.clip(grain[..., None] + tint + 128.0, 0, 255).astype(np.uint8)


class GroundRaster:
    """Picture and labels of the ground of one scenario.

    corner: x, y of the middle of the first point; resolution: metres a point; row index grows with y, column with x.
    levels: pictures, each a quarter of the resolution of the one before. labels: (H, W) uint8 at the first.
    """

    def __init__(self, scenario: Scenario, light: Palette) -> None:
        low, high = _extent(scenario)
        size = high - low
        self.resolution = max(FINEST, math.sqrt(size[0] * size[1] / BUDGET))
        self.corner = low
        self.width, self.height = (int(value / self.resolution) + 1 for value in size)
        self.labels = np.zeros((self.height, self.width), np.uint8)
        picture: np.ndarray = np.empty((self.height, self.width, 3), np.uint8)
        picture[:] = GROUND[Ground.GRASS]
        self._areas(scenario, picture)
        self._lanes(scenario, picture)
        self._texture(scenario, picture)
        self._paint(scenario, picture)
        if light.shadows:
            self._shadows(scenario, light, picture)
        if scenario.daylight is Daylight.NIGHT or light.wet:
            self._light(scenario, light, picture)
        else:
            picture = cv2.convertScaleAbs(picture, alpha=light.ambient + light.direct * float(light.sun[2]) * 0.85)
        self.levels: list[np.ndarray] = [picture]
        for _ in range(2):
            last = self.levels[-1]
            smaller = (max(1, last.shape[1] // 4), max(1, last.shape[0] // 4))
            self.levels.append(cv2.resize(last, smaller, interpolation=cv2.INTER_AREA))
        beside = self.levels[-1][0, :].mean(axis=0)
        self.beside = tuple(float(value) for value in beside)

    def points(self, places: np.ndarray) -> np.ndarray:
        """Fixed-point raster coordinates (M, 2) int32, with four fractional bits, of places (M, 2) in metres."""
        return np.round((places - self.corner) / self.resolution * 16.0).astype(np.int32)

    def _fill(self, image: np.ndarray, outline: np.ndarray, value: Colour | int) -> None:
        colour = (value,) if isinstance(value, int) else value
        cv2.fillPoly(image, [self.points(outline)], colour, shift=4)

    def _areas(self, scenario: Scenario, picture: np.ndarray) -> None:
        for layer in LAYERS:
            for area in scenario.roads.areas:
                if area.ground is not layer:
                    continue
                self._fill(picture, area.outline, GROUND[layer])
                road = layer in (Ground.ASPHALT, Ground.OLD_ASPHALT, Ground.BUMP)
                walk = layer in (Ground.SIDEWALK, Ground.CURB)
                self._fill(self.labels, area.outline, ROAD if road else WALK if walk else OFF)
                if layer is Ground.BUMP:
                    self._bump(area.outline, picture)

    def _bump(self, outline: np.ndarray, picture: np.ndarray) -> None:
        # Chevron paint over the hump: four bars along the road.
        half = len(outline) // 2
        right, left = outline[:half], outline[half:][::-1]
        for share in (0.08, 0.3, 0.52, 0.74):
            bar = [right[0] + (left[0] - right[0]) * t for t in (share, share + 0.14)]
            far = [right[-1] + (left[-1] - right[-1]) * t for t in (share + 0.14, share)]
            self._fill(picture, np.array(bar + far), YELLOW_PAINT)
            self._fill(self.labels, np.array(bar + far), BAR)

    def _lanes(self, scenario: Scenario, picture: np.ndarray) -> None:
        """Tracks that tyres have darkened."""
        thick = max(1, round(0.5 / self.resolution))
        tracks = []
        for lane in scenario.roads.lanes:
            if lane.kind == "driving":
                tracks += [self.points(lane.path.edge(side, 0.0, lane.path.length, 6.0)) for side in (-0.8, 0.8)]
        cv2.polylines(picture, tracks, False, (88, 88, 91), thick, cv2.LINE_8, 4)

    def _texture(self, scenario: Scenario, picture: np.ndarray) -> None:
        noise = _noise()
        across, down = -(-self.width // 1024), -(-self.height // 1024)
        shift = scenario.seed % 1000
        tiled = np.tile(np.roll(noise, shift, axis=1), (down, across, 1))[: self.height, : self.width]
        cv2.addWeighted(picture, 1.0, np.ascontiguousarray(tiled), 0.22, -0.22 * 128, dst=picture)

    def _paint(self, scenario: Scenario, picture: np.ndarray) -> None:
        roads = scenario.roads
        thick = max(1, round(LINE_WIDTH / self.resolution))
        for marking in roads.markings:
            for line, colour in _strokes(marking):
                pieces = [self.points(piece) for piece in line]
                cv2.polylines(picture, pieces, False, colour, thick, cv2.LINE_AA, 4)
                cv2.polylines(self.labels, pieces, False, (LINE,), thick, cv2.LINE_8, 4)
        for outline in _bars(scenario):
            self._fill(picture, outline, WHITE_PAINT)
            self._fill(self.labels, outline, BAR)

    def _shadows(self, scenario: Scenario, light: Palette, picture: np.ndarray) -> None:
        mask = np.zeros((self.height, self.width), np.uint8)
        reach = -light.sun[:2] / max(float(light.sun[2]), 0.15)
        for house in scenario.roads.buildings:
            c, s = math.cos(house.yaw), math.sin(house.yaw)
            half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [house.length / 2, house.width / 2]
            foot = half @ np.array([[c, s], [-s, c]]) + [house.x, house.y]
            hull = cv2.convexHull(np.concatenate([foot, foot + reach * min(house.height, 14.0)]).astype(np.float32))
            self._fill(mask, hull[:, 0], 255)
        for tree in scenario.roads.trees:
            place = np.array([[tree.x, tree.y]]) + reach * (tree.height - tree.radius)
            x, y = (int(v) >> 4 for v in self.points(place)[0])
            radius = max(1, int(tree.radius / self.resolution))
            if -radius < x < self.width + radius and -radius < y < self.height + radius:
                cv2.circle(mask, (x, y), radius, (255,), -1)
        dark = cv2.convertScaleAbs(picture, alpha=0.55)
        cv2.copyTo(dark, mask, picture)

    def _light(self, scenario: Scenario, light: Palette, picture: np.ndarray) -> None:
        """Lamps at night, and the darkness of a wet road."""
        night = scenario.daylight is Daylight.NIGHT
        # At night the haze and the beams of `Backdrop` come on top; a wet road swallows a fifth.
        level = (0.75 * light.ambient if night else light.ambient) * (0.8 if light.wet else 1.0)
        small = np.full((self.height // 8 + 1, self.width // 8 + 1), 128.0 * level, np.float32)
        if night:
            for pole in scenario.roads.poles:
                if pole.height < 6.5:
                    continue
                place = np.array([[pole.x + pole.arm * math.cos(pole.yaw), pole.y + pole.arm * math.sin(pole.yaw)]])
                x, y = (self.points(place)[0] / 128.0).tolist()
                radius = 14.0 / (8 * self.resolution)
                left, right = max(0, int(x - radius)), min(small.shape[1], int(x + radius) + 1)
                top, bottom = max(0, int(y - radius)), min(small.shape[0], int(y + radius) + 1)
                if left < right and top < bottom:
                    rows, columns = np.ogrid[top:bottom, left:right]
                    away = ((rows - y) ** 2 + (columns - x) ** 2) / radius**2
                    small[top:bottom, left:right] += 70.0 * np.maximum(0.0, 1.0 - away) ** 2
        wide = cv2.resize(np.clip(small, 0, 255).astype(np.uint8), (self.width, self.height))
        wide = cv2.merge([wide, wide, wide])
        cv2.multiply(picture, wide, dst=picture, scale=1.0 / 128.0)


def _extent(scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Bounding box of the ground that the cameras may look at, metres."""
    route = scenario.route
    s, _ = route.path.project(scenario.ego.x, scenario.ego.y)
    reach = s + max(route.limit * 20.0, 60.0) + 110.0
    line = np.array(
        [route.path.pose(float(at))[:2] for at in np.arange(s - 60.0, min(reach, route.path.length + 20.0), 10.0)]
    )
    margin = np.array([24.0, 24.0])
    low, high = line.min(axis=0) - margin, line.max(axis=0) + margin
    for lane in scenario.roads.lanes:
        if lane.kind == "junction":
            middle = lane.path.pose(lane.path.length / 2)[:2]
            low, high = np.minimum(low, np.array(middle) - 55.0), np.maximum(high, np.array(middle) + 55.0)
    return low, high


def _strokes(marking: Marking) -> list[tuple[list[np.ndarray], Colour]]:
    """Polylines to draw for a line, with their colours."""
    paint = marking.paint
    colour = YELLOW_PAINT if "yellow" in paint else WHITE_PAINT
    if paint is Paint.DOUBLE_YELLOW:
        slope = np.gradient(marking.points, axis=0)
        side = np.stack([-slope[:, 1], slope[:, 0]], axis=1) / np.linalg.norm(slope, axis=1, keepdims=True)
        return [([marking.points + 0.19 * side, marking.points - 0.19 * side], colour)]
    if paint not in DASHES:
        return [([marking.points], colour)]
    dash, gap = DASHES[paint]
    steps = np.hypot(*np.diff(marking.points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    pieces = []
    for start in np.arange(0.0, along[-1], dash + gap):
        at = np.linspace(start, min(start + dash, along[-1]), 3)
        x, y = np.interp(at, along, marking.points[:, 0]), np.interp(at, along, marking.points[:, 1])
        pieces.append(np.stack([x, y], axis=1))
    return [(pieces, colour)]


def _bars(scenario: Scenario) -> list[np.ndarray]:
    """Outlines of the white bars of crosswalks, stop lines, yield teeth and arrows."""
    found = []
    for walk in scenario.roads.crosswalks:
        across = walk.ends[1] - walk.ends[0]
        length = float(np.hypot(*across))
        across = across / length
        along = np.array([-across[1], across[0]]) * walk.depth / 2
        for start in np.arange(0.35, length - 0.4, 1.0):
            a, b = walk.ends[0] + across * start, walk.ends[0] + across * (start + 0.5)
            found.append(np.array([a - along, b - along, b + along, a + along]))
    for bar in scenario.roads.bars:
        across = bar.ends[1] - bar.ends[0]
        length = float(np.hypot(*across))
        across = across / length
        along = np.array([across[1], -across[0]])
        if not bar.teeth:
            found.append(np.array([bar.ends[0], bar.ends[1], bar.ends[1] - along * 0.5, bar.ends[0] - along * 0.5]))
            continue
        for start in np.arange(0.1, length - 0.5, 0.9):
            a, b = bar.ends[0] + across * start, bar.ends[0] + across * (start + 0.6)
            found.append(np.array([a, b, (a + b) / 2 - along * 0.7]))
    for arrow in scenario.roads.arrows:
        c, s = math.cos(arrow.yaw), math.sin(arrow.yaw)
        turn = np.array([[c, s], [-s, c]])
        found += [np.array(outline) @ turn + [arrow.x, arrow.y] for outline in ARROWS[arrow.kind]]
    return found


_SHAFT = [(-2.2, -0.09), (-2.2, 0.09), (0.6, 0.09), (0.6, -0.09)]
_LEFT = [[(0.45, 0.05), (0.75, 0.05), (1.0, 0.6), (0.75, 0.7)], [(1.7, 0.85), (0.7, 1.05), (0.75, 0.3)]]
ARROWS: dict[str, list[list[tuple[float, float]]]] = {
    "straight": [_SHAFT, [(0.6, -0.45), (0.6, 0.45), (2.2, 0.0)]],
    "left": [_SHAFT, *_LEFT],
    "right": [_SHAFT, *[[(x, -y) for x, y in piece] for piece in _LEFT]],
}
