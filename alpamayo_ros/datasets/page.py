"""One page of a video for people: the front camera large, the others beside it, the decision and its reason below."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.datasets.drive import FUTURE, Drive
from alpamayo_ros.datasets.lettering import (
    ACTIVE,
    ALARM,
    BACK,
    DIM,
    INK,
    QUIET,
    Colour,
    chip,
    legend,
    text_width,
    write,
)
from alpamayo_ros.datasets.outline import outlines
from alpamayo_ros.datasets.overlay import draw_outlines, draw_path, speed_colour
from alpamayo_ros.types import CameraRole, Decision, Trajectory
from alpamayo_ros.types.rig import Rig, default_rig

FRONT = CameraRole.FRONT_WIDE_120
FRONT_SIZE, SIDE_SIZE = (960, 576), (320, 192)
PANEL = 144
_LETTERS = 0.74  # size of the sentence


@dataclass(frozen=True)
class Caption:
    """What a page says.

    decision: None where none is known. causes: the identity of each cause, with the name to write beside it. plan: the
    path to draw, in the ego frame at that tick; None for the one that was driven. alarms: what went wrong.
    """

    decision: Decision | None
    sentence: str
    causes: dict[str, str]
    plan: Trajectory | None = None
    alarms: tuple[str, ...] = ()


def page_rig(roles: tuple[CameraRole, ...]) -> Rig:
    """The cameras that a page shows: the front one, always there, at its own size."""
    others = [role for role in roles if role is not FRONT]
    front = default_rig(*FRONT_SIZE, roles=[FRONT])
    return Rig([*front.cameras.values(), *default_rig(*SIDE_SIZE, roles=others).cameras.values()])


def draw_page(drive: Drive, tick: int, caption: Caption) -> np.ndarray:
    """(H, W, 3) uint8 RGB page of a drive on a `page_rig`."""
    world = drive.world(tick)
    pictures = {role: drive.picture(tick, role).copy() for role in drive.rig.roles}
    draw_path(
        pictures[FRONT], drive.rig[FRONT], drive.path_after(tick, FUTURE) if caption.plan is None else caption.plan
    )
    for role, picture in pictures.items():
        named = [(name, outlines(world, cause)) for cause, name in caption.causes.items()]
        draw_outlines(picture, drive.rig[role], world.ego, named)
        write(picture, role.label, (8, 18), 0.45 if role is FRONT else 0.4, INK, shadow=True)
    page = _compose(pictures)
    _panel(page[FRONT_SIZE[1] :], drive, tick, caption)
    return page


def _compose(pictures: dict[CameraRole, np.ndarray]) -> np.ndarray:
    others = [picture for role, picture in pictures.items() if role is not FRONT]
    rows = FRONT_SIZE[1] // SIDE_SIZE[1]
    columns = max(1, math.ceil(len(others) / rows))
    page = np.empty((FRONT_SIZE[1] + PANEL, FRONT_SIZE[0] + columns * SIDE_SIZE[0], 3), np.uint8)
    page[:] = BACK
    page[: FRONT_SIZE[1], : FRONT_SIZE[0]] = pictures[FRONT]
    for i, picture in enumerate(others):
        x, y = FRONT_SIZE[0] + i // rows * SIDE_SIZE[0], i % rows * SIDE_SIZE[1]
        page[y : y + SIDE_SIZE[1], x : x + SIDE_SIZE[0]] = picture
    return page


def _panel(panel: np.ndarray, drive: Drive, tick: int, caption: Caption) -> None:
    ego, scenario = drive.world(tick).ego, drive.scenario
    write(panel, f"{ego.speed:4.1f}", (16, 58), 1.5, speed_colour(ego.speed), 3)
    write(panel, "m/s", (128, 58), 0.6, DIM)
    write(panel, f"{ego.speed * 3.6:.0f} km/h", (18, 86), 0.5, DIM)
    write(panel, f"{ego.acceleration:+.1f} m/s2", (98, 86), 0.5, DIM)
    x = 210
    for text, colour in _chips(caption):
        x = chip(panel, text, (x, 12), colour)
    lines = _wrapped(caption.sentence, panel.shape[1] - 230)
    for line, y in zip(lines, (84,) if len(lines) == 1 else (74, 100), strict=True):
        write(panel, line, (210, y), _LETTERS, INK, 2)
    sky = " ".join(str(part) for part in (scenario.daylight, scenario.weather))
    place = f"t {tick / 10:4.1f} s    {scenario.kind}    seed {scenario.seed}    {scenario.variant}    {sky}"
    write(panel, place, (18, 128), 0.5, DIM)
    legend(panel, (panel.shape[1] - 358, 106))


def _chips(caption: Caption) -> list[tuple[str, tuple[Colour, Colour]]]:
    """Text and colour of what stands above the sentence."""
    if caption.decision is None:
        axes = [("no decision", QUIET)]
    else:
        axes = [
            ("no change", QUIET) if axis is None else (axis.replace("_", " "), ACTIVE)
            for axis in (caption.decision.longitudinal, caption.decision.lateral)
        ]
    return axes + [(alarm, ALARM) for alarm in caption.alarms]


def _wrapped(sentence: str, room: int) -> list[str]:
    """One line, or two of about the same length."""
    if text_width(sentence, _LETTERS, 2) < room:
        return [sentence]
    breaks = [i for i, letter in enumerate(sentence) if letter == " "]
    middle = min(breaks, key=lambda i: abs(i - len(sentence) / 2), default=len(sentence))
    return [sentence[:middle], sentence[middle + 1 :]]
