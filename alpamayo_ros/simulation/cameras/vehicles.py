"""What vehicles look like: body, cabin, glass, wheels, lamps."""

from __future__ import annotations

from alpamayo_ros.simulation.actor import Actor, ActorKind, Blinker
from alpamayo_ros.simulation.cameras.palette import Colour
from alpamayo_ros.simulation.cameras.shapes import Shapes

GLASS: Colour = (46, 58, 70)
RED_OFF: Colour = (120, 22, 22)
RED_ON: Colour = (255, 48, 30)
AMBER_OFF: Colour = (150, 96, 40)
AMBER_ON: Colour = (255, 170, 20)
BACK, AHEAD = (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0)
FLASH_ON, FLASH_PERIOD = 4, 7
"""Ticks of a flashing indicator that are lit, of how many: 86 flashes a minute (60 to 120 are legal)."""


def flashing(tick: int, phase: int = 0) -> bool:
    """Whether a flashing lamp is lit at a tick."""
    return (tick + phase) % FLASH_PERIOD < FLASH_ON


def flash_phase(actor: Actor) -> int:
    """Where in the period its indicators are at tick zero: not all flash together."""
    return sum(map(ord, actor.id)) % FLASH_PERIOD


def darker(colour: Colour, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


def draw_vehicle(actor: Actor, tick: int, dark: bool) -> Shapes:
    """The shapes of a vehicle in its present state. dark: its lights are switched on."""
    shapes = Shapes()
    if actor.kind is ActorKind.CAR:
        _car(shapes, actor)
        lamp_z, lamp_y, tail = 0.52 * actor.height, 0.38 * actor.width, 0.16 * actor.height
    elif actor.kind is ActorKind.TRUCK:
        _truck(shapes, actor)
        lamp_z, lamp_y, tail = 0.85, 0.42 * actor.width, 0.28
    elif actor.kind in (ActorKind.BUS, ActorKind.SCHOOL_BUS):
        _bus(shapes, actor)
        lamp_z, lamp_y, tail = 1.1, 0.42 * actor.width, 0.36
    else:
        _van(shapes, actor)
        lamp_z, lamp_y, tail = 0.95, 0.42 * actor.width, 0.34
    _lamps(shapes, actor, tick, dark, lamp_z, lamp_y, tail)
    if actor.beacons:
        _beacons(shapes, actor, tick)
    return shapes


def _wheels(shapes: Shapes, actor: Actor, axles: tuple[float, ...], radius: float) -> None:
    half = actor.width / 2 + 0.015
    for x in axles:
        shapes.wheel(x, half, radius, 1.0)
        shapes.wheel(x, -half, radius, -1.0)


def _car(shapes: Shapes, actor: Actor) -> None:
    length, width, height, paint = actor.length, actor.width, actor.height, actor.colour
    belt = 0.58 * height
    back, front = -length / 2, length / 2
    shapes.box(back, front, width, 0.2, belt, paint)
    shapes.side(back + 0.1, front - 0.1, width / 2 + 0.005, 0.2, 0.36, (34, 34, 36))
    shapes.side(back + 0.1, front - 0.1, -width / 2 - 0.005, 0.2, 0.36, (34, 34, 36))
    low0, low1 = back + 0.1 * length, back + 0.72 * length
    top0, top1 = back + 0.24 * length, back + 0.56 * length
    half, roof = width / 2 * 0.96, width / 2 * 0.76
    for out in (1.0, -1.0):
        a, b = out * half, out * roof
        corners = ((low0, a, belt), (low1, a, belt), (top1, b, height), (top0, b, height))
        shapes.quad(corners, (0.0, 0.93 * out, 0.37), darker(paint, 0.85))
        g0, g1, t0, t1 = low0 + 0.3, low1 - 0.45, top0 + 0.12, top1 - 0.1
        y0, y1 = a * 0.985, b * 1.04
        middle = (g0 + g1) / 2 + 0.05
        for p, q, r, s in (
            (g0, middle - 0.05, (t0 + t1) / 2 - 0.05, t0),
            (middle + 0.05, g1, t1, (t0 + t1) / 2 + 0.05),
        ):
            glass = ((p, y0, belt + 0.04), (q, y0, belt + 0.04), (r, y1, height - 0.07), (s, y1, height - 0.07))
            shapes.quad(glass, (0.0, 0.93 * out, 0.37), GLASS)
    back_glass = ((low0, -half, belt), (low0, half, belt), (top0, roof, height), (top0, -roof, height))
    shapes.quad(back_glass, (-0.75, 0.0, 0.66), paint)
    inner = ((low0 + 0.05, -half * 0.86, belt + 0.06), (low0 + 0.05, half * 0.86, belt + 0.06))
    upper = ((top0 - 0.03, roof * 0.9, height - 0.06), (top0 - 0.03, -roof * 0.9, height - 0.06))
    shapes.quad((*inner, *upper), (-0.75, 0.0, 0.66), GLASS)
    screen = (
        (low1, -half * 0.95, belt),
        (low1, half * 0.95, belt),
        (top1, roof * 0.97, height),
        (top1, -roof * 0.97, height),
    )
    shapes.quad(screen, (0.75, 0.0, 0.66), GLASS)
    lid = ((top0, -roof, height), (top1, -roof, height), (top1, roof, height), (top0, roof, height))
    shapes.quad(lid, (0.0, 0.0, 1.0), darker(paint, 1.06))
    shapes.end(back - 0.01, -0.28, 0.28, 0.42, 0.55, (205, 205, 195))
    shapes.end(back - 0.01, -width / 2 + 0.05, width / 2 - 0.05, 0.2, 0.36, (40, 40, 42))
    shapes.end(front + 0.01, -0.42, 0.42, 0.42, 0.6, (30, 30, 32))
    shapes.end(front + 0.01, -width / 2 + 0.05, width / 2 - 0.05, 0.2, 0.34, (40, 40, 42))
    _wheels(shapes, actor, (back + 0.19 * length, front - 0.2 * length), 0.33)


def _van(shapes: Shapes, actor: Actor) -> None:
    length, width, height, paint = actor.length, actor.width, actor.height, actor.colour
    back, front = -length / 2, length / 2
    nose = front - 0.16 * length
    shapes.box(back, nose, width, 0.3, height, paint)
    shapes.box(nose, front, width, 0.3, 0.52 * height, paint)
    half = width / 2
    screen = ((front - 0.25, -half * 0.9, 0.52 * height), (front - 0.25, half * 0.9, 0.52 * height))
    shapes.quad((*screen, (nose, half * 0.9, 0.94 * height), (nose, -half * 0.9, 0.94 * height)), (0.8, 0, 0.6), GLASS)
    for out in (1.0, -1.0):
        y = out * (half + 0.01)
        shapes.side(nose - 0.95, nose - 0.05, y, 0.55 * height, 0.86 * height, GLASS)
        shapes.side(back + 0.1, front - 0.1, y, 0.3, 0.42, (40, 40, 42))
        if actor.kind is ActorKind.EMERGENCY:
            shapes.side(
                back,
                front - 0.3,
                y,
                0.42 * height,
                0.52 * height,
                (250, 150, 20) if actor.colour[1] > 100 else (245, 245, 245),
            )
    shapes.end(back - 0.01, -half * 0.8, half * 0.8, 0.56 * height, 0.88 * height, GLASS)
    shapes.end(back - 0.01, -0.26, 0.26, 0.42, 0.55, (205, 205, 195))
    if actor.kind is ActorKind.EMERGENCY:
        shapes.end(back - 0.012, -half, half, 0.42 * height, 0.5 * height, (250, 150, 20))
    _wheels(shapes, actor, (back + 0.2 * length, front - 0.18 * length), 0.36)


def _truck(shapes: Shapes, actor: Actor) -> None:
    length, width, height, paint = actor.length, actor.width, actor.height, actor.colour
    back, front = -length / 2, length / 2
    cab = front - 1.9
    box: Colour = (214, 214, 210) if sum(paint) < 420 else (178, 182, 188)
    # From behind, chassis and cargo hide the cab, which is drawn after the chassis: it has no back of its own.
    shapes.box(back, cab - 0.2, width * 0.86, 0.5, 1.0, (44, 44, 46))
    shapes.box(cab, front, width * 0.94, 0.45, 0.82 * height, paint, back=False)
    half = width * 0.47
    shapes.end(front + 0.01, -half * 0.9, half * 0.9, 0.45 * height, 0.74 * height, GLASS)
    for out in (1.0, -1.0):
        shapes.side(cab + 0.35, front - 0.15, out * (half + 0.01), 0.47 * height, 0.72 * height, GLASS)
    shapes.box(back, cab - 0.15, width, 1.0, height, box)
    shapes.end(back - 0.01, -0.03, 0.03, 1.05, height - 0.1, (120, 120, 120))
    shapes.end(back - 0.01, -width / 2 + 0.1, width / 2 - 0.1, 0.55, 0.7, (190, 40, 40))
    _wheels(shapes, actor, (back + 0.8, back + 1.85, front - 1.1), 0.48)


def _bus(shapes: Shapes, actor: Actor) -> None:
    length, width, height, paint = actor.length, actor.width, actor.height, actor.colour
    back, front = -length / 2, length / 2
    school = actor.kind is ActorKind.SCHOOL_BUS
    if school:
        shapes.box(front - 1.5, front, width * 0.9, 0.4, 1.45, paint)
        shapes.box(back, front - 1.4, width, 0.4, height, paint)
        screen_x = front - 1.39
    else:
        shapes.box(back, front, width, 0.35, height, paint)
        screen_x = front + 0.01
    half = width / 2
    shapes.end(screen_x, -half * 0.9, half * 0.9, 0.5 * height, 0.85 * height, GLASS, out=1.0)
    shapes.end(back - 0.01, -half * 0.8, half * 0.8, 0.55 * height, 0.85 * height, GLASS)
    for out in (1.0, -1.0):
        y = out * (half + 0.01)
        at = back + 0.4
        while at + 1.1 < front - (1.6 if school else 0.3):
            shapes.side(at, at + 1.0, y, 0.52 * height, 0.82 * height, GLASS)
            at += 1.25
        shapes.side(back, front - 0.2, y, 0.36, 0.55, (40, 40, 40))
        if school:
            shapes.side(back, front - 1.4, y, 0.4 * height, 0.43 * height, (30, 30, 30))
    if school and actor.beacons:
        # The stop arm on the left side.
        shapes.quad(
            ((front - 2.6, half + 0.05, 1.3), (front - 2.6, half + 0.6, 1.3),
            (front - 2.6, half + 0.6, 1.8), (front - 2.6, half + 0.05, 1.8)),
            (0.0, 0.0, 0.0), (210, 20, 24), True,
        )  # fmt: skip
    _wheels(shapes, actor, (back + 0.25 * length, front - 0.2 * length), 0.5)


def _lamps(shapes: Shapes, actor: Actor, tick: int, dark: bool, z: float, y: float, tall: float) -> None:
    back, front = -actor.length / 2 - 0.02, actor.length / 2 + 0.02
    wide = 0.13 * actor.width
    lit = actor.braking
    flash = flashing(tick, flash_phase(actor))
    for out in (1.0, -1.0):
        a, b = out * y - wide, out * y + wide
        colour = RED_ON if lit else (190, 24, 20) if dark else RED_OFF
        shapes.end(back, a, b, z - tall / 2, z + tall / 2, colour, glow=lit or dark)
        shapes.end(front, a, b, z - 0.1, z + 0.1, (255, 250, 225) if dark else (215, 218, 220), glow=dark)
        if lit:
            shapes.disc((back - 0.06, out * y, z), 0.17, RED_ON, True, BACK)
        if dark:
            shapes.disc((front + 0.06, out * y, z), 0.17, (255, 252, 235), True, AHEAD)
        side = Blinker.LEFT if out > 0 else Blinker.RIGHT
        blinks = actor.blinker in (side, Blinker.HAZARD)
        if blinks:
            colour = AMBER_ON if flash else AMBER_OFF
            edge = out * (actor.width / 2 - 0.12)
            shapes.end(
                back - 0.02, edge - 0.14, edge + 0.14, z - tall * 0.5 - 0.2, z - tall * 0.5 + 0.06, colour, flash
            )
            shapes.end(front + 0.01, edge - 0.14, edge + 0.14, z - 0.12, z + 0.12, colour, flash)
            shapes.side(front - 0.6, front - 0.25, out * (actor.width / 2 + 0.02), z - 0.1, z + 0.1, colour, flash)
            if flash:
                shapes.disc((back - 0.08, edge, z - tall * 0.5), 0.18, AMBER_ON, True, BACK)
                shapes.disc((front + 0.08, edge, z), 0.16, AMBER_ON, True, AHEAD)
                shapes.disc((front - 0.4, out * (actor.width / 2 + 0.06), z), 0.12, AMBER_ON, True, (0.0, out, 0.0))
    if lit and actor.kind is ActorKind.CAR:
        top = 0.93 * actor.height
        shapes.end(-0.28 * actor.length - 0.02, -0.2, 0.2, top - 0.05, top + 0.03, RED_ON, glow=True)


def _beacons(shapes: Shapes, actor: Actor, tick: int) -> None:
    """Flashing lamps on the roof: blue and red of an emergency vehicle, red of a school bus."""
    top = actor.height
    first = tick % 4 < 2
    if actor.kind is ActorKind.SCHOOL_BUS:
        colours: tuple[Colour, Colour] = ((255, 40, 30), (255, 40, 30))
        ends = (actor.length / 2 - 1.35, -actor.length / 2 - 0.05)
    else:
        colours = ((60, 110, 255), (255, 40, 40))
        ends = (actor.length / 2 - 1.4, -actor.length / 2 + 0.1)
    for x in ends:
        for index, out in enumerate((1.0, -1.0)):
            on = (index == 0) == first
            colour = colours[index] if on else darker(colours[index], 0.45)
            height = top + 0.12 if actor.kind is not ActorKind.SCHOOL_BUS else top - 0.25
            # Those on the roof are seen from all around, those of a school bus are let into its two ends.
            shines = (0.0, 0.0, 0.0) if actor.kind is not ActorKind.SCHOOL_BUS else AHEAD if x > 0 else BACK
            shapes.disc((x, out * 0.32 * actor.width, height), 0.26 if on else 0.16, colour, True, shines)
