"""The rig profiles that ship: every one loads, and the simulator's says what the simulator does."""

import pytest

from alpamayo_ros.datasets.sensor_messages import image_topic
from alpamayo_ros.nodes.rig_profile import OdometrySource, RigProfile, TfSource, shipped_rigs
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import DEFAULT_ROLES, MOUNTS


def test_these_profiles_ship() -> None:
    assert set(shipped_rigs()) == {"alpasim", "autoware", "carla", "nuscenes", "simulator"}


@pytest.mark.parametrize("name", sorted(shipped_rigs()))
def test_a_profile_loads_and_every_topic_is_absolute_and_its_own(name: str) -> None:
    profile = RigProfile.open(name)

    topics = [source.topic for source in profile.cameras.values()]
    topics += [source.camera_info for source in profile.cameras.values() if source.camera_info]
    topics += [profile.ego.topic] if isinstance(profile.ego, OdometrySource) else []
    assert profile.description
    assert len(topics) == len(set(topics))
    assert all(topic.startswith("/") for topic in topics)
    for source in profile.cameras.values():
        assert source.topic.endswith("/compressed") == (source.transport == "compressed")


@pytest.mark.parametrize("name", ["alpasim", "autoware", "carla", "simulator"])
def test_a_profile_has_the_four_cameras_of_r1(name: str) -> None:
    assert tuple(RigProfile.open(name).of_roles(DEFAULT_ROLES).cameras) == DEFAULT_ROLES


def test_nuscenes_has_every_camera_but_the_front_tele() -> None:
    assert set(CameraRole) - set(RigProfile.open("nuscenes").cameras) == {CameraRole.FRONT_TELE_30}


def test_alpasim_takes_the_ego_pose_from_transforms() -> None:
    assert RigProfile.open("alpasim").ego == TfSource("map", "base_link")


def test_the_simulators_profile_is_what_the_simulator_writes() -> None:
    profile = RigProfile.open("simulator")

    assert profile.ego == OdometrySource("/odom")
    assert set(profile.cameras) == set(MOUNTS)
    for role, source in profile.cameras.items():
        assert source.topic == image_topic(role.label, raw=False)
        assert source.camera_info == f"/camera/{role.label}/camera_info"
        assert source.mount is not None
        assert (source.mount.position, source.mount.yaw, source.mount.pitch) == MOUNTS[role]
        assert source.mount.roll == 0.0
