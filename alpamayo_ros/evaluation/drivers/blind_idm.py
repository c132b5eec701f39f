"""Lane following without sight: a map and a speedometer, no eyes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alpamayo_ros.evaluation.drivers.driver import Proposal
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.following import Idm
from alpamayo_ros.simulation.motion import trajectory_of
from alpamayo_ros.simulation.route import Route
from alpamayo_ros.simulation.world import PERIOD, Ego, World, drive

BRAKING = 1.2
"""Deceleration at which it slows down before a curve, m/s²: comfortable."""
_JERK = 3.0  # m/s³, within the comfort bound
_REACH = 0.9  # s of travel over which an offset from the lane centre is taken back, as the expert does


class BlindIdm:
    """Keeps the lane of the route at the speed limit by the free-road term of IDM, slower where the map has a curve.

    No lead, light, line, sign, crosswalk, obstacle or walker exists for it. What it manages needs no sight.
    """

    name = "idm-blind"
    revision = ""
    explains = False
    ticks_per_plan = 1

    def __init__(self) -> None:
        self._idm = Idm()

    def take_over(self, mind: Expert) -> None:
        pass

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        route = driven[-1].scenario.route
        egos = [driven[-1].ego]
        for _ in range(steps):
            egos.append(self._step(egos[-1], route))
        return Proposal.of(trajectory_of(egos[0], egos[1:]))

    def _step(self, ego: Ego, route: Route) -> Ego:
        path = route.path
        s, d = path.project(ego.x, ego.y)
        wish = self._idm.free(ego.speed, _speed(route, s))
        acceleration = min(max(wish, ego.acceleration - _JERK * PERIOD), ego.acceleration + _JERK * PERIOD)
        # The curvature acts until the next state: take the lane's in the middle of the way there. The offset is taken
        # back critically damped over arc length: e'' = -e / l² - 2 e' / l.
        road = path.curvature_at(s + ego.speed * PERIOD / 2.0)
        length = max(4.0, _REACH * ego.speed)
        turned = ego.yaw - path.pose(s)[2]
        curvature = road / max(1.0 - road * d, 0.3) - d / length**2 - 2.0 * math.sin(turned) / length
        return drive(ego, acceleration, curvature)


def _speed(route: Route, s: float) -> float:
    """The speed that the limit and the curves ahead allow at arc length `s`, m/s."""
    speed = route.limit
    for curve in route.curves:
        if s < curve.stop:
            ahead = max(curve.start - s, 0.0)
            speed = min(speed, math.sqrt(curve.speed**2 + 2.0 * BRAKING * ahead))
    return speed
