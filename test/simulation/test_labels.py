from dataclasses import replace

import numpy as np
import pytest

from alpamayo_ros.simulation.actor import Actor, ActorKind, Blinker
from alpamayo_ros.simulation.cameras import Labeller, Renderer, Seen
from alpamayo_ros.simulation.cameras.labels import FARTHEST
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import Daylight, Weather, World
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import default_rig

FRONT = CameraRole.FRONT_WIDE_120


@pytest.fixture(scope="module")
def labeller() -> Labeller:
    return Labeller(Renderer(default_rig(160, 96)), block=8)


def world() -> World:
    return replace(build("open_road", 2), weather=Weather.CLEAR, daylight=Daylight.DAY).begin()


def with_car(state: World, ahead: float, **more: object) -> World:
    s, _ = state.scenario.route.path.project(state.ego.x, state.ego.y)
    car = Actor("car-0", ActorKind.CAR, state.scenario.route.path, s + ahead, **more)  # type: ignore[arg-type]
    return replace(state, actors=[car])


def test_labels_agree_with_the_pixels(labeller: Labeller) -> None:
    state = replace(world(), actors=[])
    labels = labeller.label(with_car(state, 14.0), FRONT)
    empty = labeller.renderer.render(state, FRONT).astype(int)
    full = labeller.renderer.render(with_car(state, 14.0), FRONT).astype(int)
    changed = (np.abs(full - empty).sum(axis=2) > 40).reshape(12, 8, 20, 8).mean(axis=(1, 3))
    vehicle = labels.classes[..., Seen.VEHICLE]
    assert vehicle.max() > 0.5
    assert changed[vehicle > 0.3].mean() > 0.5, "where the car is, the picture changes"
    np.testing.assert_allclose(labels.classes.sum(axis=-1), 1.0, atol=1e-5)


def test_states_of_vehicles(labeller: Labeller) -> None:
    state = world()
    plain = labeller.label(with_car(state, 12.0, speed=9.0, desired=9.0), FRONT)
    assert plain.brake.max() == 0.0
    assert plain.indicator.max() == 0.0
    busy = labeller.label(with_car(state, 12.0, speed=9.0, acceleration=-3.0, blinker=Blinker.LEFT), FRONT)
    assert busy.brake.max() > 0.4
    assert busy.indicator[..., 0].max() > 0.4
    assert busy.indicator[..., 1].max() == 0.0
    there = busy.classes[..., Seen.VEHICLE] > 0.5
    np.testing.assert_allclose(busy.motion[there][:, 0], 9.0, atol=0.2)
    np.testing.assert_allclose(busy.distance[there].min(), 12.0 - 2.25, atol=0.5)


def test_what_matters_is_located_within_its_block() -> None:
    renderer, state = Renderer(default_rig(160, 96), supersampling=1), with_car(world(), 14.0, d=0.5)
    labels, pixels = (Labeller(renderer, block).label(state, FRONT) for block in (8, 1))
    ours = pixels.classes[..., Seen.VEHICLE], *np.moveaxis(pixels.lane_edges, -1, 0), pixels.path
    for label, shown in zip(np.moveaxis(labels.across, -1, 0)[[1, 4, 5, 6]], ours, strict=True):
        blocks = shown.reshape(12, 8, 20, 8).sum(axis=1)
        there = blocks.sum(axis=-1) > 0
        columns = (blocks * (np.arange(8) - 3.5) / 8).sum(axis=-1)[there] / blocks.sum(axis=-1)[there]
        np.testing.assert_allclose(label[there], columns, atol=1e-5)
        assert np.abs(columns).max() > 0.2
        assert not label[~there].any()
    there = labels.classes[..., Seen.VEHICLE] > 0
    np.testing.assert_allclose(labels.ranges[there][:, 1], 14.0 - 2.25, atol=0.6)
    assert labels.ranges[~there][:, 1].min() == FARTHEST


def test_the_range_of_a_stop_line_is_that_of_its_near_edge(labeller: Labeller) -> None:
    """It is thinner than a pixel, and shows all the same."""
    scenario = replace(build("stop_sign", 4), weather=Weather.CLEAR, daylight=Daylight.DAY)
    route, line = scenario.route, scenario.route.stops[0].s
    ranges = []
    for state in drive_expert(scenario, ticks=110).worlds[68:101:8]:
        labels = labeller.label(replace(state, actors=[]), CameraRole.FRONT_TELE_30)
        s, _ = route.path.project(state.ego.x, state.ego.y)
        ranges.append((line - s, labels.ranges[..., 0].min()))
    assert [away for away, _ in ranges] == pytest.approx([28.8, 23.6, 19.3, 15.7, 12.8], abs=0.5)
    np.testing.assert_allclose(*zip(*ranges, strict=True), atol=0.7)


def test_lane_edges_are_left_and_right_and_the_path_is_between(labeller: Labeller) -> None:
    labels = labeller.label(replace(world(), actors=[]), FRONT)
    columns = np.arange(20)
    row = 8
    left = (labels.lane_edges[row, :, 0] * columns).sum() / labels.lane_edges[row, :, 0].sum()
    right = (labels.lane_edges[row, :, 1] * columns).sum() / labels.lane_edges[row, :, 1].sum()
    middle = (labels.path[row] * columns).sum() / labels.path[row].sum()
    assert left < middle < right


def test_the_lamp_of_our_light(labeller: Labeller) -> None:
    scenario = replace(build("red_light", 4), weather=Weather.CLEAR, daylight=Daylight.DAY)
    state = replace(drive_expert(scenario, ticks=90).worlds[-1], actors=[], lamps={"light-0": Lamp.RED})
    labels = labeller.label(state, CameraRole.FRONT_TELE_30)
    assert labels.lamps[..., 0].max() > 0.02
    assert labels.lamps[..., 2].max() == 0.0
    assert labels.classes[..., Seen.TRAFFIC_LIGHT].max() > 0.02


def test_labels_of_a_whole_drive_are_finite(labeller: Labeller) -> None:
    drive = drive_expert(build("left_turn", 3, "challenging"), ticks=120)
    for state in drive.worlds[::30]:
        for role in labeller.renderer.rig.roles:
            labels = labeller.label(state, role)
            for name in (
                "classes",
                "brake",
                "indicator",
                "lamps",
                "motion",
                "distance",
                "lane_edges",
                "path",
                "ranges",
                "across",
            ):
                assert np.isfinite(getattr(labels, name)).all()


def test_pictures_must_be_made_of_whole_blocks() -> None:
    with pytest.raises(ValueError, match="not made of 7-pixel blocks"):
        Labeller(Renderer(default_rig(160, 96)), block=7)
