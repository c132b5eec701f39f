"""What a scenario draws, what it scores and where its route leads are the same places."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from alpamayo_ros.simulation.actor import ActorKind
from alpamayo_ros.simulation.box import corners, meet
from alpamayo_ros.simulation.cameras.ground import OFF, WALK, GroundRaster
from alpamayo_ros.simulation.cameras.palette import palette
from alpamayo_ros.simulation.road import Lamp, LaneKind
from alpamayo_ros.simulation.scenarios import KINDS, build
from alpamayo_ros.simulation.scoring import is_off_road
from alpamayo_ros.simulation.world import EGO_WIDTH, Scenario, Variant

AHEAD = 230.0
"""Metres of the route that a drive may come to."""


def begin(scenario: Scenario) -> float:
    return scenario.route.path.project(scenario.ego.x, scenario.ego.y)[0]


def ground(scenario: Scenario, points: np.ndarray) -> np.ndarray:
    """What the raster shows at points (N, 2)."""
    raster = GroundRaster(scenario, palette(scenario))
    columns, rows = np.round((points - raster.corner) / raster.resolution).astype(int).T
    return raster.labels[rows, columns]


@pytest.mark.parametrize("kind", ["left_turn", "right_turn", "roundabout"])
def test_behind_a_turn_the_route_is_the_middle_of_a_lane(kind: str) -> None:
    for seed in range(100, 110):
        scenario = build(kind, seed)
        path, lanes = scenario.route.path, [lane for lane in scenario.roads.lanes if lane.kind is LaneKind.DRIVING]
        end = path.length - 40.0
        for s in (end - 60.0, end):
            x, y, _ = path.pose(s)
            aside = min(abs(lane.path.project(x, y)[1]) for lane in lanes)
            assert aside < 0.02, f"{kind} {seed}: {aside:.2f} m beside its lane at {s:.0f} m"


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("variant", list(Variant))
def test_nothing_that_is_fixed_stands_in_the_way(kind: str, variant: Variant) -> None:
    for seed in range(3):
        scenario = build(kind, seed, variant)
        roads, start = scenario.roads, begin(scenario)
        things = {"sign": roads.signs, "pole": roads.poles, "tree": roads.trees}
        fixed = {name: [np.array([(thing.x, thing.y)]) for thing in found] for name, found in things.items()}
        share = np.linspace(0.0, 1.0, 17)[:, None, None]
        fixed["rail"] = [
            (rail.points[:-1] * (1 - share) + rail.points[1:] * share).reshape(-1, 2) for rail in roads.rails
        ]
        for name, points in fixed.items():
            s, d = scenario.route.path.project_many(np.concatenate([np.empty((0, 2)), *points]))
            hit = (np.abs(d) < EGO_WIDTH / 2) & (s > start) & (s < start + AHEAD)
            assert not hit.any(), f"{kind} {seed}: a {name} {s[hit][0] - start:.0f} m ahead"


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_scored_as_road_is_drawn_as_road(kind: str) -> None:
    scenario = build(kind, 7, Variant.CHALLENGING)
    path, start = scenario.route.path, begin(scenario)
    along = np.arange(start + 2.0, min(start + AHEAD, path.length - 2.0))
    points = np.array([path.pose(s, d)[:2] for s in along for d in np.arange(-9.0, 9.1, 0.3)])
    scored = np.zeros(len(points), dtype=bool)
    for lane in scenario.roads.lanes:
        s, d = lane.path.project_many(points)
        scored |= (np.abs(d) <= lane.width / 2) & (s >= 0.0) & (s <= lane.path.length)
    aside = np.isin(ground(scenario, points), (OFF, WALK))
    assert (scored & aside).mean() < 0.005


def test_a_roundabout_has_an_island_and_a_way_around_it() -> None:
    scenario = build("roundabout", 2)
    ring = next(lane for lane in scenario.roads.lanes if lane.id == "ring").path.points
    assert ground(scenario, ring.mean(axis=0)[None]) == OFF
    path, start = scenario.route.path, begin(scenario)
    way = np.array([path.pose(s, d)[:2] for s in np.arange(start, start + AHEAD) for d in (-1.0, 0.0, 1.0)])
    assert not np.isin(ground(scenario, way), (OFF, WALK)).any()


@pytest.mark.parametrize("kind", ["red_light", "red_light_behind_lead", "green_light", "emergency_crossing"])
@pytest.mark.parametrize("variant", list(Variant))
def test_only_one_street_has_green(kind: str, variant: Variant) -> None:
    for seed in range(12):
        lights = build(kind, seed, variant).roads.lights
        ours = next(light for light in lights if not light.id.endswith("-cross"))
        cross = next(light for light in lights if light.id == f"{ours.id}-cross")
        for time in np.arange(0.0, 26.5, 0.1):
            assert Lamp.RED in (ours.lamp(time), cross.lamp(time)), f"{kind} {seed} at {time:.1f} s"


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_two_vehicles_begin_in_the_same_place(kind: str) -> None:
    for seed in range(3):
        world = build(kind, seed, Variant.CHALLENGING).begin()
        boxes = {
            actor.id: corners(actor.x, actor.y, actor.yaw, actor.length, actor.width)
            for actor in world.actors
            if actor.width > 1.0
        }
        for (one, box), (other, there) in combinations(boxes.items(), 2):
            assert not meet(box, there), f"{kind} {seed}: {one} and {other}"


def test_nobody_walks_through_the_school_bus() -> None:
    for seed in range(10):
        world = build("school_bus", seed, Variant.CHALLENGING).begin()
        bus = next(actor for actor in world.actors if actor.kind is ActorKind.SCHOOL_BUS)
        facing = np.array([np.cos(bus.yaw), np.sin(bus.yaw)])
        for child in (actor for actor in world.actors if actor.kind is ActorKind.CHILD):
            away = child.path.points - [bus.x, bus.y]
            along, aside = away @ facing, away @ [-facing[1], facing[0]]
            assert not ((np.abs(along) < bus.length / 2) & (np.abs(aside) < bus.width / 2)).any()


def test_beside_an_exit_lane_the_pavement_is_road() -> None:
    world = build("off_ramp", 2002).begin()
    route = world.scenario.route
    (leave,) = [manoeuvre.stop - 60.0 for manoeuvre in route.manoeuvres]
    for s in np.arange(leave, leave + 55.0, 5.0):
        x, y, yaw = route.path.pose(float(s), 1.4)  # half a metre over the line on the left
        assert not is_off_road(replace(world.ego, x=x, y=y, yaw=yaw), world.scenario.roads), s
