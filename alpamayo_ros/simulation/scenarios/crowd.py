"""Everyday traffic around the event of a scenario: oncoming cars, parked cars, people on the sidewalk."""

from __future__ import annotations

import numpy as np

from alpamayo_ros.simulation.actor import Actor, ActorKind
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.street import Street


def reverse(path: Path) -> Path:
    """The same path the other way round."""
    return Path(path.points[::-1])


def oncoming(draft: Draft, street: Street, density: float, reach: float = 330.0) -> list[Actor]:
    """Cars on the lanes that come towards us, about `density` a hundred metres and lane."""
    back = reverse(street.path)
    cars = []
    for offset in street.theirs:
        s = draft.start + draft.uniform(25.0, 80.0)
        while s < min(draft.start + reach, street.path.length - 10.0):
            speed = draft.way.limit * draft.uniform(0.75, 0.95)
            kind = draft.vehicle_kind()
            cars.append(draft.add(kind, back, street.path.length - s, -offset, speed, desired=speed))
            s += max(22.0, 100.0 / max(density, 0.05) * draft.uniform(0.5, 1.5))
    return cars


def parked_row(draft: Draft, street: Street, side: int, start: float, stop: float, share: float = 0.6) -> None:
    """Cars parked in the parking strip on the `side` (-1 right, +1 left)."""
    strip = street.parking[0 if side < 0 else 1]
    edge = street.right if side < 0 else street.left
    s = start
    while s < stop:
        if draft.chance(share):
            facing = 0.0 if side < 0 or not street.theirs else np.pi
            draft.park(street.path, s, edge + side * (strip / 2 + draft.uniform(0.05, 0.15)), facing=facing)
        s += draft.uniform(6.2, 8.0)


def walkers(draft: Draft, street: Street, count: int, spread: float = 140.0) -> None:
    """People on the sidewalks, along the road; they do not mean to cross."""
    back = reverse(street.path)
    right, left = street.edges
    for _ in range(count):
        s = draft.start + draft.uniform(12.0, spread)
        out = draft.uniform(1.0, 2.4)
        speed = draft.uniform(0.9, 1.5)
        along = draft.chance(0.5)
        offset = right - out if draft.chance(0.5) else left + out
        if along:
            draft.add(ActorKind.PEDESTRIAN, street.path, s, offset, speed, reacts=False)
        else:
            draft.add(ActorKind.PEDESTRIAN, back, street.path.length - s, -offset, speed, reacts=False)


def stream(
    draft: Draft, path: Path, offset: float, start: float, stop: float, speed: float, gap: tuple[float, float]
) -> list[Actor]:
    """Traffic in one lane between two arc lengths, from front to back, with net gaps drawn from `gap` in metres."""
    cars = []
    s = stop - draft.uniform(0.0, 0.5) * gap[1]
    while s > start:
        kind = draft.vehicle_kind(0.12)
        pace = speed * draft.uniform(0.97, 1.03)
        car = draft.add(kind, path, s, offset, pace, desired=pace)
        cars.append(car)
        s -= car.length + draft.uniform(*gap)
    return cars


def cross_traffic(
    draft: Draft, path: Path, offset: float, halts: tuple[tuple[float, str | None], ...], count: int, speed: float
) -> list[Actor]:
    """Cars on a crossing street; the first is some metres before the junction."""
    cars = []
    s = path.length / 2 - draft.uniform(22.0, 40.0)
    for _ in range(count):
        cars.append(draft.add(draft.vehicle_kind(0.1), path, s, offset, speed, desired=speed, halts=halts))
        s -= draft.uniform(14.0, 30.0)
    return cars
