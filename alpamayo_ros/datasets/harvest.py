"""All samples of one drive."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field

from alpamayo_ros.datasets.disturbance import RECOVERY, Disturbance, drive_disturbed
from alpamayo_ros.datasets.drive import FUTURE, Drive, trajectory_of
from alpamayo_ros.datasets.labels import Rejection, agreeing, label
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.sample import Sample, encode
from alpamayo_ros.datasets.shard import Members
from alpamayo_ros.simulation.episode import Episode, drive_expert, foreseen
from alpamayo_ros.simulation.keyframe import find_keyframes
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.scoring import is_off_road, is_wrong_lane, score_drive
from alpamayo_ros.simulation.world import DURATION, PERIOD
from alpamayo_ros.types.rig import default_rig

FIRST, LAST = 20, round(DURATION / PERIOD)
"""First and last tick of a sample: a label may rest on the two seconds before it, and a model drives to the end."""
TICKS = LAST + FUTURE
"""How long is driven: the last sample has its future too."""


@dataclass
class Harvest:
    """Samples of one drive as parts, and what was left out: counts by check, with one example of each.

    counts: kept samples by kind, decision and keyframe rule.
    """

    samples: list[tuple[str, Members]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def drop(self, check: str, what: str, count: int = 1) -> None:
        self.dropped[check] += count
        self.examples.setdefault(check, what)


def harvest(plan: DatasetPlan, kind: str, seed: int, variant: str) -> Harvest:
    """Drive, choose the moments, label them, and keep what passes. Same arguments, same bytes."""
    rig, found = default_rig(*plan.size, roles=plan.roles), Harvest()
    if plan.driven:
        driven = plan.by_model(kind, seed, variant)
        for span in driven.spans(FIRST, LAST):
            drive = Drive(_on_the_road(driven.taken_over(span.start, TICKS)), rig)
            _gather(found, plan, drive, _moments(drive, plan.every, span.start, span.stop - 1), span.start)
    elif plan.disturbance:
        disturbance = Disturbance.drawn(kind, seed, variant, plan.disturbance)
        drive = Drive(_on_the_road(drive_disturbed(kind, seed, variant, disturbance, TICKS)), rig)
        _gather(found, plan, drive, _moments(drive, plan.every, disturbance.stop, disturbance.stop + RECOVERY))
    else:
        drive = Drive(_on_the_road(drive_expert(build(kind, seed, variant), ticks=TICKS)), rig)
        _gather(found, plan, drive, _moments(drive, plan.every))
    return found


def _gather(found: Harvest, plan: DatasetPlan, drive: Drive, moments: dict[int, str | None], first: int = 0) -> None:
    """Add the samples of a drive, which is the expert's from tick `first` on, to what was found."""
    kind, seed, variant = drive.scenario.kind, drive.scenario.seed, str(drive.scenario.variant)
    name = f"{kind}-{variant}-{seed}"
    labeller = drive.labeller(plan.dense) if plan.dense else None
    fault = _fault(drive, first)
    if fault is not None:
        found.drop("unsafe_drive", f"{name}: {fault}", len(moments))
        return
    for tick, rule in moments.items():
        expected = foreseen(drive.episode, tick, FUTURE)
        future = trajectory_of(expected.worlds[tick:])
        made = label(expected, tick, drive.rig, plan.others)
        if not isinstance(made, Rejection):
            made = agreeing(made, drive.world(tick), future)
        if isinstance(made, Rejection):
            found.drop(made.check, f"{name}-{tick}: {made.reason}")
            continue
        place = drive.world(tick).scenario.route
        s, _ = place.path.project(drive.world(tick).ego.x, drive.world(tick).ego.y)
        phrasing = zlib.crc32(f"{name}-{tick}".encode()) % len(made.sentences)
        sample = Sample(
            kind, seed, variant, tick, rule, drive.observation(tick), place.navigation_at(s), future,
            made, phrasing, {} if labeller is None else drive.dense(tick, labeller),
        )  # fmt: skip
        found.samples.append((sample.key, encode(sample, plan.picture, plan.quality)))
        found.counts[f"kind/{kind}"] += 1
        found.counts[f"variant/{variant}"] += 1
        found.counts[f"longitudinal/{made.decision.longitudinal}"] += 1
        found.counts[f"lateral/{made.decision.lateral}"] += 1
        found.counts[f"keyframe/{rule or 'regular'}"] += 1


def _moments(drive: Drive, every: int, first: int = FIRST, last: int | None = None) -> dict[int, str | None]:
    """Ticks to sample with the rule of a keyframe, ascending, from `first` to `last`; only where history and future are
    there."""
    end = len(drive.ticks) - 1 - FUTURE
    last = end if last is None else min(last, end)
    chosen: dict[int, str | None] = dict.fromkeys(range(first, last + 1, every)) if every else {}
    for frame in find_keyframes(drive.episode):
        if first <= frame.tick <= last:
            chosen[frame.tick] = str(frame.rule)
    return dict(sorted(chosen.items()))


def _on_the_road(episode: Episode) -> Episode:
    """The drive as long as its road: that may end soon after the scenario does."""
    worlds, roads = episode.worlds, episode.worlds[0].scenario.roads
    end = next((tick for tick in range(LAST, len(worlds)) if is_off_road(worlds[tick].ego, roads)), len(worlds))
    return Episode(worlds[:end], episode.minds[: end - 1], episode.intents[: end - 1])


def _fault(drive: Drive, first: int) -> str | None:
    """Why nothing should be learned from what the expert drives from tick `first` on.

    Whoever takes over may have to find back from the wrong lane; else the expert is never in one.
    """
    worlds = drive.episode.worlds[first:]
    score = score_drive(worlds)
    if score.collision is not None:
        return f"{score.collision} collision with {score.collided_with}"
    if score.off_road:
        return "off the road"
    wrong = is_wrong_lane(worlds[-1].ego, drive.scenario.roads) if first else score.wrong_lane
    return "in the wrong lane" if wrong else None
