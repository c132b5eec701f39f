"""Ego poses of a bag: from a chain of transforms, and of the right frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from annotation_runs import HISTORY, annotated
from bag_records import MS, START, Record, along, drive, odometry, read_bag, transform, write_bag, write_rig
from bag_records import stamp as stamp_of

from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.nodes.annotator import PLAN


def test_poses_of_another_frame_than_the_base_are_refused(tmp_path):
    records = [
        replace(record, message=odometry(stamp_of(record.message.header), base="gnss_antenna"))
        if record.topic == "/odom"
        else record
        for record in drive(1.6)
    ]
    bag = write_bag(tmp_path / "bag", records)
    line = "/odom has the poses of 'gnss_antenna' .*, wanted are those of 'base_link'; .* `base_frame: 'gnss_antenna'`"
    with pytest.raises(DatasetError, match=line):
        annotated(bag, write_rig(tmp_path), tmp_path / "out")
    ego = {"source": "odometry", "topic": "/odom", "base_frame": "/gnss_antenna"}
    assert annotated(bag, write_rig(tmp_path, ego=ego), tmp_path / "out").plans == 2


def with_transforms(*chain: tuple[str, str, bool]) -> list[Record]:
    """The drive with transforms in place of odometry. chain: parent, child, and whether it moves along the road."""
    records = []
    for record in drive(1.7):
        if record.topic != "/odom":
            records.append(record)
            continue
        ns = stamp_of(record.message.header)
        for parent, child, moves in chain:
            if moves:
                records.append(Record("/tf", record.logged_ns, transform(ns, parent, child, along(ns))))
    still = [
        Record("/tf_static", START + 3 * MS, transform(START, parent, child, 1.0, 2.0, np.pi / 2))
        for parent, child, moves in chain
        if not moves
    ]
    return [*still, *records]


TF = {"source": "tf", "fixed_frame": "map", "base_frame": "base_link"}


def test_poses_come_from_a_chain_of_transforms(tmp_path):
    rig = write_rig(tmp_path, ego=TF)
    for name, chain in {
        "direct": [("map", "base_link", True)],
        "above": [("map", "odom", False), ("odom", "base_link", True)],
        "below": [("map", "body", True), ("body", "base_link", False)],
        "turned round": [("base_link", "map", True)],
    }.items():
        bag = write_bag(tmp_path / name, with_transforms(*chain))
        found = annotated(bag, rig, tmp_path / f"{name}.out")
        assert found.plans == 3, name
        plan = read_bag(tmp_path / f"{name}.out")[PLAN][0][1]
        place, x = plan.ego_pose.pose.position, along(START + HISTORY)
        wanted = {"direct": (x, 0), "above": (1, 2 + x), "below": (x + 1, 2), "turned round": (-x, 0)}[name]
        assert (place.x, place.y) == pytest.approx(wanted), name
        assert plan.ego_pose.header.frame_id == "map"


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ([("map", "odom", True), ("odom", "base_link", True)], "more than one transform moves (odom to base_link"),
        (
            [("odom", "base_link", True)],
            "no transforms lead from map to base_link; the frames seen are base_link",
        ),
    ],
)
def test_other_chains_are_refused(tmp_path, chain, words):
    bag = write_bag(tmp_path / "bag", with_transforms(*chain))
    with pytest.raises(DatasetError) as error:
        annotated(bag, write_rig(tmp_path, ego=TF), tmp_path / "out")
    assert words in str(error.value)
