"""How a drive went, by the definitions of NVIDIA's AlpaSim scorers.

Collision: the boxes, shrunk by 2 %, intersect; `front` if the other box meets the ego vehicle's front bumper line, else
`rear` if it meets the rear bumper line, else `lateral`; at fault are front and lateral. Off-road: no lane, nor the
union of the lanes within 6 m, contains the ego box. Wrong lane: heading more than 120 degrees off the lane. A drive
counts until its first collision or off-road.

Close encounter is ours, as nothing public defines it: the boxes, moved on with constant speed and curvature, would
intersect within 0.95 s, and also when moved straight on, while the ego vehicle moves and the other is not behind it.
Both, because either alone sees collisions that nobody would: the one while weaving, the other in every bend. The
0.95 s are nuPlan's bound on time to collision (metric "time to collision within bound", least_min_ttc), which stems
from the studies of critical encounters by Hayward (1972) and van der Horst and Hogema (1993).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alpamayo_ros.reasoning.comfort import BOUNDS, dynamics
from alpamayo_ros.simulation.actor import Actor
from alpamayo_ros.simulation.box import corners, meet
from alpamayo_ros.simulation.road import LaneKind, RoadMap
from alpamayo_ros.simulation.world import EGO_LENGTH, EGO_WIDTH, Ego, World

SHRINK = 0.98
ENCOUNTER_TIME = 0.95
ENCOUNTER_STEPS = (0.25, 0.5, 0.75, ENCOUNTER_TIME)
WRONG_LANE = 2.0 * math.pi / 3.0
LANE_REACH = 6.0


@dataclass(frozen=True)
class Score:
    """The figures of one drive.

    collision: None, `front`, `rear` or `lateral`, and with which actor. ended: time in seconds at which it counts as
    over. distance: metres driven; progress: share of the reference distance along the route, not cut at 1.
    comfort: share of the six comfort quantities that hold over the whole drive; `discomfort` names the others.
    """

    collision: str | None
    collided_with: str | None
    off_road: bool
    wrong_lane: bool
    close_encounter: bool
    encountered: str | None
    ended: float
    distance: float
    progress: float
    comfort: float
    discomfort: tuple[str, ...]

    @property
    def at_fault(self) -> bool:
        return self.collision in ("front", "lateral")

    @property
    def scene_score(self) -> float:
        """Zero for an at-fault collision or off-road, else progress up to 80 % of the reference, scaled to 1."""
        return 0.0 if self.at_fault or self.off_road else min(min(max(self.progress, 0.0), 1.0) / 0.8, 1.0)


def ego_box(ego: Ego, scale: float = 1.0) -> np.ndarray:
    """(4, 2) outline of the ego vehicle."""
    x, y = ego.centre
    return corners(x, y, ego.yaw, EGO_LENGTH * scale, EGO_WIDTH * scale)


def actor_box(actor: Actor, scale: float = 1.0) -> np.ndarray:
    """(4, 2) outline of an actor."""
    return corners(actor.x, actor.y, actor.yaw, actor.length * scale, actor.width * scale)


def find_collision(world: World) -> tuple[str, str] | None:
    """Which side of the ego vehicle collides with which actor now, if any."""
    x, y = world.ego.centre
    mine: np.ndarray | None = None
    for actor in world.actors:
        reach = (EGO_LENGTH + EGO_WIDTH + actor.length + actor.width) / 2
        if abs(actor.x - x) > reach or abs(actor.y - y) > reach:
            continue
        mine = ego_box(world.ego, SHRINK) if mine is None else mine
        theirs = actor_box(actor, SHRINK)
        if not meet(mine, theirs):
            continue
        if meet(theirs, mine[:2]):
            return "front", actor.id
        return ("rear" if meet(theirs, mine[2:]) else "lateral"), actor.id
    return None


def is_off_road(ego: Ego, roads: RoadMap) -> bool:
    """Whether the ego box sticks out of the lanes around it. Corners and the middles of the sides are looked at."""
    box = ego_box(ego)
    points = np.concatenate([box, (box + np.roll(box, -1, axis=0)) / 2])
    inside = np.zeros(len(points), dtype=bool)
    for lane in roads.lanes:
        s, d = lane.path.project_many(points)
        if np.abs(d).min() > lane.width / 2 + LANE_REACH:
            continue
        inside |= (np.abs(d) <= lane.width / 2 + 0.05) & (s >= -0.5) & (s <= lane.path.length + 0.5)
        if inside.all():
            return False
    return True


def is_wrong_lane(ego: Ego, roads: RoadMap) -> bool:
    """Whether every directed lane that holds the middle of the ego vehicle runs against its heading.

    Inside a junction lanes of all directions cross, and none is wrong.
    """
    found = False
    for lane in roads.lanes:
        if lane.kind not in (LaneKind.DRIVING, LaneKind.JUNCTION):
            continue
        s, d = lane.path.project(*ego.centre)
        if abs(d) <= lane.width / 2 and 0.0 <= s <= lane.path.length:
            if lane.kind is LaneKind.JUNCTION:
                return False
            yaw = lane.path.pose(s)[2]
            off = abs((ego.yaw - yaw + math.pi) % (2 * math.pi) - math.pi)
            if off <= WRONG_LANE:
                return False
            found = True
    return found


def find_encounter(world: World) -> str | None:
    """The actor of a close encounter now, if there is one."""
    ego = world.ego
    if ego.speed < 0.5:
        return None
    x, y = ego.centre
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    for actor in world.actors:
        dx, dy = actor.x - x, actor.y - y
        reach = (ego.speed + actor.speed) * ENCOUNTER_TIME + 12.0
        if abs(dx) > reach or abs(dy) > reach or dx * c + dy * s < -EGO_LENGTH / 2:
            continue
        bend = actor.path.curvature_at(actor.s)
        if _will_meet(ego, actor, ego.curvature, bend) and _will_meet(ego, actor, 0.0, 0.0):
            return actor.id
    return None


def _will_meet(ego: Ego, actor: Actor, curvature: float, bend: float) -> bool:
    x, y = ego.centre
    heading = actor.yaw - actor.facing
    room = (EGO_LENGTH + EGO_WIDTH + actor.length + actor.width) / 2
    for time in ENCOUNTER_STEPS:
        px, py, turn = _move_on(x, y, ego.yaw, ego.speed, curvature, time)
        qx, qy, other_turn = _move_on(actor.x, actor.y, heading, actor.speed, bend, time)
        if abs(qx - px) > room or abs(qy - py) > room:
            continue
        mine = corners(px, py, ego.yaw + turn, EGO_LENGTH * SHRINK, EGO_WIDTH * SHRINK)
        theirs = corners(qx, qy, actor.yaw + other_turn, actor.length * SHRINK, actor.width * SHRINK)
        if meet(mine, theirs):
            return True
    return False


def _move_on(x: float, y: float, yaw: float, speed: float, curvature: float, time: float) -> tuple[float, float, float]:
    """Where something is `time` seconds later at its present speed and curvature, and how far it has turned."""
    turn, way = curvature * speed * time, speed * time
    chord = way * (math.sin(turn / 2) / (turn / 2) if abs(turn) > 1e-6 else 1.0)
    return x + chord * math.cos(yaw + turn / 2), y + chord * math.sin(yaw + turn / 2), turn


def score_drive(worlds: Sequence[World], reference: float | None = None) -> Score:
    """Score the states of a drive, 0.1 s apart. `reference` is the expert's distance along the route in metres;
    without it progress is 1."""
    roads, path = worlds[0].scenario.roads, worlds[0].scenario.route.path
    collision: tuple[str, str] | None = None
    off_road = wrong = False
    encountered: str | None = None
    last = len(worlds) - 1
    for index, world in enumerate(worlds):
        encountered = encountered or find_encounter(world)
        wrong = wrong or is_wrong_lane(world.ego, roads)
        collision = find_collision(world)
        off_road = is_off_road(world.ego, roads)
        if collision or off_road:
            last = index
            break
    driven = worlds[: last + 1]
    places = np.array([(world.ego.x, world.ego.y) for world in driven])
    distance = float(np.hypot(*np.diff(places, axis=0).T).sum()) if len(driven) > 1 else 0.0
    along = path.project(*places[-1])[0] - path.project(*places[0])[0]
    discomfort: tuple[str, ...] = ()
    if len(driven) > 4:
        # Without the last three steps: there the repeated last difference would pose as a jerk.
        felt = dynamics(places, np.array([world.ego.yaw for world in driven]))
        discomfort = tuple(
            name for name, (low, high) in BOUNDS.items() if not ((felt[name] > low) & (felt[name] < high))[:-3].all()
        )
    return Score(
        collision[0] if collision else None,
        collision[1] if collision else None,
        off_road,
        wrong,
        encountered is not None,
        encountered,
        driven[-1].time,
        distance,
        along / max(reference, 1.0) if reference is not None else 1.0,
        1.0 - len(discomfort) / 6.0,
        discomfort,
    )
