"""The static map: lanes, paint, stop lines, crosswalks, lights, signs, and what stands beside the road."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from alpamayo_ros.simulation.path import Path


class LaneKind(StrEnum):
    """What a lane is for; all of them can be driven on."""

    DRIVING = "driving"
    JUNCTION = "junction"
    SHOULDER = "shoulder"
    PARKING = "parking"


class Paint(StrEnum):
    """How a line on the road is painted."""

    DASHED_WHITE = "dashed_white"
    SOLID_WHITE = "solid_white"
    DASHED_YELLOW = "dashed_yellow"
    SOLID_YELLOW = "solid_yellow"
    DOUBLE_YELLOW = "double_yellow"
    SHORT_DASHES = "short_dashes"


class Ground(StrEnum):
    """What an area of the ground is made of."""

    ASPHALT = "asphalt"
    OLD_ASPHALT = "old_asphalt"
    SIDEWALK = "sidewalk"
    CURB = "curb"
    GRAVEL = "gravel"
    GRASS = "grass"
    MEDIAN = "median"
    BUMP = "bump"


class SignKind(StrEnum):
    """Traffic signs."""

    STOP = "stop"
    YIELD = "yield"
    LIMIT = "limit"
    CURVE_LEFT = "curve_left"
    CURVE_RIGHT = "curve_right"
    BUMP = "bump"
    CROSSWALK = "crosswalk"
    WORKS = "works"
    MERGE = "merge"
    NARROW = "narrow"
    ROUNDABOUT = "roundabout"
    EXIT = "exit"
    KEEP_LEFT = "keep_left"
    KEEP_RIGHT = "keep_right"


class Lamp(StrEnum):
    """What a traffic light shows."""

    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane: centreline in the direction of travel, and the full width in metres."""

    id: str
    path: Path
    width: float
    kind: LaneKind = LaneKind.DRIVING

    @property
    def outline(self) -> np.ndarray:
        """(M, 2) closed polygon."""
        return self.path.strip(-self.width / 2, self.width / 2, 0.0, self.path.length)


@dataclass(frozen=True, eq=False)
class Marking:
    """A painted line along `points` (M, 2)."""

    points: np.ndarray
    paint: Paint


@dataclass(frozen=True, eq=False)
class Area:
    """A piece of ground: closed outline (M, 2)."""

    outline: np.ndarray
    ground: Ground


@dataclass(frozen=True, eq=False)
class Crosswalk:
    """A zebra crossing: the walking line `ends` (2, 2) from curb to curb, and its extent along the road, metres."""

    id: str
    ends: np.ndarray
    depth: float = 3.0


@dataclass(frozen=True, eq=False)
class PaintedBar:
    """A stop line (solid) or a yield line (teeth) across a lane: `ends` (2, 2), metres."""

    id: str
    ends: np.ndarray
    teeth: bool = False


@dataclass(frozen=True)
class Arrow:
    """A painted arrow in a lane: left, right, straight, merge_left, merge_right."""

    x: float
    y: float
    yaw: float
    kind: str


@dataclass(frozen=True)
class Phase:
    """A lamp that is on from `start` seconds of scenario time until the next phase."""

    start: float
    lamp: Lamp


@dataclass(frozen=True, eq=False)
class TrafficLight:
    """A signal: its program, its housings as (x, y, z, yaw towards which it shines), and an arrow if it has one."""

    id: str
    phases: tuple[Phase, ...]
    heads: tuple[tuple[float, float, float, float], ...]
    arrow: str | None = None

    def lamp(self, time: float) -> Lamp:
        """What it shows at `time` seconds."""
        shown = self.phases[0].lamp
        for phase in self.phases:
            if phase.start <= time + 1e-9:
                shown = phase.lamp
        return shown

    def since(self, time: float) -> float:
        """When the present phase began, seconds of scenario time."""
        return max(phase.start for phase in self.phases if phase.start <= time + 1e-9)


@dataclass(frozen=True)
class Sign:
    """A sign on a post, facing `yaw`. `id` names the rule it announces, if it announces one."""

    kind: SignKind
    x: float
    y: float
    yaw: float
    text: str = ""
    id: str = ""


@dataclass(frozen=True)
class Building:
    """A house: centre, heading, size in metres, colour (R, G, B)."""

    x: float
    y: float
    yaw: float
    length: float
    width: float
    height: float
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Tree:
    """A tree: position, height and crown radius in metres, shade 0 … 1."""

    x: float
    y: float
    height: float
    radius: float
    shade: float


@dataclass(frozen=True)
class Pole:
    """A lamp post, delineator or light mast: position, height, and the reach of its arm towards `yaw`, metres."""

    x: float
    y: float
    height: float
    yaw: float = 0.0
    arm: float = 0.0


@dataclass(frozen=True, eq=False)
class Rail:
    """A guard rail, fence or wall along `points` (M, 2): bottom, top, metres; colour (R, G, B)."""

    points: np.ndarray
    bottom: float
    top: float
    colour: tuple[int, int, int]


@dataclass(eq=False)
class RoadMap:
    """Everything that does not move. Scenario builders append; afterwards it is only read."""

    lanes: list[Lane] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    markings: list[Marking] = field(default_factory=list)
    crosswalks: list[Crosswalk] = field(default_factory=list)
    bars: list[PaintedBar] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    lights: list[TrafficLight] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    poles: list[Pole] = field(default_factory=list)
    rails: list[Rail] = field(default_factory=list)

    def light(self, name: str) -> TrafficLight:
        """The light called `name`. Raises KeyError."""
        for light in self.lights:
            if light.id == name:
                return light
        raise KeyError(name)
