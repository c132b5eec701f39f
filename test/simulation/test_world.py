import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_processes import outputs

from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.following import Idm, mobil
from alpamayo_ros.simulation.offset_plan import OffsetPlan
from alpamayo_ros.simulation.scenarios import KINDS, build
from alpamayo_ros.simulation.scoring import find_collision, score_drive
from alpamayo_ros.simulation.surroundings import FRONT, look_around
from alpamayo_ros.simulation.traffic import advance
from alpamayo_ros.simulation.visibility import NIGHT_RANGE
from alpamayo_ros.simulation.world import EGO_WIDTH, MAX_ACCELERATION, MAX_CURVATURE, Variant, World

DIGEST = """
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.scenarios import build
import hashlib
drive = drive_expert(build("{kind}", {seed}, "challenging"))
text = repr([(w.ego, [(a.id, a.x, a.y, a.speed, a.colour) for a in w.actors]) for w in drive.worlds])
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_drive_in_two_processes() -> None:
    command = DIGEST.format(kind="red_light", seed=12345678901234567890)
    digests = outputs(command)
    assert len(digests) == 1
    assert len(digests.pop()) > 60


def test_seeds_and_variants_differ() -> None:
    looks = {
        hashlib.sha256(repr([(a.s, a.speed) for a in build("slow_lead", seed, variant).actors]).encode()).hexdigest()
        for seed in (0, 1, 2**70)
        for variant in Variant
    }
    assert len(looks) == 6


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown scenario kind 'moon'; the kinds are"):
        build("moon", 0)
    with pytest.raises(ValueError, match="negative"):
        build("slow_lead", -1)
    with pytest.raises(ValueError, match="sunny"):
        build("slow_lead", 1, "sunny")


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_expert_drives_every_kind(kind: str) -> None:
    drive = drive_expert(build(kind, 3, Variant.NOMINAL))
    assert len(drive.worlds) == 201
    assert len(drive.intents) == 200
    score = score_drive(drive.worlds)
    assert not score.at_fault
    assert not score.off_road
    actions = np.array([(world.ego.acceleration, world.ego.curvature) for world in drive.worlds])
    assert np.abs(actions[:, 0]).max() <= MAX_ACCELERATION
    assert np.abs(actions[:, 1]).max() <= MAX_CURVATURE


def test_the_expert_stands_clear_of_a_stop_line() -> None:
    drive = drive_expert(build("stop_sign", 3, Variant.CHALLENGING))
    route = drive.worlds[0].scenario.route
    standing = [world.ego for world in drive.worlds[20:] if world.ego.speed < 0.1]
    rooms = [route.stops[0].s - FRONT - route.path.project(ego.x, ego.y)[0] for ego in standing]
    assert rooms
    assert 3.0 < min(rooms) <= max(rooms) < 4.0


@pytest.mark.parametrize(("seed", "lane"), [(3, 3.6), (1, -3.6)])
def test_the_expert_passes_debris_in_the_other_lane_though_the_shoulder_is_nearer(seed: int, lane: float) -> None:
    drive = drive_expert(build("debris", seed, Variant.NOMINAL), ticks=150)
    debris, path = drive.worlds[0].actor("debris-0"), drive.worlds[0].scenario.route.path
    assert debris is not None
    assert debris.d * lane > 0.0
    offsets = [path.project(world.ego.x, world.ego.y)[1] for world in drive.worlds]
    assert max(offsets, key=abs) == pytest.approx(lane, abs=0.1)


def test_the_expert_does_nothing_for_what_lies_beyond_the_range_of_sight() -> None:
    drive = drive_expert(build("debris", 2, Variant.CHALLENGING), ticks=100)
    pairs = zip(drive.worlds, drive.intents, strict=False)
    away = [
        math.hypot(actor.x - world.ego.x, actor.y - world.ego.y)
        for world, intent in pairs
        if (actor := world.actor("debris-0")) and actor.id in (intent.lateral_cause, intent.longitudinal_cause)
    ]
    assert NIGHT_RANGE - 2.0 < away[0] <= NIGHT_RANGE


def test_the_expert_leaves_room_to_the_edge_for_an_emergency_vehicle() -> None:
    drive = drive_expert(build("emergency_oncoming", 3, Variant.CHALLENGING))
    aside = min(look_around(world).d for world in drive.worlds)
    room = aside - EGO_WIDTH / 2 - drive.worlds[0].scenario.route.edges[0]
    assert aside < -1.5
    assert 0.6 < room < 1.0


def test_the_expert_does_not_drive_off_at_somebody_who_comes_up_beside_its_bumper() -> None:
    drive = drive_expert(build("right_turn", 2006, Variant.CHALLENGING))
    assert not score_drive(drive.worlds).at_fault


def test_a_run_does_not_change_its_scenario() -> None:
    scenario = build("cut_in", 5)
    first = drive_expert(scenario)
    second = drive_expert(scenario)
    assert [w.ego for w in first.worlds] == [w.ego for w in second.worlds]


@given(st.floats(0, 30), st.floats(5, 30), st.floats(0.5, 100), st.floats(-10, 10))
def test_following_never_accelerates_more_than_an_open_road(
    speed: float, desired: float, gap: float, closing: float
) -> None:
    idm = Idm()
    assert idm.follow(speed, desired, gap, closing) <= idm.free(speed, desired) + 1e-9
    assert idm.follow(speed, desired, gap, closing) <= idm.follow(speed, desired, gap + 5.0, closing) + 1e-9


def test_mobil_refuses_to_force_the_follower_to_brake_hard() -> None:
    assert mobil(0.0, 1.0, 0.0, -3.5, 0.3, 0.0) == -np.inf
    assert mobil(0.0, 1.0, 0.0, -1.0, 0.3, 0.0) == pytest.approx(0.7)


@settings(max_examples=50)
@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(8, 60), st.floats(-0.2, 0.2))
def test_an_offset_plan_starts_as_it_is_and_ends_level(
    before: float, after: float, length: float, slope: float
) -> None:
    plan = OffsetPlan(5.0, 5.0 + length, before, after, slope, 0.0)
    assert plan.at(5.0 + 1e-9)[0] == pytest.approx(before, abs=1e-6)
    assert plan.at(5.0 + 1e-9)[1] == pytest.approx(slope, abs=1e-5)
    assert plan.at(5.0 + length - 1e-9) == pytest.approx((after, 0.0, 0.0), abs=1e-5)


def stands_from(reference: Episode, tick: int) -> list[World]:
    """The drive up to a tick, from which on the ego vehicle brakes and stands, 12 s in all."""
    world = reference.worlds[tick].copy()
    worlds = [world.copy()]
    for _ in range(120):
        advance(world, -4.0, 0.0)
        worlds.append(world.copy())
    return worlds


@pytest.mark.parametrize("seed", [3, 4])
def test_cars_in_a_roundabout_brake_for_one_that_stands(seed: int) -> None:
    reference = drive_expert(build("roundabout", seed), ticks=264)
    middle = next(event.start for event in reference.worlds[0].scenario.route.slowings if event.kind == "roundabout")
    inside = next(tick for tick, world in enumerate(reference.worlds) if look_around(world).s > middle + 14.0)
    assert [find_collision(world) for world in stands_from(reference, inside)] == [None] * 121


def test_a_cyclist_brakes_for_a_car_that_has_passed_and_stands() -> None:
    reference = drive_expert(build("cyclist_ahead", 1), ticks=264)
    passed = max(tick for tick, intent in enumerate(reference.intents) if "nudge" in intent.lateral.value) + 25
    assert [find_collision(world) for world in stands_from(reference, passed)] == [None] * 121
