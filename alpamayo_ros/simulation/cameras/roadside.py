"""What stands beside the road: houses, trees, poles, rails, the housings of lights."""

from __future__ import annotations

import math

import numpy as np

from alpamayo_ros.simulation.cameras.palette import Colour
from alpamayo_ros.simulation.cameras.shapes import Point, Shapes
from alpamayo_ros.simulation.cameras.vehicles import darker
from alpamayo_ros.simulation.road import Building, Lamp, Pole, Rail, Tree

LAMPS: dict[Lamp, tuple[float, Colour]] = {
    Lamp.RED: (0.38, (255, 44, 32)),
    Lamp.YELLOW: (0.0, (255, 200, 30)),
    Lamp.GREEN: (-0.38, (40, 255, 130)),
}
"""Height of each lamp over the middle of its housing in metres, and its colour."""


def draw_building(house: Building, night: bool, lit: int) -> Shapes:
    """A house of flat walls with rows of windows. lit: number that picks which windows are lit at night."""
    shapes = Shapes()
    length, width, height = house.length, house.width, house.height
    x, y = length / 2, width / 2
    # Walls in pieces, so that a wide lens bends them and near ones are cut cleanly.
    for out in (1.0, -1.0):
        pieces = max(1, round(length / 6.0))
        for i in range(pieces):
            a, b = -x + i * length / pieces, -x + (i + 1) * length / pieces
            shapes.side(a, b, out * y, 0.0, height, house.colour)
        shapes.end(out * x, -y, y, 0.0, height, house.colour, out=out)
    floors = max(1, min(5, int((height - 1.0) / 3.0)))
    columns = max(2, min(5, int(length / 4.2)))
    for floor in range(floors):
        z = 1.1 + floor * 3.0
        for column in range(columns):
            middle = -x + (column + 0.5) * length / columns
            on = night and (floor * 31 + column * 17 + lit) % 5 < 2
            colour: Colour = (250, 214, 140) if on else (66, 78, 92) if not night else (40, 46, 56)
            for out in (1.0, -1.0):
                shapes.side(middle - 0.8, middle + 0.8, out * (y + 0.02), z, z + 1.45, colour, on)
    if height < 9.0:
        ridge = height + 0.35 * width
        roof = darker((130, 70, 56) if lit % 2 else (92, 88, 88), 1.0)
        for out in (1.0, -1.0):
            eave = out * (y + 0.4)
            corners = ((-x, eave, height - 0.2), (x, eave, height - 0.2), (x, 0.0, ridge), (-x, 0.0, ridge))
            shapes.quad(corners, (0.0, 0.6 * out, 0.8), roof)
            gable = ((out * x, -y, height), (out * x, y, height), (out * x, 0.0, ridge), (out * x, 0.0, ridge))
            shapes.quad(gable, (out, 0.0, 0.0), house.colour)
    return shapes


def draw_tree(tree: Tree) -> Shapes:
    shapes = Shapes()
    green = (58 + 34 * tree.shade, 98 + 30 * tree.shade, 44 + 18 * tree.shade)
    r = tree.radius
    shapes.limb((0.0, 0.0, 0.0), (0.0, 0.0, tree.height - r), 0.12 + 0.02 * tree.height, (92, 72, 54))
    top = tree.height - r
    shapes.disc((0.0, 0.0, top - 0.25 * r), 0.95 * r, darker(green, 0.72))
    shapes.disc((0.35 * r, 0.4 * r, top + 0.1 * r), 0.7 * r, darker(green, 0.92))
    shapes.disc((-0.3 * r, -0.4 * r, top + 0.15 * r), 0.66 * r, green)
    shapes.disc((0.0, 0.1 * r, top + 0.55 * r), 0.52 * r, darker(green, 1.14))
    return shapes


def draw_pole(pole: Pole, night: bool) -> Shapes:
    shapes = Shapes()
    shapes.limb((0.0, 0.0, 0.0), (0.0, 0.0, pole.height), 0.08, (104, 108, 112))
    if pole.arm > 0.0:
        end = (pole.arm, 0.0, pole.height)
        shapes.limb((0.0, 0.0, pole.height), end, 0.06, (104, 108, 112))
        if pole.height > 6.5:
            colour: Colour = (255, 226, 170) if night else (220, 220, 215)
            shapes.disc(end, 0.22 if night else 0.14, colour, night)
    return shapes


def draw_rail(rail: Rail) -> list[tuple[Shapes, tuple[float, float, float], float]]:
    """One thing for each piece, so that each is sorted by its own distance."""
    things = []
    for a, b in zip(rail.points[:-1], rail.points[1:], strict=True):
        middle, delta = (a + b) / 2, b - a
        half = float(np.hypot(*delta)) / 2
        shapes = Shapes()
        corners: tuple[Point, Point, Point, Point] = (
            (-half, 0.0, rail.bottom), (half, 0.0, rail.bottom), (half, 0.0, rail.top), (-half, 0.0, rail.top),
        )  # fmt: skip
        shapes.quad(corners, (0.0, 0.0, 0.0), rail.colour)
        shapes.limb((-half, 0.0, 0.0), (-half, 0.0, rail.top), 0.06, darker(rail.colour, 0.7))
        things.append((shapes, (float(middle[0]), float(middle[1]), math.atan2(delta[1], delta[0])), half))
    return things


def draw_light_head(z: float, shown: Lamp, arrow: str | None) -> Shapes:
    """A housing with three lamps that shines along x."""
    shapes = Shapes()
    plate = 0.32
    shapes.quad(
        ((0.0, -plate, z - 0.72), (0.0, plate, z - 0.72), (0.0, plate, z + 0.72), (0.0, -plate, z + 0.72)),
        (0, 0, 0),
        (34, 34, 30),
    )
    shapes.quad(
        ((0.02, -0.22, z - 0.62), (0.02, 0.22, z - 0.62), (0.02, 0.22, z + 0.62), (0.02, -0.22, z + 0.62)),
        (1, 0, 0),
        (18, 18, 18),
    )
    for lamp, (rise, colour) in LAMPS.items():
        if lamp is not shown:
            shapes.quad(
                ((0.04, -0.13, z + rise - 0.13), (0.04, 0.13, z + rise - 0.13),
                (0.04, 0.13, z + rise + 0.13), (0.04, -0.13, z + rise + 0.13)),
                (1.0, 0.0, 0.0), darker(colour, 0.2),
            )  # fmt: skip
    rise, colour = LAMPS[shown]
    low, high = z + rise - 0.17, z + rise + 0.17
    if arrow is None:
        shapes.quad(
            ((0.05, -0.17, low), (0.05, 0.17, low), (0.05, 0.17, high), (0.05, -0.17, high)), (1, 0, 0), colour, True
        )
        shapes.disc((0.06, 0.0, z + rise), 0.2, colour, True, (1.0, 0.0, 0.0))
        return shapes
    tip = -0.19 if arrow == "left" else 0.19
    middle = z + rise
    # Seen from the front, left is negative y of the housing's own frame.
    shapes.quad(
        (
            (0.06, tip, middle - 0.05),
            (0.06, 0.0, middle - 0.05),
            (0.06, 0.0, middle + 0.05),
            (0.06, tip, middle + 0.05),
        ),
        (1, 0, 0),
        colour,
        True,
    )
    shapes.quad(
        ((0.06, -tip, middle), (0.06, 0.0, low), (0.06, 0.0, high), (0.06, -tip, middle)), (1, 0, 0), colour, True
    )
    return shapes
