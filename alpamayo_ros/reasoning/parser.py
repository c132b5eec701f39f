"""From free model text back to a decision and its causes, or a plain statement that it cannot be read.

Three passes over the normalized sentence: components first (`component_reader`, each one replaced by a numbered mark),
then verb phrases (`decision_reader`, which blanks them), then what is left: words that carry no meaning here are
dropped, and every other word is reported. Nothing is filled in from what a sentence of that kind usually says.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from alpamayo_ros.reasoning.component_reader import read_components
from alpamayo_ros.reasoning.decision_reader import NO_CHANGE, read_decision
from alpamayo_ros.types import CriticalComponent, ParsedTrace, ReadStatus

# A trace is one sentence of some 15 words. Longer text is something else, and reading it piecewise would be a guess.
MAX_WORDS = 60
# Of a sentence that is read partly, at most this many words, or this share of all, may remain unknown.
MAX_UNKNOWN_WORDS, MAX_UNKNOWN_SHARE = 2, 0.25


@lru_cache(maxsize=256)  # the sentences of a drive repeat
def parse(text: str) -> ParsedTrace:
    """Read `text`. Never raises on any string; what cannot be read is UNPARSED with the reason."""
    sentence = _normalize(text)
    words = sentence.replace(",", " ").split()
    if not words:
        return _unread(text, (), "the text is empty")
    if len(words) > MAX_WORDS:
        return _unread(text, (), f"{len(words)} words; a trace is one sentence, at most {MAX_WORDS} are read")
    if negation := _NEGATION.search(NO_CHANGE.sub(" ", sentence)):
        return _unread(text, (), f"a negation is not read: {negation.group().strip()!r}")
    marked, components = read_components(_ASIDES.sub(" ", sentence))
    decision, rest, problems = read_decision(marked, components)
    if decision is None:
        return _unread(text, components, *problems)
    unknown = [word for word in re.findall(r"[^\s,§\d]+", rest) if word not in _FILLERS]
    if len(unknown) > max(MAX_UNKNOWN_WORDS, MAX_UNKNOWN_SHARE * len(words)):
        return _unread(text, components, f"too many words not understood: {' '.join(unknown)!r}")
    if unknown:
        problems = (*problems, f"not understood: {' '.join(unknown)!r}")
    if _DANGLING.search(marked):
        problems = (*problems, "an 'and' joins nothing")
    if not components:
        problems = (*problems, "no cause is named")
    status = ReadStatus.PARTLY_PARSED if problems else ReadStatus.PARSED
    return ParsedTrace(text, status, decision, components, problems)


def _unread(text: str, components: tuple[CriticalComponent, ...], *problems: str) -> ParsedTrace:
    return ParsedTrace(text, ReadStatus.UNPARSED, None, components, problems)


def _normalize(text: str) -> str:
    """Lower case; sentence marks become commas, other punctuation spaces; the ego is no component."""
    sentence = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    sentence = re.sub(r"[.;:!?\n,—–]+", " , ", sentence)
    sentence = re.sub(r"n't\b", " not", sentence)
    sentence = re.sub(r"[^\w\s,]|[_§]", " ", sentence)
    sentence = re.sub(r"\b(?:the |our |my )?(?:ego|own)(?: (?:vehicle|car)s?)?\b", " ego ", sentence)
    return re.sub(r"\s+", " ", sentence).strip(" ,")


_NEGATION = re.compile(r"\b(?:not|never|no longer|no need|without|instead of|rather than|avoid|unless|if)\b")
# Turns of phrase that add no decision: a step of later (the decision is the first one), and how something is done.
_ASIDES = re.compile(
    r"\b(?:before (?:proceeding|continuing|going|resuming)|at a safe speed|to pass over|continuing to"
    r"|maintaining clearance|out of the way)\b"
)
# "Turn left and because …": a verb is missing.
_DANGLING = re.compile(r"^and\b|\band (?:because|since|as|and|for|to)\b|\band$")
# Words that change nothing in what is read. Hedges and vague words are among them: whether a trace may use them is a
# question of quality, not of meaning.
_FILLERS = frozenset(
    """
    a an the and or but because since as so to of for at in on with while when before after past around from by
    until is are be being been there this that which its it our ego we us will must should can due then again also
    both ahead front side behind near nearby upcoming approach approaching current same path route road clearance
    increase increasing create creating gain gaining more pass passes passing get navigate navigating under
    through across along into toward towards safe safely safety carefully cautiously slightly gently smoothly
    immediately slowly up down further possible potential potentially likely cautious order proceed proceeding
    allow allowing sufficient room space
    """.split()
)
