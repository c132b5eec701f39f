"""What a sample is to teach: the decision, its causes, and the sentence that says both, checked before it is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alpamayo_ros.reasoning.composer import MAX_COMPONENTS, phrasings, suits_speed
from alpamayo_ros.reasoning.consistency import check_consistency
from alpamayo_ros.reasoning.meta_actions import meta_actions
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.reasoning.quality import failed_checks
from alpamayo_ros.reasoning.vocabulary import VocabularyError
from alpamayo_ros.simulation.episode import Episode
from alpamayo_ros.simulation.explanation import explain
from alpamayo_ros.simulation.lane_track import lane_track
from alpamayo_ros.simulation.world import World
from alpamayo_ros.types import CriticalComponent, Decision, Trajectory
from alpamayo_ros.types.rig import Rig


@dataclass(frozen=True)
class CauseLabel:
    """One cause as interventions found it; the fields are those of `simulation.explanation.Cause`.

    identity: its name in the world; empty for a lane that is clear.
    """

    identity: str
    component: CriticalComponent
    longitudinal: bool
    lateral: bool
    proximate: bool
    preempted: bool
    observed: bool


@dataclass(frozen=True)
class Label:
    """The ground truth of one moment.

    components: the critical components, which every sentence names. sentences: all phrasings that pass the quality
    checks; none where no words suit what the expert does, right as that is. innocent: identities of things nearby that
    proved to cause nothing.
    """

    decision: Decision
    components: tuple[CriticalComponent, ...]
    sentences: tuple[str, ...]
    causes: tuple[CauseLabel, ...]
    innocent: tuple[str, ...]


@dataclass(frozen=True)
class Rejection:
    """A moment that no words are to be learned from. check: `unobserved` (a cause that no picture of the two seconds
    shows), `no_trace` (nothing to be said with the vocabulary), `inconsistent` (the expert's motion belies every
    phrasing), or the quality check that every phrasing fails. wordless: what is known of a moment whose plan rests on
    what was seen, a label without sentences."""

    check: str
    reason: str
    wordless: Label | None = None


def label(episode: Episode, tick: int, rig: Rig, others: int = 1) -> Label | Rejection:
    """Label a moment of the expert's drive as the cameras of `rig` show it.

    others: how many things nearby are tested besides those that the expert reacts to.
    """
    explained = explain(episode, tick, rig, others)
    if not explained.observed:
        unseen = [cause.id for cause in explained.causes if cause.proximate and not cause.observed]
        return Rejection("unobserved", f"{', '.join(unseen)} at tick {tick}")
    components = explained.components[:MAX_COMPONENTS]
    known = Label(
        explained.decision,
        components,
        (),
        tuple(
            CauseLabel(
                cause.id, cause.component, cause.longitudinal, cause.lateral, cause.proximate, cause.preempted,
                cause.observed,
            )
            for cause in explained.causes
        ),
        explained.innocent,
    )  # fmt: skip
    try:
        candidates = phrasings(explained.decision, components)
    except VocabularyError as error:
        return Rejection("no_trace", str(error), known)
    causes = [cause.component for cause in explained.causes]
    observed = [cause.component for cause in explained.causes if cause.observed]
    checked = {text: failed_checks(text, explained.decision, causes, observed) for text in candidates}
    sentences = tuple(text for text, failed in checked.items() if not failed)
    if not sentences:
        text, failed = next(iter(checked.items()))
        return Rejection(str(failed[0].check), f"{failed[0].reason}: {text}", known)
    return replace(known, sentences=sentences)


def agreeing(made: Label, world: World, future: Trajectory) -> Label | Rejection:
    """The label with those of its sentences that agree with what the expert then drove, or why there is none.

    A sentence is a first decision, and 6.4 s may hold a second: such a moment would teach words that the motion belies.
    A target speed is resumed by one who gains speed, and held by one who has it.
    """
    actions = meta_actions(future, lane_track(world, future))
    verdicts = {text: check_consistency(parse(text), actions) for text in made.sentences}
    gain = float(future.speeds.max()) - actions.initial_speed
    consistent = tuple(text for text, verdict in verdicts.items() if verdict.consistent)
    sentences = tuple(text for text in consistent if suits_speed(text, gain))
    if consistent and not sentences:
        reason = f"the speed grows by {gain:.1f} m/s: {consistent[0]}"
        return Rejection("inconsistent", reason, replace(made, sentences=()))
    if sentences:
        return replace(made, sentences=sentences)
    text, verdict = next(iter(verdicts.items()))
    axis = verdict.longitudinal if not verdict.longitudinal.agrees else verdict.lateral
    return Rejection("inconsistent", f"{axis.reason}: {text}", replace(made, sentences=()))
