"""What to write below each page of a video of the expert."""

from __future__ import annotations

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.datasets.page import Caption
from alpamayo_ros.types import Decision


def captions_of(drive: Drive) -> list[Caption]:
    """One caption for each tick, from what the expert meant to do there."""
    found = []
    for tick in drive.ticks:
        intent = drive.episode.intents[min(tick, len(drive.episode.intents) - 1)]
        causes = {cause: cause for cause in (intent.longitudinal_cause, intent.lateral_cause) if cause}
        sentence = f"(intent of the expert) because of {' and '.join(causes)}" if causes else "(intent of the expert)"
        found.append(Caption(Decision(intent.longitudinal, intent.lateral), sentence, causes))
    return found
