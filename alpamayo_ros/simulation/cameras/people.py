"""What people, cyclists and small obstacles look like."""

from __future__ import annotations

import math

from alpamayo_ros.simulation.actor import Actor, ActorKind
from alpamayo_ros.simulation.cameras.palette import Colour
from alpamayo_ros.simulation.cameras.shapes import Shapes
from alpamayo_ros.simulation.cameras.vehicles import darker

SKIN: tuple[Colour, ...] = ((224, 180, 150), (190, 140, 105), (120, 84, 60), (240, 205, 180))
STRIDE = 1.45
"""Metres walked in a full step of both legs."""


def draw_person(actor: Actor) -> Shapes:
    """Somebody on foot: legs and arms swing with the distance walked; x is the direction of walking."""
    shapes = Shapes()
    height = actor.height if actor.kind is not ActorKind.STROLLER else 1.7
    phase = actor.gait / STRIDE * 2.0 * math.pi
    swing = 0.36 * math.sin(phase) * height / 1.75 if actor.speed > 0.15 else 0.04
    hip, shoulder, back = 0.5 * height, 0.8 * height, -0.25 if actor.kind is ActorKind.STROLLER else 0.0
    tag = sum(map(ord, actor.id))
    skin = SKIN[tag % len(SKIN)]
    trousers = ((44, 48, 66), (60, 60, 62), (96, 80, 60), (36, 52, 88))[tag // 3 % 4]
    for side in (1.0, -1.0):
        step = side * swing
        knee = (back + 0.45 * step + 0.05, side * 0.09, 0.27 * height)
        shapes.limb((back, side * 0.09, hip), knee, 0.085, trousers)
        shapes.limb(knee, (back + step, side * 0.1, 0.06), 0.07, darker(trousers, 0.8))
        hand = (back - 0.7 * step, side * 0.24, 0.46 * height)
        if actor.kind is ActorKind.STROLLER:
            hand = (0.3, side * 0.18, 0.58 * height)
        shapes.limb((back, side * 0.2, shoulder), hand, 0.055, darker(actor.colour, 0.88))
    shapes.limb((back, 0.0, hip), (back, 0.0, shoulder - 0.04), 0.19 * height / 1.75, actor.colour)
    shapes.disc((back, 0.0, 0.92 * height), 0.115, skin)
    shapes.disc((back - 0.01, 0.0, 0.945 * height), 0.1, darker((70, 50, 36), 0.5 + tag % 5 / 4))
    if actor.kind is ActorKind.STROLLER:
        shapes.limb((0.35, 0.0, 0.55), (0.75, 0.0, 0.6), 0.24, (60, 66, 110))
        for x in (0.35, 0.75):
            shapes.disc((x, 0.0, 0.12), 0.12, (30, 30, 30))
    return shapes


def draw_cyclist(actor: Actor) -> Shapes:
    """A rider on a bicycle whose pedals turn."""
    shapes = Shapes()
    half = actor.length / 2 - 0.32
    for x in (-half, half):
        for turn in range(8):
            a, b = turn * math.pi / 4, (turn + 1) * math.pi / 4
            start = (x + 0.33 * math.cos(a), 0.0, 0.34 + 0.33 * math.sin(a))
            shapes.limb(start, (x + 0.33 * math.cos(b), 0.0, 0.34 + 0.33 * math.sin(b)), 0.03, (28, 28, 30))
    frame = (180, 40, 40)
    seat, crank, bar = (-0.22, 0.0, 0.95), (-0.05, 0.0, 0.32), (half - 0.12, 0.0, 1.0)
    for start, stop in ((seat, crank), (crank, bar), (bar, (half, 0.0, 0.34)), ((-half, 0.0, 0.34), seat), (seat, bar)):
        shapes.limb(start, stop, 0.03, frame)
    phase = actor.gait / 4.5 * 2.0 * math.pi
    tag = sum(map(ord, actor.id))
    trousers = ((44, 48, 66), (40, 40, 42), (90, 86, 80))[tag % 3]
    for side in (1.0, -1.0):
        foot = (crank[0] + 0.16 * math.cos(phase) * side, side * 0.12, crank[2] + 0.16 * math.sin(phase) * side)
        knee = ((seat[0] + foot[0]) / 2 + 0.24, side * 0.12, (seat[2] + foot[2]) / 2 + 0.12)
        shapes.limb((seat[0], side * 0.1, seat[2]), knee, 0.085, trousers)
        shapes.limb(knee, foot, 0.07, trousers)
        shapes.limb((0.12, side * 0.2, 1.42), (bar[0], side * 0.22, 1.02), 0.055, actor.colour)
    shapes.limb((seat[0], 0.0, 0.98), (0.12, 0.0, 1.45), 0.18, actor.colour)
    shapes.disc((0.2, 0.0, 1.64), 0.12, SKIN[tag % len(SKIN)])
    shapes.disc((0.19, 0.0, 1.7), 0.12, ((230, 230, 230), (200, 40, 40), (40, 40, 44))[tag % 3])
    return shapes


def draw_obstacle(actor: Actor) -> Shapes:
    """A cone, a barrier, or something that fell off a truck."""
    shapes = Shapes()
    if actor.kind is ActorKind.CONE:
        shapes.box(-0.2, 0.2, 0.4, 0.0, 0.05, (50, 50, 50))
        for low, high, a, b, colour in (
            (0.05, 0.32, 0.15, 0.11, (240, 96, 24)),
            (0.32, 0.5, 0.11, 0.085, (240, 240, 235)),
            (0.5, 0.78, 0.085, 0.03, (240, 96, 24)),
        ):
            for x, y in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
                corners = (
                    (x * a - y * a, y * a + x * a, low), (x * a + y * a, y * a - x * a, low),
                    (x * b + y * b, y * b - x * b, high), (x * b - y * b, y * b + x * b, high),
                )  # fmt: skip
                shapes.quad(corners, (x, y, 0.0), colour)
        return shapes
    length, width, height = actor.length, actor.width, actor.height
    if actor.kind is ActorKind.BARRIER:
        for x in (-0.8, 0.8):
            shapes.limb((x, 0.0, 0.0), (x, 0.0, height), 0.04, (90, 90, 90))
        for low in (0.25, 0.65):
            for index in range(8):
                x = -length / 2 + index * length / 8
                stripe: Colour = (235, 60, 30) if index % 2 else (245, 245, 240)
                corners = (
                    (x, 0.0, low),
                    (x + length / 8, 0.0, low),
                    (x + length / 8, 0.0, low + 0.3),
                    (x, 0.0, low + 0.3),
                )
                shapes.quad(corners, (0.0, 0.0, 0.0), stripe)
        if actor.beacons:
            shapes.disc((0.0, 0.0, height + 0.1), 0.14, (255, 180, 30), True)
        return shapes
    shapes.box(-length / 2, length / 2, width, 0.0, height, actor.colour)
    return shapes
