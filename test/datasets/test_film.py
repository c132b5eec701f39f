from dataclasses import replace

import cv2
import numpy as np
import pytest

from alpamayo_ros.datasets.captions import _caption, captions_of
from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.datasets.film import Reel, moments_of, write_film
from alpamayo_ros.datasets.labels import label
from alpamayo_ros.datasets.outline import outlines
from alpamayo_ros.datasets.overlay import CAUSE_COLOUR, draw_outlines, draw_path, speed_colour
from alpamayo_ros.datasets.page import Caption, draw_page, page_rig
from alpamayo_ros.simulation.episode import Episode
from alpamayo_ros.types import CameraRole, Decision, LongitudinalDecision
from alpamayo_ros.types.rig import DEFAULT_ROLES

FRONT = CameraRole.FRONT_WIDE_120


@pytest.fixture(scope="module")
def drive():
    return Drive.by_expert("braking_lead", 2, "nominal", page_rig(DEFAULT_ROLES), 1, ticks=30)


def test_a_caption_tells_nothing_that_is_still_to_come():
    """The car beside cuts in later; it does not even signal yet."""
    drive = Drive.by_expert("cut_in", 1, "nominal", page_rig(DEFAULT_ROLES), 1, ticks=110)
    assert "yield" in label(drive.episode, 25, drive.rig, others=0).sentences[0]
    assert _caption(drive, 25).sentence.endswith("because the lane ahead is clear.")


def test_a_video_can_be_played_and_its_strip_seen(drive, tmp_path):
    captions = captions_of(drive)
    assert len(captions) == 31
    assert captions[0].sentence.endswith((".", ")"))
    moments = moments_of(captions[:6], 3)
    assert len(moments) == 3
    write_film([Reel(drive, captions, range(6), moments)], tmp_path / "a.mp4", tmp_path / "a.png")
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    frames = []
    while (got := video.read())[0]:
        frames.append(got[1])
    assert len(frames) == 6
    assert frames[0].shape == (720, 1280, 3)
    assert cv2.imread(str(tmp_path / "a.png")).shape == (1080, 1920, 3)


def test_drives_follow_each_other_in_a_film_and_an_end_stays(drive, tmp_path):
    caption = Caption(None, "Nothing to read.", {}, None, ("OFF THE ROAD",))
    reels = [Reel(drive, [caption] * 31, range(2), {1}), Reel(drive, [caption] * 31, range(28, 31), {28, 30}, hold=4)]
    write_film(reels, tmp_path / "a.mp4", tmp_path / "a.png")
    assert int(cv2.VideoCapture(str(tmp_path / "a.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == 2 + 3 + 3
    assert cv2.imread(str(tmp_path / "a.png")).shape == (1080, 1920, 3), "three moments, two in a row"


def test_what_went_wrong_is_red_below_the_picture(drive):
    plain, alarmed = (draw_page(drive, 5, Caption(None, "", {}, None, alarms)) for alarms in ((), ("OFF THE ROAD",)))
    rows, columns = np.nonzero((plain != alarmed).any(axis=2))
    assert rows.min() > 576
    red, green, blue = np.median(alarmed[rows, columns], axis=0)
    assert red > 2 * green
    assert red > 2 * blue


def test_the_path_lies_on_the_road_ahead(drive):
    plain = drive.picture(10, FRONT)
    drawn = plain.copy()
    draw_path(drawn, drive.rig[FRONT], drive.path_after(10, 20))
    rows, columns = np.nonzero((drawn != plain).any(axis=2))
    assert rows.min() > plain.shape[0] * 0.45, "below the horizon"
    assert abs(columns.mean() - plain.shape[1] / 2) < 60
    assert speed_colour(0.0)[0] > 200
    assert speed_colour(20.0)[2] > 200


def test_a_plan_is_drawn_instead_of_what_was_driven(drive):
    # A drive that somebody else drove has states only; whoever drove says what it planned.
    driven = Drive(Episode(drive.episode.worlds, (), ()), drive.rig, 1)
    plan = drive.path_after(0, 5)
    left = replace(plan, positions=plan.positions + np.array([0.0, 4.0, 0.0]))
    straight, aside = (draw_page(driven, 0, Caption(Decision(), "Plan.", {}, path)) for path in (plan, left))
    changed = np.nonzero((straight != aside).any(axis=2))[1]
    assert changed.min() < 480 < changed.max() < 960


def test_an_outline_is_drawn_around_the_lead(drive):
    world = drive.world(10)
    lead = min(
        (a for a in world.actors if a.kind == "car"), key=lambda a: (a.x - world.ego.x) ** 2 + (a.y - world.ego.y) ** 2
    )
    image = np.zeros((576, 960, 3), np.uint8)
    draw_outlines(image, drive.rig[FRONT], world.ego, [("", outlines(world, lead.id))])
    assert (image == CAUSE_COLOUR).all(axis=2).any()
    assert outlines(world, "nothing") == []


def test_the_strip_shows_every_new_decision_first():
    calm, wary = (Caption(Decision(decision), "", {}) for decision in list(LongitudinalDecision)[:2])
    assert moments_of([calm] * 20 + [wary] * 20, 2) == [0, 25]
    assert moments_of([calm] * 40, 4) == [0, 10, 20, 30]
    assert moments_of([calm] * 2, 8) == [0, 1]
