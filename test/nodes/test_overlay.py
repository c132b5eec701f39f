"""The overlay shows the path where the road is, says what the plan says, and never invents a projection."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from nodes.plans import brake, nudge, plan_of, turn, unreadable

from alpamayo_ros.datasets.overlay import speed_colour
from alpamayo_ros.nodes.overlay import LEAST_WIDTH, draw_overlay
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import Camera, default_rig

FRONT = CameraRole.FRONT_WIDE_120
GREEN, RED = (24, 120, 60), (176, 36, 36)


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def camera(width: int, height: int) -> Camera:
    return default_rig(width, height, roles=[FRONT])[FRONT]


def split(page: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture and the panel below it."""
    high = round(height * page.shape[1] / width)
    return page[:high], page[high:]


def has(part: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((part == colour).all(axis=-1).any())


@pytest.mark.parametrize(("width", "height"), [(160, 96), (576, 320), (960, 576), (1920, 1080), (3840, 2160)])
def test_size_depends_on_the_picture_alone(width, height):
    plans = (plan_of(brake()), plan_of(dataclasses.replace(unreadable(), reasoning="so many words " * 300)))
    shapes = {draw_overlay(grey(width, height), camera(width, height), plan).shape for plan in plans}
    shapes |= {draw_overlay(grey(width, height), None, plan, held_back=True).shape for plan in plans}
    assert len(shapes) == 1
    shape = shapes.pop()
    assert shape[1] == max(width, LEAST_WIDTH)
    assert shape[0] > shape[1] * height / width


@pytest.mark.parametrize(("width", "height"), [(160, 96), (1920, 1080)])
def test_the_path_lies_where_the_camera_sees_it(width, height):
    sample = turn()
    view, _ = split(draw_overlay(grey(width, height), camera(width, height), plan_of(sample, speed=6.0)), width, height)
    drawn = (view != 90).any(axis=-1)
    large = camera(width, height).resized(view.shape[1], view.shape[0])
    path = sample.trajectory
    ahead = path.positions + 3.8 * np.stack([np.cos(path.yaws), np.sin(path.yaws), 0 * path.yaws], axis=1)
    pixels = np.round(large.project(ahead)[0]).astype(int)[large.sees(ahead)]
    assert len(pixels) > 10
    assert drawn[pixels[:, 1], pixels[:, 0]].all()
    assert not drawn[: view.shape[0] // 3].any()  # the sky
    expected = (np.array(speed_colour(6.0)) + 90) / 2
    np.testing.assert_allclose(view[pixels[3, 1], pixels[3, 0]], expected, atol=2)


def test_the_given_picture_is_left_as_it_was():
    image = grey(960, 576)
    image.flags.writeable = False  # the timeline keeps it
    page = draw_overlay(image, camera(960, 576), plan_of(brake()))
    assert (image == 90).all()
    assert not np.shares_memory(page, image)


def test_without_calibration_no_path_is_drawn_and_the_picture_says_so():
    known, unknown = (
        split(draw_overlay(grey(960, 576), each, plan_of(brake())), 960, 576)[0] for each in (camera(960, 576), None)
    )
    assert (known[300:] != 90).any()
    assert (unknown[60:] == 90).all()
    assert (unknown[:60] != 90).any()


def test_a_calibration_of_another_shape_is_not_stretched():
    view, _ = split(draw_overlay(grey(960, 720), camera(960, 576), plan_of(brake())), 960, 720)
    assert (view[60:] == 90).all()
    assert (view[:60] != 90).any()
    # Another number of pixels of the same picture is no other shape.
    same, _ = split(draw_overlay(grey(960, 576), camera(1920, 1152), plan_of(brake())), 960, 576)
    expected, _ = split(draw_overlay(grey(960, 576), camera(960, 576), plan_of(brake())), 960, 576)
    assert np.abs(same.astype(int) - expected).mean() < 0.5


def test_the_gate_is_green_or_red():
    for plan, colour, other in ((plan_of(brake()), GREEN, RED), (plan_of(unreadable()), RED, GREEN)):
        _, panel = split(draw_overlay(grey(960, 576), None, plan), 960, 576)
        assert has(panel, colour)
        assert not has(panel, other)


def test_a_held_back_path_is_faint():
    def colourful(held_back: bool) -> float:
        plan = plan_of(unreadable())
        page = draw_overlay(grey(960, 576), camera(960, 576), plan, held_back=held_back)
        return float(np.ptp(split(page, 960, 576)[0].astype(int), axis=-1).sum())

    assert 0 < colourful(True) < 0.7 * colourful(False)


def test_what_is_said_is_seen():
    base = plan_of(brake())
    pages = [
        draw_overlay(grey(960, 576), None, plan)
        for plan in (
            base,
            plan_of(nudge()),
            plan_of(dataclasses.replace(brake(), reasoning="Stop for the red traffic light.")),
            dataclasses.replace(base, t0_ns=base.t0_ns + 100_000_000),
            plan_of(brake(), nudge()),
        )
    ]
    assert len({page.tobytes() for page in pages}) == len(pages)


@pytest.mark.parametrize("text", ["", "   ", "Straße … 停车", "x" * 5000, "word " * 1000, "line\nline", "\x00\x07"])
def test_any_text_stays_within_the_panel(text):
    plan = plan_of(dataclasses.replace(brake(), reasoning=text))
    view, panel = split(draw_overlay(grey(960, 576), None, plan), 960, 576)
    assert (view[60:] == 90).all()
    assert (panel[:, :14] == panel[0, 0]).all()
    assert (panel[:, -14:][:120] == panel[0, 0]).all()
