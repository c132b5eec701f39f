"""From states of the ego vehicle in the map to trajectories in its own frame, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpamayo_ros.simulation.world import PERIOD, Ego
from alpamayo_ros.types import Trajectory


def seen_from(origin: Ego, egos: Sequence[Ego]) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) in metres and rotations (N, 3, 3) of `egos` in the ego frame of `origin`."""
    poses = np.array([(ego.x, ego.y, ego.yaw) for ego in egos]).reshape(-1, 3)
    c, s = np.cos(origin.yaw), np.sin(origin.yaw)
    positions = np.zeros((len(egos), 3))
    positions[:, :2] = (poses[:, :2] - [origin.x, origin.y]) @ np.array([[c, -s], [s, c]])
    turned = poses[:, 2] - origin.yaw
    rotations = np.zeros((len(egos), 3, 3))
    rotations[:, 0, 0] = rotations[:, 1, 1] = np.cos(turned)
    rotations[:, 1, 0], rotations[:, 0, 1] = np.sin(turned), -np.sin(turned)
    rotations[:, 2, 2] = 1.0
    return positions, rotations


def trajectory_of(origin: Ego, egos: Sequence[Ego]) -> Trajectory:
    """The states 0.1 s, 0.2 s, … after `origin` as a trajectory in its frame."""
    columns = np.array([(ego.speed, ego.acceleration, ego.curvature) for ego in egos]).reshape(-1, 3)
    return Trajectory(PERIOD * np.arange(1, len(egos) + 1), *seen_from(origin, egos), *columns.T)


def in_map(origin: Ego, positions: np.ndarray) -> np.ndarray:
    """(N, 2) positions in the map of positions (N, 2 or 3) in the ego frame of `origin`."""
    c, s = np.cos(origin.yaw), np.sin(origin.yaw)
    return np.array([origin.x, origin.y]) + positions[:, :2] @ np.array([[c, s], [-s, c]])
