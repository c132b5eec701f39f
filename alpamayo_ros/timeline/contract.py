"""What an observation needs of its sources, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.types import CameraRole

FRAME_PERIOD_NS = 100_000_000
"""Time between the frames of one camera, between ego poses, and between plans: 0.1 s."""

MAX_GAP_NS = 250_000_000
"""Longest time between two poses that is bridged by interpolation: odometry of 10 Hz that lost one message."""

TIME_JUMP_NS = 1_000_000_000
"""A stamp this far behind the newest of its source, or ahead of every source, is a leap that the next message of the
source has to confirm. Transport puts messages out of order by tens of milliseconds, a resend over radio by a few
hundred; a bag that starts again or a reset of /clock goes back by seconds."""


@dataclass(frozen=True)
class TimeContract:
    """Raises ValueError for numbers that no observation can keep.

    roles: the cameras that every observation must have, in any order.
    frames_per_camera: frames 0.1 s apart, the newest at t0. The released models take 4.
    history_steps: ego poses 0.1 s apart, the last at t0. The released models take 16.
    slop_ns: how far a frame may be from its wanted time. 50 ms: half the period. A camera of 10 Hz that takes its
        pictures halfway between the wanted times needs what its stamps jitter by more: 60 ms.
    max_lag_ns: how far a message may be behind those of other sources that came before it. 150 ms: exposure,
        compression and transport of a slow camera.
    max_jump_m: how far a pose may be, in metres, from where constant velocity leads. 1 m: braking at 1 g over the
        longest bridged gap (0.25 s) is off by 0.6 m.
    """

    roles: tuple[CameraRole, ...]
    frames_per_camera: int = 4
    history_steps: int = 16
    slop_ns: int = 50_000_000
    max_lag_ns: int = 150_000_000
    max_jump_m: float = 1.0

    def __post_init__(self) -> None:
        if not self.roles:
            raise ValueError("a time contract without cameras; name at least one role")
        doubled = sorted({role.label for role in self.roles if self.roles.count(role) > 1})
        if doubled:
            raise ValueError(f"camera {', '.join(doubled)} is named twice in the time contract; name each role once")
        for name, value, least in (
            ("frames_per_camera", self.frames_per_camera, 1),
            ("history_steps", self.history_steps, 1),
            ("slop_ns", self.slop_ns, 0),
            ("max_lag_ns", self.max_lag_ns, 0),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r} in the time contract; give a whole number of at least {least}")
        if not 0 < self.max_jump_m < float("inf"):
            raise ValueError(f"max_jump_m is {self.max_jump_m!r} in the time contract; give metres above 0")

    @property
    def frame_span_ns(self) -> int:
        """How far before the newest stamp of a camera a frame may be of use, lag of other sources included."""
        span = (self.frames_per_camera - 1) * FRAME_PERIOD_NS + self.slop_ns
        return max(TIME_JUMP_NS, span + FRAME_PERIOD_NS + self.max_lag_ns)

    @property
    def pose_span_ns(self) -> int:
        """The same for poses."""
        span = (self.history_steps - 1) * FRAME_PERIOD_NS + MAX_GAP_NS
        return max(TIME_JUMP_NS, span + FRAME_PERIOD_NS + self.max_lag_ns)
