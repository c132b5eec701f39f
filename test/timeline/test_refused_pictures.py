"""Pictures that show nothing, or nothing new, are refused when a moment is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from drive_messages import FRONT, MS, ROLES, T0, TELE, add_pose, fill, noise, refused, timeline

from alpamayo_ros.timeline import PictureError, Refusal, RefusalReason


def test_a_frozen_camera_is_refused_only_while_the_car_moves():
    for speed, reason in ((10.0, RefusalReason.CAMERA_FROZEN), (0.0, None), (0.5, None)):
        line = timeline(lambda picture: noise(0))
        fill(line, speed=speed)
        assert refused(line.moment(T0).observe) is reason


def test_one_picture_sent_twice_by_a_moving_car_is_refused_with_both_stamps():
    line = timeline(lambda picture: noise(picture - 100 if picture == int(FRONT) * 10**15 - 100 else picture))
    fill(line)
    with pytest.raises(Refusal) as refusal:
        line.moment(T0).observe()
    assert str(refusal.value) == (
        f"camera front_wide_120: it shows the same picture at {T0 - 200 * MS} and {T0 - 100 * MS} ns although the "
        "vehicle moved; restart it"
    )


def test_a_frozen_camera_is_seen_by_a_turn_on_the_spot():
    line = timeline(lambda picture: noise(0))
    for ms in range(-1600, 1, 20):
        add_pose(line, T0 + ms * MS, 0.0, 0.3)
        for role in ROLES if ms % 100 == 0 else ():
            line.add_frame(role, T0 + ms * MS, ms)
    assert refused(line.moment(T0).observe) is RefusalReason.CAMERA_FROZEN


def only_tele(make):
    def decode(picture):
        return make(picture) if picture > int(TELE) * 10**15 - 250 else noise(picture)

    return decode


def damaged(picture):
    raise PictureError(RefusalReason.CAMERA_DAMAGED, "a JPEG that was cut off")


def foreign(picture):
    raise PictureError(RefusalReason.CAMERA_ENCODING, "bayer_rggb8 is not read; publish rgb8")


@pytest.mark.parametrize(
    ("decode", "reason"),
    [
        (damaged, RefusalReason.CAMERA_DAMAGED),
        (foreign, RefusalReason.CAMERA_ENCODING),
        (lambda picture: noise(picture)[:, :-1], RefusalReason.CAMERA_RESIZED),
        (lambda picture: noise(picture) // 64, RefusalReason.CAMERA_BLACK),
        (lambda picture: 255 - noise(picture) // 64, RefusalReason.CAMERA_SATURATED),
        (lambda picture: np.full_like(noise(0), (0, 135, 0)), RefusalReason.CAMERA_BLANK),
    ],
)
def test_a_picture_that_shows_nothing_is_refused_each_time_and_decoded_once(decode, reason):
    calls = []

    def counted(picture):
        calls.append(picture)
        return only_tele(decode)(picture)

    line = timeline(counted)
    fill(line)
    for _ in range(2):
        with pytest.raises(Refusal, match="camera front_tele_30: ") as refusal:
            line.moment(T0).observe()
        assert refusal.value.reason is reason
    assert len(calls) == len(set(calls))


def test_a_decoder_that_makes_no_picture_is_a_fault_and_no_refusal():
    line = timeline(lambda picture: np.zeros((4, 4)))
    fill(line)
    with pytest.raises(ValueError, match=r"decoded to float64 \(4, 4\); expected uint8") as fault:
        line.moment(T0).observe()
    assert not isinstance(fault.value, Refusal)


def test_only_two_reasons_are_those_of_a_decoder():
    with pytest.raises(ValueError, match="camera_damaged or camera_encoding, not ego_gap"):
        PictureError(RefusalReason.EGO_GAP, "")
