"""Open loop: along the expert's drives, what would the policy do?"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from alpamayo_ros.evaluation.closed_loop import actions_of
from alpamayo_ros.evaluation.displacement import HORIZONS, min_ade
from alpamayo_ros.evaluation.drivers import Driver, Proposal
from alpamayo_ros.evaluation.scene import Failure, Outcome, Scene
from alpamayo_ros.evaluation.words import Tallies, word_tallies
from alpamayo_ros.reasoning.comfort import BOUNDS, exceeded
from alpamayo_ros.simulation.agreement import is_consistent
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.keyframe import find_keyframes
from alpamayo_ros.simulation.motion import seen_from
from alpamayo_ros.types import Trajectory
from alpamayo_ros.types.rig import default_rig

STEPS = 64
"""Waypoints of a plan."""
SAMPLES = 6
"""Samples of a plan: the K of the minADE_6 that is usually reported."""
FIRST, EVERY = 15, 10
"""Ticks of the first plan, which has 1.5 s of history, and between plans."""
FAR = 2.0
"""A scene is shown as failed when one of its plans is farther than this from what was driven, mean in metres."""
_RIG = default_rig()
"""What this rig shows could have been seen: the four cameras of Alpamayo-R1."""


def run_scene(scene: Scene, driver: Driver) -> Outcome:
    """Ask for a plan every second of the expert's drive, as long as 6.4 s of it are left, and compare.

    But for minADE_6, the first sample stands for any one: the selected one was chosen with a view to the others, and by
    the comfort and the consistency that are measured here.
    Words are judged at the keyframes of the drive: there a decision is taken, and its causes are known.
    """
    drive = drive_expert(scene.build())
    tallies: Tallies = defaultdict(lambda: (0.0, 0.0))
    worst, failure = FAR, None
    for tick in range(FIRST, len(drive.worlds) - STEPS, EVERY):
        driven, now = drive.worlds[: tick + 1], drive.worlds[tick]
        driver.take_over(drive.minds[tick])
        proposal = driver.propose(driven, STEPS)
        future, _ = seen_from(now.ego, [world.ego for world in drive.worlds[tick + 1 : tick + 1 + STEPS]])
        _add(tallies, displacement_tallies(proposal, future))
        plan = proposal.samples[0].trajectory
        _add(tallies, {"comfort": (comfort_score(plan), 1.0)})
        if driver.explains:
            _add(tallies, {"consistency_rate": (float(is_consistent(now, proposal.samples[0])), 1.0)})
        far = float(np.linalg.norm(plan.positions[:, :2] - future[:, :2], axis=-1).mean())
        if far > worst:
            reason = f"planned {far:.1f} m away from what was driven, at {now.time:.1f} s"
            planned = tuple((round(float(x), 3), round(float(y), 3)) for x, y in plan.positions[:, :2])
            worst, failure = far, Failure(reason, tick, planned)
    if driver.explains:
        for keyframe in find_keyframes(drive):
            _add(tallies, word_tallies(driver, drive, keyframe.tick, STEPS, _RIG))
    shown = drive.worlds if failure is None else drive.worlds[: failure.tick + 1]
    return Outcome(scene, dict(tallies), actions_of(shown), failure)


def displacement_tallies(proposal: Proposal, future: np.ndarray) -> Tallies:
    """minADE_1 of the first sample and, of a driver that samples six, minADE_6: by horizon, for one plan. `future`:
    (64, 3)."""
    planned = np.stack([sample.trajectory.positions for sample in proposal.samples])
    tallies: Tallies = {}
    for count in (1, SAMPLES):
        if len(planned) < count:
            continue
        found = min_ade(planned[None, :count], future)
        for horizon, metres in zip(found.horizons, found.metres.tolist(), strict=True):
            tallies[f"min_ade_{count}_at_{horizon}s"] = (metres, 1.0)
        tallies[f"min_ade_{count}"] = tallies[f"min_ade_{count}_at_{HORIZONS[-1]}s"]
    return tallies


def comfort_score(plan: Trajectory) -> float:
    """Share of the six comfort quantities that hold over a whole plan, as `exceeded` judges them."""
    return 1.0 - len(exceeded(plan.positions, plan.yaws)) / len(BOUNDS)


def _add(tallies: Tallies, more: Tallies) -> None:
    for name, (share, whole) in more.items():
        before = tallies[name]
        tallies[name] = (before[0] + share, before[1] + whole)
