"""Car following and lane changing by the field's standard models."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Idm:
    """Intelligent Driver Model (Treiber, Hennecke, Helbing, Phys. Rev. E 62, 1805, 2000), parameters as there.

    headway in s, standstill gap in m, acceleration and comfortable braking in m/s^2.
    """

    headway: float = 1.4
    standstill: float = 2.0
    acceleration: float = 1.4
    braking: float = 2.0

    def free(self, speed: float, desired: float) -> float:
        """Acceleration on an open road, m/s^2. Above the desired speed: a gentle return instead of v^4 braking."""
        if speed <= desired:
            return self.acceleration * (1.0 - (speed / max(desired, 0.1)) ** 4)
        return -self.braking * min(1.0, (speed - desired) / 2.0)

    def gap_wanted(self, speed: float, closing: float) -> float:
        """The model's s*: gap in metres wanted at this speed and closing speed."""
        dynamic = speed * self.headway + speed * closing / (2.0 * math.sqrt(self.acceleration * self.braking))
        return self.standstill + max(0.0, dynamic)

    def follow(self, speed: float, desired: float, gap: float, closing: float) -> float:
        """Acceleration behind a lead `gap` metres ahead that is approached at `closing` m/s.

        Where the lead is as fast as wanted, the improved form (Treiber and Kesting, Traffic Flow Dynamics, 2013,
        section 11.3.7) is used: the free term and the gap term do not add up, so that the gap becomes s*.
        """
        ratio = self.gap_wanted(speed, closing) / max(gap, 0.1)
        free = self.free(speed, desired)
        if ratio >= 1.0:
            return min(free, self.acceleration * (1.0 - ratio * ratio))
        if free <= 0.0:
            return free
        return free * (1.0 - ratio ** (2.0 * self.acceleration / free))

    def follow_calmly(
        self, speed: float, desired: float, gap: float, lead_speed: float, lead_acceleration: float
    ) -> float:
        """`follow`, tempered by the constant-acceleration heuristic: no panic when somebody cuts in with little room.

        Source: Kesting, Treiber, Helbing, "Enhanced intelligent driver model", Phil. Trans. R. Soc. A 368, 4585-4605,
        2010, eqs. 2.4 and 2.8, with coolness 0.99 as there.
        """
        model = self.follow(speed, desired, gap, speed - lead_speed)
        gap, lead = max(gap, 0.1), min(lead_acceleration, self.acceleration)
        closing = speed - lead_speed
        if lead_speed * closing <= -2.0 * gap * lead and lead_speed**2 - 2.0 * gap * lead > 0.1:
            heuristic = speed**2 * lead / (lead_speed**2 - 2.0 * gap * lead)
        else:
            heuristic = lead - max(closing, 0.0) ** 2 / (2.0 * gap)
        if model >= heuristic:
            return model
        return 0.01 * model + 0.99 * (heuristic + self.braking * math.tanh((model - heuristic) / self.braking))


def mobil(
    own_now: float, own_then: float, follower_now: float, follower_then: float, politeness: float, bias: float
) -> float:
    """Incentive of a lane change by MOBIL (Kesting, Treiber, Helbing, Transp. Res. Record 1999, 86-94, 2007), m/s^2.

    Accelerations of the driver and of the new follower, now and after the change. Minus infinity where the new
    follower would have to brake harder than 3 m/s^2: the model's safety criterion.
    """
    if follower_then < -3.0:
        return -math.inf
    return own_then - own_now + politeness * (follower_then - follower_now) + bias
