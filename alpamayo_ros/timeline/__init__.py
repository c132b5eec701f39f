"""The time contract: which frames and poses belong to t0. Everything is placed by its stamp; nothing is invented."""

from alpamayo_ros.timeline.ego_track import EgoTrack
from alpamayo_ros.timeline.frame_choice import FRAME_PERIOD_NS, choose_frames, newest_t0
from alpamayo_ros.timeline.refusal import Refusal

__all__ = ["FRAME_PERIOD_NS", "EgoTrack", "Refusal", "choose_frames", "newest_t0"]
