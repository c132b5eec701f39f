"""Colours and light of a scene: what the weather and the hour make of them. All colours are R, G, B in 0 … 255."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.simulation.road import Ground
from alpamayo_ros.simulation.world import Daylight, Scenario, Weather

Colour = tuple[float, float, float]

GROUND: dict[Ground, Colour] = {
    Ground.ASPHALT: (96, 96, 99),
    Ground.OLD_ASPHALT: (112, 110, 108),
    Ground.SIDEWALK: (166, 161, 152),
    Ground.CURB: (196, 193, 186),
    Ground.GRAVEL: (146, 134, 114),
    Ground.GRASS: (92, 116, 60),
    Ground.MEDIAN: (104, 122, 74),
    Ground.BUMP: (70, 70, 72),
}
WHITE_PAINT: Colour = (232, 232, 226)
YELLOW_PAINT: Colour = (224, 178, 48)


@dataclass(frozen=True, eq=False)
class Palette:
    """Light of one scene.

    ambient, direct: share of light from everywhere and from the sun. sun: (3,) unit vector towards it, or zero.
    haze: colour of distance, visibility: metres after which 63 % of it is reached. zenith, horizon: of the sky.
    headlights: strength of the ego vehicle's beams. wet: whether the road mirrors. shadows: whether they are sharp.
    """

    ambient: float
    direct: float
    sun: np.ndarray
    haze: Colour
    visibility: float
    zenith: Colour
    horizon: Colour
    headlights: float
    wet: bool
    shadows: bool

    def veil(self, distance: np.ndarray) -> np.ndarray:
        """Share of haze at a distance in metres."""
        return 1.0 - np.exp(-distance / self.visibility)

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """(P,) brightness of faces with unit normals (P, 3)."""
        facing = np.maximum(normals @ self.sun, 0.0)
        # Faces that look up see more sky than those that look aside.
        return self.ambient * (0.82 + 0.18 * normals[:, 2]) + self.direct * facing

    def beam(self, ahead: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Brightness that the headlights add at places in the rig frame (metres)."""
        if self.headlights == 0.0:
            return np.zeros_like(ahead)
        forward = ahead - 3.0
        distance = np.hypot(forward, left)
        angle = np.arctan2(left, np.maximum(forward, 0.01))
        cone = np.exp(-((angle / 0.42) ** 2)) * (forward > 0.0)
        return self.headlights * cone / (1.0 + (distance / 24.0) ** 2)


def palette(scenario: Scenario) -> Palette:
    """The light of a scenario."""
    weather, daylight = scenario.weather, scenario.daylight
    height = {Daylight.DAY: 0.75, Daylight.DUSK: 0.16, Daylight.NIGHT: 0.0}[daylight]
    sun = np.array(
        [math.cos(scenario.sun) * math.cos(height), math.sin(scenario.sun) * math.cos(height), math.sin(height)]
    )
    if daylight is Daylight.NIGHT:
        fog = weather is Weather.FOG
        haze: Colour = (46, 48, 54) if fog else (14, 17, 27)
        reach = {Weather.CLEAR: 420.0, Weather.RAIN: 160.0, Weather.FOG: 60.0}[weather]
        return Palette(
            0.3, 0.0, np.zeros(3), haze, reach, (8, 11, 24), (30, 32, 46), 1.15, weather is Weather.RAIN, False
        )
    dim = 0.62 if daylight is Daylight.DUSK else 1.0
    beams = 0.35 if daylight is Daylight.DUSK else 0.0
    if weather is Weather.CLEAR:
        if daylight is Daylight.DUSK:
            return Palette(0.52, 0.42, sun, (196, 150, 128), 750.0, (70, 84, 130), (240, 172, 118), beams, False, True)
        return Palette(0.66, 0.5, sun, (196, 210, 226), 900.0, (70, 124, 200), (188, 212, 236), beams, False, True)
    grey = tuple(value * dim for value in ((172, 178, 184) if weather is Weather.RAIN else (200, 203, 205)))
    sky: Colour = (grey[0], grey[1], grey[2])
    top: Colour = (grey[0] * 0.8, grey[1] * 0.82, grey[2] * 0.86)
    reach = 210.0 if weather is Weather.RAIN else 62.0
    return Palette(0.82 * dim, 0.0, np.zeros(3), sky, reach, top, sky, beams, weather is Weather.RAIN, False)
