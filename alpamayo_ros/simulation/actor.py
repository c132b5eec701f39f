"""Road users and obstacles: plain state, and the events that change what they do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from alpamayo_ros.simulation.path import Path, smooth_step


class ActorKind(StrEnum):
    """What kind of thing an actor is."""

    CAR = "car"
    VAN = "van"
    TRUCK = "truck"
    BUS = "bus"
    SCHOOL_BUS = "school_bus"
    EMERGENCY = "emergency"
    CYCLIST = "cyclist"
    PEDESTRIAN = "pedestrian"
    CHILD = "child"
    STROLLER = "stroller"
    CONE = "cone"
    BARRIER = "barrier"
    DEBRIS = "debris"


VEHICLES = frozenset(
    {ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.BUS, ActorKind.SCHOOL_BUS, ActorKind.EMERGENCY}
)
VULNERABLE = frozenset({ActorKind.CYCLIST, ActorKind.PEDESTRIAN, ActorKind.CHILD, ActorKind.STROLLER})
WALKING = frozenset({ActorKind.PEDESTRIAN, ActorKind.CHILD, ActorKind.STROLLER})
WORKS = frozenset({ActorKind.CONE, ActorKind.BARRIER})

SIZES: dict[ActorKind, tuple[float, float, float]] = {
    ActorKind.CAR: (4.5, 1.85, 1.5),
    ActorKind.VAN: (5.4, 2.0, 2.2),
    ActorKind.TRUCK: (9.0, 2.45, 3.4),
    ActorKind.BUS: (11.5, 2.5, 3.1),
    ActorKind.SCHOOL_BUS: (10.0, 2.4, 3.0),
    ActorKind.EMERGENCY: (6.0, 2.1, 2.6),
    ActorKind.CYCLIST: (1.8, 0.6, 1.75),
    ActorKind.PEDESTRIAN: (0.5, 0.6, 1.75),
    ActorKind.CHILD: (0.4, 0.45, 1.2),
    ActorKind.STROLLER: (1.4, 0.6, 1.7),
    ActorKind.CONE: (0.4, 0.4, 0.8),
    ActorKind.BARRIER: (2.0, 0.5, 1.0),
    ActorKind.DEBRIS: (0.8, 0.9, 0.5),
}
"""Length, width, height in metres."""


class Blinker(StrEnum):
    """Direction indicators."""

    OFF = "off"
    LEFT = "left"
    RIGHT = "right"
    HAZARD = "hazard"


@dataclass(frozen=True)
class Event:
    """Something an actor does once, when all conditions that are set hold.

    after: scenario time in seconds. near: distance to the ego vehicle in metres. arrival: (arc length on the route,
    seconds): the ego vehicle would reach that place within so many seconds. light: (light, lamp) is shown.
    drift: the ego vehicle is so many metres to the left (positive) or right (negative) of its route.
    Then `sets` are assigned to the actor, and it moves to offset `shift[0]` within `shift[1]` seconds.
    """

    after: float | None = None
    near: float | None = None
    arrival: tuple[float, float] | None = None
    light: tuple[str, str] | None = None
    drift: float | None = None
    sets: tuple[tuple[str, object], ...] = ()
    shift: tuple[float, float] | None = None


@dataclass(eq=False)
class Actor:
    """One road user on its own path.

    s, d: arc length and offset of its centre on `path`; speed and acceleration along it.
    reacts: keeps its distance to what is ahead of it. accelerates, brakes: limits in m/s^2.
    halts: (arc length, light id or None) where it waits; None means for good, until an event sets it.
    lanes: offsets it may change to by MOBIL. crosses: it is about to cross, or is crossing, the route.
    facing: heading relative to the path, for things that stand askew. gait: metres walked or rolled.
    """

    id: str
    kind: ActorKind
    path: Path
    s: float
    d: float = 0.0
    speed: float = 0.0
    desired: float = 0.0
    length: float = 4.5
    width: float = 1.85
    height: float = 1.5
    colour: tuple[int, int, int] = (150, 150, 150)
    reacts: bool = True
    accelerates: float = 1.5
    brakes: float = 2.5
    headway: float = 1.3
    halts: tuple[tuple[float, str | None], ...] = ()
    lanes: tuple[float, ...] = ()
    events: tuple[Event, ...] = ()
    blinker: Blinker = Blinker.OFF
    beacons: bool = False
    crosses: bool = False
    gives_way: bool = True
    facing: float = 0.0
    acceleration: float = 0.0
    shift_from: float = 0.0
    shift_to: float = 0.0
    shift_start: float = -1.0
    shift_time: float = 0.0
    gait: float = 0.0
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def __post_init__(self) -> None:
        self.settle()

    def settle(self) -> None:
        """Take the pose that belongs to s and d, with no sideways movement going on."""
        if self.shift_start < 0.0:
            self.shift_from = self.shift_to = self.d
        self.x, self.y, yaw = self.path.pose(self.s, self.d)
        self.yaw = yaw + self.facing

    @property
    def braking(self) -> bool:
        """Whether the brake lights are lit: it slows down, or is held at a standstill in traffic."""
        return self.kind in VEHICLES and (self.acceleration < -0.6 or (self.speed < 0.3 and self.reacts))

    @property
    def still(self) -> bool:
        """Whether it stands and is not about to move by itself."""
        return self.speed < 0.2 and self.desired < 0.2

    @property
    def lateral_speed(self) -> float:
        """Speed towards the left of its path, m/s."""
        return (self.shift_to - self.shift_from) / self.shift_time if self.d != self.shift_to else 0.0

    def copy(self) -> Actor:
        """An independent copy; the path is shared."""
        # Several times faster than dataclasses.replace, and called for every actor of every tick that is kept.
        twin = object.__new__(Actor)
        twin.__dict__.update(self.__dict__)
        return twin

    def begin_shift(self, target: float, seconds: float, time: float) -> None:
        """Start to move to offset `target`, arriving after `seconds`."""
        self.shift_from, self.shift_to, self.shift_start, self.shift_time = self.d, target, time, max(seconds, 0.1)

    def follow_shift(self, time: float) -> float:
        """Set the offset for `time`; returns how far it moved to the left."""
        before = self.d
        if self.d != self.shift_to:
            u = (time - self.shift_start) / self.shift_time
            self.d = self.shift_to if u >= 1.0 else self.shift_from + smooth_step(u) * (self.shift_to - self.shift_from)
        return self.d - before
