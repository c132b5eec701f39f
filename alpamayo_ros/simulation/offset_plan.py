"""A lateral movement: the offset from the route as a quintic of arc length."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class OffsetPlan:
    """From (start, before) with slope and bend to (stop, after) level: the jerk-optimal quintic.

    Source: Werling, Ziegler, Kammel, Thrun, "Optimal trajectory generation for dynamic street scenarios in a Frenet
    frame", ICRA 2010, in its low-speed form over arc length.
    """

    start: float
    stop: float
    before: float
    after: float
    slope: float = 0.0
    bend: float = 0.0

    def at(self, s: float) -> tuple[float, float, float]:
        """Offset in metres, its slope, and its second derivative (1/m) at arc length `s`."""
        length = self.stop - self.start
        u = (s - self.start) / length
        if u >= 1.0:
            return self.after, 0.0, 0.0
        if u <= 0.0:
            return self.before, self.slope, 0.0
        rise, slope, bend = self.after - self.before, self.slope * length, self.bend * length * length
        u2, u3 = u * u, u * u * u
        value = (
            self.before
            + rise * u3 * (10 - 15 * u + 6 * u2)
            + slope * (u - 6 * u3 + 8 * u2 * u2 - 3 * u3 * u2)
            + bend * (0.5 * u2 - 1.5 * u3 + 1.5 * u2 * u2 - 0.5 * u3 * u2)
        )
        first = (
            rise * 30 * u2 * (1 - 2 * u + u2)
            + slope * (1 - 18 * u2 + 32 * u3 - 15 * u2 * u2)
            + bend * (u - 4.5 * u2 + 6 * u3 - 2.5 * u2 * u2)
        )
        second = (
            rise * 60 * u * (1 - 3 * u + 2 * u2)
            + slope * (-36 * u + 96 * u2 - 60 * u3)
            + bend * (1 - 9 * u + 18 * u2 - 10 * u3)
        )
        return value, first / length, second / (length * length)

    def done(self, s: float) -> bool:
        return s >= self.stop


def shift_length(rise: float, speed: float, room: float = math.inf) -> float:
    """How many metres a sideways movement of `rise` metres takes.

    Comfortably: 2.4 s plus 0.55 s a metre. In less room: what 2.5 m/s^2 of lateral acceleration and a curvature of
    0.1 1/m allow (the quintic's peak is 5.77 rise / length^2).
    """
    rise = max(abs(rise), 0.05)
    comfortable = max(speed * (2.4 + 0.55 * rise), 7.0 + 4.0 * rise)
    shortest = max(speed * math.sqrt(5.77 * rise / 2.5), math.sqrt(5.77 * rise / 0.1), 4.0)
    return max(min(comfortable, room), shortest)
