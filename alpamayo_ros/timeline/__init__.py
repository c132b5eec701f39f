"""The time contract: which frames and poses belong to t0. Everything is placed by its stamp; nothing is invented."""

from alpamayo_ros.timeline.contract import FRAME_PERIOD_NS, TimeContract
from alpamayo_ros.timeline.ego_track import EgoTrack
from alpamayo_ros.timeline.frame import Frame, PictureError
from alpamayo_ros.timeline.frame_choice import choose_frames, newest_t0
from alpamayo_ros.timeline.moment import Moment
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason
from alpamayo_ros.timeline.timeline import Timeline

__all__ = [
    "FRAME_PERIOD_NS",
    "EgoTrack",
    "Frame",
    "Moment",
    "PictureError",
    "Refusal",
    "RefusalReason",
    "TimeContract",
    "Timeline",
    "choose_frames",
    "newest_t0",
]
