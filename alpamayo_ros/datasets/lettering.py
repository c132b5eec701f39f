"""What is written on pictures for people: text, chips, and the scale of speeds. Pictures are (H, W, 3) uint8 RGB."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from alpamayo_ros.datasets.overlay import FASTEST, speed_colour

Colour = tuple[int, int, int]
BACK: Colour = (24, 26, 30)
INK: Colour = (240, 240, 240)
DIM: Colour = (150, 154, 160)
ACTIVE: tuple[Colour, Colour] = (INK, (52, 84, 140))
"""Colours of the letters and the ground of a chip that says something; QUIET is one that does not."""
QUIET: tuple[Colour, Colour] = (DIM, (44, 46, 52))
ALARM: tuple[Colour, Colour] = (INK, (176, 36, 36))
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def text_width(text: str, letters: float, thickness: int = 1) -> int:
    """Pixels that a text is wide. letters: size, 1 is about 22 pixels high."""
    return int(cv2.getTextSize(text, _FONT, letters, thickness)[0][0])


def write(
    image: np.ndarray, text: str, place: tuple[int, int], letters: float, colour: Colour, thickness: int = 1,
    shadow: bool = False,
) -> None:  # fmt: skip
    """place: left end of the base line."""
    if shadow:
        cv2.putText(image, text, place, _FONT, letters, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.putText(image, text, place, _FONT, letters, colour, thickness, cv2.LINE_AA)


def chip(
    image: np.ndarray, text: str, place: tuple[int, int], colours: tuple[Colour, Colour], scale: float = 1.0
) -> int:
    """A word on a ground of its own; place: left and top. Returns where the next one may begin."""
    ink, ground = colours
    x, y = place
    width = text_width(text, 0.6 * scale, round(scale)) + round(24 * scale)
    cv2.rectangle(image, place, (x + width, y + round(32 * scale)), ground, cv2.FILLED)
    write(image, text, (x + round(12 * scale), y + round(22 * scale)), 0.6 * scale, ink, round(scale))
    return x + width + round(12 * scale)


def legend(image: np.ndarray, place: tuple[int, int], scale: float = 1.0) -> None:
    """The colours of a path by speed, with their name to the left; place: left and top of the whole."""
    x, y = place
    left, width, height = x + round(126 * scale), round(200 * scale), round(11 * scale)
    image[y : y + height, left : left + width] = _speeds(width)
    for speed in (0, 10, 20):
        place_of = (left + round(speed / FASTEST * width) - round(6 * scale), y + round(27 * scale))
        write(image, f"{speed}", place_of, 0.42 * scale, DIM, round(scale))
    write(image, "m/s on the path", (x, y + round(10 * scale)), 0.42 * scale, DIM, round(scale))


@cache
def _speeds(width: int) -> np.ndarray:
    """(1, width, 3) uint8: from a standstill to the fast end of the scale."""
    return np.array([[speed_colour(i / width * FASTEST) for i in range(width)]], np.uint8)
