"""The world from above, as a small picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from alpamayo_ros.simulation.motion import in_map
from alpamayo_ros.simulation.scoring import actor_box, ego_box
from alpamayo_ros.simulation.world import World

SPAN = 60.0
"""Metres from edge to edge; the car's heading is up, and more is shown ahead of it than behind."""
_AHEAD = 12.0  # metres that the middle of the picture is ahead of the car
_GROUND, _LANE, _EDGE = (52, 58, 48), (92, 94, 98), (150, 150, 150)
_ACTOR, _EGO, _DRIVEN, _PLANNED = (214, 160, 60), (80, 160, 255), (80, 160, 255), (255, 90, 160)  # R, G, B
_FRACTION = 4  # fractional bits of drawn coordinates


def draw_top_view(driven: Sequence[World], planned: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB: the last state, the way the car came, and `planned` (N, 2) in its frame there."""
    now = driven[-1]
    image = np.full((size, size, 3), _GROUND, np.uint8)
    for lane in now.scenario.roads.lanes:
        outline = _pixels(now, lane.outline, size)
        cv2.fillPoly(image, [outline], _LANE, cv2.LINE_AA, _FRACTION)
        cv2.polylines(image, [outline], True, _EDGE, 1, cv2.LINE_AA, _FRACTION)
    for actor in now.actors:
        cv2.fillConvexPoly(image, _pixels(now, actor_box(actor), size), _ACTOR, cv2.LINE_AA, _FRACTION)
    cv2.fillConvexPoly(image, _pixels(now, ego_box(now.ego), size), _EGO, cv2.LINE_AA, _FRACTION)
    past = np.array([(world.ego.x, world.ego.y) for world in driven])
    cv2.polylines(image, [_pixels(now, past, size)], False, _DRIVEN, 1, cv2.LINE_AA, _FRACTION)
    if len(planned):
        cv2.polylines(image, [_pixels(now, in_map(now.ego, planned), size)], False, _PLANNED, 2, cv2.LINE_AA, _FRACTION)
    return image


def _pixels(world: World, points: np.ndarray, size: int) -> np.ndarray:
    ego, scale = world.ego, size / SPAN
    c, s = np.cos(ego.yaw), np.sin(ego.yaw)
    seen = (points - [ego.x, ego.y]) @ np.array([[c, -s], [s, c]])
    right_down = np.stack([size / 2 - seen[:, 1] * scale, size / 2 - (seen[:, 0] - _AHEAD) * scale], axis=1)
    return np.round(np.clip(right_down, -1e5, 1e5) * 2**_FRACTION).astype(np.int32)
