import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from alpamayo_ros.datasets.bag import BagOptions, write_bag
from alpamayo_ros.datasets.sensor_messages import camera_info
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import default_rig

STORE = get_typestore(Stores.ROS2_JAZZY)
FRONT = CameraRole.FRONT_WIDE_120


def read(folder):
    found = {}
    with AnyReader([folder], default_typestore=STORE) as reader:
        last = 0
        for connection, logged, raw in reader.messages():
            assert logged >= last
            last = logged
            message = reader.deserialize(raw, connection.msgtype)
            found.setdefault(connection.topic, []).append((connection.msgtype, logged, message))
    return found


def stamp(message):
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("raw", [False, True])
def test_a_bag_reads_back(drive, tmp_path, storage, raw):
    counts = write_bag(drive, tmp_path / "bag", BagOptions(storage, raw, 50), ticks=drive.ticks)
    bag = read(tmp_path / "bag")
    assert {topic: len(messages) for topic, messages in bag.items()} == counts
    suffix, kind = ("", "sensor_msgs/msg/Image") if raw else ("/compressed", "sensor_msgs/msg/CompressedImage")
    for role in drive.rig.roles:
        pictures = bag[f"/camera/{role.label}/image_raw{suffix}"]
        assert len(pictures) == 26
        for tick, (type_, logged, message) in enumerate(pictures):
            assert type_ == kind
            assert stamp(message) == logged == drive.stamp_ns(tick)
            assert message.header.frame_id == f"{role.label}_optical"
        infos = bag[f"/camera/{role.label}/camera_info"]
        assert [stamp(info) for _, _, info in infos] == [drive.stamp_ns(tick) for tick in drive.ticks]
        message = pictures[20][2]
        if raw:
            image = message.data.reshape(message.height, message.width, 3)
            np.testing.assert_array_equal(image, drive.picture(20, role))
        else:
            image = cv2.cvtColor(cv2.imdecode(message.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            assert np.abs(image.astype(int) - drive.picture(20, role)).mean() < 4
    odometry = bag["/odom"]
    assert len(odometry) == 126
    assert set(np.diff([stamp(message) for _, _, message in odometry]).tolist()) == {20_000_000}
    first = odometry[0][2]
    assert (first.header.frame_id, first.child_frame_id) == ("odom", "base_link")
    assert first.twist.twist.linear.x == pytest.approx(drive.world(0).ego.speed)
    assert len(bag["/tf"]) == 126
    assert len(bag["/tf_static"][0][2].transforms) == 4


def test_a_point_seen_through_tf_and_camera_info_is_where_the_rig_sees_it(drive, tmp_path):
    write_bag(drive, tmp_path / "bag", BagOptions(), ticks=range(2))
    bag = read(tmp_path / "bag")
    mounts = {mount.child_frame_id: mount.transform for mount in bag["/tf_static"][0][2].transforms}
    point = np.array([12.0, 2.0, 0.8])
    for role in drive.rig.roles:
        mount, info = mounts[f"{role.label}_optical"], bag[f"/camera/{role.label}/camera_info"][0][2]
        q, t = mount.rotation, mount.translation
        x, y, z = Rotation.from_quat([q.x, q.y, q.z, q.w]).inv().apply(point - [t.x, t.y, t.z])
        theta = np.arctan2(np.hypot(x, y), z)
        assert info.distortion_model == "equidistant"
        bent = theta * (1 + sum(k * theta ** (2 * i + 2) for i, k in enumerate(info.d)))
        k = info.k.reshape(3, 3)
        u = k[0, 2] + k[0, 0] * bent * x / np.hypot(x, y)
        v = k[1, 2] + k[1, 1] * bent * y / np.hypot(x, y)
        expected, seen = drive.rig[role].project(point)
        if seen:
            np.testing.assert_allclose([u, v], expected, atol=1e-6)


def test_pinhole_cameras_are_plumb_bob():
    camera = default_rig(64, 48, [FRONT], pinhole=True)[FRONT]
    info = camera_info(None, camera)
    assert info.distortion_model == "plumb_bob"
    assert not info.d.any()
    assert info.k[0] == camera.intrinsics.fx


def test_same_drive_same_bytes(drive, tmp_path):
    for name in "ab":
        write_bag(drive, tmp_path / name / "bag", BagOptions(), ticks=range(3))
    for file in ("bag.mcap", "metadata.yaml"):
        assert (tmp_path / "a/bag" / file).read_bytes() == (tmp_path / "b/bag" / file).read_bytes()


def test_a_bag_that_is_there_is_kept(drive, tmp_path):
    with pytest.raises(DatasetError, match="exists already"):
        write_bag(drive, tmp_path, BagOptions(), ticks=range(1))
