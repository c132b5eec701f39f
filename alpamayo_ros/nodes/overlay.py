"""A plan drawn over the picture of a camera: the path on the road; below it the decision, the words and the gate."""

from __future__ import annotations

import unicodedata

import cv2
import numpy as np

from alpamayo_ros.datasets.lettering import ACTIVE, BACK, DIM, INK, QUIET, Colour, chip, legend, text_width, write
from alpamayo_ros.datasets.overlay import draw_path
from alpamayo_ros.nodes.wording import decision_words, failed_checks
from alpamayo_ros.types import Plan
from alpamayo_ros.types.rig import Camera

LEAST_WIDTH = 960
"""Pixels: smaller pictures are enlarged, so that words can be read."""

_PANEL = 176  # pixels of height at LEAST_WIDTH; all else grows with the picture, too
_SIZES = ((0.62, 3, 24), (0.46, 4, 18))  # of the words: letters, lines, pixels from line to line
_PASSED: tuple[Colour, Colour] = (INK, (24, 120, 60))
_FAILED: tuple[Colour, Colour] = (INK, (176, 36, 36))
_ALARM: Colour = (255, 120, 110)
_SHAPE_OFF = 0.01  # width by height of the picture against that of the calibration


def draw_overlay(image: np.ndarray, camera: Camera | None, plan: Plan, *, held_back: bool = False) -> np.ndarray:
    """(H', W', 3) uint8 RGB: a picture (H, W, 3) uint8 RGB of `camera`, at least LEAST_WIDTH wide, with a panel below.

    camera: as calibrated, at whatever resolution; None where it is not known, and the picture says so. The size of what
    is returned depends on that of the picture alone.
    """
    height, width = image.shape[:2]
    scale = max(1.0, width / LEAST_WIDTH)
    wide = max(width, LEAST_WIDTH)
    high = round(height * wide / width)
    page = np.empty((high + round(_PANEL * scale), wide, 3), np.uint8)
    cv2.rectangle(page, (0, high), (wide, len(page)), BACK, cv2.FILLED)
    view = page[:high]
    view[:] = image if wide == width else cv2.resize(image, (wide, high), interpolation=cv2.INTER_LINEAR)
    missing = _why_no_path(camera, width, height)
    if camera is not None and missing is None:
        draw_path(view, camera.resized(wide, high), plan.chosen.trajectory, opacity=0.25 if held_back else 0.5)
    else:
        chip(view, f"{missing}: the path is not drawn", _at(16, 12, scale), _FAILED, scale)
    _panel(page[high:], plan, held_back, scale)
    return page


def _why_no_path(camera: Camera | None, width: int, height: int) -> str | None:
    if camera is None:
        return "no calibration"
    lens = camera.intrinsics
    if abs(lens.width * height / (lens.height * width) - 1.0) > _SHAPE_OFF:
        return f"calibration is for {lens.width}x{lens.height}, picture is {width}x{height}"
    return None


def _panel(panel: np.ndarray, plan: Plan, held_back: bool, scale: float) -> None:
    judgement, right = plan.judgement, panel.shape[1] - round(16 * scale)
    decision, x = judgement.trace.decision, round(16 * scale)
    axes = (None, None) if decision is None else (decision.longitudinal, decision.lateral)
    for words, axis in zip(decision_words(decision), axes, strict=True):
        x = chip(panel, words, (x, round(10 * scale)), QUIET if axis is None else ACTIVE, scale)
    gate = "GATE PASSED" if judgement.gate.passed else "HELD BACK BY GATE" if held_back else "GATE FAILED"
    room = text_width(gate, 0.6 * scale, round(scale)) + round(24 * scale)
    chip(panel, gate, (right - room, round(10 * scale)), _PASSED if judgement.gate.passed else _FAILED, scale)
    _words(panel, plan.chosen.reasoning, scale)
    if failed := failed_checks(judgement.gate):
        line = _fit(f"failed: {failed}", right - round(16 * scale), 0.46 * scale, round(scale))
        write(panel, line, _at(16, 141, scale), 0.46 * scale, _ALARM, round(scale))
    speeds = plan.chosen.trajectory.speeds
    seconds, rest = divmod(plan.t0_ns, 1_000_000_000)
    place = f"t0 {seconds}.{rest // 1_000_000:03d}   sample {plan.selected + 1} of {len(plan.samples)}   "
    speed = f"{speeds[0]:.1f} m/s, in {plan.chosen.trajectory.times[-1]:.1f} s {speeds[-1]:.1f} m/s"
    write(panel, place + speed, _at(16, 162, scale), 0.46 * scale, DIM, round(scale))
    legend(panel, (right - round(336 * scale), round(142 * scale)), scale)


def _words(panel: np.ndarray, text: str, scale: float) -> None:
    """As large as they fit; what does not fit even small is cut, and dots say so."""
    room, bold = panel.shape[1] - round(32 * scale), round(scale)
    # The letters of OpenCV are those of ASCII.
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode()
    written = " ".join(plain.split()) or "(no reasoning)"
    wrapped = [_wrapped(written, room, letters * scale, bold) for letters, _, _ in _SIZES]
    fitting = [i for i, (_, most, _) in enumerate(_SIZES) if len(wrapped[i]) <= most]
    chosen = fitting[0] if fitting else len(_SIZES) - 1
    (letters, most, step), lines = _SIZES[chosen], wrapped[chosen]
    if len(lines) > most:
        lines = [*lines[: most - 1], _fit(" ".join(lines[most - 1 :]), room, letters * scale, bold)]
    for i, line in enumerate(lines):
        write(panel, line, _at(16, 69 + i * step, scale), letters * scale, INK, bold)


def _wrapped(text: str, room: int, letters: float, bold: int) -> list[str]:
    """Lines no wider than `room` pixels, except of a single word that is."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, letters, bold) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return [_fit(line, room, letters, bold) for line in lines]


def _fit(line: str, room: int, letters: float, bold: int) -> str:
    """The line, or its beginning and dots where it is wider than `room` pixels."""
    if text_width(line, letters, bold) <= room:
        return line
    low, high = 0, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(line[:middle] + " ...", letters, bold) <= room:
            low = middle
        else:
            high = middle - 1
    return line[:low].rstrip() + " ..."


def _at(x: int, y: int, scale: float) -> tuple[int, int]:
    return round(x * scale), round(y * scale)
