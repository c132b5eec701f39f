"""Bags in, bags with plans out: every t0, the same bytes each time, and what does not fit is told."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotation_runs import HISTORY, PERIOD, Straight, annotated, expected, t0s
from bag_records import (
    MS,
    START,
    TYPES,
    Record,
    along,
    drive,
    image,
    later,
    read_bag,
    scenery,
    transform,
    write_bag,
    write_rig,
)
from bag_records import stamp as stamp_of
from command import alpamayo, alpamayo_without_ros, refusal
from golden_data import FOLDER
from nuscenes_bag import nuscenes_records, write_nuscenes_rig

from alpamayo_ros.cli.annotate import annotate as annotate_command
from alpamayo_ros.datasets.bag_reader import BagReader
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.nodes.annotator import OVERLAY, PATH, PLAN, REASONING, AnnotateOptions, Annotation
from alpamayo_ros.nodes.parameters import SPECS
from alpamayo_ros.policy import DrivingPolicy


def reasons(found: Annotation) -> dict[tuple[str, str], int]:
    return {(str(reason), source): known.count for (reason, source), known in found.refused.items()}


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("raw", [False, True])
def test_every_t0_is_planned_and_logged_at_its_stamp(tmp_path, storage, raw):
    bag = write_bag(tmp_path / "bag", drive(2.5, raw), storage)
    rig = write_rig(tmp_path, "raw" if raw else "compressed")
    found = annotated(bag, rig, tmp_path / "out", storage=storage)
    wanted = expected(START + HISTORY, START + 2500 * MS)
    assert (found.plans, found.resumed) == (len(wanted), 0)
    out = read_bag(tmp_path / "out")  # by the types in the bag itself
    assert set(out) == {PLAN, PATH, REASONING}
    for topic in out:
        assert [logged_ns for logged_ns, _ in out[topic]] == wanted
    for logged_ns, plan in out[PLAN]:
        assert stamp_of(plan.header) == logged_ns
        assert stamp_of(plan.ego_pose.header) == logged_ns
        assert plan.ego_pose.header.frame_id == "odom"
        assert plan.ego_pose.pose.position.x == pytest.approx(along(logged_ns))
        assert [cameras.role for cameras in plan.cameras] == [0, 1, 2, 6]
        for cameras in plan.cameras:
            stamps = [one.sec * 10**9 + one.nanosec for one in cameras.stamps]
            assert stamps == [logged_ns - age * PERIOD for age in (3, 2, 1, 0)]
    assert all(len(path.poses) == 64 for _, path in out[PATH])


def test_the_right_pictures_belong_to_each_t0(tmp_path):
    policy = Straight()
    bag = write_bag(tmp_path / "bag", drive(1.6, raw=True))
    annotated(bag, write_rig(tmp_path, "raw"), tmp_path / "out", policy)
    assert [seen.t0_ns for seen in policy.seen] == [START + 1500 * MS, START + 1600 * MS]
    for seen in policy.seen:
        for camera in seen.cameras:
            ticks = (camera.stamps_ns - START) // (20 * MS)
            wanted = np.stack([scenery(camera.role, int(tick)) for tick in ticks])
            np.testing.assert_array_equal(camera.images, wanted)


def test_a_bag_of_raw_pictures_is_annotated_without_ros(tmp_path):
    bag = write_bag(tmp_path / "bag", drive(1.5, raw=True))
    ran = alpamayo_without_ros(
        "annotate", bag, "--rig", write_rig(tmp_path, "raw"), "--model", FOLDER / "ar1_tiny", "--device", "cpu",
        "--out", tmp_path / "out", "--max-reasoning-tokens", 4,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert t0s(tmp_path / "out") == [START + HISTORY]


def test_the_same_bag_gives_the_same_bytes(tmp_path):
    bag = write_bag(tmp_path / "bag", drive(1.5))
    rig = write_rig(tmp_path)
    outputs = [tmp_path / name / "out" for name in "ab"]
    for output in outputs:
        ran = alpamayo(
            "annotate", bag, "--rig", rig, "--model", FOLDER / "ar1_tiny", "--device", "cpu", "--out", output,
            "--samples", 2, "--max-reasoning-tokens", 4, "--overlay", "--copy", "--json",
        )  # fmt: skip
        assert (ran.exit_code, ran.stderr) == (0, ""), ran.output
        assert json.loads(ran.stdout)["plans"] == 1
    for name in ("out.mcap", "metadata.yaml"):
        assert (outputs[0] / name).read_bytes() == (outputs[1] / name).read_bytes()
    assert len(read_bag(outputs[0])[PLAN][0][1].samples) == 2


def test_every_nth_and_part_of_a_bag(tmp_path):
    bag = write_bag(tmp_path / "bag", drive(4.0))
    rig = write_rig(tmp_path)
    annotated(bag, rig, tmp_path / "every", every=5)
    assert t0s(tmp_path / "every") == expected(START + HISTORY, START + 4000 * MS, 5 * PERIOD)
    found = annotated(bag, rig, tmp_path / "part", start=2.55, end=3.25)
    # Messages were logged 3 ms after their stamps, and the bag begins with the first log time.
    assert t0s(tmp_path / "part") == expected(START + 2600 * MS, START + 3200 * MS)
    assert found.refused == {}


def test_the_source_is_copied_as_it_was(tmp_path):
    records = [
        Record("/tf_static", START, transform(START, "base_link", "camera", 1.0)),
        *drive(1.7),
    ]
    bag = write_bag(tmp_path / "bag", records)
    annotated(bag, write_rig(tmp_path), tmp_path / "out", copy=True)
    with BagReader(bag) as before, BagReader(tmp_path / "out") as after:
        assert set(after.topics) == {*before.topics, PLAN, PATH, REASONING}
        for name, topic in before.topics.items():
            assert after.topics[name] == topic
            assert list(after.messages([name])) == list(before.messages([name]))


def test_a_bag_with_plans_in_it_is_not_copied_into(tmp_path):
    bag = write_bag(tmp_path / "bag", [*drive(1.6), Record(REASONING, START, TYPES["String"](data="earlier"))])
    rig = write_rig(tmp_path)
    with pytest.raises(DatasetError, match=f"already has {REASONING}"):
        annotated(bag, rig, tmp_path / "out", copy=True)
    assert annotated(bag, rig, tmp_path / "out").plans == 2


def test_stamps_of_another_clock_are_not_copied(tmp_path):
    bag = write_bag(tmp_path / "bag", later(drive(1.6), 10**18))
    rig = write_rig(tmp_path)
    with pytest.raises(DatasetError, match="stamped by another clock"):
        annotated(bag, rig, tmp_path / "out", copy=True)
    annotated(bag, rig, tmp_path / "other")
    assert t0s(tmp_path / "other") == expected(START + HISTORY, START + 1600 * MS)


def test_refusals_are_counted_by_reason_and_source(tmp_path):
    black = START + 2000 * MS
    records = [
        replace(record, message=image(black, np.zeros((48, 80, 3), np.uint8), raw=False))
        if record.topic == "/front_wide_120" and stamp_of(record.message.header) == black
        else record
        for record in drive(3.0)
        # A camera that stops for 0.3 s.
        if not (record.topic == "/front_tele_30" and 2500 * MS < stamp_of(record.message.header) - START < 2800 * MS)
    ]
    records.append(records[0])  # the first pose once more, at the end of the list but logged first
    bag = write_bag(tmp_path / "bag", records)
    found = annotated(bag, write_rig(tmp_path), tmp_path / "out")
    refused = reasons(found)
    assert refused["camera_black", "camera front_wide_120"] == 4
    assert refused["camera_out_of_step", "camera front_tele_30"] == 5
    assert found.refused["camera_black", "camera front_wide_120"].first_ns == black
    assert {(str(reason), source) for reason, source in found.left_out} == {("ego_duplicate", "ego")}
    assert found.plans == 16 - 9


def test_the_time_contract_has_the_numbers_of_the_planner(tmp_path):
    options = {option.name: option for option in annotate_command.params}
    for name in ("slop_ms", "max_lag_ms", "max_jump"):
        spec, option = SPECS[name], options[name]
        assert (option.default, (option.type.min, option.type.max)) == (spec.default, spec.span)
        assert getattr(AnnotateOptions, name) == spec.default
    records = [record for record in drive(2.2) if record.topic != "/odom" or record.logged_ns < START + 1800 * MS]
    for record in records:
        if record.topic == "/odom" and record.logged_ns > START + 1700 * MS:
            record.message.pose.pose.position.x += 3.0
    bag, rig = write_bag(tmp_path / "bag", records), write_rig(tmp_path)
    found = annotated(bag, rig, tmp_path / "default")
    assert {str(reason) for reason, _ in found.left_out} == {"ego_jump"}
    assert (found.plans, found.behind.reason) == (2, "ego_late")
    wide = annotated(bag, rig, tmp_path / "wide", max_jump=3.5, max_lag_ms=500)
    assert (wide.plans, wide.left_out, wide.behind) == (3, {}, None)


def test_a_source_that_ends_early_is_named(tmp_path):
    records = [
        record for record in drive(3.0) if record.topic != "/cross_left_120" or record.logged_ns < START + 2000 * MS
    ]
    found = annotated(write_bag(tmp_path / "bag", records), write_rig(tmp_path), tmp_path / "out")
    assert found.last_t0_ns == START + 1900 * MS
    assert "cross_left_120" in str(found.behind)


def test_when_time_is_set_back_its_t0s_come_again(tmp_path):
    again = later(drive(2.0), 3000 * MS)
    found = annotated(write_bag(tmp_path / "bag", [*drive(2.0), *again]), write_rig(tmp_path), tmp_path / "out")
    once = expected(START + HISTORY, START + 2000 * MS)
    assert t0s(tmp_path / "out") == sorted([*once, *once[1:]])  # the first messages set back wait for the next
    assert {str(reason) for reason, _ in found.left_out} == {"time_behind", "time_jump"}


def test_a_clock_that_is_set_while_recording_costs_no_time(tmp_path):
    far = drive(2.0, start=START + 10**18)
    records = [*drive(2.0), *(replace(one, logged_ns=one.logged_ns - 10**18 + 3000 * MS) for one in far)]
    begin = time.monotonic()
    found = annotated(write_bag(tmp_path / "bag", records), write_rig(tmp_path), tmp_path / "out")
    assert time.monotonic() - begin < 60
    assert found.plans == 6 + 5  # the first message of each source after the leap waits for a second, and is lost
    assert found.last_t0_ns == START + 10**18 + 2000 * MS


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_bag(tmp_path_factory.mktemp("bags") / "bag", drive(1.6))


def test_a_rig_that_does_not_fit_is_told_in_one_line(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(DrivingPolicy, "from_pretrained", lambda *_, **__: Straight())

    def told(rig: Path, *options: object) -> str:
        return refusal(alpamayo("annotate", whole, "--rig", rig, "--model", "any", "--out", tmp_path / "out", *options))

    rig = write_rig(tmp_path, "raw")
    assert "is sensor_msgs/msg/CompressedImage, but rig rig says transport raw" in told(rig)
    rig = write_rig(tmp_path, ego={"source": "odometry", "topic": "/nothing"})
    assert "has no messages on /nothing, which rig rig wants for the ego pose; of its topics these" in told(rig)
    assert told(rig).endswith("type: /odom")
    rig = write_rig(tmp_path, ego={"source": "odometry", "topic": "/cross_left_120"})
    assert "is sensor_msgs/msg/CompressedImage, but rig rig wants /cross_left_120 for the ego pose, as" in told(rig)
    rig.write_text(rig.read_text().replace("/front_tele_30", "/tele"))
    line = told(rig)
    assert "has no messages on /tele, which rig rig wants for camera front_tele_30" in line
    assert "/cross_left_120, /cross_right_120, /front_tele_30, /front_wide_120" in line
    rig = write_rig(tmp_path)
    assert "start is 99.0 s, but" in told(rig, "--start", 99)
    assert "end is 1.0 s, which is not after start" in told(rig, "--start", 1.2, "--end", 1)
    assert "no plan could be made; " in told(rig, "--end", 1)
    assert "trained without navigation" in told(rig, "--navigation", "Turn left")
    assert not list(tmp_path.glob("out*"))
    (tmp_path / "out").mkdir()
    assert told(rig).endswith("out exists already; remove it or choose another --out")


def test_a_summary_is_told(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(DrivingPolicy, "from_pretrained", lambda *_, **__: Straight())
    ran = alpamayo("annotate", whole, "--rig", write_rig(tmp_path), "--model", "any", "--out", tmp_path / "out")
    assert ran.exit_code == 0, ran.output
    assert f"wrote {tmp_path / 'out'}: 2 plans, 15 t0s refused" in ran.stdout
    assert "ego_short            ego                      " in ran.stdout


def test_the_overlay_is_a_picture(whole, tmp_path):
    annotated(whole, write_rig(tmp_path), tmp_path / "out", overlay=True)
    pictures = read_bag(tmp_path / "out")[OVERLAY]
    assert [stamp_of(picture.header) for _, picture in pictures] == t0s(tmp_path / "out")
    assert all(bytes(picture.data[:3]) == b"\xff\xd8\xff" for _, picture in pictures)


def test_no_frame_of_nuscenes_cameras_serves_twice(tmp_path):
    bag = write_bag(tmp_path / "bag", nuscenes_records(seconds=3.0, size=(160, 90)))
    policy = Straight()
    policy.model.config.camera_roles, policy.model.config.any_camera_subset = tuple(range(7)), True
    found = annotated(bag, write_nuscenes_rig(tmp_path), tmp_path / "out", policy, every=2)
    assert found.plans >= 6
    for _, plan in read_bag(tmp_path / "out")[PLAN]:
        assert [cameras.role for cameras in plan.cameras] == [0, 1, 2, 3, 4, 5]
        for cameras in plan.cameras:
            assert len({(one.sec, one.nanosec) for one in cameras.stamps}) == 4
            assert np.abs(cameras.skews).max() <= 0.042


@pytest.mark.slow
def test_a_bag_of_nuscenes_shape_is_annotated(tmp_path):
    bag = write_bag(tmp_path / "bag", nuscenes_records(seconds=2.6))
    ran = alpamayo(
        "annotate", bag, "--rig", write_nuscenes_rig(tmp_path), "--model", FOLDER / "ar15_tiny", "--device", "cpu",
        "--out", tmp_path / "out", "--every", 5, "--max-reasoning-tokens", 4, "--navigation", "Turn left in 40 m",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    plans = read_bag(tmp_path / "out")[PLAN]
    assert len(plans) == 2
    assert all(len(plan.cameras) == 6 for _, plan in plans)
