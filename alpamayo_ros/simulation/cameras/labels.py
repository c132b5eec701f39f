"""Dense labels beside a picture, by pixel block: what a vision tower can be taught to see.

The things are drawn once more, with their numbers instead of their colours and at the resolution at which pictures are
drawn, so that both agree to the pixel and a stop line shows that is thinner than one; then blocks are summed up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from alpamayo_ros.simulation.actor import VEHICLES, VULNERABLE, Actor, Blinker
from alpamayo_ros.simulation.cameras.ground import BAR, LINE, ROAD, WALK
from alpamayo_ros.simulation.cameras.renderer import Renderer, paint
from alpamayo_ros.simulation.cameras.scene import Moment
from alpamayo_ros.simulation.cameras.vehicles import flash_phase, flashing
from alpamayo_ros.simulation.cameras.view import View, raster_coordinates
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import CameraRole

FARTHEST = 120.0
"""Distances are cut here, metres."""
PATH_LENGTH, PATH_WIDTH = 60.0, 1.0
"""The ego path that is labelled: metres ahead, and half of its width."""


class Seen(IntEnum):
    """Classes of pixels."""

    SKY = 0
    SCENERY = 1
    OFF_ROAD = 2
    SIDEWALK = 3
    ROAD = 4
    LANE_LINE = 5
    CROSSWALK_OR_LINE = 6
    VEHICLE = 7
    VULNERABLE = 8
    OBSTACLE = 9
    TRAFFIC_LIGHT = 10
    SIGN = 11


LOCATED = (Seen.CROSSWALK_OR_LINE, Seen.VEHICLE, Seen.VULNERABLE, Seen.OBSTACLE)
"""What a car has to stop for or pass: how far, and on which side, to a part of a block."""


@dataclass(frozen=True, eq=False)
class DenseLabels:
    """Labels of one picture in blocks of `block` pixels; h, w are its numbers of blocks.

    classes: (h, w, 12) share of pixels of each `Seen` class.
    brake: (h, w) share of pixels that belong to a vehicle whose brake lights are lit.
    indicator: (h, w, 2) the same for an indicator that is switched on, left and right of the vehicle; both for hazard
        lights. lit: (h, w) share of pixels of vehicles whose indicator is lit at this very moment.
    lamps: (h, w, 3) share of pixels of housings of our own lights that show red, yellow, green.
    motion: (h, w, 2) velocity of the nearest thing over the ground, m/s, along and to the left of the ego heading.
    distance: (h, w) metres to the nearest thing or ground in the block; FARTHEST for sky.
    lane_edges: (h, w, 2) share of pixels within 0.3 m of the left and right edge of the ego lane.
    path: (h, w) share of pixels on the way ahead.
    ranges: (h, w, 4) metres to the nearest pixel of each of LOCATED; FARTHEST where there is none.
    across: (h, w, 7) mean column of the pixels of each of LOCATED, of the left and right lane edge and of the path,
        from -0.5 at the left of the block to 0.5 at its right; 0 where there is none.
    """

    block: int
    classes: np.ndarray
    brake: np.ndarray
    indicator: np.ndarray
    lit: np.ndarray
    lamps: np.ndarray
    motion: np.ndarray
    distance: np.ndarray
    lane_edges: np.ndarray
    path: np.ndarray
    ranges: np.ndarray
    across: np.ndarray


class Labeller:
    """Makes dense labels for the pictures of a renderer."""

    def __init__(self, renderer: Renderer, block: int = 16) -> None:
        """Raises ValueError where a picture is not made of whole blocks."""
        self.renderer, self.block = renderer, block
        self._side = block * renderer.supersampling
        for role, camera in renderer.rig.cameras.items():
            width, height = camera.intrinsics.width, camera.intrinsics.height
            if width % block or height % block:
                raise ValueError(f"camera {role.label} is {width} x {height}: not made of {block}-pixel blocks")

    def label(self, world: World, role: CameraRole, ahead: np.ndarray | None = None) -> DenseLabels:
        """Labels of the picture that `role` sees now.

        ahead: (N, 2) the way the car is going to take in world coordinates; the route where it is not given.
        """
        renderer, view = self.renderer, self.renderer.views[role]
        stage, now = renderer.stage(world.scenario), renderer.moment(world)
        pose = (world.ego.x, world.ego.y, world.ego.yaw)
        numbers = np.zeros((view.height, view.width), np.int32)
        paint(numbers, view, stage, now, pose, numbers=True)
        table = _table(now, world, len(stage.batch.centres))
        classes, distance = self._ground(world, view, pose)
        thing = numbers > 0
        classes[thing] = table.classes[numbers[thing]]
        distance[thing] = table.distance[numbers[thing]]
        way = self._way(world, view, pose, ahead) & ~thing
        # Pixels of a block stand together from here on, and are counted.
        kinds, blocks, owners = self._blocks(classes), self._blocks(distance), self._blocks(numbers)
        located = [kinds == kind for kind in LOCATED]
        lines = [*located, *(self._blocks(plane) for plane in way)]
        counts = np.stack([line.sum(axis=-1) for line in lines], axis=-1)
        column = self._blocks(np.broadcast_to(self._columns(view), numbers.shape))
        across = np.stack([np.einsum("hwp,hwp->hw", line, column) for line in lines], axis=-1) / np.maximum(counts, 1)
        ranges = np.stack([np.where(seen, blocks, FARTHEST).min(axis=-1) for seen in located], axis=-1)
        share = 1.0 / self._side**2
        means = (_histogram(owners, len(table.features)) @ table.features * share).astype(np.float32)
        ways = (counts[..., len(LOCATED) :] * share).astype(np.float32)
        nearest = np.where(owners > 0, blocks, np.inf).argmin(axis=-1)
        motion = table.motion[np.take_along_axis(owners, nearest[..., None], axis=-1)[..., 0]]
        return DenseLabels(
            self.block,
            (_histogram(kinds, len(Seen)) * share).astype(np.float32),
            means[..., 0],
            means[..., 1:3],
            means[..., 3],
            means[..., 4:7],
            motion.astype(np.float32),
            blocks.min(axis=-1).astype(np.float32),
            ways[..., :2],
            ways[..., 2],
            ranges.astype(np.float32),
            across.astype(np.float32),
        )

    def _blocks(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, …) as (h, w, pixels of a block, …)."""
        height, width, *rest = pixels.shape
        h, w = height // self._side, width // self._side
        split = pixels.reshape(h, self._side, w, self._side, *rest)
        return split.swapaxes(1, 2).reshape(h, w, self._side**2, *rest)

    def _columns(self, view: View) -> np.ndarray:
        """Of each column of pixels (W,), where it is in its block, from -0.5 to 0.5."""
        return (np.arange(view.width) % self._side + 0.5) / self._side - 0.5

    def _ground(self, world: World, view: View, pose: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
        raster = self.renderer.stage(world.scenario).ground
        classes = np.full((view.height, view.width), int(Seen.SKY), np.uint8)
        distance = np.full((view.height, view.width), FARTHEST, np.float32)
        columns, rows = raster_coordinates(raster, view.ground, pose, 0)
        under = cv2.remap(raster.labels, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        names = np.full(5, int(Seen.OFF_ROAD), np.uint8)
        names[ROAD], names[WALK] = int(Seen.ROAD), int(Seen.SIDEWALK)
        names[LINE], names[BAR] = int(Seen.LANE_LINE), int(Seen.CROSSWALK_OR_LINE)
        below = np.ones((view.height - view.first, view.width), bool)
        below[: len(view.sky_mask)] &= view.sky_mask == 0
        classes[view.first :][below] = names[under][below]
        distance[view.first :][below] = np.minimum(view.distance, FARTHEST)[below]
        return classes, distance

    def _way(self, world: World, view: View, pose: tuple[float, float, float], ahead: np.ndarray | None) -> np.ndarray:
        """Pixels (3, H, W) of the left and right lane edge and of the path, were nothing in front of them."""
        route = world.scenario.route
        s, d = route.path.project(pose[0], pose[1])
        lanes = [0.0, *(lane.offset for lane in route.neighbours if lane.same_direction)]
        home = min(lanes, key=lambda lane: abs(lane - d))
        half = route.lane_width / 2
        along = np.arange(s - 3.0, s + PATH_LENGTH, 1.5)
        drawn = np.zeros((3, view.height, view.width), np.uint8)
        for index, offset in ((0, home + half), (1, home - half)):
            edge = route.path.edge(offset, float(along[0]), float(along[-1]), 1.5)
            _fill(drawn[index], view, pose, _bands(edge, 0.3))
        line = route.path.edge(home, s, s + PATH_LENGTH, 1.5) if ahead is None else ahead
        _fill(drawn[2], view, pose, _bands(line, PATH_WIDTH))
        return drawn > 0


def _histogram(blocks: np.ndarray, count: int) -> np.ndarray:
    """How often each number below `count` is in each block of numbers (h, w, pixels): (h, w, count)."""
    h, w, _ = blocks.shape
    places = np.arange(h * w).reshape(h, w, 1) * count + blocks
    return np.bincount(places.ravel(), minlength=h * w * count).reshape(h, w, count)


def _bands(line: np.ndarray, half: float) -> np.ndarray:
    """A line (N, 2) as quads (N - 1, 4, 2) of a band, one for each of its pieces."""
    slope = np.gradient(line, axis=0)
    side = np.stack([-slope[:, 1], slope[:, 0]], axis=1)
    side *= half / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    left, right = line + side, line - side
    return np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)


def _fill(plane: np.ndarray, view: View, pose: tuple[float, float, float], quads: np.ndarray) -> None:
    """Draw quads (N, 4, 2) that lie on the ground into a plane (H, W)."""
    x, y, yaw = pose
    c, s = math.cos(yaw), math.sin(yaw)
    local = (quads - [x, y]) @ np.array([[c, -s], [s, c]])
    points = np.concatenate([local, np.zeros((*local.shape[:2], 1))], axis=2)
    depth = (points - view.camera.position) @ view.camera.rotation[2]
    pixels, valid = view.camera.project(points)
    kept = (depth > 0.3).all(axis=1) & valid.all(axis=1) & (np.abs(pixels) < 4000.0).all(axis=(1, 2))
    for quad in np.round(pixels[kept] * 8.0).astype(np.int32):
        cv2.fillConvexPoly(plane, quad, (255,), cv2.LINE_8, 3)


@dataclass(frozen=True, eq=False)
class _Table:
    """Attributes by thing number (0: none). features: brake, left, right, lit, red, yellow, green."""

    classes: np.ndarray
    features: np.ndarray
    motion: np.ndarray
    distance: np.ndarray


def _table(now: Moment, world: World, scenery: int) -> _Table:
    moving = len(now.batch.centres)
    count = 1 + moving + scenery
    classes = np.full(count, int(Seen.SCENERY), np.uint8)
    features = np.zeros((count, 7), np.float32)
    motion = np.zeros((count, 2))
    distance = np.full(count, FARTHEST, np.float32)
    ego = world.ego
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    ours = {rule.light for rule in world.scenario.route.stops}
    for index, actor in enumerate(now.actors, start=1):
        if actor is not None:
            classes[index] = int(_class_of(actor))
            features[index, :4] = _signals(actor, world.tick)
            heading = actor.yaw - actor.facing
            vx = actor.speed * math.cos(heading) - actor.lateral_speed * math.sin(heading)
            vy = actor.speed * math.sin(heading) + actor.lateral_speed * math.cos(heading)
            motion[index] = vx * c + vy * s, vy * c - vx * s
            away = math.hypot(actor.x - ego.x, actor.y - ego.y)
            distance[index] = min(max(away - actor.length / 2, 0.5), FARTHEST)
        elif index - 1 in now.heads:
            light = now.heads[index - 1]
            classes[index] = int(Seen.TRAFFIC_LIGHT)
            if light in ours:
                features[index, 4 + list(Lamp).index(world.lamp(light))] = 1.0
        else:
            classes[index] = int(Seen.SIGN)
    return _Table(classes, features, motion, distance)


def _class_of(actor: Actor) -> Seen:
    if actor.kind in VEHICLES:
        return Seen.VEHICLE
    return Seen.VULNERABLE if actor.kind in VULNERABLE else Seen.OBSTACLE


def _signals(actor: Actor, tick: int) -> tuple[float, float, float, float]:
    left = actor.blinker in (Blinker.LEFT, Blinker.HAZARD)
    right = actor.blinker in (Blinker.RIGHT, Blinker.HAZARD)
    lit = (left or right) and flashing(tick, flash_phase(actor))
    return float(actor.braking), float(left), float(right), float(lit)
