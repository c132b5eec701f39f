"""Pictures that show nothing are told from dark and bright ones that do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive_messages import T0, fill, timeline

from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.simulation.world import Daylight, Weather
from alpamayo_ros.timeline import RefusalReason
from alpamayo_ros.timeline.picture_checks import find_frozen, picture_fault
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import default_rig

SIZE = (270, 480, 3)


def fault(pixels: np.ndarray) -> RefusalReason | None:
    found = picture_fault(pixels)
    return found and found[0]


def sensor(mean: float, spread: float, shape: tuple[int, ...] = SIZE) -> np.ndarray:
    return np.clip(np.random.default_rng(0).normal(mean, spread, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [0, 2, 16])
@pytest.mark.parametrize("spread", [0.0, 1.0, 2.0])
def test_a_covered_lens_is_black(level, spread):
    assert fault(sensor(level, spread)) is RefusalReason.CAMERA_BLACK


def test_a_dark_picture_with_one_lit_lane_is_not_black():
    pixels = sensor(6, 1)
    pixels[175:, 200:275] += 40
    assert fault(pixels) is None


def test_lamps_alone_are_enough():
    pixels = sensor(3, 1)
    pixels[125:135, 225:250] = 255
    assert fault(pixels) is None


def test_a_blown_out_picture_is_saturated():
    assert fault(sensor(258, 3)) is RefusalReason.CAMERA_SATURATED


def test_snow_under_a_low_sun_is_not_saturated():
    pixels = sensor(258, 3)
    pixels[225:] = sensor(225, 8, (45, 480, 3))  # a sixth keeps its shape
    assert fault(pixels) is None
    assert fault(sensor(235, 4)) is None  # fog


@pytest.mark.parametrize("colour", [(0, 135, 0), (128, 128, 128), (255, 0, 255)])
def test_one_colour_is_blank(colour):
    pixels = np.full(SIZE, colour, dtype=np.uint8)
    assert fault(pixels) is RefusalReason.CAMERA_BLANK
    assert fault(np.clip(pixels.astype(int) + sensor(3, 1), 0, 255).astype(np.uint8)) is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 300, 3), (127, 255, 3), (129, 257, 3)])
def test_any_size_is_checked(shape):
    assert fault(np.zeros(shape, np.uint8)) is RefusalReason.CAMERA_BLACK
    picture = np.resize(np.array([10, 200, 90, 30], np.uint8), shape)
    assert (fault(picture) is None) == (shape != (1, 1, 3))


def test_frozen_pictures_are_found_by_all_their_pixels_and_only_where_the_car_moved():
    one, other = sensor(90, 30), sensor(90, 30)
    third = sensor(120, 30)
    assert find_frozen([one, third, other], lambda: ~np.eye(3, dtype=bool)) == (0, 2)
    assert find_frozen([one, third, other], lambda: np.zeros((3, 3), dtype=bool)) is None
    other[133, 7, 2] += 1  # one pixel that is in no grid
    assert find_frozen([one, third, other], lambda: ~np.eye(3, dtype=bool)) is None
    assert find_frozen([one, third], lambda: pytest.fail("nothing looks the same")) is None


@pytest.mark.parametrize(
    ("kind", "seed", "weather"),
    # The darkest and the flattest of 100 night scenarios seen by all seven cameras.
    [("aborted_lane_change", 2, Weather.CLEAR), ("on_ramp", 3, Weather.RAIN), ("lane_drop", 3, Weather.FOG)],
)
def test_a_night_drive_passes(kind, seed, weather):
    scenario = replace(build(kind, seed, "challenging"), daylight=Daylight.NIGHT, weather=weather)
    worlds = drive_expert(scenario, ticks=2).worlds
    renderer = Renderer(default_rig(160, 96, list(CameraRole)), 1)
    for role in CameraRole:
        pictures = [renderer.render(world, role) for world in worlds[:2]]
        assert [fault(picture) for picture in pictures] == [None, None]
        assert find_frozen(pictures, lambda: np.ones((2, 2), dtype=bool)) is None


def test_a_standing_drive_gives_identical_pictures_that_pass():
    """The simulator has no noise: at a red light nothing distinguishes one picture from the next."""
    world = build("red_light", 3).begin()
    renderer = Renderer(default_rig(160, 96, [CameraRole.FRONT_WIDE_120]), 1)
    pictures = [renderer.render(world, CameraRole.FRONT_WIDE_120) for _ in range(2)]
    np.testing.assert_array_equal(*pictures)
    line = timeline(lambda _: pictures[0])
    fill(line, speed=0.0)
    np.testing.assert_array_equal(line.moment(T0).observe().cameras[0].images[3], pictures[1])
