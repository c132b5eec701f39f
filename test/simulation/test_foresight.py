"""What is learned from a moment rests on what was to be seen by then."""

import pytest

from alpamayo_ros.datasets.drive import trajectory_of
from alpamayo_ros.datasets.labels import Rejection, agreeing, label
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.visibility import visible
from alpamayo_ros.types import LateralDecision
from alpamayo_ros.types.rig import default_rig

RIG = default_rig(160, 96)


def judged(drive: Episode, tick: int) -> str:
    """The first sentence of a moment that agrees with what the expert then drives, or why there is none."""
    made = label(drive, tick, RIG)
    if not isinstance(made, Rejection):
        made = agreeing(made, drive.worlds[tick], trajectory_of(drive.worlds[tick : tick + 65]))
    return made.check if isinstance(made, Rejection) else made.sentences[0]


def test_nobody_sees_when_a_light_will_turn_green() -> None:
    tick, drive = 80, drive_expert(build("red_light", 139))
    assert drive.worlds[tick].lamp("light-0") is Lamp.RED
    assert drive.worlds[tick + 40].lamp("light-0") is Lamp.GREEN
    assert judged(drive, tick) == "inconsistent", "it does not stop after all"
    expected = foreseen(drive, tick, 64, RIG)
    assert len(expected.worlds) == tick + 65
    assert expected.worlds[-1].lamp("light-0") is Lamp.RED
    assert expected.worlds[-1].ego.speed < 0.1
    assert judged(expected, tick) == "Keep lane and stop for the red light."
    assert not drive.worlds[tick].steady, "the drive itself is left as it was"


def test_nobody_sees_when_the_lead_car_will_brake() -> None:
    drive = drive_expert(build("braking_lead", 112))
    begins = next(t for t, world in enumerate(drive.worlds) if any(actor.braking for actor in world.actors))
    tick = begins - 5
    expected = foreseen(drive, tick, 64, RIG)
    assert min(world.ego.speed for world in drive.worlds[tick : tick + 65]) < drive.worlds[tick].ego.speed - 4.0
    assert min(world.ego.speed for world in expected.worlds[tick:]) > drive.worlds[tick].ego.speed - 0.5
    assert judged(expected, tick) == "no_trace", "the lane is not clear, and who drives there changes nothing yet"


def test_who_has_signalled_does_what_he_signalled() -> None:
    drive = drive_expert(build("cut_in", 112))
    signalled = next(t for t, w in enumerate(drive.worlds) if any(a.blinker in ("left", "right") for a in w.actors))
    for tick, comes in ((signalled - 1, False), (signalled, True)):
        world = foreseen(drive, tick, 64, RIG).worlds[-1]
        assert any(actor.shift_start > drive.worlds[tick].time for actor in world.actors) == comes


@pytest.mark.parametrize("kind", ["open_road", "stop_sign"])
def test_where_nothing_begins_it_is_the_drive_itself(kind: str) -> None:
    drive = drive_expert(build(kind, 112))
    expected = foreseen(drive, 40, 64, RIG)
    assert [world.ego for world in expected.worlds] == [world.ego for world in drive.worlds[:105]]
    assert expected.intents == drive.intents[:104]


def test_what_lies_ahead_unseen_is_not_there() -> None:
    drive = drive_expert(build("debris", 221, "challenging"), ticks=121)
    tick = 40
    assert not any(visible(world, "debris-0", RIG) for world in drive.worlds[: tick + 1])
    assert judged(drive, tick) == "unobserved"
    expected = foreseen(drive, tick, 64, RIG)
    assert not any(world.actor("debris-0") for world in expected.worlds)
    assert "lane ahead is clear" in judged(expected, tick)
    sees = next(t for t in range(tick, 120) if visible(drive.worlds[t], "debris-0", RIG))
    assert foreseen(drive, sees, 64, RIG).worlds[-1].actor("debris-0") is not None


def test_who_is_beside_or_behind_unseen_is_still_there() -> None:
    drive = drive_expert(build("on_ramp", 221, "challenging"), ticks=81)
    assert judged(foreseen(drive, 80, 64, RIG), 80) == "unobserved", "nobody can say for whom he waits"


@pytest.mark.parametrize(
    ("kind", "variant", "tick", "words"),
    [
        ("yield_sign", "nominal", 20, "yield"),
        ("left_turn", "nominal", 20, "yield"),
        ("slow_lead", "challenging", 40, "safe following distance"),
        ("debris", "nominal", 20, "change lanes to the right"),
        ("overtake", "challenging", 20, "change lanes"),
    ],
)
def test_what_is_seen_ahead_is_said_before_it_is_done(kind: str, variant: str, tick: int, words: str) -> None:
    drive = drive_expert(build(kind, 221, variant), ticks=tick + 1)
    assert words in judged(foreseen(drive, tick, 64, RIG), tick).lower()


def test_the_last_of_a_lane_change_is_keeping_the_lane() -> None:
    drive = drive_expert(build("lane_drop", 221), ticks=110)
    tick = 100
    assert {intent.lateral for intent in drive.intents[tick : tick + 9]} == {LateralDecision.LANE_CHANGE_LEFT}
    assert judged(foreseen(drive, tick, 64, RIG), tick).startswith("Keep lane")
    assert judged(foreseen(drive, tick - 10, 64, RIG), tick - 10).startswith("Change lanes")


@pytest.mark.parametrize(
    ("kind", "seed", "tick"), [("stop_sign", 3, 126), ("crosswalk", 1, 113), ("yield_sign", 2, 108)]
)
def test_who_drives_on_within_the_second_is_not_said_to_stop(kind: str, seed: int, tick: int) -> None:
    drive = drive_expert(build(kind, seed), ticks=tick + 1)
    assert drive.worlds[tick].ego.speed < 2.0
    assert "resume the target speed" in judged(foreseen(drive, tick, 64, RIG), tick).lower()
