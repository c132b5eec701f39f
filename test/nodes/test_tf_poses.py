"""Ego poses from live transforms: those that the same transforms give in a bag, also when time is set back."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from bag_records import MS, SPEED, START, stamp, transform

from alpamayo_ros.nodes.pictures import decode
from alpamayo_ros.nodes.rig_profile import RigError, TfSource
from alpamayo_ros.nodes.tf_poses import TfPoses
from alpamayo_ros.nodes.transform_chain import TransformChain
from alpamayo_ros.timeline import Refusal, RefusalReason, TimeContract, Timeline
from alpamayo_ros.types import CameraRole

SOURCE = TfSource("odom", "base_link")


class Node:
    """What TfPoses needs of a node. said: the errors in its log."""

    def __init__(self) -> None:
        self.hear, self.said = {}, []

    def create_subscription(self, kind, topic, callback, quality):
        self.hear[topic] = callback
        return topic

    def destroy_subscription(self, topic) -> None:
        del self.hear[topic]

    def get_logger(self):
        return SimpleNamespace(error=self.said.append)


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
    source = TfPoses(node, SOURCE, lambda header, place, turn: poses.append((header, place, turn)))
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

    TfPoses(node, SOURCE, on_pose)
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


def test_two_that_move_are_refused_once_in_the_log(node):
    poses = []
    TfPoses(node, TfSource("map", "base_link"), lambda *pose: poses.append(pose))
    for ns in range(START, START + 100 * MS, 20 * MS):
        node.hear["/tf"](transform(ns, "odom", "base_link", 1.0))
        node.hear["/tf"](transform(ns, "map", "odom", 1.0))
    assert poses == []
    [line] = node.said
    assert "more than one transform moves" in line
    assert "\n" not in line


def test_without_the_messages_of_tf_it_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_msgs", None)
    with pytest.raises(RigError, match="tf2_msgs is not installed; install it, or give the topic of an odometry"):
        TfPoses(Node(), SOURCE, lambda *pose: None)
