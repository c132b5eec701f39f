"""Which scenes an evaluation consists of."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.simulation.scenarios import KINDS
from alpamayo_ros.simulation.world import Variant

MOST = 1_000_000
"""Scenes of one run: more are a mistyped range."""


def parse_seeds(text: str) -> range:
    """`A-B`, both included, or one seed. Raises EvaluationError."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if match is None:
        raise EvaluationError(f"seeds {text!r} are no range; give the first and the last, as in 0-9")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise EvaluationError(f"seeds {text!r} end before they begin; give the smaller one first")
    return range(first, last + 1)


def list_scenes(seeds: str, kinds: Sequence[str], variant: str) -> list[Scene]:
    """Every kind and variant once for each seed. kinds: none means all; variant: one, or `all`.

    Raises EvaluationError for what does not exist.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise EvaluationError(f"unknown scenario kind {', '.join(unknown)}; the kinds are {', '.join(KINDS)}")
    kinds = list(dict.fromkeys(kinds)) or list(KINDS)  # a scene counts once
    variants = list(Variant) if variant == "all" else [Variant(variant)]
    wanted = parse_seeds(seeds)
    count = (wanted.stop - wanted.start) * len(kinds) * len(variants)
    if count > MOST:
        raise EvaluationError(f"seeds {seeds!r} ask for {count:,} scenes; {MOST:,} are the most of one run")
    return [Scene(kind, seed, each) for kind in kinds for each in variants for seed in wanted]
