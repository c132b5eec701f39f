"""Meta-actions of synthetic motions, and the rules of absorption."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning.motions import sideways, unicycle, within

from alpamayo_ros.reasoning.meta_actions import LaneTrack, meta_actions, segment_motion
from alpamayo_ros.types import LaneAction, LateralAction, LongitudinalAction, MetaActions


def speed_labels(actions: MetaActions) -> list[str]:
    return [a.action.value for a in actions.longitudinal]


def straight(speeds: np.ndarray) -> MetaActions:
    positions = np.zeros((len(speeds), 2))
    positions[1:, 0] = np.cumsum((speeds[1:] + speeds[:-1]) / 2 * 0.1)
    return segment_motion(speeds, np.zeros(len(speeds)), positions)


@pytest.mark.parametrize(
    ("speed", "acceleration", "labels"),
    [
        (10.0, 0.0, ["maintain_speed"]),
        (0.0, 0.0, ["stop"]),
        (10.0, 0.05, ["maintain_speed"]),
        (10.0, 0.14, ["maintain_speed"]),  # Δv 0.9 m/s, but below 0.15 m/s²
        (10.0, 0.16, ["gentle_accelerate"]),
        (10.0, 1.39, ["gentle_accelerate"]),
        (10.0, 1.41, ["strong_accelerate"]),
        (10.0, -0.16, ["gentle_decelerate"]),
        (12.0, -1.41, ["strong_decelerate"]),
        (-2.0, 0.0, ["reverse"]),
        (-0.11, 0.0, ["stop"]),
    ],
)
def test_constant_accelerations_take_their_label(speed: float, acceleration: float, labels: list[str]) -> None:
    assert speed_labels(meta_actions(unicycle(speed, lambda t: acceleration))) == labels


def test_braking_to_a_stop_and_pulling_away_are_three_segments() -> None:
    actions = meta_actions(unicycle(5.0, lambda t: -2.5 if t < 2.5 else 1.0 if t >= 4.0 else 0.0))
    assert speed_labels(actions) == ["strong_decelerate", "stop", "gentle_accelerate"]
    assert sum(a.change for a in actions.longitudinal) == pytest.approx(actions.final_speed - 5.0)


def test_a_short_pause_is_absorbed_by_its_equal_neighbors() -> None:
    rates = np.r_[np.full(25, 0.8), np.zeros(9), np.full(30, 0.8)]
    assert speed_labels(straight(np.r_[5.0, 5.0 + np.cumsum(rates * 0.1)])) == ["gentle_accelerate"]


def test_a_long_pause_is_not() -> None:
    rates = np.r_[np.full(25, 0.8), np.zeros(20), np.full(30, 0.8)]
    labels = speed_labels(straight(np.r_[5.0, 5.0 + np.cumsum(rates * 0.1)]))
    assert labels == ["gentle_accelerate", "maintain_speed", "gentle_accelerate"]


def test_a_short_segment_between_different_ones_is_halved() -> None:
    rates = np.r_[np.full(30, 1.0), np.zeros(9), np.full(30, -1.0)]
    actions = straight(np.r_[5.0, 5.0 + np.cumsum(rates * 0.1)])
    assert speed_labels(actions) == ["gentle_accelerate", "gentle_decelerate"]
    assert actions.longitudinal[0].end == pytest.approx(3.45, abs=0.15)


def test_acceleration_must_leave_the_threshold_by_15_percent_to_cut() -> None:
    wobble = np.where(np.arange(64) // 5 % 2, 0.095, 0.105)  # around the cut at 0.1 m/s²
    assert len(straight(np.r_[5.0, 5.0 + np.cumsum(wobble * 0.1)]).longitudinal) == 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_steering_has_three_grades_on_either_side(sign: float) -> None:
    side = "left" if sign > 0 else "right"
    for curvature, label in ((0.0005, "go_straight"), (0.004, f"steer_{side}"), (0.08, f"sharp_steer_{side}")):
        actions = meta_actions(unicycle(6.0, curvature=lambda t, k=curvature: sign * k))
        assert [a.action for a in actions.lateral] == [LateralAction(label)]
        assert actions.heading_change == pytest.approx(sign * curvature * 6.0 * 6.4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_reversing_around_a_corner(sign: float) -> None:
    label = LateralAction.REVERSE_LEFT if sign > 0 else LateralAction.REVERSE_RIGHT
    # The heading turns left where the curvature is positive and the car moves forward; in reverse it is the opposite.
    actions = meta_actions(unicycle(-2.0, curvature=lambda t: -sign * 0.1))
    assert [a.action for a in actions.lateral] == [label]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_lane_level_without_lane_data_on_a_straight_road(sign: float) -> None:
    side = "left" if sign > 0 else "right"
    change = meta_actions(unicycle(12.0, curvature=sideways(12.0, sign * 3.5)))
    nudge = meta_actions(unicycle(12.0, curvature=sideways(12.0, sign * 0.5, duration=3.0)))
    keep, changed = LaneAction.LANE_KEEP, LaneAction(f"lane_change_{side}")
    assert [a.action for a in change.lane] == [keep, changed, keep]
    assert [a.action for a in nudge.lane] == [keep, LaneAction(f"slight_shift_{side}"), keep]
    assert abs(change.final_offset) == pytest.approx(3.5, abs=0.1)
    assert (change.offset_left > 3.0) == (sign > 0)


@given(st.floats(3.0, 25.0), st.floats(-0.14, 0.14), st.floats(0.0, 5.0))
def test_an_even_bend_without_lane_data_is_no_movement_across(speed: float, turned: float, begun: float) -> None:
    curvature = turned / (speed * (6.4 - begun))
    actions = meta_actions(unicycle(speed, curvature=lambda t: curvature if t >= begun else 0.0))
    assert max(actions.offset_left, actions.offset_right) < 0.01
    assert {a.action for a in actions.lane} == {LaneAction.LANE_KEEP}


def test_lane_level_without_lane_data_is_silent_on_a_curve_but_knows_a_turn() -> None:
    assert meta_actions(unicycle(12.0, curvature=within(1.0, 6.0, 0.01))).lane == ()
    turn = meta_actions(unicycle(6.0, curvature=within(1.0, 3.5, -1 / 12)))
    assert LaneAction.TURN_RIGHT in {a.action for a in turn.lane}


def test_lane_data_tells_a_lane_change_on_a_curve_from_the_curve() -> None:
    curve = unicycle(12.0, curvature=lambda t: -0.01)
    ticks = np.arange(65)
    keep = LaneTrack(np.zeros(65), np.zeros(65, dtype=int))
    change = LaneTrack(3.5 * np.clip((ticks - 10) / 35, 0, 1), np.where(ticks < 28, 0, 1))
    assert {a.action for a in meta_actions(curve, keep).lane} == {LaneAction.LANE_KEEP}
    assert LaneAction.LANE_CHANGE_LEFT in {a.action for a in meta_actions(curve, change).lane}


def test_leaving_the_lane_without_a_new_lane_id_is_a_shift() -> None:
    ticks = np.arange(65)
    offsets = 1.2 * np.clip((ticks - 10) / 20, 0, 1)
    lane = LaneTrack(offsets, np.zeros(65, dtype=int))
    labels = [a.action for a in meta_actions(unicycle(10.0), lane).lane]
    assert LaneAction.SLIGHT_SHIFT_LEFT in labels
    assert LaneAction.LANE_CHANGE_LEFT not in labels


@given(
    st.floats(0.0, 25.0),
    st.lists(st.floats(-4.0, 2.5), min_size=4, max_size=4),
    st.lists(st.floats(-0.1, 0.1), min_size=4, max_size=4),
)
def test_segments_cover_the_motion_without_gap(
    speed: float, accelerations: list[float], curvatures: list[float]
) -> None:
    plan = unicycle(speed, lambda t: accelerations[int(t / 1.6)], lambda t: curvatures[int(t / 1.6)])
    actions = meta_actions(plan)
    assert actions.initial_speed == pytest.approx(speed, abs=1e-6)
    for level in (actions.longitudinal, actions.lateral, actions.lane):
        if not level:
            continue
        assert level[0].start == 0.0
        assert level[-1].end == pytest.approx(6.4)
        for one, two in itertools.pairwise(level):
            assert one.end == two.start
            assert one.action != two.action
        assert all(a.end - a.start >= 0.5 - 1e-9 for a in level) or len(level) == 1
    assert sum(a.change for a in actions.longitudinal) == pytest.approx(plan.speeds[-1] - speed, abs=1e-6)


def test_left_and_right_are_mirrored() -> None:
    profile = sideways(9.0, 1.4, duration=3.0)
    left = meta_actions(unicycle(9.0, curvature=profile))
    right = meta_actions(unicycle(9.0, curvature=lambda t: -profile(t)))
    swapped = [a.action.value.replace("left", "x").replace("right", "left").replace("x", "right") for a in left.lateral]
    assert swapped == [a.action.value for a in right.lateral]
    assert left.offset_left == pytest.approx(right.offset_right)


@pytest.mark.parametrize(
    ("speeds", "message"),
    [
        (np.zeros(2), "at least 3"),
        (np.zeros(9), "do not match"),
        (np.full(10, np.nan), "not finite"),
    ],
)
def test_unusable_motions_are_refused(speeds: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segment_motion(speeds, np.zeros(10), np.zeros((10, 2)))


def test_lane_data_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="do not match 65"):
        meta_actions(unicycle(5.0), LaneTrack(np.zeros(64), np.zeros(64)))


def test_every_longitudinal_label_is_reachable() -> None:
    plans = [(-2.0, 0.0), (0.0, 0.0), (5.0, 2.0), (5.0, 0.5), (15.0, -2.0), (10.0, -0.5), (10.0, 0.0)]
    seen = {a.action for v, acc in plans for a in meta_actions(unicycle(v, lambda t, acc=acc: acc)).longitudinal}
    assert seen >= set(LongitudinalAction)
