"""Ego poses from live transforms: those that the same transforms give in a bag, also when time is set back."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from bag_records import MS, SPEED, START, stamp, transform

from alpamayo_ros.nodes import tf_poses
from alpamayo_ros.nodes.pictures import decode
from alpamayo_ros.nodes.rig_profile import RigError, TfSource
from alpamayo_ros.nodes.tf_poses import TfPoses
from alpamayo_ros.nodes.transform_chain import TransformChain
from alpamayo_ros.timeline import Refusal, RefusalReason, TimeContract, Timeline
from alpamayo_ros.types import CameraRole

SOURCE = TfSource("odom", "base_link")


def never(*given) -> None:
    raise AssertionError(f"called with {given}")


class Node:
    """What TfPoses needs of a node."""

    def __init__(self) -> None:
        self.hear = {}

    def create_subscription(self, kind, topic, callback, quality):
        self.hear[topic] = callback
        return topic

    def destroy_subscription(self, topic) -> None:
        del self.hear[topic]


@pytest.fixture
def node(monkeypatch):
    """On a machine that has tf2_msgs; messages are the duck-typed ones of a bag."""
    package, messages = ModuleType("tf2_msgs"), ModuleType("tf2_msgs.msg")
    messages.TFMessage = object
    monkeypatch.setitem(sys.modules, "tf2_msgs", package)
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", messages)
    return Node()


def moving(ns: int, x: float | None = None):
    return transform(ns, "odom", "chassis", (ns - START) / 1e9 * SPEED if x is None else x)


def test_live_poses_are_those_of_a_bag(node):
    poses = []
    source = TfPoses(node, SOURCE, lambda header, place, turn: poses.append((header, place, turn)), never)
    fixed = transform(0, "chassis", "base_link", -1.5, 0.5, yaw=0.3)
    node.hear["/tf"](moving(START))
    assert poses == [], "not before the chain is whole"
    node.hear["/tf_static"](fixed)
    # Time is set back by 100 s, and goes on.
    stamps = [START + tick * 20 * MS + begin for begin in (0, -100_000 * MS) for tick in range(5)]
    chain = TransformChain("odom", "base_link")
    chain.add(fixed, static=True)
    for ns in stamps:
        node.hear["/tf"](moving(ns))
        node.hear["/tf"](transform(ns, "base_link", "wheel", 1.0, yaw=ns % 7))
        [expected] = chain.add(moving(ns), static=False)
        header, place, turn = poses[-1]
        assert (stamp(header), header.frame_id) == (ns, "odom")
        assert [place.x, place.y, place.z] == list(expected.position)
        assert [turn.x, turn.y, turn.z, turn.w] == list(expected.quaternion)
    assert len(poses) == len(stamps)
    source.close()
    assert node.hear == {}


def test_the_timeline_recovers_when_time_is_set_back(node):
    timeline = Timeline(TimeContract((CameraRole.FRONT_WIDE_120,)), decode)
    refused = []

    def on_pose(header, place, turn) -> None:
        try:
            timeline.add_pose(
                stamp(header),
                np.array([place.x, place.y, place.z]),
                np.array([turn.x, turn.y, turn.z, turn.w]),
                header.frame_id,
            )
        except Refusal as refusal:
            refused.append(refusal.reason)

    TfPoses(node, SOURCE, on_pose, never)
    node.hear["/tf_static"](transform(0, "chassis", "base_link", 0.0))
    for begin in (START, START - 100_000 * MS):
        for tick in range(101):
            ns = begin + tick * 20 * MS
            node.hear["/tf"](moving(ns, tick * 0.02 * SPEED))
            if tick % 5 == 0:
                try:
                    timeline.add_frame(CameraRole.FRONT_WIDE_120, ns, None)
                except Refusal as refusal:
                    refused.append(refusal.reason)
        assert timeline.newest_t0_ns == begin + 2000 * MS
    assert RefusalReason.TIME_JUMP in refused


@pytest.mark.parametrize(
    ("source", "parents", "why"),
    [
        (TfSource("map", "base_link"), {"base_link": "odom", "odom": "map"}, "more than one transform moves"),
        (
            TfSource("map", "base_link"),
            {"base_footprint": "odom"},
            "no transforms lead from map to base_link; the frames seen are base_footprint, odom",
        ),
    ],
)
def test_transforms_that_give_no_pose_are_refused_with_the_reason(node, monkeypatch, source, parents, why):
    now, refused = [100.0], []
    monkeypatch.setattr(tf_poses.time, "monotonic", lambda: now[0])
    TfPoses(node, source, never, refused.append)
    for child, parent in parents.items():
        node.hear["/tf"](transform(START, parent, child, 1.0))
    assert refused == [], "more may be to come"
    now[0] += tf_poses.PATIENCE_S + 0.1
    node.hear["/tf"](transform(START + 20 * MS, parents[child], child, 1.0))
    [refusal] = refused
    assert (refusal.reason, refusal.source) == (RefusalReason.EGO_FRAME, "ego")
    assert why in refusal.text


def test_without_the_messages_of_tf_it_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    with pytest.raises(RigError, match="tf2_msgs is not installed; install it, or give the topic of an odometry"):
        TfPoses(Node(), SOURCE, never, never)
