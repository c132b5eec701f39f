"""Streets: lanes, paint, edges and what stands beside them, laid along a path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.road import Area, Building, Ground, Lane, LaneKind, Marking, Paint, Pole, Rail, Tree
from alpamayo_ros.simulation.scenarios.draft import Draft

CORNER_VIEW = 13.0
"""Metres that are kept free of houses at a street corner."""
WALLS = ((176, 150, 128), (150, 104, 84), (190, 182, 168), (134, 138, 146), (168, 128, 96), (206, 198, 182))


@dataclass(frozen=True)
class Street:
    """A street along `path`: offsets of the lanes that go our way and of those that come towards us.

    verge: `city` (curb, sidewalk, houses), `suburb` (curb, grass, trees) or `highway` (shoulder, guard rail).
    A verge of another name is left out. open_right: between these arc lengths a lane or a ramp joins on the right.
    parking: width of the parking strip on the (right, left), zero for none. shoulder: width of the paved shoulder.
    """

    path: Path
    ours: tuple[float, ...] = (0.0,)
    theirs: tuple[float, ...] = ()
    width: float = 3.5
    verge: str = "city"
    parking: tuple[float, float] = (0.0, 0.0)
    shoulder: float = 0.0
    centre: Paint = Paint.DASHED_YELLOW
    open_right: tuple[float, float] | None = None

    @property
    def right(self) -> float:
        """Offset of the right edge of the lanes."""
        return min(*self.ours, *self.theirs, 99.0) - self.width / 2

    @property
    def left(self) -> float:
        return max(*self.ours, *self.theirs, -99.0) + self.width / 2

    @property
    def edges(self) -> tuple[float, float]:
        """Offsets between which the ground can be driven on."""
        return self.right - self.parking[0] - self.shoulder, self.left + self.parking[1] + self.shoulder


def lay(
    draft: Draft,
    street: Street,
    start: float = 0.0,
    stop: float | None = None,
    gaps: Sequence[tuple[float, float]] = (),
) -> None:
    """Add the street to the map between two arc lengths; in `gaps` (junctions) paint and verges are left out."""
    path, roads = street.path, draft.roads
    stop = path.length if stop is None else stop
    right, left = street.edges
    roads.areas.append(Area(path.strip(right - 0.1, left + 0.1, start, stop), Ground.ASPHALT))
    half = street.width / 2
    for offset in street.ours:
        roads.lanes.append(Lane(f"lane-{len(roads.lanes)}", path.offset(offset), street.width))
    for offset in street.theirs:
        back = Path(path.offset(offset).points[::-1])
        roads.lanes.append(Lane(f"lane-{len(roads.lanes)}", back, street.width))
    for edge, extent in ((street.right, -1), (street.left, 1)):
        extra = street.shoulder + street.parking[0 if extent < 0 else 1]
        if extra > 0.0:
            middle = edge + extent * extra / 2
            kind = LaneKind.SHOULDER if street.shoulder else LaneKind.PARKING
            roads.lanes.append(Lane(f"edge-{len(roads.lanes)}", path.offset(middle), extra, kind))
    lines = _lines(street, half)
    for begin, end in _pieces(start, stop, gaps):
        for offset, paint in lines:
            roads.markings.append(Marking(path.edge(offset, begin, end), paint))
        _verge(draft, street, begin, end, 1, (begin > start, end < stop))
    closed = [*gaps, street.open_right] if street.open_right else list(gaps)
    for begin, end in _pieces(start, stop, closed):
        roads.markings.append(Marking(path.edge(street.right + 0.12, begin, end), Paint.SOLID_WHITE))
        _verge(draft, street, begin, end, -1, (begin > start, end < stop))


def _pieces(start: float, stop: float, gaps: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    pieces, at = [], start
    for begin, end in sorted(gaps):
        if begin - at > 3.0:
            pieces.append((at, begin))
        at = max(at, end)
    if stop - at > 3.0:
        pieces.append((at, stop))
    return pieces


def _lines(street: Street, half: float) -> list[tuple[float, Paint]]:
    found = []
    for group in (sorted(street.ours), sorted(street.theirs)):
        found += [(a + half, Paint.DASHED_WHITE) for a in group[:-1]]
    edge = Paint.SOLID_WHITE
    if street.theirs:
        found.append((max(street.ours) + half, street.centre))
        found.append((street.left - 0.12, edge))
    else:
        found.append((street.left - 0.12, Paint.SOLID_YELLOW))
    return found


def _verge(draft: Draft, street: Street, begin: float, end: float, out: int, corners: tuple[bool, bool]) -> None:
    """The verge on one side (-1 right, +1 left). At street corners houses stand back, so that one can see."""
    near, far = begin + (CORNER_VIEW if corners[0] else 0.0), end - (CORNER_VIEW if corners[1] else 0.0)
    edge = street.edges[0 if out < 0 else 1]
    roads, path = draft.roads, street.path
    if street.verge == "highway":
        roads.areas.append(Area(path.strip(edge, edge + out * 2.0, begin, end), Ground.GRAVEL))
        roads.rails.append(Rail(path.edge(edge + out * 1.2, begin, end, 8.0), 0.35, 0.75, (150, 154, 158)))
        _trees(draft, path, begin, end, edge + out * 9.0, 26.0, 7.0)
    elif street.verge in ("city", "suburb"):
        city = street.verge == "city"
        roads.areas.append(Area(path.strip(edge, edge + out * 0.3, begin, end), Ground.CURB))
        walk = 3.2 if city else 1.8
        roads.areas.append(Area(path.strip(edge + out * 0.3, edge + out * walk, begin, end), Ground.SIDEWALK))
        if city:
            _houses(draft, path, near, far, edge, out)
            _lamps(draft, path, begin, end, edge, out)
            _trees(draft, path, begin, end, edge + out * 2.6, 22.0, 0.0)
        else:
            _trees(draft, path, begin, end, edge + out * 5.0, 13.0, 4.0)
            if draft.chance(0.7):
                _houses(draft, path, near, far, edge + out * 9.0, out, spread=18.0)


def _houses(draft: Draft, path: Path, begin: float, end: float, edge: float, out: int, spread: float = 3.0) -> None:
    s = begin + draft.uniform(2.0, 8.0)
    while s < end - 8.0:
        length, deep = draft.uniform(10.0, 24.0), draft.uniform(8.0, 14.0)
        if s + length > end - 2.0:
            break
        height = draft.uniform(5.0, 8.0) if spread > 10 else draft.uniform(6.0, 22.0)
        x, y, yaw = path.pose(s + length / 2, edge + out * (4.2 + draft.uniform(0.0, 2.0) + deep / 2))
        shade = draft.uniform(0.82, 1.1)
        red, green, blue = WALLS[draft.count(0, len(WALLS) - 1)]
        colour = (min(255, int(red * shade)), min(255, int(green * shade)), min(255, int(blue * shade)))
        if _clear(draft, x, y, deep / 2 + 1.0, path):
            draft.roads.buildings.append(Building(x, y, yaw, length, deep, height, colour))
        s += length + draft.uniform(1.0, 2.0 + spread)


def _trees(draft: Draft, path: Path, begin: float, end: float, offset: float, spacing: float, spread: float) -> None:
    s = begin + draft.uniform(0.3, 1.0) * spacing
    out = math.copysign(1.0, offset)
    while s < end - 2.0:
        x, y, _ = path.pose(s, offset + out * draft.uniform(0.0, 1.0) * spread)
        height = draft.uniform(4.5, 9.0)
        if _clear(draft, x, y, 1.5, path):
            draft.roads.trees.append(Tree(x, y, height, height * draft.uniform(0.24, 0.36), draft.uniform(0.0, 1.0)))
        s += spacing * draft.uniform(0.6, 1.4)


def _lamps(draft: Draft, path: Path, begin: float, end: float, edge: float, out: int) -> None:
    s = begin + 6.0
    while s < end - 3.0:
        x, y, yaw = path.pose(s, edge + out * 0.8)
        draft.roads.poles.append(Pole(x, y, 7.0, yaw - out * math.pi / 2, 1.8))
        s += 34.0


def _clear(draft: Draft, x: float, y: float, room: float, own: Path) -> bool:
    """Whether a thing of radius `room` stands clear of all lanes laid so far."""
    for lane in draft.roads.lanes:
        s, d = lane.path.project(x, y)
        if abs(d) < lane.width / 2 + room and -room < s < lane.path.length + room:
            return False
    return True
