import math

import numpy as np
import pytest

from alpamayo_ros.reasoning import can_occur, compose
from alpamayo_ros.simulation.actor import ActorKind, Blinker
from alpamayo_ros.simulation.decision import decide, settle
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.explanation import explain
from alpamayo_ros.simulation.intervention import effect_of, with_lamp, without
from alpamayo_ros.simulation.keyframe import FUTURE, HISTORY, Rule, find_keyframes
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.visibility import visible
from alpamayo_ros.types import CameraRole, LateralDecision, LongitudinalDecision
from alpamayo_ros.types.rig import default_rig

RIG = default_rig(160, 96)


def first(drive: Episode, rule: Rule) -> int:
    return next(frame.tick for frame in find_keyframes(drive) if frame.rule is rule)


def test_short_flickers_are_not_decisions() -> None:
    values = [("a", None)] * 6 + [("b", "x")] * 2 + [("a", None)] * 5 + [("c", None)]
    assert [decision for decision, _ in settle(values)] == ["a"] * 13 + ["c"]


def test_removing_the_lead_changes_the_speed_and_removing_a_bystander_does_not() -> None:
    drive = drive_expert(build("braking_lead", 1))
    tick = first(drive, Rule.LEAD)
    explanation = explain(drive, tick, RIG)
    assert explanation.decision.longitudinal is LongitudinalDecision.LEAD_OBSTACLE_FOLLOWING
    (cause,) = [cause for cause in explanation.causes if cause.proximate]
    assert cause.longitudinal
    assert not cause.lateral
    assert cause.effect is not None
    assert cause.effect.speed > 0.7
    assert cause.component.attributes["relative_pose"] == "in_path"
    others = [actor.id for actor in drive.worlds[tick].actors if actor.id != cause.id]
    assert others
    assert not effect_of(drive.worlds[tick], drive.minds[tick], others[0]).any


def test_a_light_that_is_turned_green_lets_the_car_through() -> None:
    drive = drive_expert(build("red_light", 1))
    tick = first(drive, Rule.STOP)
    world, expert = drive.worlds[tick], drive.minds[tick]
    explanation = explain(drive, tick, RIG)
    assert explanation.decision.longitudinal is LongitudinalDecision.STOP_FOR_STATIC_CONSTRAINTS
    assert explanation.components[0].kind in ("red_light", "yellow_light")
    assert effect_of(world, expert, "light-0").longitudinal
    assert without(world, "stop-light-0").lamp("light-0") is Lamp.GREEN
    assert with_lamp(world, "light-0", Lamp.GREEN).lamp("light-0-cross") is Lamp.RED
    assert world.lamp("light-0") is not Lamp.GREEN, "the world itself is left as it was"


def test_the_parked_vehicle_is_the_cause_of_the_nudge() -> None:
    drive = drive_expert(build("double_parked", 4))
    explanation = explain(drive, first(drive, Rule.NUDGE), RIG)
    assert explanation.decision.lateral is LateralDecision.OUT_OF_LANE_NUDGE_LEFT
    (cause,) = [cause for cause in explanation.causes if cause.proximate and cause.lateral]
    assert cause.component.kind.startswith("parked")


@pytest.mark.parametrize("seed", range(24, 27))
def test_works_are_passed_by_one_lane_change_at_speed(seed: int) -> None:
    drive = drive_expert(build("construction", seed))
    laterals = [decision for decision, _ in settle([(intent.lateral.value, None) for intent in drive.intents])]
    done = [decision for decision, before in zip(laterals, [None, *laterals], strict=False) if decision != before]
    assert len(done) == 3, done
    assert done[0] == done[2] == LateralDecision.LANE_KEEPING
    assert done[1] in (LateralDecision.LANE_CHANGE_LEFT, LateralDecision.LANE_CHANGE_RIGHT)
    assert min(world.ego.speed for world in drive.worlds) >= drive.worlds[0].ego.speed - 0.5


def test_a_nudge_is_prepared_while_its_cause_is_in_sight() -> None:
    drive = drive_expert(build("double_parked", 4))
    (ready,) = [frame for frame in find_keyframes(drive) if frame.rule is Rule.NUDGE_PREPARATION]
    assert not ready.reactive
    laterals = [intent.lateral for intent in drive.intents]
    assert set(laterals[ready.tick : ready.last + 1]) == {LateralDecision.LANE_KEEPING}
    assert laterals[ready.last + 1] is LateralDecision.OUT_OF_LANE_NUDGE_LEFT
    explanation = explain(drive, ready.tick, RIG)
    assert explanation.decision.lateral is LateralDecision.OUT_OF_LANE_NUDGE_LEFT
    (cause,) = [cause for cause in explanation.causes if cause.proximate and cause.lateral]
    assert cause.observed
    assert cause.component.kind.startswith("parked")


def test_somebody_at_the_kerb_is_not_yielded_to() -> None:
    drive = drive_expert(build("waiting_walker", 3))
    frames = [frame for frame in find_keyframes(drive) if frame.rule is Rule.NOT_YIELDED]
    assert frames
    for frame in frames:
        assert not frame.reactive
        assert explain(drive, frame.tick, RIG).decision.longitudinal is not LongitudinalDecision.YIELD
    crossed = find_keyframes(drive_expert(build("jaywalker", 3)))
    assert Rule.YIELD in {frame.rule for frame in crossed}
    assert Rule.NOT_YIELDED not in {frame.rule for frame in crossed}, "who walks on is yielded to"


def test_who_is_fast_enough_to_pass_is_not_said_to_accelerate() -> None:
    drive = drive_expert(build("overtake", 24))
    tick = next(t for t, intent in enumerate(drive.intents) if intent.lateral is LateralDecision.LANE_CHANGE_LEFT)
    assert drive.intents[tick].longitudinal is LongitudinalDecision.ACCELERATION_FOR_PASSING
    decision = explain(drive, tick, RIG).decision
    assert (decision.longitudinal, decision.lateral) == (None, LateralDecision.LANE_CHANGE_LEFT)


def test_who_speeds_up_out_of_a_turn_is_not_said_to_slow_for_it() -> None:
    drive = drive_expert(build("right_turn", 24, "challenging"))
    assert drive.intents[120].longitudinal is LongitudinalDecision.SPEED_ADAPTATION, "the turn still bounds the speed"
    decision = explain(drive, 120, RIG).decision
    assert decision.longitudinal is LongitudinalDecision.SET_SPEED_TRACKING
    assert decision.lateral is LateralDecision.TURN_RIGHT


def test_who_takes_an_exit_does_so_to_its_end() -> None:
    """It is the route that leaves the lane: beside it there is never anything left to move."""
    drive = drive_expert(build("off_ramp", 900), ticks=140)
    under_way = [intent.lateral is LateralDecision.MERGE_SPLIT for intent in drive.intents]
    assert sum(under_way) > 30
    for tick in (20, *np.flatnonzero(under_way)[::15]):
        assert decide(drive.worlds, drive.intents, int(tick)).decision.lateral is LateralDecision.MERGE_SPLIT


@pytest.mark.parametrize(
    ("kind", "variant", "seed", "tick", "decision", "told"),
    [
        # Who stands is not said to drive on two seconds before he does, and then he is.
        ("yield_sign", "challenging", 900, 127, "yield", ["car crossing left"]),
        ("yield_sign", "challenging", 900, 136, "set_speed_tracking", ["clear_lane ego"]),
        # Who still brakes does not drive on, though what he braked for is all but past.
        ("jaywalker", "nominal", 900, 91, "yield", ["pedestrian crossing in_path"]),
        ("speed_bump", "nominal", 900, 107, "speed_adaptation", ["speed_bump"]),
        # A lane in which somebody stands is not clear.
        ("double_parked", "challenging", 900, 155, "set_speed_tracking", ["parked_van in_path"]),
        # Who is being passed is not ahead, and the last of a chain is what one goes around in the end.
        ("cyclist_ahead", "nominal", 900, 133, None, ["cyclist moving right"]),
        ("badly_parked", "challenging", 900, 122, None, ["parked_car right"]),
        ("overtake", "challenging", 900, 31, "set_speed_tracking", ["clear_lane ego"]),
        # The sign says that there will be a curve, before its road is to be seen.
        ("sharp_curve", "challenging", 901, 36, "speed_adaptation", ["curve left"]),
    ],
)
def test_what_is_told_is_what_is_done(
    kind: str, variant: str, seed: int, tick: int, decision: str | None, told: list[str]
) -> None:
    made = explain(drive_expert(build(kind, seed, variant), ticks=tick + FUTURE), tick, RIG, others=0)
    assert made.decision.longitudinal == decision
    components = [" ".join([part.kind, *sorted(part.attributes.values())]) for part in made.components]
    assert components == told


def test_unlit_people_are_not_seen_from_afar_at_night() -> None:
    """Whether they walk or stand; a parked car that blinks is."""
    world = drive_expert(build("crosswalk", 28, "challenging"), ticks=40).worlds[40]
    walker = next(actor for actor in world.actors if actor.id == "stroller-0")
    assert walker.speed > 0.5
    assert 60.0 < math.hypot(walker.x - world.ego.x, walker.y - world.ego.y) < 110.0
    assert not visible(world, walker.id, RIG)
    walker.kind, walker.blinker, walker.speed, walker.reacts = ActorKind.CAR, Blinker.HAZARD, 0.0, False
    assert visible(world, walker.id, RIG)
    walker.blinker = Blinker.OFF
    assert not visible(world, walker.id, RIG)


def test_nothing_unknown_can_be_taken_away() -> None:
    with pytest.raises(KeyError, match="the moon"):
        without(build("open_road", 0).begin(), "the moon")


def test_what_stands_behind_a_house_or_behind_the_car_is_not_seen() -> None:
    drive = drive_expert(build("slow_lead", 2), ticks=30)
    world = drive.worlds[30]
    lead = min(
        (actor for actor in world.actors if actor.path is world.scenario.route.path and actor.reacts),
        key=lambda actor: abs(actor.s - 60.0),
    )
    assert visible(world, lead.id, RIG)
    hidden = world.copy()
    hidden.scenario.route.path.pose(0.0)
    moved = hidden.actor(lead.id)
    assert moved is not None
    moved.x, moved.y = world.ego.x - 30.0, world.ego.y
    assert not visible(hidden, lead.id, RIG), "no camera of the four looks back"


def test_a_turn_of_the_route_is_known_before_it_is_seen() -> None:
    world = build("right_turn", 3, "challenging").begin()
    turn = next(event for event in world.scenario.route.slowings if event.kind == "turn")
    nothing = default_rig(160, 96, [CameraRole.REAR_TELE_30])
    assert visible(world, turn.id, nothing)
    bend = build("sharp_curve", 3).begin()
    curve = next(event for event in bend.scenario.route.slowings if event.kind == "curve")
    assert not visible(bend, curve.id, nothing)


KINDS = [
    "cut_in",
    "stop_sign",
    "left_turn",
    "pull_over",
    "sharp_curve",
    "crosswalk",
    "cyclist_ahead",
    "overtake",
    "on_ramp",
]


@pytest.mark.parametrize("kind", KINDS)
def test_keyframes_have_history_and_future_and_can_be_put_into_words(kind: str) -> None:
    drive = drive_expert(build(kind, 1))
    frames = find_keyframes(drive)
    assert frames
    told = 0
    for frame in frames:
        assert HISTORY <= frame.tick <= frame.last <= len(drive.intents) - FUTURE
        explanation = explain(drive, frame.tick, RIG)
        assert can_occur(explanation.decision.longitudinal, explanation.decision.lateral)
        if explanation.observed:
            assert 8 <= len(compose(explanation.decision, explanation.components, 0).split()) <= 18
            told += 1
    assert told
