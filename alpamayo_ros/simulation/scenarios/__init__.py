"""Scenario kinds. Each is a function that fills a Draft; `build` makes a scenario from (kind, seed, variant)."""

from __future__ import annotations

from collections.abc import Callable

from alpamayo_ros.simulation.scenarios import cruising, lanes, obstacles, signals, turning, vulnerable, winding
from alpamayo_ros.simulation.scenarios.draft import Draft
from alpamayo_ros.simulation.world import Scenario, Variant

KINDS: dict[str, Callable[[Draft], None]] = {
    **cruising.KINDS,
    **signals.KINDS,
    **turning.KINDS,
    **winding.KINDS,
    **vulnerable.KINDS,
    **obstacles.KINDS,
    **lanes.KINDS,
}
"""All kinds by name."""
HELD_OUT = 1_000_000
"""Seeds from here on are for judging: nothing may be trained or tuned on them."""


def build(kind: str, seed: int, variant: Variant | str = Variant.NOMINAL) -> Scenario:
    """The scenario of a kind. The same arguments give the same scenario in every process.

    seed: any integer >= 0. Raises ValueError for an unknown kind or variant, or a negative seed.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown scenario kind {kind!r}; the kinds are {', '.join(KINDS)}")
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; give an integer from 0 on")
    draft = Draft(kind, seed, Variant(variant))
    KINDS[kind](draft)
    return draft.scenario()


__all__ = ["HELD_OUT", "KINDS", "Draft", "build"]
