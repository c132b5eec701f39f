"""One smooth drive gives one observation, whatever the rates, the jitter and the order in which messages come."""

from __future__ import annotations

import numpy as np
from drive_messages import MS, ROLES, T0, arc, refused, timeline
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from alpamayo_ros.timeline import RefusalReason

AGES = np.arange(15, -1, -1) * 100 * MS
RATES = st.floats(10, 60)


def stamps_of(rate: float, random: np.random.Generator, drop: float) -> np.ndarray:
    """Stamps from 2 s before T0 to 0.3 s after, any phase, jitter of 4 % of the period, some lost."""
    count = int(2.3 * rate) + 1
    at = (np.arange(count) + random.uniform() + random.uniform(-0.04, 0.04, count)) / rate - 2.0
    return T0 + (at[random.uniform(size=count) >= drop] * 1e9).astype(np.int64)


@st.composite
def drives(draw):
    """Speed and yaw rate of what a car can do sideways: 1 g."""
    speed = draw(st.floats(-5, 40))
    return speed, draw(st.floats(-1, 1)) * min(0.6, 9.8 / max(abs(speed), 1e-3))


@given(
    drive=drives(),
    ego_rate=st.floats(10, 200),
    camera_rates=st.tuples(RATES, RATES),
    drop=st.sampled_from([0.0, 0.0, 0.05]),
    delay_ms=st.sampled_from([0, 30, 300]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=20)
def test_the_observation_depends_on_the_drive_alone(drive, ego_rate, camera_rates, drop, delay_ms, seed):
    random = np.random.default_rng(seed)
    poses = stamps_of(ego_rate, random, drop)
    cameras = {role: stamps_of(rate, random, drop) for role, rate in zip(ROLES, camera_rates, strict=True)}
    largest = int(np.diff(poses).max())
    assume(largest <= 250 * MS and all(len(stamps) for stamps in cameras.values()))

    messages = [(stamp, None) for stamp in poses.tolist()]
    messages += [(stamp, role) for role, stamps in cameras.items() for stamp in stamps.tolist()]
    messages += [messages[i] for i in random.integers(0, len(messages), 5)]  # sent twice
    arrival = np.array([stamp for stamp, _ in messages]) + random.uniform(0, delay_ms * MS + 1, len(messages))
    line, seen = timeline(), set()
    for i in np.argsort(arrival, kind="stable"):
        stamp, role = messages[i]
        if role is None:
            position, quaternion = arc(np.array([(stamp - T0) / 1e9]), *drive)
            reason = refused(line.add_pose, stamp, position[0], quaternion[0])
            repeated = RefusalReason.EGO_DUPLICATE
        else:
            reason = refused(line.add_frame, role, stamp, stamp * 10 + int(role))
            repeated = RefusalReason.CAMERA_DUPLICATE
        assert reason is (repeated if messages[i] in seen else None)
        seen.add(messages[i])

    t0 = line.newest_t0_ns
    newest = [int(stamps[-1]) for stamps in (poses, *cameras.values())]
    assert t0 % (100 * MS) == 0
    assert t0 <= min(newest) < t0 + 100 * MS
    reference = {role: nearest(stamps, t0) for role, stamps in cameras.items()}
    if any(chosen is None for chosen in reference.values()):
        assert refused(line.moment, t0) is RefusalReason.CAMERA_OUT_OF_STEP
        # Faster than 10.8 Hz, jitter alone puts no camera out of step.
        assert drop or min(camera_rates) < 10.8
        return
    moment = line.moment(t0)
    for role, chosen in reference.items():
        assert moment.stamps_ns[role].tolist() == chosen
        assert len(set(chosen)) == 4
    observed = moment.observe()
    positions, quaternions = arc((t0 - AGES - T0) / 1e9, *drive)
    to_t0 = Rotation.from_quat(quaternions[-1]).inv()
    # A chord is off its arc by at most speed · yaw rate · gap² / 8, at a pose and again at t0; float32 holds 60 m.
    sagitta = abs(drive[0] * drive[1]) * (largest / 1e9) ** 2 / 8
    error = observed.ego_history.positions - to_t0.apply(positions - positions[-1])
    assert np.abs(error).max() <= 2 * sagitta + 1e-5
    expected = (to_t0 * Rotation.from_quat(quaternions)).as_matrix()
    np.testing.assert_allclose(observed.ego_history.rotations, expected, atol=1e-6)


def nearest(stamps: np.ndarray, t0: int) -> list[int] | None:
    """By brute force: the stamps nearest to the four wanted times, or None where one is too far or used twice."""
    chosen = [min(stamps.tolist(), key=lambda s, wanted=t0 - age: abs(s - wanted)) for age in AGES[-4:].tolist()]
    near = all(abs(s - (t0 - age)) <= 50 * MS for s, age in zip(chosen, AGES[-4:].tolist(), strict=True))
    return chosen if near and len(set(chosen)) == 4 else None


SENDERS = st.sampled_from([None, *ROLES])


@given(
    steps=st.lists(
        st.tuples(
            SENDERS,
            st.one_of(
                st.integers(-200, 400),
                st.integers(-200, 400),
                st.sampled_from([-5000, 0, 10**7]),
                st.integers(-3000, 3000),
            ),
        ),
        max_size=60,
    )
)
@settings(deadline=None, max_examples=25)
def test_whatever_comes_nothing_is_newer_than_its_source_and_all_heals(steps):
    """Stamps that wander, leap and go back: t0 stays covered, buffers stay bounded, and a sound stream mends it all."""
    line, now = timeline(), 0
    for role, step in steps:
        now = max(now + step, -(10**8))
        if role is None:
            refused(line.add_pose, T0 + now * MS, np.array([now / 100, 0, 0]), np.array([0, 0, 0, 1.0]))
        else:
            refused(line.add_frame, role, T0 + now * MS, now)
        newest = [buffer.newest_ns for buffer in line._sources.values()]
        t0 = line.newest_t0_ns
        assert (t0 is None) == (None in newest)
        assert t0 is None or t0 <= min(newest)
        for buffer in line._sources.values():
            assert buffer.stamps_ns == sorted(set(buffer.stamps_ns))
            assert not buffer.stamps_ns or buffer.stamps_ns[-1] - buffer.stamps_ns[0] <= 2 * 10**9
    start = now - 4000
    for ms in range(start, start + 2200, 20):
        refused(line.add_pose, T0 + ms * MS, np.array([ms / 100, 0, 0]), np.array([0, 0, 0, 1.0]))
        for role in ROLES if (ms - start) % 100 == 0 else ():
            refused(line.add_frame, role, T0 + ms * MS, ms)
    t0 = line.newest_t0_ns
    assert t0 is not None
    assert t0 > T0 + (start + 2000) * MS
    assert line.lagging() is None
    assert line.moment(t0).observe().t0_ns == t0
