"""Failures as strips of pictures: what the front camera saw in the last two seconds, and the end from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from alpamayo_ros.datasets.overlay import draw_path
from alpamayo_ros.evaluation.closed_loop import replay
from alpamayo_ros.evaluation.report.top_view import draw_top_view
from alpamayo_ros.evaluation.scene import Failure, Outcome
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.types import CameraRole, Trajectory
from alpamayo_ros.types.rig import default_rig

MOST = 24
"""Clips of one report."""
BEFORE_END = (20, 15, 10, 5, 0)
"""Ticks before the end at which the pictures are."""
_WIDTH, _HEIGHT = 320, 192
_QUALITY = 80


@dataclass(frozen=True)
class Clip:
    """A strip as JPEG, and what it shows."""

    title: str
    reason: str
    jpeg: bytes


def make_clips(outcomes: Sequence[Outcome]) -> list[Clip]:
    """Clips of at most `MOST` failures: the first of every kind and variant, then the second, and so on."""
    renderer = Renderer(default_rig(_WIDTH, _HEIGHT, (CameraRole.FRONT_WIDE_120,)))
    return [_clip(outcome, outcome.failure, renderer) for outcome in _choose(outcomes) if outcome.failure is not None]


def _choose(outcomes: Sequence[Outcome]) -> list[Outcome]:
    seen: dict[tuple[str, str], int] = {}
    ranked = []
    for place, outcome in enumerate(outcome for outcome in outcomes if outcome.failure is not None):
        group = (outcome.scene.kind, str(outcome.scene.variant))
        seen[group] = seen.get(group, -1) + 1
        ranked.append((seen[group], place, outcome))
    chosen = sorted(ranked, key=lambda row: row[:2])[:MOST]
    return [outcome for _, _, outcome in sorted(chosen, key=lambda row: row[1])]


def _clip(outcome: Outcome, failure: Failure, renderer: Renderer) -> Clip:
    driven = replay(outcome.scene, outcome.actions)
    planned = np.array(failure.planned).reshape(-1, 2)
    pictures = []
    for before in BEFORE_END:
        world = driven[max(0, len(driven) - 1 - before)]
        picture = renderer.render(world, CameraRole.FRONT_WIDE_120)
        if before == 0 and len(planned):
            draw_path(picture, renderer.rig[CameraRole.FRONT_WIDE_120], _as_trajectory(planned))
        pictures.append(picture)
    strip = np.concatenate([*pictures, draw_top_view(driven, planned, _HEIGHT)], axis=1)
    done, jpeg = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    scene = outcome.scene
    return Clip(f"{scene.kind}, seed {scene.seed}, {scene.variant}", failure.reason, jpeg.tobytes())


def _as_trajectory(planned: np.ndarray) -> Trajectory:
    """The plan's positions with the headings and speeds that follow from them."""
    steps = np.diff(np.concatenate([np.zeros((1, 2)), planned]), axis=0)
    speeds = np.hypot(*steps.T) * 10.0
    yaws = np.arctan2(steps[:, 1], steps[:, 0])
    rotations = np.zeros((len(planned), 3, 3))
    rotations[:, 0, 0] = rotations[:, 1, 1] = np.cos(yaws)
    rotations[:, 1, 0], rotations[:, 0, 1] = np.sin(yaws), -np.sin(yaws)
    rotations[:, 2, 2] = 1.0
    positions = np.concatenate([planned, np.zeros((len(planned), 1))], axis=1)
    none = np.zeros(len(planned))
    return Trajectory(np.arange(1, len(planned) + 1) / 10.0, positions, rotations, speeds, none, none)
