"""What stands beside the road: houses, trees, poles, rails, signs, the housings of lights."""

from __future__ import annotations

import math

import numpy as np

from alpamayo_ros.simulation.cameras.palette import Colour
from alpamayo_ros.simulation.cameras.shapes import Point, Shapes
from alpamayo_ros.simulation.cameras.vehicles import darker
from alpamayo_ros.simulation.road import Building, Lamp, Pole, Rail, Sign, SignKind, Tree

FACE: Point = (1.0, 0.0, 0.0)
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


def draw_sign(sign: Sign) -> Shapes:
    """A sign on its post; it is read from where x points to."""
    shapes = Shapes()
    z = 2.3
    shapes.limb((-0.05, 0.0, 0.0), (-0.05, 0.0, z + 0.2), 0.04, (120, 122, 126))
    kind = sign.kind

    def plate(half: float, colour: Colour, x: float, shape: str = "square", tall: float | None = None) -> None:
        h = tall if tall is not None else half
        if shape == "diamond":
            corners = ((x, -half, z), (x, 0.0, z - h), (x, half, z), (x, 0.0, z + h))
        elif shape == "down":
            corners = ((x, -half, z + h), (x, 0.0, z - h), (x, 0.0, z - h), (x, half, z + h))
        elif shape == "up":
            corners = ((x, -half, z - h), (x, half, z - h), (x, 0.0, z + h), (x, 0.0, z + h))
        else:
            corners = ((x, -half, z - h), (x, half, z - h), (x, half, z + h), (x, -half, z + h))
        shapes.quad(corners, (1.0, 0.0, 0.0), colour)

    back = (130, 132, 134)
    shapes.quad(
        ((-0.02, -0.36, z - 0.36), (-0.02, 0.36, z - 0.36), (-0.02, 0.36, z + 0.36), (-0.02, -0.36, z + 0.36)),
        (-1, 0, 0),
        back,
    )
    if kind is SignKind.STOP:
        for half, colour, x in ((0.46, (245, 245, 245), 0.0), (0.41, (200, 22, 30), 0.01)):
            cut = 0.41 * half
            for low, high, a, b in ((-half, -cut, cut, half), (-cut, cut, half, half), (cut, half, half, cut)):
                shapes.quad(((x, -a, z + low), (x, a, z + low), (x, b, z + high), (x, -b, z + high)), FACE, colour)
        for at in (-0.24, -0.08, 0.08, 0.24):
            shapes.quad(
                ((0.02, at - 0.05, z - 0.11), (0.02, at + 0.05, z - 0.11),
                (0.02, at + 0.05, z + 0.11), (0.02, at - 0.05, z + 0.11)),
                FACE, (245, 245, 245),
            )  # fmt: skip
    elif kind is SignKind.YIELD:
        plate(0.48, (205, 26, 34), 0.0, "down", 0.42)
        plate(0.26, (248, 248, 248), 0.02, "down", 0.2)
    elif kind is SignKind.LIMIT:
        plate(0.32, (30, 30, 30), 0.0, "square", 0.42)
        plate(0.29, (246, 246, 246), 0.01, "square", 0.39)
        for side in (-0.11, 0.11):
            shapes.quad(
                (
                    (0.02, side - 0.06, z - 0.26),
                    (0.02, side + 0.06, z - 0.26),
                    (0.02, side + 0.06, z + 0.08),
                    (0.02, side - 0.06, z + 0.08),
                ),
                (1, 0, 0),
                (25, 25, 25),
            )
    elif kind is SignKind.CROSSWALK:
        plate(0.4, (26, 84, 170), 0.0)
        plate(0.3, (245, 245, 245), 0.01, "up", 0.28)
        plate(0.07, (20, 20, 20), 0.02, "square", 0.16)
    elif kind in (SignKind.KEEP_LEFT, SignKind.KEEP_RIGHT, SignKind.ROUNDABOUT):
        plate(0.38, (26, 84, 170), 0.0, "diamond")
        plate(0.3, (26, 84, 170), 0.001)
        lean = -0.16 if kind is SignKind.KEEP_LEFT else 0.16
        shapes.quad(
            (
                (0.02, lean, z - 0.2),
                (0.02, lean * 0.4, z - 0.05),
                (0.02, -lean, z + 0.2),
                (0.02, -lean * 0.4, z + 0.05),
            ),
            (1, 0, 0),
            (245, 245, 245),
        )
    elif kind is SignKind.EXIT:
        plate(0.9, (245, 245, 245), 0.0, "square", 0.5)
        plate(0.86, (20, 100, 60), 0.01, "square", 0.46)
        plate(0.5, (240, 240, 240), 0.02, "square", 0.08)
    else:
        _warning(shapes, kind, z, plate)
    return shapes


def _warning(shapes: Shapes, kind: SignKind, z: float, plate: object) -> None:
    """Diamonds: yellow, or orange at works, with a black symbol."""
    assert callable(plate)
    plate(0.55, (20, 20, 20), 0.0, "diamond")
    plate(0.51, (244, 128, 30) if kind is SignKind.WORKS else (246, 200, 40), 0.01, "diamond")
    black = (22, 22, 22)
    if kind in (SignKind.CURVE_LEFT, SignKind.CURVE_RIGHT):
        lean = 0.2 if kind is SignKind.CURVE_RIGHT else -0.2
        shapes.quad(
            ((0.02, -0.05, z - 0.25), (0.02, 0.05, z - 0.25), (0.02, 0.05, z + 0.02), (0.02, -0.05, z + 0.02)),
            (1, 0, 0),
            black,
        )
        shapes.quad(
            ((0.02, -0.05, z), (0.02, 0.05, z), (0.02, lean + 0.04, z + 0.24), (0.02, lean - 0.06, z + 0.24)),
            (1, 0, 0),
            black,
        )
    elif kind is SignKind.BUMP:
        shapes.quad(
            ((0.02, -0.28, z - 0.1), (0.02, 0.28, z - 0.1), (0.02, 0.08, z + 0.1), (0.02, -0.08, z + 0.1)),
            (1, 0, 0),
            black,
        )
    elif kind in (SignKind.MERGE, SignKind.NARROW):
        for side in (-1.0, 1.0):
            shapes.quad(
                (
                    (0.02, side * 0.2, z - 0.24),
                    (0.02, side * 0.12, z - 0.24),
                    (0.02, side * 0.03, z + 0.25),
                    (0.02, side * 0.1, z + 0.25),
                ),
                (1, 0, 0),
                black,
            )
    else:
        plate(0.09, black, 0.02, "square", 0.24)
