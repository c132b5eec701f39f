"""An Observation is checked when it is made: a wrong one never reaches the model."""

from __future__ import annotations

import numpy as np
import pytest

from alpamayo_ros.types import CameraFrames, CameraRole, EgoHistory, Observation, ObservationError

T0 = 1_700_000_000_000_000_000
STAMPS = T0 + 100_000_000 * np.arange(-3, 1, dtype=np.int64)
IMAGES = np.zeros((4, 6, 8, 3), dtype=np.uint8)
POSITIONS = np.arange(-15.0, 1.0)[:, None] * [1.0, 0.0, 0.0]
ROTATIONS = np.tile(np.eye(3), (16, 1, 1))


def camera(
    role: CameraRole = CameraRole.FRONT_WIDE_120, images: np.ndarray = IMAGES, stamps: np.ndarray = STAMPS
) -> CameraFrames:
    return CameraFrames(role, images, stamps)


def with_cameras(*cameras: CameraFrames) -> Observation:
    return Observation(T0, cameras, EgoHistory(POSITIONS, ROTATIONS))


def with_history(positions: np.ndarray = POSITIONS, rotations: np.ndarray = ROTATIONS) -> Observation:
    return Observation(T0, (camera(),), EgoHistory(positions, rotations))


def replaced(array: np.ndarray, index: int, value: object) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def test_a_good_observation_is_accepted_and_lists_its_roles():
    wide, tele = camera(), camera(CameraRole.FRONT_TELE_30, images=np.zeros((4, 3, 5, 3), dtype=np.uint8))
    assert with_cameras(wide, tele).roles == (CameraRole.FRONT_WIDE_120, CameraRole.FRONT_TELE_30)


def test_history_may_be_single_precision():
    assert with_history(POSITIONS.astype(np.float32), ROTATIONS.astype(np.float32)).navigation is None


@pytest.mark.parametrize("t0", [float(T0), None])
def test_t0_must_be_an_int(t0):
    with pytest.raises(ObservationError, match=r"t0 is .*; give nanoseconds as an int"):
        Observation(t0, (camera(),), EgoHistory(POSITIONS, ROTATIONS))


def test_a_camera_is_needed():
    with pytest.raises(ObservationError, match="no camera in the observation; give the frames of at least one"):
        with_cameras()


@pytest.mark.parametrize("shape", [(6, 8, 3), (4, 3, 6, 8), (4, 6, 8, 4), (0, 6, 8, 3), (4, 0, 8, 3), (1, 4, 6, 8, 3)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ObservationError) as error:
        with_cameras(camera(images=np.zeros(shape, dtype=np.uint8)))
    message = f"camera front_wide_120: images have shape {shape}; expected (frames, height, width, 3), RGB"
    assert str(error.value) == message


@pytest.mark.parametrize("dtype", ["float32", "uint16", "int8"])
def test_images_of_another_dtype_are_refused(dtype):
    with pytest.raises(ObservationError, match=rf"front_wide_120: images are {dtype}; expected uint8 in 0 … 255"):
        with_cameras(camera(images=IMAGES.astype(dtype)))


def test_a_doubled_camera_is_refused_by_name():
    with pytest.raises(ObservationError, match=r"^camera front_wide_120 appears twice .*give each role once"):
        with_cameras(camera(), camera(), camera(CameraRole.FRONT_TELE_30))


def test_cameras_out_of_order_are_refused_with_the_right_order():
    with pytest.raises(
        ObservationError,
        match=r"out of order: \[front_tele_30, front_wide_120\]; sort .* \[front_wide_120, front_tele_30\]",
    ):
        with_cameras(camera(CameraRole.FRONT_TELE_30), camera())


@pytest.mark.parametrize(
    ("stamps", "named"),
    [
        (STAMPS.astype(np.float64), r"float64 \(4,\)"),
        (STAMPS.astype(np.uint64), r"uint64 \(4,\)"),
        (STAMPS[:3], r"int64 \(3,\)"),
        (STAMPS[:, None], r"int64 \(4, 1\)"),
    ],
)
def test_stamps_of_another_dtype_or_count_are_refused(stamps, named):
    with pytest.raises(
        ObservationError, match=f"stamps are {named}; expected int64 nanoseconds, one for each of the 4"
    ):
        with_cameras(camera(stamps=stamps))


@pytest.mark.parametrize("stamps", [STAMPS[::-1], replaced(STAMPS, 1, STAMPS[0])], ids=["backwards", "repeated"])
def test_stamps_that_do_not_ascend_are_refused(stamps):
    with pytest.raises(
        ObservationError, match=rf"not strictly ascending \(\[{stamps[0]}, .*\]\); order frames by time"
    ):
        with_cameras(camera(stamps=stamps))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_poses_are_refused_by_index(value):
    with pytest.raises(ObservationError, match="pose 3 has non-finite positions; drop it and wait for odometry"):
        with_history(positions=replaced(POSITIONS, 3, value))
    with pytest.raises(ObservationError, match="pose 7 has non-finite rotations; drop it and wait for odometry"):
        with_history(rotations=replaced(ROTATIONS, 7, value))


@pytest.mark.parametrize("shape", [(16, 2), (16,), (0, 3), (1, 16, 3), ()])
def test_positions_of_another_shape_are_refused(shape):
    with pytest.raises(ObservationError) as error:
        with_history(positions=np.zeros(shape))
    assert str(error.value) == f"ego history: positions have shape {shape}; expected (poses, 3)"


@pytest.mark.parametrize("shape", [(16, 9), (16, 4), (0, 3, 3), (3, 3)])
def test_rotations_of_another_shape_are_refused(shape):
    with pytest.raises(ObservationError) as error:
        with_history(rotations=np.zeros(shape))
    assert str(error.value) == f"ego history: rotations have shape {shape}; expected (poses, 3, 3)"


def test_whole_number_poses_are_refused():
    with pytest.raises(ObservationError, match="positions are int64; expected floating point"):
        with_history(positions=POSITIONS.astype(np.int64))


def test_positions_and_rotations_must_be_as_many():
    with pytest.raises(ObservationError, match="16 positions but 15 rotations; give one of each for each pose"):
        with_history(rotations=ROTATIONS[1:])


@pytest.mark.parametrize("matrix", [2 * np.eye(3), np.zeros((3, 3)), [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]])
def test_a_rotation_that_is_not_orthonormal_is_refused_by_index(matrix):
    with pytest.raises(ObservationError, match="rotation 4 is not orthonormal; normalise the quaternion"):
        with_history(rotations=replaced(ROTATIONS, 4, matrix))


def test_a_mirrored_rotation_is_refused():
    with pytest.raises(ObservationError, match="rotation 4 is a mirror image; use right-handed axes"):
        with_history(rotations=replaced(ROTATIONS, 4, np.diag([1.0, -1.0, 1.0])))


def test_the_last_pose_must_be_the_origin():
    remedy = "last pose is not the origin; express all poses in the ego frame at t0"
    with pytest.raises(ObservationError, match=remedy):
        with_history(positions=POSITIONS + 0.01)
    with pytest.raises(ObservationError, match=remedy):
        with_history(rotations=replaced(ROTATIONS, -1, [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("role", CameraRole)
def test_a_role_is_found_by_its_label(role):
    assert CameraRole.from_label(role.label) is role


@pytest.mark.parametrize("label", ["front_wide", "FRONT_WIDE_120", "", "1"])
def test_an_unknown_label_is_refused_with_the_known_ones(label):
    with pytest.raises(ValueError, match=f"unknown camera role '{label}'.*cross_left_120, .*front_tele_30"):
        CameraRole.from_label(label)
