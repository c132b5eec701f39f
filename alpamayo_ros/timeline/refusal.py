"""No plan, and why."""

from __future__ import annotations

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why there is no honest observation, as a word that diagnostics and counters can use."""

    CAMERA_MISSING = "camera_missing"
    """No frame of it has been seen."""
    CAMERA_LATE = "camera_late"
    """Its newest frame lags the newest source."""
    CAMERA_OUT_OF_STEP = "camera_out_of_step"
    """No frame near enough to a wanted time, or one frame would serve twice."""
    CAMERA_FROZEN = "camera_frozen"
    """Identical pictures although the vehicle has moved."""
    CAMERA_BLACK = "camera_black"
    CAMERA_SATURATED = "camera_saturated"
    CAMERA_BLANK = "camera_blank"
    """One colour all over: what a decoder makes from an empty buffer."""
    CAMERA_DAMAGED = "camera_damaged"
    """Cannot be decoded."""
    CAMERA_ENCODING = "camera_encoding"
    """In an encoding that nobody reads."""
    CAMERA_RESIZED = "camera_resized"
    """Pictures of one observation differ in size."""
    CAMERA_DUPLICATE = "camera_duplicate"
    """Two frames with one stamp."""
    EGO_MISSING = "ego_missing"
    """No poses have been seen, or one only."""
    EGO_SHORT = "ego_short"
    """The poses do not yet reach back over the whole history."""
    EGO_LATE = "ego_late"
    """The newest pose lags the newest source, or is before t0."""
    EGO_FRAME = "ego_frame"
    """The poses are those of another frame than the vehicle's base."""
    EGO_GAP = "ego_gap"
    EGO_NOT_FINITE = "ego_not_finite"
    EGO_BAD_ROTATION = "ego_bad_rotation"
    EGO_JUMP = "ego_jump"
    """A displacement or turn that no car does, or poses in another fixed frame."""
    EGO_DUPLICATE = "ego_duplicate"
    """Two poses with one stamp."""
    TIME_JUMP = "time_jump"
    """Time went back: all before it is forgotten."""
    TIME_AHEAD = "time_ahead"
    """A stamp far ahead of all others: the message is ignored until another agrees."""
    TIME_BEHIND = "time_behind"
    """A stamp far behind those of its source: the message is ignored until another agrees."""
    CLOCK = "clock"
    """Stamps that have nothing to do with the host's clock."""
    NO_STAMP = "no_stamp"
    """A stamp of 0 or less: the header was not filled in."""


class Refusal(ValueError):  # noqa: N818, a refusal is an answer, not a fault
    """There is no honest observation at the asked time: the message names the source, the value and the remedy.

    source: "ego", or "camera " and the label of its role.
    """

    def __init__(self, reason: RefusalReason, source: str, text: str) -> None:
        super().__init__(reason, source, text)  # all three, so that it can be pickled
        self.reason = reason
        self.source = source
        self.text = text

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"
