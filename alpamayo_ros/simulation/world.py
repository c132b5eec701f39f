"""The state of the world, and how it moves on by a tenth of a second."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from alpamayo_ros.simulation.actor import Actor
from alpamayo_ros.simulation.road import Lamp, RoadMap
from alpamayo_ros.simulation.route import Route

PERIOD = 0.1
"""Seconds between two states."""
DURATION = 20.0
"""Seconds of a scenario."""
MAX_ACCELERATION = 9.8
MAX_CURVATURE = 0.2
"""Bounds of |acceleration| in m/s^2, as in the released models, and of |curvature| in 1/m: ours, that of the gate. The
released action space reaches to 0.33."""


class Weather(StrEnum):
    """Weather."""

    CLEAR = "clear"
    RAIN = "rain"
    FOG = "fog"


class Daylight(StrEnum):
    """Light of the day."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"


class Variant(StrEnum):
    """Plain, or long-tail and compositional."""

    NOMINAL = "nominal"
    CHALLENGING = "challenging"


@dataclass(frozen=True)
class Ego:
    """The ego vehicle. The pose is that of the rig: origin on the ground under the middle of the rear axle.

    acceleration and curvature are those of the interval that ended in this state.
    """

    x: float
    y: float
    yaw: float
    speed: float
    acceleration: float = 0.0
    curvature: float = 0.0
    blinker: str = "off"

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box."""
        return self.x + CENTRE_AHEAD * math.cos(self.yaw), self.y + CENTRE_AHEAD * math.sin(self.yaw)


EGO_LENGTH, EGO_WIDTH = 4.7, 1.85
CENTRE_AHEAD = 1.35
"""Size of the ego vehicle and how far its middle is ahead of the rear axle, metres: a mid-size car."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """Everything a run starts from. `lit` is the daylight; `sun` the azimuth of the sun in radians."""

    kind: str
    seed: int
    variant: Variant
    roads: RoadMap
    route: Route
    ego: Ego
    actors: tuple[Actor, ...]
    weather: Weather = Weather.CLEAR
    daylight: Daylight = Daylight.DAY
    sun: float = 0.8

    def begin(self) -> World:
        """The world at time zero."""
        return World(scenario=self, ego=self.ego, actors=[actor.copy() for actor in self.actors])


@dataclass(eq=False)
class World:
    """The state at one time.

    removed: identities of causes that an intervention has taken away. lamps: what lights are made to show by one.
    steady_from: the tick from which on nothing begins that was not to be seen before: lights stay as they are, and
    road users go on with what they do or have signalled.
    """

    scenario: Scenario
    ego: Ego
    actors: list[Actor]
    tick: int = 0
    removed: frozenset[str] = field(default_factory=frozenset)
    lamps: dict[str, Lamp] = field(default_factory=dict)
    steady_from: int | None = None

    @property
    def time(self) -> float:
        """Seconds since the start of the scenario."""
        return self.tick * PERIOD

    @property
    def steady(self) -> bool:
        return self.steady_from is not None and self.tick >= self.steady_from

    @property
    def finished(self) -> bool:
        return self.time >= DURATION - 1e-9

    @property
    def instruction(self) -> str | None:
        """What a navigation device says now, such as "Turn left in 40 m"."""
        route = self.scenario.route
        return route.navigation_at(route.path.project(self.ego.x, self.ego.y)[0])

    def copy(self) -> World:
        """An independent copy; the scenario is shared."""
        return replace(self, actors=[actor.copy() for actor in self.actors])

    def actor(self, name: str) -> Actor | None:
        """The actor called `name`, if it is there."""
        return next((actor for actor in self.actors if actor.id == name), None)

    def lamp(self, light: str) -> Lamp:
        """What a light shows now, after interventions."""
        if light in self.lamps:
            return self.lamps[light]
        tick = self.tick if self.steady_from is None else min(self.tick, self.steady_from)
        return self.scenario.roads.light(light).lamp(tick * PERIOD)


def drive(ego: Ego, acceleration: float, curvature: float, blinker: str = "off") -> Ego:
    """The ego vehicle one period later, by the unicycle model with which the released models are trained.

    v' = v + a dt; yaw' = yaw + k (v dt + a dt^2 / 2); position by the trapezoid of the two velocity vectors. The
    action is cut to the bounds of the action space. The car does not roll backwards: braking ends at standstill.
    """
    acceleration = min(max(acceleration, -MAX_ACCELERATION), MAX_ACCELERATION)
    curvature = min(max(curvature, -MAX_CURVATURE), MAX_CURVATURE)
    if ego.speed + acceleration * PERIOD < 0.0:
        acceleration = -ego.speed / PERIOD
    speed = max(0.0, ego.speed + acceleration * PERIOD)
    yaw = ego.yaw + curvature * (ego.speed * PERIOD + acceleration * PERIOD * PERIOD / 2.0)
    x = ego.x + (ego.speed * math.cos(ego.yaw) + speed * math.cos(yaw)) * PERIOD / 2.0
    y = ego.y + (ego.speed * math.sin(ego.yaw) + speed * math.sin(yaw)) * PERIOD / 2.0
    return Ego(x, y, yaw, speed, acceleration, curvature, blinker)
