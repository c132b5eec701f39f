"""Bags that are whole, and every way in which they are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from bag_records import MS, START, Record, image, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpamayo_ros.datasets.bag import BagOptions
from alpamayo_ros.datasets.bag import write_bag as write_drive
from alpamayo_ros.datasets.bag_reader import BagReader
from alpamayo_ros.datasets.staging import DatasetError


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def bag(drive, request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bags") / "bag"
    write_drive(drive, folder, BagOptions(storage=request.param), ticks=drive.ticks)
    return folder


def file_of(bag: Path) -> Path:
    return next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))


def everything(path: Path) -> list:
    with BagReader(path) as reader:
        return [(*message, reader.deserialize(message)) for message in reader.messages(reader.topics)]


def test_messages_come_in_the_order_of_the_log(bag, drive):
    with BagReader(bag) as reader:
        assert reader.topics["/odom"].kind == "nav_msgs/msg/Odometry"
        assert reader.topics["/odom"].count == 126
        assert (reader.start_ns, reader.end_ns) == (drive.stamp_ns(0), drive.stamp_ns(25))
        messages = list(reader.messages(["/odom", "/tf_static"]))
        logged = [message.logged_ns for message in messages]
        assert logged == sorted(logged)
        assert len(messages) == 127
        motion = [*drive.motions(50)][-1]
        place = reader.deserialize(messages[-1]).pose.pose.position
        assert (place.x, place.y) == (motion.x, motion.y)
        some = list(reader.messages(["/odom"], logged[10], logged[20]))
        assert [message.logged_ns for message in some] == [ns for ns in logged if logged[10] <= ns < logged[20]]
        assert list(reader.messages(["/nothing"])) == []
        assert list(reader.messages([])) == []


def test_the_file_alone_is_a_bag_too(bag):
    assert len(everything(file_of(bag))) == len(everything(bag))


def test_types_are_known_by_text_and_hash(bag):
    for path in (bag, file_of(bag)):
        with BagReader(path) as reader:
            for topic in reader.topics.values():
                assert topic.digest.startswith("RIHS01_")
                assert "header" in topic.definition


def test_no_bag_is_told_in_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("no bag")
    for name, words in (
        ("nothing", "does not exist; give the folder of a bag"),
        ("folder", "has no metadata.yaml: it is no bag, or its recording was cut off"),
        ("text.txt", "is no bag; give the folder"),
    ):
        with pytest.raises(DatasetError, match=words) as error:
            everything(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_bag_that_is_cut_off_is_damaged(bag, tmp_path):
    broken = shutil.copytree(bag, tmp_path / "bag")
    file = file_of(broken)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DatasetError, match="is damaged") as error:
        everything(broken)
    assert str(broken) in str(error.value)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_how_far_a_damaged_bag_can_be_read_is_told(tmp_path, storage):
    stamps = range(START, START + 30 * 100 * MS, 100 * MS)
    pictures = [Record("/front", ns, image(ns, np.full((200, 300, 3), 7, np.uint8), raw=True)) for ns in stamps]
    bag = write_bag(tmp_path / "bag", pictures, storage)
    file = file_of(bag)
    data = bytearray(file.read_bytes())
    place = data.index(b"camera\x00", len(data) * 6 // 10)
    if storage == "mcap":
        data[place - 60 : place] = b"\xff" * 60  # where the record of a picture begins
    else:
        page = place // 4096 * 4096 + 40960
        data[page : page + 4096] = b"\xff" * 4096  # in the chain of pages that hold it
    file.write_bytes(data)
    read: list[int] = []
    with BagReader(bag) as reader, pytest.raises(DatasetError) as error:
        read.extend(message.logged_ns for message in reader.messages(reader.topics))
    assert 5 < len(read) < 30
    assert f"can be read up to {(read[-1] - START) / 1e9:.1f} s of 2.9 s (logged at {read[-1]} ns)" in str(error.value)


def fault(path: Path) -> str:
    """What is wrong with a bag; empty where nothing is."""
    try:
        everything(path)
    except DatasetError as error:
        return str(error)
    return ""


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), garbage=st.binary(min_size=1, max_size=64))
def test_damage_anywhere_is_one_line_or_harmless(bag, tmp_path, place, garbage):
    file = tmp_path / file_of(bag).name
    data = bytearray(file_of(bag).read_bytes())
    at = round(place * (len(data) - len(garbage)))
    data[at : at + len(garbage)] = garbage
    file.write_bytes(data)
    found = fault(file)
    assert not found or found.startswith(str(file))
    assert "\n" not in found
