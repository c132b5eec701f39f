"""What may be said next, guessed from the last plans. It decides how fast reasoning goes, not what it is."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_DRAFT = 31
"""Tokens; with the one before them, a pass of 32."""

SENTENCES = 16
"""Of the drive that are kept: few are said, and those that were are said again."""

_LONGEST = 3
"""Tokens that are looked for together, to find the place in a sentence where this one is."""


def guess(known: Sequence[list[int]], spoken: list[int], count: int) -> list[int]:
    """At most `count` tokens to follow `spoken`: as in the first of the known sentences that begins so; else behind the
    longest end of it that is in one, where it stands nearest to that position; else at that position of the first."""
    here = len(spoken)
    for words in known:
        if len(words) > here and words[:here] == spoken:
            return words[here : here + count]
    for size in range(min(_LONGEST, here), 0, -1):
        end = spoken[here - size :]
        for words in known:
            # The last place has nothing behind it.
            found = [i + size for i in range(len(words) - size) if words[i : i + size] == end]
            if found:
                place = min(found, key=lambda i: abs(i - here))
                return words[place : place + count]
    return known[0][here : here + count]
