"""Traffic signs on their posts: plates, and symbols of a few quads that can be told apart in small pictures."""

from __future__ import annotations

from alpamayo_ros.simulation.cameras.palette import Colour
from alpamayo_ros.simulation.cameras.shapes import Point, Shapes
from alpamayo_ros.simulation.road import Sign, SignKind

FACE: Point = (1.0, 0.0, 0.0)
BACK: Point = (-1.0, 0.0, 0.0)
MIDDLE = 2.3
"""Height of the middle of a sign, metres."""
WHITE: Colour = (245, 245, 245)
BLUE: Colour = (26, 84, 170)
BLACK: Colour = (22, 22, 22)


def draw_sign(sign: Sign) -> Shapes:
    """A sign on its post; it is read from where x points to."""
    shapes = Shapes()
    shapes.limb((-0.05, 0.0, 0.0), (-0.05, 0.0, MIDDLE + 0.2), 0.04, (120, 122, 126))
    _upright(shapes, -0.02, (-0.36, 0.36), (-0.36, 0.36), (130, 132, 134), BACK)
    kind = sign.kind
    if kind is SignKind.STOP:
        _stop(shapes)
    elif kind is SignKind.YIELD:
        _plate(shapes, 0.48, (205, 26, 34), 0.0, "down", 0.42)
        _plate(shapes, 0.26, (248, 248, 248), 0.02, "down", 0.2)
    elif kind is SignKind.LIMIT:
        _plate(shapes, 0.32, (30, 30, 30), 0.0, "square", 0.42)
        _plate(shapes, 0.29, (246, 246, 246), 0.01, "square", 0.39)
        for digit in (-0.11, 0.11):
            _upright(shapes, 0.02, (digit - 0.06, digit + 0.06), (-0.26, 0.08), (25, 25, 25))
    elif kind is SignKind.CROSSWALK:
        _plate(shapes, 0.4, BLUE, 0.0)
        _plate(shapes, 0.3, WHITE, 0.01, "up", 0.28)
        _plate(shapes, 0.07, (20, 20, 20), 0.02, "square", 0.16)
    elif kind in (SignKind.KEEP_LEFT, SignKind.KEEP_RIGHT, SignKind.ROUNDABOUT):
        _arrow(shapes, left=kind is SignKind.KEEP_LEFT)
    elif kind is SignKind.EXIT:
        _plate(shapes, 0.9, WHITE, 0.0, "square", 0.5)
        _plate(shapes, 0.86, (20, 100, 60), 0.01, "square", 0.46)
        _plate(shapes, 0.5, (240, 240, 240), 0.02, "square", 0.08)
    else:
        _warning(shapes, kind)
    return shapes


def _plate(
    shapes: Shapes, half: float, colour: Colour, x: float, shape: str = "square", tall: float | None = None
) -> None:
    """A plate of `half` its width, and half its height `tall` if that is another: square, diamond, or a triangle."""
    h, z = half if tall is None else tall, MIDDLE
    corners: tuple[Point, Point, Point, Point]
    if shape == "diamond":
        corners = ((x, -half, z), (x, 0.0, z - h), (x, half, z), (x, 0.0, z + h))
    elif shape == "down":
        corners = ((x, -half, z + h), (x, 0.0, z - h), (x, 0.0, z - h), (x, half, z + h))
    elif shape == "up":
        corners = ((x, -half, z - h), (x, half, z - h), (x, 0.0, z + h), (x, 0.0, z + h))
    else:
        corners = ((x, -half, z - h), (x, half, z - h), (x, half, z + h), (x, -half, z + h))
    shapes.quad(corners, FACE, colour)


def _upright(
    shapes: Shapes,
    x: float,
    across: tuple[float, float],
    rise: tuple[float, float],
    colour: Colour,
    normal: Point = FACE,
) -> None:
    """A rectangle: `across` from where to where along y, `rise` the same over the middle of the sign, metres."""
    (a, b), (low, high) = across, (MIDDLE + rise[0], MIDDLE + rise[1])
    shapes.quad(((x, a, low), (x, b, low), (x, b, high), (x, a, high)), normal, colour)


def _stop(shapes: Shapes) -> None:
    """A red octagon with a white rim and four letters."""
    z = MIDDLE
    for half, colour, x in ((0.46, WHITE, 0.0), (0.41, (200, 22, 30), 0.01)):
        cut = 0.41 * half
        for low, high, a, b in ((-half, -cut, cut, half), (-cut, cut, half, half), (cut, half, half, cut)):
            shapes.quad(((x, -a, z + low), (x, a, z + low), (x, b, z + high), (x, -b, z + high)), FACE, colour)
    for letter in (-0.24, -0.08, 0.08, 0.24):
        _upright(shapes, 0.02, (letter - 0.05, letter + 0.05), (-0.11, 0.11), WHITE)


def _arrow(shapes: Shapes, left: bool) -> None:
    """A white stroke on blue that points down to the side to keep to."""
    _plate(shapes, 0.38, BLUE, 0.0, "diamond")
    _plate(shapes, 0.3, BLUE, 0.001)
    lean, x, z = -0.16 if left else 0.16, 0.02, MIDDLE
    corners = ((x, lean, z - 0.2), (x, lean * 0.4, z - 0.05), (x, -lean, z + 0.2), (x, -lean * 0.4, z + 0.05))
    shapes.quad(corners, FACE, WHITE)


def _warning(shapes: Shapes, kind: SignKind) -> None:
    """Diamonds: yellow, or orange at works, with a black symbol."""
    _plate(shapes, 0.55, (20, 20, 20), 0.0, "diamond")
    _plate(shapes, 0.51, (244, 128, 30) if kind is SignKind.WORKS else (246, 200, 40), 0.01, "diamond")
    x, z = 0.02, MIDDLE
    if kind in (SignKind.CURVE_LEFT, SignKind.CURVE_RIGHT):
        lean = 0.2 if kind is SignKind.CURVE_RIGHT else -0.2
        _upright(shapes, x, (-0.05, 0.05), (-0.25, 0.02), BLACK)
        corners = ((x, -0.05, z), (x, 0.05, z), (x, lean + 0.04, z + 0.24), (x, lean - 0.06, z + 0.24))
        shapes.quad(corners, FACE, BLACK)
    elif kind is SignKind.BUMP:
        corners = ((x, -0.28, z - 0.1), (x, 0.28, z - 0.1), (x, 0.08, z + 0.1), (x, -0.08, z + 0.1))
        shapes.quad(corners, FACE, BLACK)
    elif kind in (SignKind.MERGE, SignKind.NARROW):
        for side in (-1.0, 1.0):
            low, high = z - 0.24, z + 0.25
            shapes.quad(
                ((x, side * 0.2, low), (x, side * 0.12, low), (x, side * 0.03, high), (x, side * 0.1, high)),
                FACE,
                BLACK,
            )
    else:
        _plate(shapes, 0.09, BLACK, 0.02, "square", 0.24)
