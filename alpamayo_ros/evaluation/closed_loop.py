"""Closed loop: the policy drives, the world answers, the simulation's scoring judges."""

from __future__ import annotations

from collections.abc import Sequence

from alpamayo_ros.evaluation.drivers import Driver
from alpamayo_ros.evaluation.scene import Failure, Outcome, Scene
from alpamayo_ros.evaluation.stop_lines import missed_stops
from alpamayo_ros.simulation.agreement import is_consistent
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.scoring import Score, find_collision, is_off_road, is_wrong_lane, score_drive
from alpamayo_ros.simulation.traffic import advance
from alpamayo_ros.simulation.world import World

WARM_UP = 15
"""Ticks that the expert drives before the policy takes over: the 1.5 s of history that a model reads. AlpaSim begins
with recorded motion for the same reason."""


def run_scene(scene: Scene, driver: Driver) -> Outcome:
    """Drive a scene to its end, or to the first collision or off-road, and score it against the expert's way."""
    reference = drive_expert(scene.build())
    driven, consistent = drive_policy(reference, driver)
    score = score_drive(driven, along_route(reference.worlds))
    tallies = _tallies(score)
    missed = missed_stops(driven)
    if missed is not None:
        tallies["missed_stop_rate"] = (float(bool(missed)), 1.0)
    if consistent:
        tallies["consistency_rate"] = (float(sum(consistent)), float(len(consistent)))
    failure = find_failure(score, missed or [], driven)
    return Outcome(scene, tallies, actions_of(driven[: failure.tick + 1] if failure else driven), failure)


def drive_policy(reference: Episode, driver: Driver) -> tuple[list[World], list[bool]]:
    """The states that a policy drives through after the expert's first 1.5 s of `reference`, at 10 Hz: as many as the
    expert's, or up to the first collision or off-road. Raises ValueError for a reference without anything after these.

    Of each plan the first actions are driven, as many as the driver's `ticks_per_plan`. Also returned: for each plan
    of a driver that explains itself, whether words and motion agree.
    """
    if len(reference.worlds) <= WARM_UP + 1:
        raise ValueError(f"the reference has {len(reference.worlds)} states; the policy takes over after {WARM_UP + 1}")
    driven = list(reference.worlds[: WARM_UP + 1])
    world = driven[-1].copy()
    driver.take_over(reference.minds[WARM_UP])
    consistent: list[bool] = []
    while True:
        proposal = driver.propose(driven, driver.ticks_per_plan)
        if driver.explains:
            consistent.append(is_consistent(driven[-1], proposal.chosen))
        plan = proposal.driven
        for step in range(driver.ticks_per_plan):
            advance(world, float(plan.accelerations[step]), float(plan.curvatures[step]))
            driven.append(world.copy())
            over = len(driven) == len(reference.worlds)
            if over or find_collision(world) or is_off_road(world.ego, world.scenario.roads):
                return driven, consistent


def replay(scene: Scene, actions: Sequence[tuple[float, float]]) -> list[World]:
    """The states of a drive, from its actions."""
    world = scene.build().begin()
    driven = [world.copy()]
    for acceleration, curvature in actions:
        advance(world, acceleration, curvature)
        driven.append(world.copy())
    return driven


def actions_of(driven: Sequence[World]) -> tuple[tuple[float, float], ...]:
    """The actions between the states of a drive."""
    return tuple((world.ego.acceleration, world.ego.curvature) for world in driven[1:])


def along_route(driven: Sequence[World]) -> float:
    """Metres along the route from the first to the last state."""
    path, first, last = driven[0].scenario.route.path, driven[0].ego, driven[-1].ego
    return path.project(last.x, last.y)[0] - path.project(first.x, first.y)[0]


def find_failure(score: Score, missed: Sequence[int], driven: Sequence[World]) -> Failure | None:
    """What ended or spoiled a drive, if anything: the worst of it, as of when it happened."""
    roads = driven[0].scenario.roads
    if score.collision is not None:
        tick, reason = len(driven) - 1, f"{score.collision} collision with {score.collided_with}"
    elif score.off_road:
        tick, reason = len(driven) - 1, "off the road"
    elif score.wrong_lane:
        tick = next(tick for tick, world in enumerate(driven) if is_wrong_lane(world.ego, roads))
        reason = "against the direction of its lane"
    elif missed:
        tick, reason = missed[0], "past a line where it had to stop"
    else:
        return None
    return Failure(f"{reason}, at {driven[tick].time:.1f} s", tick)


def _tallies(score: Score) -> dict[str, tuple[float, float]]:
    """Rates and means count each scene once. An event is what ends a run: any collision, or off-road."""
    event = score.collision is not None or score.off_road
    values = {
        "at_fault_collision_rate": float(score.at_fault),
        "collision_rate": float(score.collision is not None),
        "off_road_rate": float(score.off_road),
        "wrong_lane_rate": float(score.wrong_lane),
        "close_encounter_rate": float(score.close_encounter),
        "progress": min(max(score.progress, 0.0), 1.0),
        "scene_score": score.scene_score,
        "comfort": score.comfort,
    }
    tallies = {name: (value, 1.0) for name, value in values.items()}
    tallies["km_per_event"] = (score.distance / 1000.0, float(event))
    return tallies
