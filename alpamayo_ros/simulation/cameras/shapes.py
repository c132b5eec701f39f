"""Drawable things: quads, discs and limbs in three dimensions, collected by object."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from alpamayo_ros.simulation.cameras.palette import Colour

Point = tuple[float, float, float]


@dataclass
class Shapes:
    """What one thing is made of, in its own frame (x forward, y left, z up, origin on the ground).

    quads: four corners each, with the outward normal; discs always face the camera; limbs are thick lines. Later ones
    are drawn over earlier ones of the same thing. glow: shines by itself. marks: number that picks a class of labels.
    """

    corners: list[tuple[Point, Point, Point, Point]] = field(default_factory=list)
    normals: list[Point] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)
    glows: list[bool] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    discs: list[tuple[Point, float, Colour, bool, int]] = field(default_factory=list)
    disc_normals: list[Point] = field(default_factory=list)
    limbs: list[tuple[Point, Point, float, Colour, int]] = field(default_factory=list)
    rank: int = 0

    def quad(
        self, corners: tuple[Point, Point, Point, Point], normal: Point, colour: Colour, glow: bool = False
    ) -> None:
        """A flat face; a zero normal makes it visible from both sides."""
        self.corners.append(corners)
        self.normals.append(normal)
        self.colours.append(colour)
        self.glows.append(glow)
        self.ranks.append(self.rank)
        self.rank += 1

    def disc(
        self, centre: Point, radius: float, colour: Colour, glow: bool = False, normal: Point = (0.0, 0.0, 0.0)
    ) -> None:
        """A round thing; a lamp with a normal shines to that side only."""
        self.disc_normals.append(normal)
        self.discs.append((centre, radius, colour, glow, self.rank))
        self.rank += 1

    def limb(self, start: Point, stop: Point, radius: float, colour: Colour) -> None:
        self.limbs.append((start, stop, radius, colour, self.rank))
        self.rank += 1

    def side(self, x0: float, x1: float, y: float, z0: float, z1: float, colour: Colour, glow: bool = False) -> None:
        """An upright face along x at offset `y`, visible from that side."""
        out = 1.0 if y > 0 else -1.0
        self.quad(((x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)), (0.0, out, 0.0), colour, glow)

    def end(
        self, x: float, y0: float, y1: float, z0: float, z1: float, colour: Colour, glow: bool = False, out: float = 0
    ) -> None:
        """An upright face across x, visible from the front where x > 0, from behind otherwise; `out` overrides."""
        facing = out or (1.0 if x > 0 else -1.0)
        self.quad(((x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)), (facing, 0.0, 0.0), colour, glow)

    def box(self, x0: float, x1: float, width: float, z0: float, z1: float, colour: Colour, back: bool = True) -> None:
        """A box without its bottom, and without its back where that is always hidden."""
        half = width / 2
        self.quad(((x0, -half, z1), (x1, -half, z1), (x1, half, z1), (x0, half, z1)), (0.0, 0.0, 1.0), colour)
        self.side(x0, x1, half, z0, z1, colour)
        self.side(x0, x1, -half, z0, z1, colour)
        if back:
            self.end(x0, -half, half, z0, z1, colour, out=-1.0)
        self.end(x1, -half, half, z0, z1, colour, out=1.0)

    def wheel(self, x: float, y: float, radius: float, out: float) -> None:
        """A wheel seen from the side: a dark octagon with a pale hub."""
        for share, colour in ((1.0, (24, 24, 26)), (0.55, (120, 122, 126))):
            r = radius * share
            h, z = 0.41 * r, radius
            for low, high, a, b in ((-r, -h, h, r), (-h, h, r, r), (h, r, r, h)):
                corners = ((x - a, y, z + low), (x + a, y, z + low), (x + b, y, z + high), (x - b, y, z + high))
                self.quad(corners, (0.0, out, 0.0), colour)

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Corners, normals, disc centres, disc normals, limb ends: once the shapes are complete."""
        return (
            np.array(self.corners, np.float64).reshape(-1, 4, 3),
            np.array(self.normals, np.float64).reshape(-1, 3),
            np.array([row[0] for row in self.discs], np.float64).reshape(-1, 3),
            np.array(self.disc_normals, np.float64).reshape(-1, 3),
            np.array([(row[0], row[1]) for row in self.limbs], np.float64).reshape(-1, 2, 3),
        )


@dataclass(eq=False)
class Batch:
    """Shapes of many things in world coordinates, ready to be projected.

    quad_sizes: length of their diagonals. owner: index of the thing each belongs to. centres: (O, 3) and radii: (O,) of
    the things.
    """

    quads: np.ndarray
    quad_sizes: np.ndarray
    normals: np.ndarray
    quad_colours: np.ndarray
    quad_glows: np.ndarray
    quad_owner: np.ndarray
    quad_rank: np.ndarray
    discs: np.ndarray
    disc_normals: np.ndarray
    disc_radii: np.ndarray
    disc_colours: np.ndarray
    disc_glows: np.ndarray
    disc_owner: np.ndarray
    disc_rank: np.ndarray
    limbs: np.ndarray
    limb_radii: np.ndarray
    limb_colours: np.ndarray
    limb_owner: np.ndarray
    limb_rank: np.ndarray
    centres: np.ndarray
    radii: np.ndarray


def gather(things: list[tuple[Shapes, tuple[float, float, float], float]]) -> Batch:
    """Place things: (shapes, (x, y, yaw), radius) each."""
    quads, normals, quad_owner, limbs, limb_owner = [], [], [], [], []
    discs, disc_normals, disc_owner = [], [], []
    colours: list[Colour] = []
    glows: list[bool] = []
    ranks: list[int] = []
    disc_rows: list[tuple[Point, float, Colour, bool, int]] = []
    limb_rows: list[tuple[Point, Point, float, Colour, int]] = []
    for index, (shapes, (x, y, yaw), _) in enumerate(things):
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        move = np.array([x, y, 0.0])
        if shapes.corners:
            quads.append(shapes.arrays[0] @ turn + move)
            normals.append(shapes.arrays[1] @ turn)
            quad_owner += [index] * len(shapes.corners)
            colours += shapes.colours
            glows += shapes.glows
            ranks += shapes.ranks
        if shapes.discs:
            discs.append(shapes.arrays[2] @ turn + move)
            disc_normals.append(shapes.arrays[3] @ turn)
            disc_owner += [index] * len(shapes.discs)
            disc_rows += shapes.discs
        if shapes.limbs:
            limbs.append(shapes.arrays[4] @ turn + move)
            limb_owner += [index] * len(shapes.limbs)
            limb_rows += shapes.limbs
    faces = _stack(quads, (4, 3))
    return Batch(
        faces,
        np.linalg.norm(faces[:, 2] - faces[:, 0], axis=1),
        _stack(normals, (3,)),
        np.array(colours, np.float64).reshape(-1, 3),
        np.array(glows, bool),
        np.array(quad_owner, np.int64),
        np.array(ranks, np.int64),
        _stack(discs, (3,)),
        _stack(disc_normals, (3,)),
        np.array([row[1] for row in disc_rows], np.float64),
        np.array([row[2] for row in disc_rows], np.float64).reshape(-1, 3),
        np.array([row[3] for row in disc_rows], bool),
        np.array(disc_owner, np.int64),
        np.array([row[4] for row in disc_rows], np.int64),
        _stack(limbs, (2, 3)),
        np.array([row[2] for row in limb_rows], np.float64),
        np.array([row[3] for row in limb_rows], np.float64).reshape(-1, 3),
        np.array(limb_owner, np.int64),
        np.array([row[4] for row in limb_rows], np.int64),
        np.array([(x, y, 1.0) for _, (x, y, _), _ in things]).reshape(-1, 3),
        np.array([radius for _, _, radius in things]),
    )


def _stack(rows: list[np.ndarray], tail: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(rows) if rows else np.zeros((0, *tail))
