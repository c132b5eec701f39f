"""What is drawn into a camera's picture: the path to come, coloured by speed, and the outlines of causes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from alpamayo_ros.datasets.outline import Outline
from alpamayo_ros.simulation.world import EGO_WIDTH, Ego
from alpamayo_ros.types import Trajectory
from alpamayo_ros.types.rig import Camera

FASTEST = 20.0
"""Speed in m/s at the fast end of the colour scale."""
CAUSE_COLOUR = (255, 196, 0)
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
_SMALL = 60  # pixels: boxes smaller than this are drawn as a rectangle
_BUMPER = 3.8  # metres ahead of the rear axle: the path is drawn from there on


def speed_colour(speed: float) -> tuple[int, int, int]:
    """R, G, B: red at a standstill, over yellow and green, to blue at `FASTEST` m/s."""
    hue = 110.0 * min(max(speed / FASTEST, 0.0), 1.0)
    bgr = cv2.cvtColor(np.array([[[hue, 230, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    return int(bgr[0]), int(bgr[1]), int(bgr[2])


def draw_path(image: np.ndarray, camera: Camera, path: Trajectory, opacity: float = 0.5) -> None:
    """Lay a path (ego frame, metres) as a ribbon of the car's width over the ground of an RGB picture (H, W, 3)."""
    positions = np.concatenate([np.zeros((1, 3)), path.positions])
    yaws = np.concatenate([np.zeros(1), path.yaws])
    speeds = np.concatenate([path.speeds[:1], path.speeds])
    # From the rear axle to the front bumper, which is what a person sees the car with.
    ahead = np.stack([np.cos(yaws), np.sin(yaws), np.zeros_like(yaws)], axis=1)
    side = np.stack([-np.sin(yaws), np.cos(yaws), np.zeros_like(yaws)], axis=1) * (EGO_WIDTH / 2)
    middle = positions + ahead * _BUMPER
    left, left_seen = camera.project(middle + side)
    right, right_seen = camera.project(middle - side)
    moved = np.linalg.norm(np.diff(middle, axis=0), axis=1) > 0.02
    quads = []
    # The far end first: a path that turns back to the car covers itself as the road would.
    for i in np.flatnonzero(moved)[::-1].tolist():
        if not (left_seen[i : i + 2].all() and right_seen[i : i + 2].all()):
            continue
        corners = np.array([left[i], left[i + 1], right[i + 1], right[i]])
        if np.abs(corners).max() > 5000.0:
            continue
        quads.append((corners, speed_colour(float(speeds[i + 1]))))
    if not quads:
        return
    # Only the part that the path covers is mixed: of a large picture, the rest is most.
    places = np.concatenate([corners for corners, _ in quads])
    x, y = np.maximum(np.floor(places.min(axis=0)).astype(int) - 2, 0).tolist()
    end_x, end_y = np.maximum(np.ceil(places.max(axis=0)).astype(int) + 3, 0).tolist()
    part = image[y:end_y, x:end_x]
    if not part.size:
        return
    painted = part.copy()
    for corners, colour in quads:
        _fill(painted, corners - (x, y), colour)
    part[:] = cv2.addWeighted(painted, opacity, part, 1.0 - opacity, 0.0)


def draw_outlines(image: np.ndarray, camera: Camera, ego: Ego, named: Sequence[tuple[str, list[Outline]]]) -> None:
    """Draw things, each a name and its outlines in the map frame, into an RGB picture. The name is written once."""
    taken: list[tuple[int, int, int, int]] = []
    for name, outlines in named:
        places = [place for outline in outlines if (place := _draw_outline(image, camera, ego, outline))]
        if places:
            taken.append(_tag(image, name, *min(places, key=lambda place: place[1]), taken))


def _draw_outline(image: np.ndarray, camera: Camera, ego: Ego, outline: Outline) -> tuple[float, float] | None:
    """Left and top of what is drawn; None where it is not in the picture."""
    height, width = image.shape[:2]
    thickness = max(1, round(width / 480))
    points = outline.points.copy()
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    points[:, :2] = (points[:, :2] - [ego.x, ego.y]) @ np.array([[c, -s], [s, c]])
    pixels, seen = camera.project(points)
    seen &= ((points - camera.position) @ camera.rotation[2]) > 0.2
    inside = seen & (pixels > 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    if not inside.any():
        return None
    if outline.solid and seen.all() and np.ptp(pixels, axis=0).max() < _SMALL:
        # Twelve edges would cover what they are to show.
        low, high = pixels.min(axis=0) - 4.0, pixels.max(axis=0) + 4.0
        cv2.rectangle(image, _point(low), _point(high), CAUSE_COLOUR, thickness, cv2.LINE_AA)
    elif outline.solid:
        for a, b in _EDGES:
            if seen[a] and seen[b]:
                cv2.line(image, _point(pixels[a]), _point(pixels[b]), CAUSE_COLOUR, thickness, cv2.LINE_AA)
    else:
        tinted = image.copy()
        _fill(tinted, pixels[seen], CAUSE_COLOUR)
        cv2.addWeighted(tinted, 0.35, image, 0.65, 0.0, dst=image)
        cv2.polylines(image, [np.round(pixels[seen]).astype(np.int32)], bool(seen.all()), CAUSE_COLOUR, thickness)
    return float(pixels[inside, 0].min()), float(pixels[inside, 1].min())


def _tag(
    image: np.ndarray, text: str, x: float, y: float, taken: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int]:
    """Write a name above a place, and above what is `taken` by others; returns left, top, right, bottom."""
    scale = max(0.35, image.shape[1] / 1700)
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    width, height = width + 7, height + base + 5
    left = round(min(max(x, 0.0), max(image.shape[1] - width - 1.0, 0.0)))
    bottom = round(max(y - 5.0, height))
    for other in sorted(taken, key=lambda box: -box[3]):
        if left < other[2] and other[0] < left + width and bottom - height < other[3] and other[1] < bottom:
            bottom = other[1] - 2
    box = (left, bottom - height, left + width, bottom)
    cv2.rectangle(image, box[:2], box[2:], CAUSE_COLOUR, cv2.FILLED)
    place = (left + 4, bottom - base - 1)
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 1, cv2.LINE_AA)
    return box


def _fill(image: np.ndarray, corners: np.ndarray, colour: tuple[int, int, int]) -> None:
    if len(corners) > 2:
        cv2.fillPoly(image, [np.round(corners * 8.0).astype(np.int32)], colour, cv2.LINE_AA, 3)


def _point(place: np.ndarray | tuple[float, float]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))
