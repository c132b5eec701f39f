import hashlib
from dataclasses import replace

import numpy as np
import pytest
from two_processes import outputs

from alpamayo_ros.simulation.actor import SIZES, VEHICLES, Actor, ActorKind, Blinker
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.cameras.vehicles import draw_vehicle
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import Daylight, Weather, World
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import default_rig

FRONT = CameraRole.FRONT_WIDE_120


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(default_rig(160, 96, roles=list(CameraRole)))


def scene(kind: str = "slow_lead", weather: Weather = Weather.CLEAR, daylight: Daylight = Daylight.DAY) -> World:
    return replace(build(kind, 2), weather=weather, daylight=daylight).begin()


def alone(world: World, *actors: Actor) -> World:
    return replace(world, actors=list(actors))


def car(world: World, ahead: float, **more: object) -> Actor:
    s, _ = world.scenario.route.path.project(world.ego.x, world.ego.y)
    return Actor("car-0", ActorKind.CAR, world.scenario.route.path, s + ahead, colour=(200, 30, 30), **more)  # type: ignore[arg-type]


def test_all_seven_cameras_give_pictures(renderer: Renderer) -> None:
    pictures = renderer.render_all(scene())
    assert list(pictures) == list(CameraRole)
    for picture in pictures.values():
        assert picture.shape == (96, 160, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 10, "not empty"


def test_sky_is_above_and_road_below(renderer: Renderer) -> None:
    picture = renderer.render(alone(scene("open_road")), FRONT).astype(int)
    sky, road = picture[2:8, 70:90].mean(axis=(0, 1)), picture[80:94, 60:100].mean(axis=(0, 1))
    assert sky[2] > sky[0] + 20, "blue"
    assert np.ptp(road) < 25, "grey"


def test_a_car_ahead_is_where_it_should_be_and_nearer_ones_hide_farther_ones(renderer: Renderer) -> None:
    world = scene("open_road")
    empty = renderer.render(alone(world), FRONT).astype(int)
    with_car = renderer.render(alone(world, car(world, 14.0)), FRONT).astype(int)
    rows, columns = np.nonzero(np.abs(with_car - empty).sum(axis=2) > 60)
    assert 70 < columns.mean() < 90
    assert 45 < rows.mean() < 70
    hidden = car(world, 30.0)
    hidden.id = "car-1"
    both = renderer.render(alone(world, car(world, 14.0), hidden), FRONT)
    other_order = renderer.render(alone(world, hidden, car(world, 14.0)), FRONT)
    np.testing.assert_array_equal(both, other_order)


def test_brake_lights_and_indicators_can_be_seen(renderer: Renderer) -> None:
    world = scene("open_road")
    plain = renderer.render(alone(world, car(world, 12.0, speed=8.0, desired=8.0)), FRONT).astype(int)
    braking = renderer.render(alone(world, car(world, 12.0, speed=8.0, acceleration=-2.0)), FRONT).astype(int)
    assert (braking - plain)[..., 0].max() > 60, "more red"
    lit = [
        renderer.render(alone(replace(world, tick=tick), car(world, 12.0, speed=8.0, blinker=Blinker.LEFT)), FRONT)
        for tick in range(7)
    ]
    assert len({picture.tobytes() for picture in lit}) == 2, "it flashes"


@pytest.mark.parametrize("kind", sorted(VEHICLES))
def test_headlights_do_not_shine_through_the_body(renderer: Renderer, kind: ActorKind) -> None:
    world = scene("open_road", daylight=Daylight.DUSK)
    s, _ = world.scenario.route.path.project(world.ego.x, world.ego.y)
    brightest = []
    for facing in (0.0, np.pi):
        there = Actor(f"{kind}-{facing}", kind, world.scenario.route.path, s + 16.0, speed=8.0, facing=facing)
        there.length, there.width, there.height = SIZES[kind]
        there.colour = (20, 20, 20)
        picture = renderer.render(alone(world, there), FRONT).astype(int)
        brightest.append(picture[45:70, 60:100].min(axis=2).max())
    assert brightest[0] < 215 < brightest[1]


def test_the_far_side_of_a_truck_is_hidden(renderer: Renderer) -> None:
    world = scene("open_road")
    s, _ = world.scenario.route.path.project(world.ego.x, world.ego.y)
    pictures = []
    for index, paint in enumerate(((180, 30, 30), (30, 30, 180))):
        truck = Actor(f"truck-{index}", ActorKind.TRUCK, world.scenario.route.path, s + 16.0, colour=paint)
        truck.length, truck.width, truck.height = SIZES[ActorKind.TRUCK]
        pictures.append(renderer.render(alone(world, truck), FRONT))
    np.testing.assert_array_equal(pictures[0], pictures[1], "only the cab is painted, and that is in front")


def test_the_beacons_of_a_school_bus_shine_to_their_own_side() -> None:
    path = scene("open_road").scenario.route.path
    bus = Actor("bus", ActorKind.SCHOOL_BUS, path, 0.0, length=10.0, width=2.4, height=3.0, beacons=True)
    drawn = draw_vehicle(bus, 0, False)
    sides = [place[0] * normal[0] for (place, *_), normal in zip(drawn.discs, drawn.disc_normals, strict=True)]
    assert len(sides) >= 4
    assert min(sides) > 0.0


def test_night_is_dark_and_fog_hides_what_is_far(renderer: Renderer) -> None:
    day = renderer.render(scene("open_road"), FRONT).mean()
    night = renderer.render(scene("open_road", daylight=Daylight.NIGHT), FRONT).mean()
    assert night < 0.55 * day
    world, foggy = scene("open_road"), scene("open_road", weather=Weather.FOG)
    visible = []
    for state in (world, foggy):
        empty = renderer.render(alone(state), CameraRole.FRONT_TELE_30).astype(int)
        seen = renderer.render(alone(state, car(state, 70.0)), CameraRole.FRONT_TELE_30).astype(int)
        visible.append(np.abs(seen - empty).mean())
    assert visible[1] < 0.75 * visible[0]


def test_the_lamp_that_is_lit_is_seen(renderer: Renderer) -> None:
    scenario = replace(build("red_light", 4), weather=Weather.CLEAR, daylight=Daylight.DAY)
    world = drive_expert(scenario, ticks=90).worlds[-1]
    pictures = [
        renderer.render(alone(replace(world, lamps={"light-0": lamp})), CameraRole.FRONT_TELE_30).astype(int)
        for lamp in (Lamp.RED, Lamp.GREEN)
    ]
    red, green = pictures
    changed = np.abs(red - green).sum(axis=2) > 60
    assert changed.any()
    assert (red[..., 0] - red[..., 1])[changed].max() > 80
    assert (green[..., 1] - green[..., 0])[changed].max() > 60


def test_walkers_walk(renderer: Renderer) -> None:
    world = scene("open_road")
    s, _ = world.scenario.route.path.project(world.ego.x, world.ego.y)
    pictures = []
    for gait in (0.0, 0.36):
        walker = Actor("p", ActorKind.PEDESTRIAN, world.scenario.route.path, s + 9.0, -1.0, 1.3, 1.3, 0.5, 0.6, 1.75)
        walker.gait = gait
        walker.facing, walker.yaw = 1.57, walker.yaw + 1.57
        pictures.append(renderer.render(alone(world, walker), FRONT))
    assert (pictures[0] != pictures[1]).any()


def test_large_pictures_show_the_same_scene() -> None:
    world = scene("slow_lead")
    small = Renderer(default_rig(160, 96)).render(world, FRONT).astype(float)
    large = Renderer(default_rig(640, 384)).render(world, FRONT).astype(float)
    shrunk = large.reshape(96, 4, 160, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 9.0


DIGEST = """
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.types.rig import default_rig
import hashlib
drive, renderer = drive_expert(build("cut_in", 8, "challenging"), ticks=40), Renderer(default_rig(160, 96))
print(hashlib.sha256(b"".join(p.tobytes() for p in renderer.render_all(drive.worlds[-1]).values())).hexdigest())
"""


def test_the_same_seed_gives_the_same_pixels_in_two_processes() -> None:
    digests = outputs(DIGEST)
    assert len(digests) == 1
    assert len(digests.pop()) > 60


def test_pictures_of_a_drive_do_not_depend_on_what_was_drawn_before() -> None:
    drive = drive_expert(build("red_light", 1), ticks=20)
    renderer = Renderer(default_rig(160, 96))
    first = hashlib.sha256(renderer.render(drive.worlds[20], FRONT).tobytes()).hexdigest()
    renderer.render_all(scene("cut_in"))
    assert hashlib.sha256(renderer.render(drive.worlds[20], FRONT).tobytes()).hexdigest() == first


def test_a_large_picture_shows_what_a_small_one_does() -> None:
    world = drive_expert(build("red_light", 3), ticks=22).worlds[20]
    small, large = (
        Renderer(default_rig(width, height, roles=[FRONT]), 2).render(world, FRONT).astype(float)
        for width, height in ((480, 288), (1920, 1152))
    )
    shrunk = large.reshape(288, 4, 480, 4, 3).mean(axis=(1, 3))
    # Edges differ by what one pixel covers of them; things in other places would differ by a tenth of the picture.
    assert (np.abs(shrunk - small).max(axis=2) > 60.0).mean() < 0.03
