"""The other road users in the frame of the route, as the privileged expert sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alpamayo_ros.simulation.actor import Actor
from alpamayo_ros.simulation.world import CENTRE_AHEAD, EGO_LENGTH, World

FRONT = CENTRE_AHEAD + EGO_LENGTH / 2
"""From the rear axle to the front bumper, metres."""
REAR = EGO_LENGTH / 2 - CENTRE_AHEAD
"""From the rear axle to the rear bumper, metres."""


@dataclass(frozen=True, eq=False)
class Neighbour:
    """One actor along the route: centre (s, d), half extents along and across, velocity along and across, and the
    offset on the route it is moving to."""

    actor: Actor
    s: float
    d: float
    half_s: float
    half_d: float
    speed_s: float
    speed_d: float
    target_d: float

    @property
    def rear(self) -> float:
        return self.s - self.half_s

    @property
    def front(self) -> float:
        return self.s + self.half_s

    @property
    def left(self) -> float:
        return self.d + self.half_d

    @property
    def right(self) -> float:
        return self.d - self.half_d


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The ego vehicle on the route (rear axle: s, d; heading relative to the route) and everyone within range."""

    s: float
    d: float
    heading: float
    speed: float
    neighbours: tuple[Neighbour, ...]

    @property
    def front(self) -> float:
        return self.s + FRONT

    @property
    def rear(self) -> float:
        return self.s - REAR


def look_around(world: World, reach: float = 110.0) -> Surroundings:
    """Project the ego vehicle and all actors within `reach` metres on the route."""
    path, ego = world.scenario.route.path, world.ego
    actors = [a for a in world.actors if abs(a.x - ego.x) < reach and abs(a.y - ego.y) < reach]
    points = np.array([(ego.x, ego.y)] + [(a.x, a.y) for a in actors])
    along, across = path.project_many(points)
    yaw = path.yaw_at(along)
    angle = np.array([ego.yaw] + [a.yaw for a in actors]) - yaw
    cosine, sine = np.cos(angle), np.sin(angle)
    rows = zip(actors, along[1:].tolist(), across[1:].tolist(), cosine[1:].tolist(), sine[1:].tolist(), strict=True)
    neighbours = []
    for actor, s, d, c, n in rows:
        neighbours.append(
            Neighbour(
                actor,
                s,
                d,
                (abs(c) * actor.length + abs(n) * actor.width) / 2,
                (abs(n) * actor.length + abs(c) * actor.width) / 2,
                actor.speed * c,
                actor.speed * n + (actor.lateral_speed * c if actor.speed > 0.1 else 0.0),
                d + (actor.shift_to - actor.d) * c,
            )
        )
    heading = float((angle[0] + np.pi) % (2 * np.pi) - np.pi)
    return Surroundings(float(along[0]), float(across[0]), heading, ego.speed, tuple(neighbours))
