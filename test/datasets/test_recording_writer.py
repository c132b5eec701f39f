import numpy as np
import pytest
from golden_data import FOLDER

from alpamayo_ros.datasets.recording import Recording, write_recording
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.policy import DrivingPolicy


def test_a_recording_gives_the_observation_of_the_drive_and_a_plan(drive, tmp_path):
    write_recording(drive, tmp_path / "rec", ticks=drive.ticks, suffix=".png")
    recording = Recording.open(tmp_path / "rec/images", tmp_path / "rec/ego.csv")
    assert recording.newest_t0_ns == drive.stamp_ns(drive.ticks[-1])
    read = recording.observation_at(drive.stamp_ns(20), frames=4, history_steps=16, slop_ns=0)
    seen = drive.observation(20)
    assert read.t0_ns == seen.t0_ns
    for one, other in zip(read.cameras, seen.cameras, strict=True):
        assert one.role == other.role
        np.testing.assert_array_equal(one.stamps_ns, other.stamps_ns)
        np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_allclose(read.ego_history.positions, seen.ego_history.positions, atol=1e-5)
    policy = DrivingPolicy.from_pretrained(FOLDER / "ar1_tiny", language_model=FOLDER / "vlm_tiny")
    plan = policy.plan(read, max_reasoning_tokens=8)
    assert np.isfinite(plan.chosen.trajectory.positions).all()


def test_nothing_is_overwritten_and_nothing_half_written_is_left(drive, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        write_recording(drive, tmp_path / "there", ticks=drive.ticks)

    def interrupted():
        yield 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_recording(drive, tmp_path / "rec", ticks=interrupted())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]
