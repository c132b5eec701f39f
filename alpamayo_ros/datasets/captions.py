"""What to write below each page of a video of the expert."""

from __future__ import annotations

from alpamayo_ros.datasets.drive import FUTURE, Drive
from alpamayo_ros.datasets.labels import Label, label
from alpamayo_ros.datasets.page import Caption
from alpamayo_ros.reasoning.vocabulary import surface
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.types import Decision

STEP = 5
"""Ticks between two explanations: each costs some seconds of simulation; decisions do not change faster."""


def captions_of(drive: Drive) -> list[Caption]:
    """One caption for each tick: the causal ground truth as it can be known there, looked up twice a second.

    Where the truth cannot be told from the pictures, the caption has the expert's decision and says so.
    """
    captions: list[Caption] = []
    for tick in drive.ticks:
        known = captions and (tick % STEP or tick >= len(drive.episode.intents))
        captions.append(captions[-1] if known else _caption(drive, tick))
    return captions


def _caption(drive: Drive, tick: int) -> Caption:
    expected = foreseen(drive.episode, tick, FUTURE, drive.rig)
    made = label(expected, tick, drive.rig, others=0)
    if isinstance(made, Label):
        causes = {
            cause.identity: surface(cause.component).phrases[0].removeprefix("the ")
            for cause in made.causes
            if cause.identity and cause.component in made.components
        }
        return Caption(made.decision, made.sentences[0], causes)
    intent = expected.intents[tick]
    why = "its cause is not in sight yet" if made.check == "unobserved" else made.check.replace("_", " ")
    return Caption(Decision(intent.longitudinal, intent.lateral), f"(no trace: {why})", {})
