"""The last seconds of all sources, and the moment that a plan is made from: live, or from a bag."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from alpamayo_ros.timeline.buffer import StampedBuffer
from alpamayo_ros.timeline.contract import FRAME_PERIOD_NS, MAX_GAP_NS, TIME_JUMP_NS, TimeContract
from alpamayo_ros.timeline.ego_track import SOURCE as EGO
from alpamayo_ros.timeline.ego_track import EgoTrack, is_rotation
from alpamayo_ros.timeline.frame import Decode, Frame
from alpamayo_ros.timeline.frame_choice import choose_frames, newest_t0
from alpamayo_ros.timeline.moment import Moment
from alpamayo_ros.timeline.refusal import Refusal, RefusalReason
from alpamayo_ros.types import CameraRole

MAX_FRAME_RATE, MAX_POSE_RATE = 120, 1000
"""Messages a second that are kept; of a source that is faster, less than the whole span is."""

MAX_SPEED = 70.0
"""m/s; what a pose may be from its neighbour where no velocity is known yet."""

MAX_TURN = 1.0
"""Radians between neighbouring poses, at most 0.25 s apart: a car turns by 0.4 in that time."""

MIN_VELOCITY_NS, MAX_VELOCITY_NS = 50_000_000, 200_000_000
"""Velocity is taken over as much time as this: between two poses of 200 Hz it would be noise."""


@dataclass(frozen=True, eq=False)
class _Pose:
    position: np.ndarray
    quaternion: np.ndarray


class Timeline:
    """Takes messages as they arrive, places them by stamp, and finds what belongs to t0.

    One thread may add while another asks. Adding decodes nothing and waits for no decoder. What must not be used is
    refused at once: `add_frame` and `add_pose` raise Refusal, and unless said otherwise the message was left out.
    """

    def __init__(self, contract: TimeContract, decode: Decode) -> None:
        self.contract = contract
        self._decode = decode
        # The same threads for every moment: OpenCV keeps some bytes of each thread that it was ever called from.
        self._decoders = ThreadPoolExecutor(len(contract.roles), "decoder")
        self._lock = Lock()
        keep = contract.frame_span_ns
        self._frames: dict[CameraRole, StampedBuffer[Frame]] = {
            role: StampedBuffer(keep, MAX_FRAME_RATE * keep // 10**9) for role in sorted(contract.roles)
        }
        keep = contract.pose_span_ns
        self._poses: StampedBuffer[_Pose] = StampedBuffer(keep, MAX_POSE_RATE * keep // 10**9)
        self._sources: dict[str, StampedBuffer[Any]] = {
            **{f"camera {role.label}": buffer for role, buffer in self._frames.items()},
            EGO: self._poses,
        }
        self._ego_frame = ""  # of the poses
        self._ego_since_ns: int | None = None  # stamp of the last ego jump: what is older is in another frame
        self._arrival_lag_ns: dict[str, int] = {}  # by source, of its newest message: behind what was there before it
        self._leaps: dict[str, int] = {}  # by source, the stamp that waits for the next to agree

    def add_frame(self, role: CameraRole, stamp_ns: int, picture: Any) -> None:
        """Take a frame of a camera; `picture` is what `decode` will be given, if ever.

        Raises Refusal: CAMERA_DUPLICATE, NO_STAMP, TIME_AHEAD, TIME_BEHIND; TIME_JUMP once the frame is in and all
        else is gone.
        """
        if role not in self._frames:
            raise ValueError(f"camera {role.label} is not in the time contract; do not subscribe to it")
        frame = Frame(role, int(stamp_ns), picture, self._decode)
        with self._lock:
            buffer = self._frames[role]
            jump = self._check_stamp(frame.source, buffer, frame.stamp_ns)
            if frame.stamp_ns in buffer:
                raise Refusal(
                    RefusalReason.CAMERA_DUPLICATE,
                    frame.source,
                    f"a second frame with stamp {frame.stamp_ns} ns; stamp each frame when it is taken",
                )
            buffer.add(frame.stamp_ns, frame)
        if jump is not None:
            raise jump

    def add_pose(self, stamp_ns: int, position: np.ndarray, quaternion: np.ndarray, frame: str) -> None:
        """Take an ego pose: position (3,) metres, quaternion (4,) as x, y, z, w, in the fixed frame of that name.

        Raises Refusal: EGO_NOT_FINITE, EGO_BAD_ROTATION, EGO_DUPLICATE, NO_STAMP, TIME_AHEAD, TIME_BEHIND. TIME_JUMP
        once the pose is in and all else is gone; EGO_JUMP once it is in and the poses before it are gone, or where it
        came late and does not fit the poses around it, and was left out.
        """
        stamp_ns = int(stamp_ns)
        pose = _Pose(np.array(position, np.float64).reshape(3), np.array(quaternion, np.float64).reshape(4))
        if not (np.isfinite(pose.position).all() and np.isfinite(pose.quaternion).all()):
            raise Refusal(
                RefusalReason.EGO_NOT_FINITE, EGO, f"the pose of stamp {stamp_ns} ns is not finite; check the odometry"
            )
        if not is_rotation(pose.quaternion):
            raise Refusal(
                RefusalReason.EGO_BAD_ROTATION,
                EGO,
                f"the quaternion of stamp {stamp_ns} ns has not length 1 ({pose.quaternion.tolist()}); normalise it",
            )
        with self._lock:
            jump = self._check_stamp(EGO, self._poses, stamp_ns)
            if stamp_ns in self._poses:
                raise Refusal(
                    RefusalReason.EGO_DUPLICATE,
                    EGO,
                    f"a second pose with stamp {stamp_ns} ns; publish each pose once",
                )
            jump = self._check_motion(stamp_ns, pose, frame) or jump
            self._ego_frame = frame
            self._poses.add(stamp_ns, pose)
        if jump is not None:
            raise jump

    @property
    def newest_t0_ns(self) -> int | None:
        """The newest multiple of 0.1 s that every camera and the ego poses cover; None while a source is missing."""
        with self._lock:
            newest = [buffer.newest_ns for buffer in self._sources.values()]
        known = [stamp for stamp in newest if stamp is not None]
        return newest_t0(known) if len(known) == len(newest) else None

    def lagging(self) -> Refusal | None:
        """Why t0 does not go on, or is too old: the source that is missing, or the one that is too far behind.

        What counts is how far a message was behind the others when it came, so that it does not matter when one asks;
        a source that has stopped is noticed once it is a period further behind. None where all are in step. Sources
        are compared with each other, never with a clock: when all of them stop, none lags.
        """
        with self._lock:
            newest = {source: buffer.newest_ns for source, buffer in self._sources.items()}
            arrival_lags = dict(self._arrival_lag_ns)
        stamps = {source: stamp for source, stamp in newest.items() if stamp is not None}
        for source in newest:
            if source not in stamps:
                reason = RefusalReason.EGO_MISSING if source == EGO else RefusalReason.CAMERA_MISSING
                what = "poses" if source == EGO else "frames"
                return Refusal(
                    reason,
                    source,
                    f"no {what} that can be used; check that it publishes, its topic, and what was refused of it",
                )
        first = max(stamps, key=stamps.__getitem__)
        lags = {
            source: max(arrival_lags[source], stamps[first] - stamp - FRAME_PERIOD_NS)
            for source, stamp in stamps.items()
        }
        last = max(lags, key=lags.__getitem__)
        if lags[last] <= self.contract.max_lag_ns:
            return None
        return Refusal(
            RefusalReason.EGO_LATE if last == EGO else RefusalReason.CAMERA_LATE,
            last,
            f"its newest stamp {stamps[last]} ns came {arrival_lags[last] / 1e6:.0f} ms late, and is "
            f"{(stamps[first] - stamps[last]) / 1e6:.0f} ms behind that of {first}; allowed are "
            f"{self.contract.max_lag_ns / 1e6:.0f} ms. Is it still publishing, and stamped by the same clock?",
        )

    def moment(self, t0_ns: int) -> Moment:
        """What belongs to t0, as a snapshot: later messages do not change it. Raises Refusal."""
        with self._lock:
            stamps = {role: list(buffer.stamps_ns) for role, buffer in self._frames.items()}
            frames = {role: list(buffer.items) for role, buffer in self._frames.items()}
            pose_stamps, poses = list(self._poses.stamps_ns), list(self._poses.items)
            frame = self._ego_frame
        ego = EgoTrack(
            np.array(pose_stamps, np.int64),
            np.array([pose.position for pose in poses]).reshape(-1, 3),
            np.array([pose.quaternion for pose in poses]).reshape(-1, 4),
        )
        contract, chosen = self.contract, {}
        for role, of_camera in stamps.items():
            indices = choose_frames(
                f"camera {role.label}",
                np.array(of_camera, np.int64),
                t0_ns,
                contract.frames_per_camera,
                contract.slop_ns,
            )
            chosen[role] = tuple(frames[role][i] for i in indices)
        return Moment.of(t0_ns, chosen, ego, frame, contract.history_steps, self._decoders)

    def clear(self) -> None:
        """Forget everything, as at the start."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        for buffer in self._sources.values():
            buffer.clear()
        self._ego_since_ns = None
        self._arrival_lag_ns.clear()
        self._leaps.clear()

    def _check_stamp(self, source: str, buffer: StampedBuffer[Any], stamp_ns: int) -> Refusal | None:
        """The refusal to report once the message is in, or None. Raises Refusal for a message to be left out."""
        if stamp_ns <= 0:
            raise Refusal(RefusalReason.NO_STAMP, source, f"its stamp is {stamp_ns} ns; fill in the header's stamp")
        newest = buffer.newest_ns
        if newest is not None and stamp_ns < newest - TIME_JUMP_NS:
            back = f"{(newest - stamp_ns) / 1e9:.1f} s"
            self._confirm(
                source, stamp_ns, RefusalReason.TIME_BEHIND, f"{back} behind {newest} ns, the newest of its source"
            )
            self._clear()
            self._arrival_lag_ns[source] = 0
            return Refusal(
                RefusalReason.TIME_JUMP,
                source,
                f"time went back by {back}, from {newest} to {stamp_ns} ns; all that was before is forgotten",
            )
        known = [stamp for each in self._sources.values() if (stamp := each.newest_ns) is not None]
        if known and stamp_ns > max(known) + TIME_JUMP_NS:
            ahead = f"{(stamp_ns - max(known)) / 1e9:.1f} s ahead of all before"
            self._confirm(source, stamp_ns, RefusalReason.TIME_AHEAD, ahead)
        self._leaps.pop(source, None)
        if newest is None or stamp_ns > newest:
            self._arrival_lag_ns[source] = max(max(known, default=0) - stamp_ns, 0)
        return None

    def _confirm(self, source: str, stamp_ns: int, reason: RefusalReason, leap: str) -> None:
        """One message with a wrong stamp must not cost the others their history: time moves when two in a row agree.

        Raises Refusal for the first of them. The same stamp twice is one message that was sent twice.
        """
        waiting = self._leaps.get(source)
        if waiting is None or not 0 < abs(stamp_ns - waiting) <= TIME_JUMP_NS:
            self._leaps[source] = stamp_ns
            raise Refusal(reason, source, f"stamp {stamp_ns} ns is {leap}; ignored unless the next one agrees")

    def _check_motion(self, stamp_ns: int, pose: _Pose, frame: str) -> Refusal | None:
        """The refusal to report once the pose is in, or None. Raises Refusal for a pose to be left out."""
        if self._ego_since_ns is not None and stamp_ns < self._ego_since_ns:
            raise Refusal(
                RefusalReason.EGO_JUMP,
                EGO,
                f"the pose of stamp {stamp_ns} ns is from before the jump at {self._ego_since_ns} ns; left out",
            )
        newest = self._poses.newest_ns
        if newest is not None and frame != self._ego_frame:
            off: str | None = f"in frame {frame!r}, those before in {self._ego_frame!r}"
        else:
            off = self._jump(stamp_ns, pose)
        if off is None:
            return None
        if newest is not None and stamp_ns < newest:
            raise Refusal(RefusalReason.EGO_JUMP, EGO, f"the late pose of stamp {stamp_ns} ns is {off}; left out")
        self._poses.clear()
        self._ego_since_ns = stamp_ns
        return Refusal(
            RefusalReason.EGO_JUMP,
            EGO,
            f"the pose of stamp {stamp_ns} ns is {off}; poses before it are forgotten",
        )

    def _jump(self, stamp_ns: int, pose: _Pose) -> str | None:
        """How a pose is off from its neighbours by more than any car, or None.

        Neighbours further apart than may be bridged say nothing: a history across such a gap is refused anyway.
        """
        stamps, poses = self._poses.stamps_ns, self._poses.items
        after = self._poses.place(stamp_ns)
        before = after - 1
        near = [i for i in (before, after) if 0 <= i < len(stamps) and abs(stamp_ns - stamps[i]) <= MAX_GAP_NS]
        if not near:
            return None
        nearest = near[0]
        turn = 2 * math.acos(min(1.0, abs(float(pose.quaternion @ poses[nearest].quaternion))))
        if turn > MAX_TURN:
            return f"turned by {math.degrees(turn):.0f}° from those beside it"
        # The second pose of the line of constant velocity: on the other side of the new one, or earlier on the same.
        other = after if len(near) == 2 else self._poses.place(stamps[nearest] - MAX_VELOCITY_NS)
        elapsed, baseline = stamp_ns - stamps[nearest], abs(stamps[other] - stamps[nearest])
        step = pose.position - poses[nearest].position
        if nearest == before and (other == after or baseline >= MIN_VELOCITY_NS):
            share = elapsed / (stamps[other] - stamps[nearest])
            off = float(np.linalg.norm(step - share * (poses[other].position - poses[nearest].position)))
        else:
            off = max(0.0, float(np.linalg.norm(step)) - MAX_SPEED * abs(elapsed) / 1e9)
        return f"{off:.1f} m from where those beside it lead to" if off > self.contract.max_jump_m else None
