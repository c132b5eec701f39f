"""What a driver's words are worth at a keyframe of the expert's drive, against what interventions found there."""

from __future__ import annotations

from alpamayo_ros.evaluation.drivers import Driver
from alpamayo_ros.evaluation.faithfulness import faithfulness_trials
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.simulation.episode import Episode
from alpamayo_ros.simulation.explanation import Explanation, explain
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.intervention import HORIZON
from alpamayo_ros.simulation.naming import count_matches, means, said_once
from alpamayo_ros.types import CriticalComponent, Decision
from alpamayo_ros.types.rig import Rig

Tallies = dict[str, tuple[float, float]]


def word_tallies(driver: Driver, drive: Episode, tick: int, steps: int, rig: Rig) -> Tallies:
    """Decisions, components and faithfulness of a driver's first sample at one keyframe, against what could be known
    there. Empty where a cause was not to be seen; of decisions alone where there is none that a trace could name.

    rig: the cameras that decide what could be seen.
    """
    truth = explain(foreseen(drive, tick, HORIZON, rig), tick, rig)
    if not truth.observed:
        return {}
    driven = drive.worlds[: tick + 1]
    driver.take_over(drive.minds[tick])
    first = driver.propose(driven, steps).samples[0]
    read = parse(first.reasoning)
    tallies = decision_tallies(read.decision, truth)
    if not truth.components:
        return tallies
    tallies |= component_tallies(read.components, truth)
    trials = faithfulness_trials(driver, drive.minds[tick], driven, first.trajectory, read.components, truth, rig)
    tallies["causal_faithfulness"] = (float(sum(trials)), float(len(trials)))
    return tallies


def decision_tallies(said: Decision | None, truth: Explanation) -> Tallies:
    """Whether the decision on each axis is the true one; words that cannot be read never are."""
    right = truth.decision
    return {
        "decision_accuracy_longitudinal": (float(said is not None and said.longitudinal == right.longitudinal), 1.0),
        "decision_accuracy_lateral": (float(said is not None and said.lateral == right.lateral), 1.0),
    }


def component_tallies(named: tuple[CriticalComponent, ...], truth: Explanation) -> Tallies:
    """Precision, recall and F1 of the named components against those that a trace should name.

    What two causes are called alike is to be named once. A named thing that is a cause but not among these (a distal
    one, a second one) counts neither for nor against.
    """
    causes, needed = [cause.component for cause in truth.causes], said_once(truth.components)
    found = float(count_matches(named, needed))
    beside = [one for one in named if any(means(one, cause) for cause in causes)]
    claimed = found + len(named) - len(beside)
    return {
        "component_precision": (found, claimed),
        "component_recall": (found, float(len(needed))),
        "component_f1": (2.0 * found, claimed + len(needed)),
    }
