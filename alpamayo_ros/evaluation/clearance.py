"""How near the ego vehicle comes to others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpamayo_ros.simulation.box import meet
from alpamayo_ros.simulation.scoring import actor_box, ego_box
from alpamayo_ros.simulation.world import World


def closest_distance(worlds: Sequence[World]) -> float | None:
    """Metres between the outlines of the ego vehicle and of the actor that was nearest to it at any time; 0 where they
    met, None where nobody was there."""
    distances = [distance(ego_box(world.ego), actor_box(actor)) for world in worlds for actor in world.actors]
    return min(distances, default=None)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Metres between two convex outlines (N, 2) and (M, 2); 0 where they meet."""
    if meet(a, b):
        return 0.0
    # Apart, the shortest way between two outlines begins at a corner of one of them.
    return min(_to_outline(a, b), _to_outline(b, a))


def _to_outline(points: np.ndarray, outline: np.ndarray) -> float:
    edges = np.roll(outline, -1, axis=0) - outline
    offsets = points[:, None] - outline
    share = np.clip((offsets * edges).sum(-1) / (edges**2).sum(-1), 0.0, 1.0)
    return float(np.linalg.norm(offsets - share[..., None] * edges, axis=-1).min())
