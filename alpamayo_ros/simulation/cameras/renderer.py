"""Draws what the cameras see: ground and sky by look-up, things by painter's order.

Everything is drawn at `supersampling` times the resolution and averaged down.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any

import cv2
import numpy as np

from alpamayo_ros.simulation.cameras.scene import Moment, Stage, moment, shadows
from alpamayo_ros.simulation.cameras.shapes import Batch
from alpamayo_ros.simulation.cameras.view import Backdrop, View
from alpamayo_ros.simulation.world import Scenario, Weather, World
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import Rig

SMALLEST = 1.8
"""Faces smaller than this many drawn pixels are left out."""
NEAR = 0.15
"""Faces are cut at this distance in front of the camera, metres."""
FRACTION = 3
"""Fractional bits of drawn coordinates."""


class Renderer:
    """Renders worlds with the cameras of a rig.

    The ground of a scenario is prepared once and kept while pictures of the same scenario are asked for.
    """

    def __init__(self, rig: Rig, supersampling: int = 2) -> None:
        self.rig = rig
        self.supersampling = supersampling
        self.views = {role: View(camera, supersampling) for role, camera in rig.cameras.items()}
        self._stage: Stage | None = None
        self._backdrops: dict[CameraRole, Backdrop] = {}
        self._moment: tuple[World, int, Moment] | None = None

    def stage(self, scenario: Scenario) -> Stage:
        """The prepared scenery of a scenario."""
        if self._stage is None or self._stage.scenario is not scenario:
            self._stage = Stage(scenario)
            self._backdrops = {role: Backdrop.make(view, self._stage.light) for role, view in self.views.items()}
            self._moment = None
        return self._stage

    def moment(self, world: World) -> Moment:
        """The moving things of a world, shared by all cameras."""
        stage = self.stage(world.scenario)
        if self._moment is None or self._moment[0] is not world or self._moment[1] != world.tick:
            self._moment = (world, world.tick, moment(world, stage))
        return self._moment[2]

    def render(self, world: World, role: CameraRole) -> np.ndarray:
        """(H, W, 3) uint8 RGB picture of one camera. Raises KeyError where the rig has no such camera."""
        camera = self.rig[role]
        stage, now = self.stage(world.scenario), self.moment(world)
        view = self.views[role]
        image: np.ndarray = np.empty((view.height, view.width, 3), np.uint8)
        pose = (world.ego.x, world.ego.y, world.ego.yaw)
        self._backdrops[role].draw(image, stage.ground, stage.sky, pose)
        self._shadows(image, view, now, stage, pose)
        paint(image, view, stage, now, pose)
        if self.supersampling > 1:
            size = (camera.intrinsics.width, camera.intrinsics.height)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if world.scenario.weather is Weather.RAIN:
            _rain(image, world.tick, int(role))
        return image

    def render_all(self, world: World) -> dict[CameraRole, np.ndarray]:
        """The pictures of all cameras of the rig."""
        return {role: self.render(world, role) for role in self.rig.roles}

    def _shadows(
        self, image: np.ndarray, view: View, now: Moment, stage: Stage, pose: tuple[float, float, float]
    ) -> None:
        outlines = shadows(now, stage)
        if not outlines:
            return
        x, y, yaw = pose
        c, s = math.cos(yaw), math.sin(yaw)
        turn = np.array([[c, -s], [s, c]])
        counts = [len(outline) for outline in outlines]
        places = (np.concatenate(outlines) - [x, y]) @ turn
        points = np.concatenate([places, np.zeros((len(places), 1))], axis=1)
        near = np.hypot(places[:, 0], places[:, 1]) < 60.0
        pixels, valid = view.camera.project(points)
        depth = (points - view.camera.position) @ view.camera.rotation[2]
        mask = np.zeros(image.shape[:2], np.uint8)
        drawn, start = False, 0
        for count in counts:
            part = slice(start, start + count)
            start += count
            if not near[part].any() or (depth[part] < NEAR).any() or not valid[part].all():
                continue
            outline = pixels[part]
            if outline[:, 0].max() < 0 or outline[:, 0].min() > view.width or outline[:, 1].max() < 0:
                continue
            hull = cv2.convexHull(outline.astype(np.float32)) if count > 4 else outline
            cv2.fillConvexPoly(mask, np.round(hull * 8.0).astype(np.int32), (255,), cv2.LINE_8, FRACTION)
            drawn = True
        if drawn:
            dark = cv2.convertScaleAbs(image, alpha=0.58 if stage.light.shadows else 0.75)
            cv2.copyTo(dark, mask, image)


def _select(batch: Batch, view: View, pose: tuple[float, float, float], reach: float) -> np.ndarray:
    """(O,) which things may be in the picture."""
    if not len(batch.centres):
        return np.zeros(0, bool)
    x, y, yaw = pose
    camera = view.camera
    forward, side = camera.rotation[2, :2], camera.rotation[0, :2]
    c, s = math.cos(yaw), math.sin(yaw)
    delta = (batch.centres[:, :2] - [x, y]) @ np.array([[c, -s], [s, c]]) - camera.position[:2]
    ahead, across = delta @ forward, np.abs(delta @ side)
    near = ahead * ahead + across * across < (reach + batch.radii) ** 2
    lens = camera.intrinsics
    edge = lens.unproject(np.array([lens.width - 0.5, lens.cy]))
    # The picture's corners look a little further aside than the middle of its edge.
    half = math.acos(max(-1.0, min(1.0, float(edge[2])))) + 0.08
    outside = across * math.cos(half) - ahead * math.sin(half)
    # Too small to show: half a pixel of the finished picture.
    near &= (batch.radii + 1.0) > 0.7 * view.radians_per_pixel * np.maximum(ahead, 0.0)
    return near & (outside < batch.radii + 0.5) & (ahead > -batch.radii - 1.0)


def paint(
    image: np.ndarray,
    view: View,
    stage: Stage,
    now: Moment,
    pose: tuple[float, float, float],
    numbers: bool = False,
) -> None:
    """Draw all things into `image`, the far ones first.

    numbers: instead of colours, write 1 + index of the thing (moving things first, then scenery) into an int32 image.
    """
    reach = min(230.0, 3.2 * stage.light.visibility)
    drawn = _Drawn()
    offset = 0
    for batch in (now.batch, stage.batch):
        chosen = _select(batch, view, pose, reach)
        if chosen.any():
            _collect(drawn, _Shot(batch, view, stage, pose, offset if numbers else None), chosen)
        offset += len(batch.centres)
    if not drawn.calls:
        return
    quad, disc = QUAD, DISC
    polygon, circle, line, calls = cv2.fillConvexPoly, cv2.circle, cv2.line, drawn.calls
    for index in np.lexsort((np.concatenate(drawn.ranks), np.concatenate(drawn.far))).tolist():
        kind, points, colour, size = calls[index]
        if kind == quad:
            polygon(image, points, colour, 8, FRACTION)
        elif kind == disc:
            circle(image, points, size, colour, -1, 8, FRACTION)
        else:
            line(image, points[0], points[1], colour, size, 8, FRACTION)


QUAD, DISC, LIMB = range(3)


class _Drawn:
    """Drawing calls to be put in order: far things first, and by rank within a thing."""

    def __init__(self) -> None:
        self.far: list[np.ndarray] = []
        self.ranks: list[np.ndarray] = []
        self.calls: list[tuple[int, Any, tuple[float, ...], int]] = []


class _Shot:
    """A batch of things before a camera.

    away: (O,) metres to each thing. focal: pixels in a radian. rim: pixels; what is further out is drawn from there.
    number_from: of the batch's first thing, where numbers are drawn instead of colours.
    """

    def __init__(
        self, batch: Batch, view: View, stage: Stage, pose: tuple[float, float, float], number_from: int | None
    ) -> None:
        self.batch, self.view, self.light, self._number_from = batch, view, stage.light, number_from
        x, y, yaw = pose
        c, s = math.cos(yaw), math.sin(yaw)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        camera = view.camera
        self._move = np.array([x, y, 0.0])
        self.to_camera = turn @ camera.rotation.T
        self._eye = camera.rotation @ camera.position
        self.eye_in_world = turn @ camera.position + self._move
        centres = (batch.centres - self._move) @ turn
        self.away = np.hypot(centres[:, 0] - camera.position[0], centres[:, 1] - camera.position[1])
        self._veil = stage.light.veil(self.away)
        self._beam = stage.light.beam(centres[:, 0], centres[:, 1])
        self.focal = 1.0 / view.radians_per_pixel
        self.rim = max(2000.0, 4.0 * view.width)

    def in_camera(self, points: np.ndarray) -> np.ndarray:
        """(…, 3) world coordinates in the frame of the camera."""
        return (points - self._move) @ self.to_camera - self._eye

    def in_picture(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """(N,) which pixel bounds (N, 2) reach into the picture."""
        inside = (high[:, 0] > 0) & (high[:, 1] > 0)
        return inside & (low[:, 0] < self.view.width) & (low[:, 1] < self.view.height)

    def outlines(self, corners: np.ndarray) -> np.ndarray:
        """(…, 2) pixels of corners (…, 3) in front of the camera, none beyond the rim."""
        return np.clip(self.view.camera.intrinsics.project(corners)[0], -self.rim, self.rim)

    def colours(
        self, albedo: np.ndarray, shade: np.ndarray, glow: np.ndarray, owner: np.ndarray
    ) -> list[tuple[float, ...]]:
        """Of parts (N,) of the things `owner`: as they are lit, behind the veil of the air."""
        if self._number_from is not None:
            return [(float(value),) for value in (owner + 1 + self._number_from).tolist()]
        veil = self._veil[owner]
        lit = np.where(glow, 1.0, shade + self._beam[owner])[:, None]
        fade = np.where(glow, veil * 0.6, veil)[:, None]
        mixed = np.minimum(albedo * lit, 255.0) * (1.0 - fade) + np.array(self.light.haze) * fade
        return [tuple(row) for row in np.clip(mixed, 0.0, 255.0).tolist()]


def _collect(drawn: _Drawn, shot: _Shot, chosen: np.ndarray) -> None:
    """Project the chosen things of a batch and append what is to be drawn."""
    for owner, collect in (
        (shot.batch.quad_owner, _collect_quads),
        (shot.batch.disc_owner, _collect_discs),
        (shot.batch.limb_owner, _collect_limbs),
    ):
        keep = np.flatnonzero(chosen[owner])
        if len(keep):
            collect(drawn, shot, keep)


def _collect_quads(drawn: _Drawn, shot: _Shot, keep: np.ndarray) -> None:
    batch = shot.batch
    # Cheap tests first: too small from here, or seen from behind. A zero normal marks a face with two fronts.
    distance = np.maximum(shot.away[batch.quad_owner[keep]] - 3.0, 1.0)
    keep = keep[batch.quad_sizes[keep] * shot.focal > SMALLEST * distance]
    keep = keep[((batch.quads[keep, 0] - shot.eye_in_world) * batch.normals[keep]).sum(axis=1) < 1e-9]
    corners = shot.in_camera(batch.quads[keep])
    depth = corners[..., 2]
    front = _most(depth) > NEAR
    keep, corners, depth = keep[front], corners[front], depth[front]
    whole = _least(depth) > NEAR
    pixels = shot.outlines(corners)
    low, high = _least(pixels), _most(pixels)
    extent = high - low
    visible = shot.in_picture(low, high) & (np.maximum(extent[:, 0], extent[:, 1]) > SMALLEST)
    visible |= ~whole
    index = np.flatnonzero(visible)
    keep = keep[index]
    points = list(np.round(pixels[index] * 8.0).astype(np.int32))
    for place in np.flatnonzero(~whole[index]).tolist():
        cut = _clip(corners[index[place]])
        outline = shot.outlines(cut) if len(cut) > 2 else np.full((3, 2), -shot.rim)
        points[place] = np.round(outline * 8.0).astype(np.int32)
    owner = batch.quad_owner[keep]
    tints = shot.colours(batch.quad_colours[keep], shot.light.shade(batch.normals[keep]), batch.quad_glows[keep], owner)
    drawn.far.append(-shot.away[owner])
    drawn.ranks.append(batch.quad_rank[keep])
    drawn.calls += zip(repeat(QUAD), points, tints, repeat(0))


def _collect_discs(drawn: _Drawn, shot: _Shot, keep: np.ndarray) -> None:
    batch, view = shot.batch, shot.view
    centres = shot.in_camera(batch.discs[keep])
    pixels, valid = view.camera.intrinsics.project(centres)
    size = batch.disc_radii[keep] * shot.focal / np.maximum(np.linalg.norm(centres, axis=1), 0.1)
    # A lamp outshines its size: never less than a pixel and a bit.
    size = np.where(batch.disc_glows[keep], np.maximum(size, 1.25), size)
    visible = valid & (centres[:, 2] > NEAR) & (size > SMALLEST)
    visible &= ((batch.disc_normals[keep] @ shot.to_camera) * centres).sum(axis=1) < 1e-9
    visible &= (pixels > -size[:, None]).all(axis=1)
    visible &= (pixels[:, 0] < view.width + size) & (pixels[:, 1] < view.height + size)
    keep, pixels, size = keep[visible], pixels[visible], size[visible]
    owner = batch.disc_owner[keep]
    shade = np.full(len(keep), shot.light.ambient + 0.5 * shot.light.direct)
    tints = shot.colours(batch.disc_colours[keep], shade, batch.disc_glows[keep], owner)
    points = np.round(pixels * 8.0).astype(int).tolist()
    sizes = np.maximum(np.round(size * 8.0), 4).astype(int).tolist()
    drawn.far.append(-shot.away[owner])
    drawn.ranks.append(batch.disc_rank[keep])
    drawn.calls += zip(repeat(DISC), points, tints, sizes)


def _collect_limbs(drawn: _Drawn, shot: _Shot, keep: np.ndarray) -> None:
    batch = shot.batch
    ends = shot.in_camera(batch.limbs[keep])
    pixels, valid = shot.view.camera.intrinsics.project(ends)
    distance = np.linalg.norm(ends.mean(axis=1), axis=1)
    size = 2.0 * batch.limb_radii[keep] * shot.focal / np.maximum(distance, 0.1)
    visible = valid.all(axis=1) & (ends[..., 2] > NEAR).all(axis=1) & (size > 0.22)
    visible &= shot.in_picture(pixels.min(axis=1), pixels.max(axis=1))
    keep, pixels, size = keep[visible], pixels[visible], size[visible]
    owner = batch.limb_owner[keep]
    shade = np.full(len(keep), shot.light.ambient + 0.45 * shot.light.direct)
    tints = shot.colours(batch.limb_colours[keep], shade, np.zeros(len(keep), bool), owner)
    points = np.round(np.clip(pixels, -shot.rim, shot.rim) * 8.0).astype(int).tolist()
    sizes = np.maximum(np.round(size), 1).astype(int).tolist()
    drawn.far.append(-shot.away[owner])
    drawn.ranks.append(batch.limb_rank[keep])
    drawn.calls += zip(repeat(LIMB), points, tints, sizes)


def _least(values: np.ndarray) -> np.ndarray:
    """Minimum over the second axis of length four: much faster than a reduction over so short an axis."""
    return np.minimum(np.minimum(values[:, 0], values[:, 1]), np.minimum(values[:, 2], values[:, 3]))


def _most(values: np.ndarray) -> np.ndarray:
    return np.maximum(np.maximum(values[:, 0], values[:, 1]), np.maximum(values[:, 2], values[:, 3]))


def _clip(corners: np.ndarray) -> np.ndarray:
    """The part of a face (4, 3) in front of the camera: Sutherland and Hodgman at one plane."""
    kept = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if a[2] > NEAR:
            kept.append(a)
        if (a[2] > NEAR) != (b[2] > NEAR):
            kept.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
    return np.array(kept)


def _rain(image: np.ndarray, tick: int, salt: int) -> None:
    """Streaks over the finished picture."""
    height, width = image.shape[:2]
    rng = np.random.Generator(np.random.Philox(key=tick * 16 + salt))
    count = 26 + width // 16
    places = rng.uniform(0.0, 1.0, (count, 2)) * [width, height]
    length = height * rng.uniform(0.03, 0.09, count)
    streaks = np.zeros_like(image)
    ends = places + np.stack([-0.12 * length, length], axis=1)
    lines = np.round(np.stack([places, ends], axis=1) * 8.0).astype(np.int32)
    cv2.polylines(streaks, list(lines), False, (34, 36, 40), max(1, width // 500), cv2.LINE_8, FRACTION)
    cv2.add(image, streaks, dst=image)
