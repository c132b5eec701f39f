"""Another past leads to the same place and speed, and what follows begins as it ended."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.reasoning.comfort import exceeded
from alpamayo_ros.training.corpus import Moment
from alpamayo_ros.training.disguise import disguised
from alpamayo_ros.vla.action_space import yaw_rotations


def test_a_past_may_be_that_of_a_car_that_steered_more(corpus):
    moments = [moment for moment in corpus.moments if float(moment.history[0][0].norm()) > 8.0][:3]
    assert moments
    draws = [np.random.default_rng(number) for number in range(len(moments))]
    for moment, changed, number in zip(moments, disguised(moments, draws, 0.8, 0.0), range(3), strict=False):
        (xyz, rotations), (before, turned) = changed.history, moment.history
        speed = float(before.diff(dim=0)[-1].norm()) / 0.1
        curvature = 0.8 * np.random.default_rng(number).standard_normal() / max(speed, 4.0) ** 2
        # Where it is at t0, and what it will do, stays; how it got there is another circle.
        torch.testing.assert_close(xyz[-1], before[-1])
        torch.testing.assert_close(rotations[-1], turned[-1])
        assert changed.future is moment.future
        driven = before.diff(dim=0).norm(dim=-1).sum()
        heading = torch.atan2(rotations[0, 1, 0], rotations[0, 0, 0]) - torch.atan2(turned[0, 1, 0], turned[0, 0, 0])
        assert float(heading) == pytest.approx(-curvature * float(driven), abs=1e-5)
        assert float(xyz[0, 1] - before[0, 1]) == pytest.approx(0.5 * curvature * float(driven) ** 2, abs=1e-4)
        # The headings still lie along the path.
        along = xyz.diff(dim=0)[0]
        assert float(torch.atan2(along[1], along[0])) == pytest.approx(
            float(torch.atan2(rotations[0, 1, 0], rotations[0, 0, 0])), abs=0.02
        )


def test_a_past_may_be_that_of_a_car_that_accelerated_more(corpus):
    moments = [moment for moment in corpus.moments if float(moment.history[0][0].norm()) > 8.0][:3]
    assert moments
    draws = [np.random.default_rng(number) for number in range(len(moments))]
    for moment, changed, number in zip(moments, disguised(moments, draws, 0.0, 1.2), range(3), strict=False):
        speeds, before = (history[0].diff(dim=0).norm(dim=-1) / 0.1 for history in (changed.history, moment.history))
        added = 1.2 * np.random.default_rng(number).standard_normal(2)[1] * min(float(before[-1]) / 4.0, 1.0)
        added = min(added, float(before[0]) / 1.5)
        torch.testing.assert_close(changed.history[1], moment.history[1])
        ages = torch.arange(14.5, 0.0, -1.0) * 0.1
        torch.testing.assert_close(speeds, before - added * ages, atol=0.1, rtol=0.0)
        assert float(speeds.min()) > -1e-3


def test_a_car_that_stands_has_no_other_past(corpus):
    still = replace(corpus.moments[0], history=(torch.zeros(16, 3), torch.eye(3).expand(16, 3, 3)))
    (changed,) = disguised([still], [np.random.default_rng(0)], 0.7, 1.2)
    torch.testing.assert_close(changed.history, still.history)


def on_an_arc(moment: Moment, speed: float, acceleration: float, curvature: float) -> Moment:
    """The moment of a car that accelerates along an arc, and stays where it comes to a stand."""
    times = torch.arange(-15, 65, dtype=torch.float64) * 0.1
    until = -speed / acceleration if acceleration < 0 else 10.0
    times = times.clamp(max=until)
    driven = speed * times + 0.5 * acceleration * times.square()
    heading = curvature * driven
    half = torch.where(heading.abs() < 1e-9, torch.ones_like(heading), torch.sin(heading / 2) / (heading / 2))
    xyz = torch.stack([driven * half * torch.cos(heading / 2), driven * half * torch.sin(heading / 2), 0 * driven], -1)
    poses = xyz.float(), yaw_rotations(heading).float()
    return replace(moment, history=tuple(part[:16] for part in poses), future=tuple(part[16:] for part in poses))


def speeds_of(xyz: torch.Tensor) -> np.ndarray:
    return np.linalg.norm(np.diff(np.concatenate([np.zeros((1, 3)), xyz.numpy()]), axis=0), axis=1) / 0.1


@given(
    speed=st.floats(5.0, 20.0),
    acceleration=st.floats(-0.5, 0.5),
    curvature=st.floats(-0.02, 0.02),
    seed=st.integers(0, 999),
)
def test_what_follows_begins_with_the_acceleration_that_the_past_ends_in(corpus, speed, acceleration, curvature, seed):
    moment = on_an_arc(corpus.moments[0], speed, acceleration, curvature)
    along = 1.2 * np.random.default_rng(seed).standard_normal(2)[1]
    (changed,) = disguised([moment], [np.random.default_rng(seed)], 0.0, 1.2)
    before, after = speeds_of(moment.future[0]), speeds_of(changed.future[0])
    # A tenth of a second later most of it is still there, as a jerk of 9 a / T leaves it.
    lasts = float(np.clip(2.5 * abs(along), 1.0, 5.0))
    assert after[0] - before[0] == pytest.approx(0.05 * along, abs=0.15 * abs(along) * 0.1 / lasts + 2e-3)
    # Within five seconds it is where it would have been, as fast as it would have been.
    torch.testing.assert_close(changed.future[0][50:], moment.future[0][50:], atol=2e-3, rtol=0.0)
    torch.testing.assert_close(changed.future[1][50:], moment.future[1][50:], atol=2e-3, rtol=0.0)
    yaws = torch.atan2(changed.future[1][:, 1, 0], changed.future[1][:, 0, 0])
    if abs(along) < 2.0:
        assert not {"jerk", "lon_jerk"} & exceeded(changed.future[0].numpy(), yaws.numpy()).keys()


@given(speed=st.floats(0.0, 12.0), braking=st.floats(1.0, 3.5), seed=st.integers(0, 999))
def test_who_brakes_to_a_stand_stands_at_the_same_place_and_never_goes_back(corpus, speed, braking, seed):
    moment = on_an_arc(corpus.moments[0], speed, -braking, 0.0)
    (changed,) = disguised([moment], [np.random.default_rng(seed)], 0.7, 1.2)
    (xyz, _), (wanted, _) = changed.future, moment.future
    assert float(xyz.diff(dim=0)[:, 0].min()) >= -1e-5
    if speed / braking < 6.4:
        torch.testing.assert_close(xyz[-1], wanted[-1], atol=1e-3, rtol=0.0)
    assert float(xyz[:, 0].max()) <= float(wanted[:, 0].max()) + 1e-3
