"""Gaps in a lane beside the expert's: whether one may be entered now, and how to get to one."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.simulation.constraint import Constraint
from alpamayo_ros.simulation.following import Idm
from alpamayo_ros.simulation.surroundings import Neighbour, Surroundings
from alpamayo_ros.types import LongitudinalDecision as Lon

REACH = 1.7
"""Half the width of the band around a lane's centre in which a vehicle counts as in the lane, metres."""


@dataclass(frozen=True, eq=False)
class Gap:
    """The vehicles next ahead of and behind the ego vehicle's middle in a lane."""

    lead: Neighbour | None
    follower: Neighbour | None

    def obstacle(self, me: Surroundings, scale: float = 1.0) -> Neighbour | None:
        """Who makes it unsafe to enter the gap; None where it is safe.

        Distances in metres: 4 plus 0.25 s of speed ahead, 4 plus 0.5 s behind, each plus 3.5 s of closing speed,
        times `scale`. (MOBIL's criterion by accelerations gives much the same, but without a distance to measure.)
        """
        if self.lead is not None:
            closing = max(0.0, me.speed - self.lead.speed_s)
            if self.lead.rear - me.front < scale * (4.0 + 0.25 * me.speed + 3.5 * closing):
                return self.lead
        if self.follower is not None:
            closing = max(0.0, self.follower.speed_s - me.speed)
            if me.rear - self.follower.front < scale * (4.0 + 0.5 * self.follower.speed_s + 3.5 * closing):
                return self.follower
        return None


def in_lane(other: Neighbour, offset: float) -> bool:
    """Whether it is in, or moving into, the lane at `offset`, and goes our way or stands."""
    there = abs(other.d - offset) < REACH or abs(other.target_d - offset) < 1.0
    return there and other.speed_s > -0.5 and other.half_s > 0.6


def find_gap(me: Surroundings, offset: float) -> Gap:
    """The gap beside the ego vehicle in the lane at `offset`."""
    lead: Neighbour | None = None
    follower: Neighbour | None = None
    middle = (me.front + me.rear) / 2
    for other in me.neighbours:
        if not in_lane(other, offset):
            continue
        if other.s >= middle:
            if lead is None or other.rear < lead.rear:
                lead = other
        elif follower is None or other.front > follower.front:
            follower = other
    return Gap(lead, follower)


def search_gap(me: Surroundings, offset: float, desired: float, fallback: str) -> Constraint:
    """Adapt the speed so that a gap in the lane at `offset` comes beside the ego vehicle.

    The gap that is reached soonest is taken; `fallback` is the cause where the lane is empty.
    """
    lane = sorted((o for o in me.neighbours if in_lane(o, offset) and abs(o.s - me.s) < 70.0), key=lambda o: -o.s)
    if not lane:
        return Constraint(Lon.GAP_SEARCHING, fallback, IDM_FREE.free(me.speed, desired))
    best: tuple[float, float, float, Neighbour] | None = None
    for index in range(len(lane) + 1):
        lead = lane[index - 1] if index else None
        follower = lane[index] if index < len(lane) else None
        top = lead.rear - (5.0 + 0.3 * me.speed) if lead else me.front + 60.0
        bottom = follower.front + 5.0 + 0.5 * follower.speed_s + (me.front - me.rear) if follower else me.front - 60.0
        if top < bottom:
            continue
        anchor = lead or follower
        assert anchor is not None
        # How far the front bumper has to be shifted against the stream, and how long that takes.
        move, pace = min(max(me.front, bottom), top) - me.front, anchor.speed_s
        time = move / max(desired - pace, 0.2) if move > 0.0 else -move / 3.0
        if best is None or time < best[0]:
            best = (time, move, pace, anchor)
    if best is None:
        slowest = lane[-1]
        best = (0.0, slowest.rear - 8.0 - me.front, slowest.speed_s, slowest)
    _, move, pace, anchor = best
    # Close the displacement over about five seconds at the stream's pace.
    target = min(max(pace + min(max(move / 4.0, -3.5), 2.5), 0.0), 1.1 * desired)
    wish = min(max(0.7 * (target - me.speed), -2.2), 1.5)
    return Constraint(Lon.GAP_SEARCHING, anchor.actor.id, wish)


IDM_FREE = Idm(acceleration=1.5)
