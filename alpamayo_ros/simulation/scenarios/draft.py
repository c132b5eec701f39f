"""A scenario in the making: the map, the route and the actors that a scenario kind puts together."""

from __future__ import annotations

import math

import numpy as np

from alpamayo_ros.simulation.actor import SIZES, Actor, ActorKind, Blinker
from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import RoadMap
from alpamayo_ros.simulation.route import Route
from alpamayo_ros.simulation.world import CENTRE_AHEAD, Daylight, Ego, Scenario, Variant, Weather

CAR_COLOURS = (
    (225, 225, 228), (200, 203, 208), (140, 144, 150), (60, 62, 68), (30, 31, 35),
    (150, 28, 30), (28, 58, 130), (38, 92, 150), (44, 88, 60), (176, 150, 110), (210, 170, 50), (120, 70, 40),
)  # fmt: skip
CLOTHES = ((190, 40, 40), (40, 70, 160), (220, 200, 60), (50, 120, 70), (230, 230, 230), (40, 40, 45), (230, 120, 40))


class Draft:
    """Collects one scenario. Random draws come from `rng` only, in the order of the calls.

    start: arc length of the route where the ego vehicle begins (rear axle).
    """

    def __init__(self, kind: str, seed: int, variant: Variant) -> None:
        entropy = [int.from_bytes(kind.encode(), "big"), seed, list(Variant).index(variant)]
        self.rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
        self.kind, self.seed, self.variant = kind, seed, variant
        self.hard = variant is Variant.CHALLENGING
        self.roads = RoadMap()
        self.actors: list[Actor] = []
        self.route: Route | None = None
        self.start = 40.0
        self.speed: float | None = None
        self.counts: dict[str, int] = {}
        self.weather, self.daylight = self._sky()
        self.sun = self.uniform(-math.pi, math.pi)

    def _sky(self) -> tuple[Weather, Daylight]:
        odds = (0.45, 0.35, 0.2) if self.hard else (0.8, 0.14, 0.06)
        weather = list(Weather)[int(self.rng.choice(3, p=odds))]
        odds = (0.5, 0.2, 0.3) if self.hard else (0.74, 0.14, 0.12)
        return weather, list(Daylight)[int(self.rng.choice(3, p=odds))]

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def side(self) -> int:
        return 1 if self.chance(0.5) else -1

    def braking_room(self, limit: float) -> float:
        """A distance in metres from the front bumper after which the expert brakes about 3 to 5 s into the scenario.

        It brakes when 1.15 m/s^2 become necessary; before that a label needs 2 s of history.
        """
        return limit * self.uniform(2.9, 5.0) + limit * limit / 2.3

    def steering_room(self, limit: float) -> float:
        """The same for something that is driven around: moving over takes about four seconds."""
        return limit * self.uniform(6.8, 9.0)

    @property
    def way(self) -> Route:
        """The route; a kind has to set it before it uses this."""
        assert self.route is not None, f"kind {self.kind} uses its route before setting it"
        return self.route

    @property
    def front(self) -> float:
        """Arc length of the ego vehicle's front bumper at the start."""
        return self.start + CENTRE_AHEAD + 2.35

    def name(self, what: str) -> str:
        self.counts[what] = self.counts.get(what, -1) + 1
        return f"{what}-{self.counts[what]}"

    def add(self, kind: ActorKind, path: Path, s: float, d: float = 0.0, speed: float = 0.0, **more: object) -> Actor:
        """Add an actor of `kind`; `desired` defaults to its speed. Further keywords are fields of `Actor`."""
        length, width, height = SIZES[kind]
        scale = self.uniform(0.94, 1.08)
        if kind in (ActorKind.PEDESTRIAN, ActorKind.CHILD, ActorKind.CYCLIST):
            colour = CLOTHES[self.count(0, len(CLOTHES) - 1)]
        elif kind is ActorKind.SCHOOL_BUS:
            colour = (236, 170, 30)
        elif kind is ActorKind.BUS:
            colour = ((200, 205, 210), (170, 40, 40), (40, 90, 150), (60, 130, 80))[self.count(0, 3)]
        elif kind in (ActorKind.CONE, ActorKind.BARRIER):
            colour, scale = (240, 100, 30), 1.0
        elif kind is ActorKind.EMERGENCY:
            colour = (235, 235, 238) if self.chance(0.5) else (190, 25, 25)
        elif kind is ActorKind.DEBRIS:
            colour = (120, 95, 70)
        else:
            colour = CAR_COLOURS[self.count(0, len(CAR_COLOURS) - 1)]
        settings: dict[str, object] = {
            "desired": speed,
            "length": length * scale,
            "width": width * (scale if kind is not ActorKind.CAR else min(scale, 1.03)),
            "height": height * scale,
            "colour": colour,
        }
        actor = Actor(self.name(kind.value), kind, path, s, d, speed, **{**settings, **more})  # type: ignore[arg-type]
        self.actors.append(actor)
        return actor

    def vehicle_kind(self, trucks: float = 0.15) -> ActorKind:
        draw = self.rng.random()
        if draw < trucks:
            return ActorKind.TRUCK if draw < 0.7 * trucks else ActorKind.BUS
        return ActorKind.VAN if draw < trucks + 0.15 else ActorKind.CAR

    def park(self, path: Path, s: float, d: float, hazard: bool = False, **more: object) -> Actor:
        """A vehicle that stands for good."""
        kind = more.pop("kind", None) or (ActorKind.VAN if self.chance(0.2) else ActorKind.CAR)
        assert isinstance(kind, ActorKind)
        blinker = Blinker.HAZARD if hazard else Blinker.OFF
        return self.add(kind, path, s, d, 0.0, **{"reacts": False, "blinker": blinker, **more})

    def scenario(self) -> Scenario:
        """The finished scenario. The ego vehicle starts in its lane at `speed`, or near the speed limit."""
        for actor in self.actors:
            actor.settle()
        x, y, yaw = self.way.path.pose(self.start)
        speed = self.speed if self.speed is not None else self.way.limit * self.uniform(0.88, 0.97)
        if self.weather is not Weather.CLEAR:
            speed *= 0.85
        curvature = self.way.path.curvature_at(self.start)
        return Scenario(
            self.kind,
            self.seed,
            self.variant,
            self.roads,
            self.way,
            Ego(x, y, yaw, speed, 0.0, curvature),
            tuple(self.actors),
            self.weather,
            self.daylight,
            self.sun,
        )
