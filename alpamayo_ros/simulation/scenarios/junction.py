"""Junctions: a crossing street, rounded corners, crosswalks, stop lines, lights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.simulation.path import Path, trace
from alpamayo_ros.simulation.road import (
    Area,
    Crosswalk,
    Ground,
    Lamp,
    Lane,
    LaneKind,
    PaintedBar,
    Phase,
    Pole,
    Sign,
    SignKind,
    TrafficLight,
)
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.scenarios.street import Street, lay

CORNER = 7.0
"""Radius of the rounded corners, metres: who turns right has 0.7 m to the kerb, hardly less than between lines."""
FILLET = 2.9
"""Width of what the rounding of a corner adds to both streets, metres: (sqrt(2) - 1) * CORNER."""
BEHIND_CORNER = 1.5
"""Metres from where a corner begins to the line at which one stops."""
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class Junction:
    """A crossing of the straight main street (along x, our lane at y = 0) with a street along y at x = `middle`.

    main: the main street. half: half the width of the crossing street's lanes. cross: that street.
    """

    main: Street
    middle: float
    half: float
    cross: Street

    @property
    def line(self) -> float:
        """x of our stop line."""
        return self.middle - self.half - CORNER - BEHIND_CORNER

    @property
    def oncoming_line(self) -> float:
        """x of the oncoming traffic's line."""
        return self.middle + self.half + CORNER + BEHIND_CORNER

    @property
    def cross_line(self) -> float:
        """Metres from the middle of the main street to the lines of the crossing street."""
        return (self.main.left - self.main.right) / 2 + CORNER + BEHIND_CORNER

    @property
    def crosswalk(self) -> tuple[float, float]:
        """x range of the crosswalk before the junction."""
        return self.middle - self.half - CORNER + 0.2, self.middle - self.half - CORNER + 3.2

    @property
    def far_crosswalk(self) -> tuple[float, float]:
        return self.middle + self.half + CORNER - 3.2, self.middle + self.half + CORNER - 0.2

    def box(self) -> tuple[float, float]:
        """x range of the whole junction, corners included."""
        return self.middle - self.half - CORNER, self.middle + self.half + CORNER


def straight(length: float, x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> Path:
    """A straight path."""
    return Path(np.array([[x, y], [x + length * math.cos(yaw), y + length * math.sin(yaw)]]))


def lay_crossing(draft: Draft, main: Street, middle: float, lanes: int = 1, reach: float = 110.0) -> Junction:
    """Lay the main street and a crossing street of `lanes` lanes each way at x = `middle` of the main street."""
    width = main.width
    half = lanes * width
    ours = tuple(-(i + 0.5) * width for i in range(lanes))
    theirs = tuple((i + 0.5) * width for i in range(lanes))
    centre = (main.left + main.right) / 2
    cross = Street(straight(2 * reach, middle, centre - reach, math.pi / 2), ours, theirs, width, main.verge)
    junction = Junction(main, middle, half, cross)
    tall = (main.left - main.right) / 2 + CORNER
    low, high = junction.box()
    # First, so that houses keep clear of it.
    inside = [(straight(high - low, low, centre), main.left - main.right)]
    inside += [(straight(2 * tall, middle, centre - tall, math.pi / 2), 2 * half)]
    inside += [(_fillet(middle + sx * half, centre + sy * (tall - CORNER), sx, sy), FILLET) for sx, sy in CORNERS]
    draft.roads.lanes += [
        Lane(f"junction-{middle:.0f}-{index}", path, wide, LaneKind.JUNCTION)
        for index, (path, wide) in enumerate(inside)
    ]
    lay(draft, cross, gaps=[(reach - tall, reach + tall)])
    lay(draft, main, gaps=[(low, high)])
    for sx, sy in CORNERS:
        _corner(draft, middle + sx * half, centre + sy * (tall - CORNER), sx, sy)
    return junction


def _fillet(x: float, y: float, sx: int, sy: int) -> Path:
    """Around the middle of a rounded corner, `FILLET` / 2 from its kerb; the streets' edges would meet at (x, y)."""
    angles, radius = np.linspace(0.0, math.pi / 2, 25), CORNER + FILLET / 2
    arc = [x + sx * (CORNER - radius * np.sin(angles)), y + sy * (CORNER - radius * np.cos(angles))]
    return Path(np.stack(arc, axis=1))


def _corner(draft: Draft, x: float, y: float, sx: int, sy: int) -> None:
    """Asphalt inside, sidewalk outside of the rounded corner whose kerbs would meet at (x, y)."""
    angles = np.linspace(0.0, math.pi / 2, 9)
    arc = np.stack([x + sx * CORNER * (1 - np.sin(angles)), y + sy * CORNER * (1 - np.cos(angles))], axis=1)
    roads = draft.roads
    roads.areas.append(Area(np.concatenate([arc, [[x, y]]]), Ground.ASPHALT))
    far = np.array([[x + sx * CORNER, y + sy * CORNER]])
    roads.areas.append(Area(np.concatenate([arc, far]), Ground.SIDEWALK))
    inner = arc + 0.3 * np.array([sx, sy]) * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    roads.areas.append(Area(np.concatenate([arc, inner[::-1]]), Ground.CURB))


def add_crosswalk(draft: Draft, junction: Junction, far: bool = False) -> str:
    """A zebra crossing over the main street before (or behind) the junction; returns its identity."""
    low, high = junction.far_crosswalk if far else junction.crosswalk
    middle = (low + high) / 2
    right, left = junction.main.edges
    name = draft.name("crosswalk")
    draft.roads.crosswalks.append(Crosswalk(name, np.array([[middle, right], [middle, left]]), high - low))
    return name


def add_side_crosswalk(draft: Draft, junction: Junction, side: int) -> tuple[str, float]:
    """A zebra crossing over the crossing street on the `side` (-1 right, +1 left); returns identity and its y."""
    edge = junction.main.edges[0 if side < 0 else 1]
    y = edge + side * (CORNER - 1.7)
    ends = np.array([[junction.middle - junction.half, y], [junction.middle + junction.half, y]])
    name = draft.name("crosswalk")
    draft.roads.crosswalks.append(Crosswalk(name, ends, 3.0))
    return name, y


def add_line(draft: Draft, junction: Junction, teeth: bool = False) -> None:
    """The stop (or yield) line of our direction."""
    ours = junction.main.ours
    low, high = min(ours) - junction.main.width / 2, max(ours) + junction.main.width / 2
    ends = np.array([[junction.line, low + 0.2], [junction.line, high - 0.2]])
    draft.roads.bars.append(PaintedBar(draft.name("line"), ends, teeth))


def add_lights(
    draft: Draft, junction: Junction, phases: tuple[tuple[float, Lamp], ...], arrow: str | None = None
) -> str:
    """Lights for our direction, on an arm above the lanes behind the junction and on a post; and for the crossing
    street, showing the opposite. Returns the identity of ours; that of the crossing street ends in `-cross`."""
    roads, main = draft.roads, junction.main
    name = draft.name("light")
    x = junction.middle + junction.half + CORNER - 4.5
    post = main.edges[0] - 1.0
    reach = max(main.ours) - post
    heads = [(x, offset, 5.6, math.pi) for offset in main.ours] + [(x - 0.1, post + 0.2, 3.3, math.pi)]
    roads.lights.append(TrafficLight(name, tuple(Phase(t, lamp) for t, lamp in phases), tuple(heads), arrow))
    roads.poles.append(Pole(x + 0.25, post, 6.1, math.pi / 2, reach))
    _cross_lights(draft, junction, name, phases)
    return name


def _cross_lights(draft: Draft, junction: Junction, name: str, phases: tuple[tuple[float, Lamp], ...]) -> None:
    other: list[Phase] = []
    for start, lamp in phases:
        if lamp is Lamp.RED:
            other.append(Phase(start + 1.5 if start > 0 else start, Lamp.GREEN))
        elif lamp is Lamp.GREEN:
            if start > 4.0:
                other.append(Phase(start - 4.0, Lamp.YELLOW))
                other.append(Phase(start - 1.2, Lamp.RED))
            else:
                other.append(Phase(start, Lamp.RED))
    other.sort(key=lambda phase: phase.start)
    if not other or other[0].start > 0.0:
        other.insert(0, Phase(0.0, Lamp.RED))
    right, left = junction.main.edges
    high, low = left + CORNER - 4.0, right - CORNER + 4.0
    x = junction.middle
    heads = ((x + 1.7, high, 5.6, -math.pi / 2), (x - 1.7, low, 5.6, math.pi / 2))
    draft.roads.lights.append(TrafficLight(f"{name}-cross", tuple(other), heads))
    # Behind the kerb, which is still round there.
    aside = junction.half + 2.6
    draft.roads.poles.append(Pole(x + aside, high + 0.2, 6.1, math.pi, aside - 1.0))
    draft.roads.poles.append(Pole(x - aside, low - 0.2, 6.1, 0.0, aside - 1.0))


def add_sign(
    draft: Draft, kind: SignKind, x: float, y: float, yaw: float = math.pi, text: str = "", rule: str = ""
) -> None:
    """A sign on a post that is read by drivers coming towards it."""
    draft.roads.signs.append(Sign(kind, x, y, yaw, text, rule))


def turn_path(junction: Junction, side: int, after: float = 125.0) -> tuple[Path, float, float]:
    """Our way through a turn to the right (-1) or left (+1) into the first lane of the crossing street.

    Returns the path and the arc lengths where the turn begins and ends.
    """
    lane = junction.middle + (junction.cross.width / 2) * (1 if side > 0 else -1)
    radius = 11.5 if side > 0 else 8.5
    ease = 7.0
    arc = radius * math.pi / 2
    before = lane - radius
    for _ in range(3):
        path = trace([(before, 0.0), (arc, side / radius), (after, 0.0)], ease=ease)
        before += lane - float(path.points[-1, 0])
    return path, before - ease / 2, before + arc + ease / 2
