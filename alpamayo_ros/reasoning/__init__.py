"""Chain of Causation: say why (compose), read what was said (parse), and check it against the motion and the truth."""

from alpamayo_ros.reasoning.causes import allowed_causes, can_occur, causes_within, may_cause, unexplained
from alpamayo_ros.reasoning.composer import compose, phrasings
from alpamayo_ros.reasoning.consistency import check_consistency
from alpamayo_ros.reasoning.meta_actions import LaneTrack, meta_actions, segment_motion
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.reasoning.quality import FailedCheck, QualityCheck, failed_checks
from alpamayo_ros.reasoning.vocabulary import VocabularyError, canonical_components, describe, spoken

__all__ = [
    "FailedCheck",
    "LaneTrack",
    "QualityCheck",
    "VocabularyError",
    "allowed_causes",
    "can_occur",
    "canonical_components",
    "causes_within",
    "check_consistency",
    "compose",
    "describe",
    "failed_checks",
    "may_cause",
    "meta_actions",
    "parse",
    "phrasings",
    "segment_motion",
    "spoken",
    "unexplained",
]
