"""Frames are placed by their stamps, and refused rather than repeated or invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.timeline import FRAME_PERIOD_NS, Refusal, choose_frames, newest_t0

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
SLOP = 50 * MS
WANTED_MS = np.array([-300, -200, -100, 0])


def choose(stamps_ms, slop_ms=50, count=4):
    stamps = T0 + np.array(stamps_ms, dtype=np.int64) * MS
    return choose_frames("camera front", stamps, T0, count, slop_ms * MS).tolist()


def test_exact_frames_are_chosen_oldest_first():
    assert choose([-400, -300, -200, -100, 0, 100]) == [1, 2, 3, 4]


def test_the_nearest_frame_is_chosen_before_or_after():
    assert choose([-330, -280, -205, -195, -140, -101, -60, 40, 49]) == [1, 2, 5, 7]


def test_one_nanosecond_decides_at_stamps_of_today():
    stamps = np.array([T0 - 11, T0 + 10], dtype=np.int64)
    assert choose_frames("camera", stamps, T0, 1, SLOP).tolist() == [1]


@given(
    stamps=st.lists(st.integers(-450, 150), min_size=1, max_size=40, unique=True).map(sorted),
    count=st.integers(1, 4),
    slop=st.integers(0, 120),
)
@settings(deadline=None)
def test_the_choice_is_that_of_brute_force(stamps, count, slop):
    for shift in (0, -10, 10):
        found = [
            min(range(len(stamps)), key=lambda i: (abs(stamps[i] - wanted - shift), i))
            for wanted in WANTED_MS[4 - count :].tolist()
        ]
        within = all(abs(stamps[i] - wanted) <= slop for i, wanted in zip(found, WANTED_MS[4 - count :], strict=True))
        if within and len(set(found)) == count:
            assert choose(stamps, slop, count) == found
            return
    with pytest.raises(Refusal, match="camera front"):
        choose(stamps, slop, count)


@given(rate=st.integers(11, 60), phase=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_a_faster_camera_with_jitter_gives_a_frame_for_each_time(rate, phase, seed):
    """Frames 1.08 periods apart at most, which at 11 Hz is 98 ms: each time has its own frame within 50 ms."""
    jitter = np.random.default_rng(seed).uniform(-0.04, 0.04, 2 * rate)
    stamps = ((np.arange(2 * rate) - rate + phase + jitter) / rate * 1e9).astype(np.int64) + T0
    chosen = choose_frames("camera", stamps, T0, 4, SLOP)
    assert np.abs(stamps[chosen] - T0 - WANTED_MS * MS).max() <= 0.54 / rate * 1e9 + 1
    assert (np.diff(chosen) > 0).all()


@given(phase=st.integers(-44, 44), jitter=st.lists(st.integers(-5, 5), min_size=10, max_size=10))
@settings(deadline=None)
def test_a_10_hz_camera_with_jitter_gives_consecutive_frames(phase, jitter):
    assert choose([100 * (i - 7) + phase + jitter[i] for i in range(10)]) == [4, 5, 6, 7]


@given(phase=st.integers(-50, 50), jitter=st.lists(st.integers(-5, 5), min_size=10, max_size=10))
@settings(deadline=None)
def test_a_10_hz_camera_of_any_phase_gives_consecutive_frames_within_60_ms(phase, jitter):
    chosen = choose([100 * (i - 7) + phase + jitter[i] for i in range(10)], slop_ms=60)
    assert chosen in ([3, 4, 5, 6], [4, 5, 6, 7], [5, 6, 7, 8])


def test_frames_halfway_between_are_all_taken_from_one_side():
    assert choose([-353, -249, -151, -49, 51, 149], slop_ms=60) == [0, 1, 2, 3], "-249 is nearest to -300 and to -200"


def test_a_camera_halfway_between_is_told_what_it_needs():
    with pytest.raises(Refusal, match="52 ms away; allowed are 50 ms; give a camera of 10 Hz .* a slop_ms of 60 "):
        choose([-348, -252, -148, -52, 52])


def test_a_missing_frame_is_refused_with_its_time_and_distance():
    with pytest.raises(Refusal) as refusal:
        choose([-300, -200, 0, 100])
    assert str(refusal.value) == (
        f"camera front: nearest frame to t0 − 0.1 s is 100 ms away; allowed are 50 ms "
        f"(t0 = {T0} ns, frames cover {T0 - 300 * MS} … {T0 + 100 * MS} ns)"
    )


def test_a_late_camera_is_refused():
    with pytest.raises(Refusal, match=r"t0 − 0.0 s is 150 ms away"):
        choose([-450, -350, -250, -150])


def test_a_camera_that_started_too_late_is_refused():
    with pytest.raises(Refusal, match=r"t0 − 0.3 s is 200 ms away"):
        choose([-100, 0, 100])


def test_a_frame_is_never_used_twice():
    with pytest.raises(Refusal, match="camera front: two of the 4 wanted frames are the same one"):
        choose([-300, -200, -50])


def test_no_frames_at_all_are_refused():
    with pytest.raises(Refusal, match="camera front: no frames at all; check that it is recording"):
        choose([])


def test_slop_is_inclusive():
    assert choose([-50], count=1) == [0]
    with pytest.raises(Refusal):
        choose([-51], count=1)


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=8))
def test_newest_t0_is_on_the_period_and_covered_by_every_source(newest):
    t0 = newest_t0(newest)
    assert t0 % FRAME_PERIOD_NS == 0
    assert t0 <= min(newest) < t0 + FRAME_PERIOD_NS
