"""One drive through the simulator, with stamps: what recordings, bags, videos and training samples are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from alpamayo_ros.simulation import motion
from alpamayo_ros.simulation.cameras import DenseLabels, Labeller, Renderer
from alpamayo_ros.simulation.cameras.labels import PATH_LENGTH
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.motion import seen_from
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import PERIOD, Ego, Scenario, Variant, World
from alpamayo_ros.types import CameraFrames, CameraRole, EgoHistory, Observation, Trajectory
from alpamayo_ros.types.rig import Rig

EPOCH_NS = 1_700_000_000_000_000_000
"""Stamp of tick 0. Simulated time has no date: this one is a multiple of 0.1 s and looks like a date to any tool."""
TICK_NS = round(PERIOD * 1e9)
FRAMES, HISTORY, FUTURE = 4, 16, 64
"""Frames of a camera, poses of the ego history and waypoints of the future, each 0.1 s apart, as the released models
have them."""


@dataclass(frozen=True)
class Motion:
    """The ego vehicle at one time: pose in the odom frame (m, rad), speed (m/s), yaw rate (rad/s)."""

    stamp_ns: int
    x: float
    y: float
    yaw: float
    speed: float
    yaw_rate: float


class Drive:
    """An episode of the expert and the cameras that see it. Odom is the frame of the scenario's map."""

    def __init__(self, episode: Episode, rig: Rig, supersampling: int = 2) -> None:
        self.episode = episode
        self.rig = rig
        self._renderer = Renderer(rig, supersampling)
        # Samples close to each other share frames.
        self.picture = lru_cache(maxsize=2 * FRAMES * len(rig.roles))(self._render)

    @classmethod
    def by_expert(
        cls, kind: str, seed: int, variant: Variant | str, rig: Rig, supersampling: int = 2, ticks: int | None = None
    ) -> Drive:
        """The expert drives a scenario, for `ticks` periods or to its end. Raises ValueError for an unknown one."""
        return cls(drive_expert(build(kind, seed, variant), ticks=ticks), rig, supersampling)

    @property
    def scenario(self) -> Scenario:
        return self.episode.worlds[0].scenario

    @property
    def ticks(self) -> range:
        """All ticks at which there is a state."""
        return range(len(self.episode.worlds))

    def world(self, tick: int) -> World:
        return self.episode.worlds[tick]

    def stamp_ns(self, tick: int) -> int:
        return EPOCH_NS + tick * TICK_NS

    def _render(self, tick: int, role: CameraRole) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        picture = self._renderer.render(self.world(tick), role)
        picture.flags.writeable = False  # it is kept and handed out again
        return picture

    def labeller(self, block: int) -> Labeller:
        """What makes dense labels of this drive's pictures. Raises ValueError where they are not whole blocks."""
        return Labeller(self._renderer, block)

    def dense(self, tick: int, labeller: Labeller, expected: Episode) -> dict[CameraRole, DenseLabels]:
        """Labels of every camera's picture at a tick; the way ahead is the one of `expected` (see `foreseen`)."""
        way = np.array([(world.ego.x, world.ego.y) for world in expected.worlds[tick:]])
        driven = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
        # A point every 1.5 m, whatever the speed; where it goes on for less than 20 m, the route says the way.
        places = np.arange(0.0, min(driven[-1], PATH_LENGTH), 1.5)
        ahead = np.stack([np.interp(places, driven, way[:, axis]) for axis in (0, 1)], axis=1)
        world = self.world(tick)
        return {role: labeller.label(world, role, ahead if driven[-1] > 20.0 else None) for role in self.rig.roles}

    def observation(self, tick: int) -> Observation:
        """What the policy sees at a tick. Raises ObservationError where the history would begin before the drive."""
        newest = range(max(tick - FRAMES + 1, 0), tick + 1)
        stamps = np.array([self.stamp_ns(past) for past in newest], dtype=np.int64)
        pictures: dict[CameraRole, list[np.ndarray]] = {role: [] for role in self.rig.roles}
        for past in newest:
            for role in self.rig.roles:
                pictures[role].append(self.picture(past, role))
        cameras = tuple(CameraFrames(role, np.stack(frames), stamps) for role, frames in pictures.items())
        return Observation(self.stamp_ns(tick), cameras, self.history(tick))

    def history(self, tick: int) -> EgoHistory:
        """The 16 poses up to a tick. Raises ValueError where they would begin before the drive."""
        if tick < HISTORY - 1:
            raise ValueError(f"tick {tick} has no {HISTORY} poses before it; the first that has is {HISTORY - 1}")
        egos = [self.world(past).ego for past in range(tick - HISTORY + 1, tick + 1)]
        return EgoHistory(*(part.astype(np.float32) for part in seen_from(self.world(tick).ego, egos)))

    def path_after(self, tick: int, count: int) -> Trajectory:
        """What was driven in at most `count` ticks after a tick, fewer where the drive ends."""
        return trajectory_of(self.episode.worlds[tick : tick + count + 1])

    def motions(self, rate: int) -> list[Motion]:
        """The ego vehicle `rate` times a second, from the first state to the last, the states' own times included.

        Between two states the velocity vector goes linearly from the one to the other: the motion of `world.drive`. At
        a state the yaw rate is that of the way there.
        Raises ValueError where `rate` is no multiple of 10.
        """
        check_rate(rate)
        first = self.episode.worlds[0]
        found = [motion_of(first.ego, self.stamp_ns(first.tick))]
        for before, after in pairwise(self.episode.worlds):
            found += motions_between(before.ego, after.ego, self.stamp_ns(after.tick), rate)
        return found


def trajectory_of(worlds: Sequence[World]) -> Trajectory:
    """The way through states one period apart, seen from the first; all but times float32."""
    way = motion.trajectory_of(worlds[0].ego, [world.ego for world in worlds[1:]])
    columns = (way.positions, way.rotations, way.speeds, way.accelerations, way.curvatures)
    return Trajectory(way.times, *(column.astype(np.float32) for column in columns))


def motion_of(ego: Ego, stamp_ns: int) -> Motion:
    """A state as it is."""
    return Motion(stamp_ns, ego.x, ego.y, ego.yaw, ego.speed, ego.speed * ego.curvature)


def motions_between(before: Ego, after: Ego, after_ns: int, rate: int) -> list[Motion]:
    """The way from a state to the next one 0.1 s later, `rate` times a second: after the first, up to the second."""
    steps = rate // 10
    before_ns = after_ns - TICK_NS
    on_the_way = [
        _between(before, after, step / steps, before_ns + step * TICK_NS // steps) for step in range(1, steps)
    ]
    return [*on_the_way, motion_of(after, after_ns)]


def check_rate(rate: int) -> None:
    """Raises ValueError for an odometry rate that the simulator's 10 Hz do not go into."""
    if rate < 10 or rate % 10:
        raise ValueError(f"an odometry rate of {rate} Hz is no multiple of the simulator's 10 Hz")


def _between(before: Ego, after: Ego, share: float, stamp_ns: int) -> Motion:
    time = share * PERIOD
    vx, vy = before.speed * np.cos(before.yaw), before.speed * np.sin(before.yaw)
    ux, uy = after.speed * np.cos(after.yaw), after.speed * np.sin(after.yaw)
    gain = time * time / (2 * PERIOD)
    speed = before.speed + after.acceleration * time
    yaw = before.yaw + after.curvature * (before.speed * time + after.acceleration * time * time / 2)
    x, y = before.x + vx * time + (ux - vx) * gain, before.y + vy * time + (uy - vy) * gain
    return Motion(stamp_ns, float(x), float(y), float(yaw), speed, speed * after.curvature)
