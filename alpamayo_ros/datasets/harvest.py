"""All samples of one drive."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from alpamayo_ros.datasets.disturbance import RECOVERY, Disturbance, drive_disturbed
from alpamayo_ros.datasets.drive import FUTURE, Drive, trajectory_of
from alpamayo_ros.datasets.labels import Rejection, agreeing, label
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.sample import Sample, encode
from alpamayo_ros.datasets.shard import Members
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.keyframe import find_keyframes
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.scoring import find_collision, is_off_road, is_wrong_lane
from alpamayo_ros.simulation.world import DURATION, PERIOD, World
from alpamayo_ros.types.rig import default_rig

FIRST, LAST = 15, round(DURATION / PERIOD)
"""First and last tick of a sample: a model needs 1.5 s of history before it takes the wheel, and drives to the end."""
TICKS = LAST + FUTURE
"""How long the expert drives: a keyframe has its future behind it."""


@dataclass
class Harvest:
    """Samples of one drive as parts, and what they lack: moments that were left out, and samples without words, counted
    by check, with one example of each.

    counts: kept samples by kind, decision and keyframe rule.
    """

    samples: list[tuple[str, Members]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    wordless: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def lacks(self, check: str, what: str, counted: Counter[str]) -> None:
        counted[check] += 1
        self.examples.setdefault(check, what)


def harvest(plan: DatasetPlan, kind: str, seed: int, variant: str) -> Harvest:
    """Drive, choose the moments, label them, and keep what passes. Same arguments, same bytes."""
    rig, first, last = default_rig(*plan.size, roles=plan.roles), FIRST, LAST
    if plan.driven:
        episode = plan.by_model(kind, seed, variant).watched()
    elif plan.disturbance:
        disturbance = Disturbance.drawn(kind, seed, variant, plan.disturbance)
        episode = drive_disturbed(kind, seed, variant, disturbance, TICKS)
        first, last = disturbance.stop, disturbance.stop + RECOVERY
    else:
        episode = drive_expert(build(kind, seed, variant), ticks=TICKS)
    drive, found = Drive(episode, rig), Harvest()
    name = f"{kind}-{variant}-{seed}"
    labeller = drive.labeller(plan.dense) if plan.dense else None
    for tick, rule in _moments(episode, plan.every, first, last).items():
        world, expected = drive.world(tick), foreseen(episode, tick, FUTURE, rig)
        fault = _fault(expected.worlds[tick:])
        if fault is not None:
            found.lacks("unsafe_plan", f"{name}-{tick}: {fault}", found.dropped)
            continue
        future = trajectory_of(expected.worlds[tick:])
        made = label(expected, tick, rig, plan.others)
        if not isinstance(made, Rejection):
            made = agreeing(made, world, future)
        if isinstance(made, Rejection):
            counted = found.dropped if made.wordless is None else found.wordless
            found.lacks(made.check, f"{name}-{tick}: {made.reason}", counted)
            if made.wordless is None:
                continue
            made = made.wordless
        place = world.scenario.route
        s, _ = place.path.project(world.ego.x, world.ego.y)
        phrasing = zlib.crc32(f"{name}-{tick}".encode()) % max(len(made.sentences), 1)
        sample = Sample(
            kind, seed, variant, tick, rule, drive.observation(tick), place.navigation_at(s), future,
            made, phrasing, {} if labeller is None else drive.dense(tick, labeller, expected),
        )  # fmt: skip
        found.samples.append((sample.key, encode(sample, plan.picture, plan.quality)))
        found.counts[f"kind/{kind}"] += 1
        found.counts[f"variant/{variant}"] += 1
        found.counts[f"longitudinal/{made.decision.longitudinal}"] += 1
        found.counts[f"lateral/{made.decision.lateral}"] += 1
        found.counts[f"keyframe/{rule or 'regular'}"] += 1
    return found


def _moments(episode: Episode, every: int, first: int, last: int) -> dict[int, str | None]:
    """Ticks to sample with the rule of a keyframe, ascending, from `first` to `last` or to where the drive ends."""
    ticks = range(first, min(last + 1, len(episode.minds)))
    chosen: dict[int, str | None] = dict.fromkeys(ticks[::every]) if every else {}
    for frame in find_keyframes(episode):
        if frame.tick in ticks:
            chosen[frame.tick] = str(frame.rule)
    return dict(sorted(chosen.items()))


def _fault(worlds: Sequence[World]) -> str | None:
    """Why nothing should be learned from a plan of the expert. Who takes over may have to find back from the wrong
    lane."""
    for world in worlds:
        collision = find_collision(world)
        if collision is not None:
            return "{} collision with {}".format(*collision)
        if is_off_road(world.ego, world.scenario.roads):
            return "off the road"
    return "in the wrong lane" if is_wrong_lane(worlds[-1].ego, worlds[0].scenario.roads) else None
