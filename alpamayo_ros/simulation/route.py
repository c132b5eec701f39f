"""The way the ego vehicle is to take, and every rule and road event on it, by arc length along the route."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np

from alpamayo_ros.simulation.path import Path
from alpamayo_ros.types import LateralDecision

LATERAL_COMFORT = 1.9
"""Lateral acceleration the expert accepts in a curve, m/s^2: below the 2 m/s^2 that passengers find comfortable
(Bae et al., "Toward a comfortable driving experience for a self-driving shuttle bus", Electronics 8(9), 2019)."""
LANE_END = "goal-lane-end"
"""Identity of the goal to be in another lane before the own one ends."""


class Control(StrEnum):
    """Why there is a line to stop at."""

    LIGHT = "light"
    STOP_SIGN = "stop_sign"
    YIELD_SIGN = "yield_sign"
    SCHOOL_BUS = "school_bus"


@dataclass(frozen=True)
class StopRule:
    """A line across the route at arc length `s`. `light` for Control.LIGHT; `actor` for Control.SCHOOL_BUS."""

    id: str
    s: float
    control: Control
    light: str | None = None
    actor: str | None = None


@dataclass(frozen=True)
class Crossing:
    """A crosswalk over the route between two arc lengths."""

    id: str
    start: float
    stop: float


@dataclass(frozen=True)
class RoadEvent:
    """A stretch that is to be driven at `speed` m/s or less because of `kind` (curve, bump, ramp, …)."""

    id: str
    kind: str
    start: float
    stop: float
    speed: float


@dataclass(frozen=True)
class Manoeuvre:
    """A stretch where following the route itself is a lateral decision: a turn, a merge or a split."""

    id: str
    decision: LateralDecision
    start: float
    stop: float


@dataclass(frozen=True)
class Neighbour:
    """A lane beside the route's lane, `offset` metres to the left of the route, between two arc lengths."""

    offset: float
    same_direction: bool
    start: float = -1e9
    stop: float = 1e9


@dataclass(frozen=True)
class Goal:
    """Where the route leaves its lane: be at `offset` by arc length `stop`, known from arc length `start` on.

    decision: a lane change, MERGE_SPLIT or PULL_OVER. After PULL_OVER the car stands at `stop`.
    """

    id: str
    decision: LateralDecision
    offset: float
    start: float
    stop: float


@dataclass(frozen=True)
class Stage:
    """What a navigation device says of a stretch of the route: `text` with the distance to `start`, until `stop`."""

    text: str
    start: float
    stop: float


@dataclass(eq=False)
class Route:
    """The route. `limit` is the speed limit in m/s; `passing` allows overtaking a slow lead by a lane change.

    edges: offsets of the right and left end of what may be driven on in an emergency or beside an obstacle.
    """

    path: Path
    limit: float
    lane_width: float = 3.5
    stops: list[StopRule] = field(default_factory=list)
    crossings: list[Crossing] = field(default_factory=list)
    events: list[RoadEvent] = field(default_factory=list)
    manoeuvres: list[Manoeuvre] = field(default_factory=list)
    neighbours: list[Neighbour] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    edges: tuple[float, float] = (-1.75, 1.75)
    passing: bool = False
    navigation: str | None = None
    stages: list[Stage] = field(default_factory=list)

    def neighbour(self, side: int, s: float, home: float, same_direction: bool = True) -> Neighbour | None:
        """The lane on the `side` (+1 left, -1 right) of offset `home` at arc length `s`, if there is one."""
        for lane in self.neighbours:
            away = side * (lane.offset - home)
            if lane.same_direction == same_direction and 2.0 < away < 5.0 and lane.start <= s <= lane.stop:
                return lane
        return None

    @cached_property
    def curves(self) -> list[RoadEvent]:
        """Stretches whose curvature asks for less than the speed limit; a turn at a junction is of kind `turn`."""
        cap = np.sqrt(LATERAL_COMFORT / np.maximum(np.abs(self.path.curvature), 1e-6))
        slow = cap < 0.97 * self.limit
        edges = np.flatnonzero(np.diff(np.concatenate([[0], slow.astype(int), [0]])))
        found: list[RoadEvent] = []
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            begin, end = start * self.path.spacing, (stop - 1) * self.path.spacing
            if found and begin - found[-1].stop < 15.0:
                last = found.pop()
                begin, speed = last.start, min(last.speed, float(cap[start:stop].min()))
            else:
                speed = float(cap[start:stop].min())
            turning = any(m.start < end and begin < m.stop for m in self.manoeuvres if m.decision.startswith("turn"))
            found.append(RoadEvent(f"curve-{len(found)}", "turn" if turning else "curve", begin, end, speed))
        return found

    @cached_property
    def slowings(self) -> list[RoadEvent]:
        """All road events, the curves among them, in order of arc length."""
        return sorted([*self.events, *self.curves], key=lambda event: event.start)

    def navigation_at(self, s: float) -> str | None:
        """The instruction a navigation device shows at arc length `s`: the next stage with its distance, or None.

        In a stage the distance is 0 m: who sees no further than a second back has to be told which way to turn until
        the turn is done.
        """
        for stage in self.stages:
            if s < stage.start:
                distance = stage.start - s
                shown = max(10, 10 * math.floor(distance / 10 + 0.5))
                return f"{stage.text} in {shown} m" if distance < 250.0 else None
            if s < stage.stop:
                return f"{stage.text} in 0 m"
        return None
