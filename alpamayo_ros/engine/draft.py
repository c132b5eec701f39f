"""What may be said next, guessed from the last plan. It decides how fast reasoning goes, not what it is."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_DRAFT = 31
"""Tokens; with the one before them, a pass of 32."""

_LONGEST = 3
"""Tokens that are looked for together, to find the place in the last plan where this one is."""


def guess(last: Sequence[int], spoken: Sequence[int], count: int) -> list[int]:
    """At most `count` tokens to follow `spoken`: those behind the longest end of it that is in `last`, where it stands
    nearest to the same position; at the same position where it is not there."""
    here = len(spoken)
    if list(last[:here]) == list(spoken):
        return list(last[here : here + count])
    for size in range(min(_LONGEST, here), 0, -1):
        end = list(spoken[here - size :])
        found = [i + size for i in range(len(last) - size + 1) if list(last[i : i + size]) == end]
        if found:
            place = min(found, key=lambda i: abs(i - here))
            return list(last[place : place + count])
    return list(last[here : here + count])
