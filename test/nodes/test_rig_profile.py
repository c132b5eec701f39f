"""Rig profiles: which topic is which camera; what is wrong with one is said in one line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from alpamayo_ros.nodes.rig_profile import Mount, OdometrySource, RigError, RigProfile, TfSource, shipped_rigs
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import MOUNTS, default_rig

FRONT, LEFT = CameraRole.FRONT_WIDE_120, CameraRole.CROSS_LEFT_120


def document(**changes):
    camera = {"topic": "/front", "transport": "raw", "mount": {"position": [1.0, 0, 1.5], "pitch": -2}}
    plain = {
        "description": "a test",
        "ego": {"source": "odometry", "topic": "/odom"},
        "cameras": {"front_wide_120": camera, "cross_left_120": {"topic": "/left", "transport": "compressed"}},
    }
    return {**plain, **changes}


def opened(tmp_path: Path, content) -> RigProfile:
    path = tmp_path / "car.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return RigProfile.open(path)


def test_a_profile_is_read_and_sorted_by_role(tmp_path):
    rig = opened(tmp_path, document())
    assert rig.name == "car"
    assert list(rig.cameras) == [LEFT, FRONT]
    assert rig.ego == OdometrySource("/odom")
    assert rig.cameras[FRONT].mount == Mount((1.0, 0.0, 1.5), 0.0, -2.0, 0.0)
    assert rig.cameras[LEFT].mount is None
    assert list(rig.of_roles([FRONT]).cameras) == [FRONT]
    with pytest.raises(RigError, match="no camera rear_left_70, which the model needs; it has cross_left_120, front"):
        rig.of_roles([FRONT, CameraRole.REAR_LEFT_70])
    tf = opened(tmp_path, document(ego={"source": "tf", "fixed_frame": "map", "base_frame": "base_link"}))
    assert tf.ego == TfSource("map", "base_link")
    named = opened(tmp_path, document(ego={"source": "odometry", "topic": "/odom", "base_frame": "car"}))
    assert named.ego == OdometrySource("/odom", "car")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cameras: [", "is no YAML file"),
        ("[]", "the file: expected the entries ego, cameras"),
        (document(ego={"source": "gps", "topic": "/gps"}), "source is 'gps'; it must be odometry or tf"),
        (document(ego={"source": "odometry"}), "ego lacks topic"),
        (document(ego={"source": "odometry", "topic": "/a", "base_frame": 1}), "base_frame is 1; give the name of a"),
        (document(cameras={}), "`cameras` must map roles to topics"),
        (document(cameras={"front": {"topic": "/a", "transport": "raw"}}), "unknown camera role 'front'"),
        (document(cameras={"front_wide_120": {"topic": "/a", "transport": "jpeg"}}), "must be raw or compressed"),
        (document(cameras={"front_wide_120": {"topic": "a b", "transport": "raw"}}), "'a b' is no topic name"),
        (
            document(cameras={"front_wide_120": {"topic": "/camera/front-wide/image", "transport": "raw"}}),
            "front_wide_120: '/camera/front-wide/image' is no topic name of ROS: between slashes are letters",
        ),
        (document(ego={"source": "odometry", "topic": "/odom/"}), "ego: '/odom/' is no topic name"),
        (document(cameras={"front_wide_120": {"topik": "/a", "transport": "raw"}}), "lacks topic and has the unknown"),
        (
            document(
                cameras={role: {"topic": "/a", "transport": "raw"} for role in ("front_wide_120", "rear_left_70")}
            ),
            "/a is given to more than one camera",
        ),
        (
            document(cameras={"front_wide_120": {"topic": "/a", "transport": "raw", "mount": {"position": [1, 2]}}}),
            "front_wide_120, mount: give position as three metres",
        ),
        (document(rig=1), "unknown entries rig"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, content, message):
    with pytest.raises(RigError, match=message) as caught:
        opened(tmp_path, content)
    assert str(tmp_path / "car.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.text("aZ_09-~./ é", max_size=12))
def test_topics_are_those_that_ros_takes(topic):
    camera = {"front_wide_120": {"topic": topic, "transport": "raw"}}
    try:
        validate_topic_name(topic)
        sound = "~" not in topic  # a node's private name: nothing that a bag could have
    except InvalidTopicNameException:
        sound = False
    with tempfile.TemporaryDirectory() as folder:
        if sound:
            assert opened(Path(folder), document(cameras=camera)).cameras[FRONT].topic == topic
        else:
            with pytest.raises(RigError, match="camera front_wide_120: .* is no topic name of ROS"):
                opened(Path(folder), document(cameras=camera))


def test_a_model_gets_its_cameras(tmp_path):
    rig = opened(tmp_path, document())
    fixed = SimpleNamespace(camera_roles=(0, 1), any_camera_subset=False)
    assert list(rig.for_model(fixed).cameras) == [LEFT, FRONT]
    with pytest.raises(RigError, match="no camera cross_right_120, which the model needs"):
        rig.for_model(SimpleNamespace(camera_roles=(1, 2), any_camera_subset=False))
    assert list(rig.for_model(SimpleNamespace(camera_roles=(1, 2, 3), any_camera_subset=True)).cameras) == [FRONT]


def test_unknown_names():
    with pytest.raises(RigError, match="unknown rig 'spaceship'; shipped are"):
        RigProfile.open("spaceship")
    with pytest.raises(RigError, match=r"nowhere.yaml is no file"):
        RigProfile.open("nowhere.yaml")


def test_mounts_follow_the_axes_of_the_rig():
    rig = default_rig(roles=MOUNTS)
    for role, (position, yaw, pitch) in MOUNTS.items():
        np.testing.assert_allclose(Mount(position, yaw, pitch).rotation, rig[role].rotation, atol=1e-12)
    rolled = Mount((0.0, 0.0, 0.0), roll=90.0).rotation
    # A camera that is tilted to the right by 90° has its right side where the ground is.
    np.testing.assert_allclose(rolled @ np.array([0.0, 0.0, -1.0]), [1.0, 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize("name", sorted(shipped_rigs()))
def test_shipped_profiles_are_sound(name):
    rig = RigProfile.open(name)
    assert rig.description
    assert CameraRole.FRONT_WIDE_120 in rig.cameras
