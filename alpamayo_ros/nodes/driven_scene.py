"""One scenario that a planner drove over topics: in figures, in words and as a film."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.datasets.film import Reel, moments_of
from alpamayo_ros.datasets.page import Caption, page_rig
from alpamayo_ros.evaluation.clearance import closest_distance
from alpamayo_ros.evaluation.closed_loop import WARM_UP, along_route, find_failure
from alpamayo_ros.evaluation.scene import Failure, Scene
from alpamayo_ros.evaluation.stop_lines import missed_stops
from alpamayo_ros.msg import ChainOfCausation, DrivingPlan, GateFailure
from alpamayo_ros.nodes.topic_driver import Answer
from alpamayo_ros.nodes.wording import check_words, decision_words
from alpamayo_ros.simulation.episode import Episode
from alpamayo_ros.simulation.scoring import Score, score_drive
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import CameraRole, Decision, GateCheck, LateralDecision, LongitudinalDecision

_SHOWN = 150  # characters of a sentence that a page has room for
_LONGITUDINAL = {getattr(ChainOfCausation, f"LONGITUDINAL_{each.name}"): each for each in LongitudinalDecision}
_LATERAL = {getattr(ChainOfCausation, f"LATERAL_{each.name}"): each for each in LateralDecision}
_CHECKS = {getattr(GateFailure, each.name): each for each in GateCheck}


@dataclass(frozen=True, eq=False)
class DrivenScene:
    """answers: one for each plan, at least one. consistent: of each plan, whether words and motion agree by the
    simulator's lanes."""

    scene: Scene
    driven: Sequence[World]
    answers: Sequence[Answer]
    consistent: Sequence[bool]
    score: Score
    failure: Failure | None

    @classmethod
    def of(
        cls,
        scene: Scene,
        reference: Episode,
        driven: Sequence[World],
        answers: Sequence[Answer],
        consistent: Sequence[bool],
    ) -> DrivenScene:
        score = score_drive(driven, along_route(reference.worlds))
        return cls(scene, driven, answers, consistent, score, find_failure(score, missed_stops(driven) or [], driven))

    def outcome(self) -> str:
        if self.failure is not None:
            return self.failure.reason
        return f"{self.driven[-1].time:.1f} s without a collision, on the road"

    def figures(self) -> dict[str, Any]:
        """Shares are of the plans. Latency: from the last sensor message of t0 to the arrival of its plan."""
        score, plans = self.score, [answer.plan for answer in self.answers]
        latencies = np.array([answer.seconds * 1e3 for answer in self.answers])
        closest = closest_distance(self.driven)
        return {
            "kind": self.scene.kind,
            "seed": self.scene.seed,
            "variant": str(self.scene.variant),
            "seconds": round(self.driven[-1].time, 1),
            "plans": len(plans),
            "held_back": sum(plan.held_back for plan in plans),
            "collision": f"{score.collision}, {score.collided_with}" if score.collision else None,
            "off_road": score.off_road,
            "stop_lines_ignored": len(missed_stops(self.driven) or []),
            "progress": round(score.progress, 3),
            "closest_m": None if closest is None else round(closest, 2),
            "comfort": round(score.comfort, 3),
            "consistent": round(float(np.mean(self.consistent)), 3),
            "gate_passed": round(float(np.mean([plan.gate.passed for plan in plans])), 3),
            "latency_p50_ms": round(float(np.percentile(latencies, 50)), 1),
            "latency_p99_ms": round(float(np.percentile(latencies, 99)), 1),
            "stages_p50_ms": stage_medians(self.answers),
            "outcome": self.outcome(),
        }

    def reel(self, roles: tuple[CameraRole, ...], ticks: Iterable[int]) -> Reel:
        """The whole drive; its end stays for a second."""
        drive = Drive(Episode(tuple(self.driven), (), ()), page_rig(roles), 1)
        captions = self._captions()
        planned = [WARM_UP + tick for tick in moments_of(captions[WARM_UP:-1], 3)]
        return Reel(drive, captions, ticks, {*planned, len(captions) - 1}, hold=10)

    def _captions(self) -> list[Caption]:
        captions = [Caption(None, "(the simulator's expert drives the first 1.5 s)", {})] * WARM_UP
        answers = {answer.world.tick: answer for answer in self.answers}
        for world in self.driven[WARM_UP:-1]:
            captions.append(_caption(answers[world.tick]) if world.tick in answers else captions[-1])
        last = () if self.failure is None else (self.failure.reason.upper(),)
        return [*captions, Caption(captions[-1].decision, captions[-1].sentence, {}, None, last)]


def live_line(answer: Answer) -> str:
    """What is worth seeing of a plan at once."""
    world, plan = answer.world, answer.plan
    gate = "gate passed" if plan.gate.passed else f"gate: {', '.join(failed_checks(plan))}"
    parts = [
        f"{world.time:5.1f} s",
        f"{world.ego.speed:4.1f} m/s",
        f"{answer.seconds * 1e3:4.0f} ms",
        ", ".join(decision_words(decision_of(plan))),
        f"{gate}; held back, braking to a stop" if plan.held_back else gate,
    ]
    return f"{'  '.join(parts)}\n         “{_plain(answer.proposal.chosen.reasoning)}”"


def table(scenes: Sequence[DrivenScene]) -> list[str]:
    """One line for each scene, below a heading."""
    heading = (
        f"{'scenario':27}{'seconds':>8}{'plans':>7}{'collision':>22}{'off-road':>10}{'stop lines':>12}{'progress':>10}"
        f"{'closest':>9}{'comfort':>9}{'consistent':>12}{'gate':>6}{'latency p50/p99':>18}"
    )
    lines = [heading]
    for scene in scenes:
        row = scene.figures()
        name = row["kind"] if row["variant"] == "nominal" else f"{row['kind']} ({row['variant']})"
        closest = "nobody" if row["closest_m"] is None else f"{row['closest_m']:.1f} m"
        lines.append(
            f"{name:27}{row['seconds']:8.1f}{row['plans']:7}{row['collision'] or 'none':>22}"
            f"{'yes' if row['off_road'] else 'no':>10}"
            f"{'ignored' if row['stop_lines_ignored'] else 'kept':>12}{row['progress']:10.0%}"
            f"{closest:>9}{row['comfort']:9.0%}{row['consistent']:12.0%}{row['gate_passed']:6.0%}"
            f"{row['latency_p50_ms']:11.0f}/{row['latency_p99_ms']:.0f} ms"
        )
    return lines


def stage_medians(answers: Sequence[Answer]) -> dict[str, float]:
    """Median time of each of the planner's stages, in milliseconds."""
    measured: dict[str, list[float]] = {}
    for answer in answers:
        for stage in answer.plan.latencies:
            measured.setdefault(stage.stage, []).append(stage.milliseconds)
    return {name: round(float(np.median(times)), 1) for name, times in measured.items()}


def decision_of(plan: DrivingPlan) -> Decision | None:
    """Of the selected sample; None where its words could not be read."""
    reasoning = plan.samples[plan.selected].reasoning
    if reasoning.status == ChainOfCausation.STATUS_UNPARSED:
        return None
    return Decision(_LONGITUDINAL.get(reasoning.longitudinal), _LATERAL.get(reasoning.lateral))


def failed_checks(plan: DrivingPlan) -> list[str]:
    return [check_words(_CHECKS[failure.check]) for failure in plan.gate.failures]


def _caption(answer: Answer) -> Caption:
    failed = failed_checks(answer.plan)
    alarms = ["HELD BACK: BRAKING"] if answer.plan.held_back else []
    if failed:
        alarms.append(f"gate: {failed[0]}" + (f" and {len(failed) - 1} more" if len(failed) > 1 else ""))
    # The letters of a page are ASCII.
    sentence = _plain(answer.proposal.chosen.reasoning).encode("ascii", "replace").decode()
    sentence = sentence if len(sentence) <= _SHOWN else f"{sentence[:_SHOWN]} ..."
    return Caption(decision_of(answer.plan), sentence or "(no words)", {}, answer.proposal.driven, tuple(alarms))


def _plain(text: str) -> str:
    """On one line, without what a terminal would take for a command."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
