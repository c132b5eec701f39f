"""A recording on disk is read as it is, or refused with the file's name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from drive_files import EGO_HEADER, END_NS, ego_row, write_drive, write_ego

from alpamayo_ros.datasets.recording import Recording, RecordingError
from alpamayo_ros.timeline import Refusal
from alpamayo_ros.types import CameraRole

FRONT, TELE = CameraRole.FRONT_WIDE_120, CameraRole.FRONT_TELE_30
ROWS = [ego_row(END_NS - age * 100_000_000) for age in reversed(range(20))]


@pytest.fixture
def drive(tmp_path: Path) -> tuple[Path, Path]:
    return write_drive(tmp_path, [TELE, FRONT])


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def observed(drive: tuple[Path, Path], t0_ns: int = END_NS, slop_ns: int = 50_000_000):
    recording = Recording.open(*drive)
    return recording.observation_at(t0_ns, frames=4, history_steps=16, slop_ns=slop_ns, navigation="Go on")


def test_a_recording_is_observed_at_its_newest_time(drive):
    recording = Recording.open(*drive)
    assert recording.newest_t0_ns == END_NS
    seen = observed(drive)
    assert (seen.t0_ns, seen.roles, seen.navigation) == (END_NS, (FRONT, TELE), "Go on")
    assert seen.cameras[0].stamps_ns.tolist() == [END_NS - age * 100_000_000 for age in (3, 2, 1, 0)]
    np.testing.assert_allclose(seen.ego_history.positions[:, 0], np.linspace(-15, 0, 16), atol=1e-6)


def test_pictures_are_rgb(drive):
    picture = np.zeros((120, 160, 3), dtype=np.uint8)
    picture[:60, :, 2] = 200  # red, to cv2
    assert cv2.imwrite(str(drive[0] / FRONT.label / f"{END_NS}.png"), picture)
    assert observed(drive).cameras[0].images[-1, 0, 0].tolist() == [200, 0, 0]


def test_the_newest_time_is_that_of_the_source_that_ends_first(drive):
    write_ego(drive[1], ROWS[:-3])
    assert Recording.open(*drive).newest_t0_ns == END_NS - 300_000_000


def test_a_lost_frame_is_refused(drive):
    (drive[0] / TELE.label / f"{END_NS - 100_000_000}.png").unlink()
    with pytest.raises(Refusal, match=r"camera front_tele_30: nearest frame to t0 − 0.1 s is 100 ms away"):
        observed(drive)


def test_a_missing_folder_is_refused(drive):
    with pytest.raises(RecordingError, match="nowhere is no folder; give a folder that holds one folder for each"):
        Recording.open(drive[0] / "nowhere", drive[1])


def test_a_folder_without_cameras_is_refused(drive, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match="empty holds no camera folder; name them by role"):
        Recording.open(tmp_path / "empty", drive[1])


def test_an_unknown_role_is_refused_with_the_known_ones(drive):
    (drive[0] / "front").mkdir()
    with pytest.raises(RecordingError, match="images/front: unknown camera role 'front'; the roles are cross_left_120"):
        Recording.open(*drive)


def test_a_camera_without_pictures_is_refused(drive):
    (drive[0] / "rear_tele_30").mkdir()
    (drive[0] / "rear_tele_30" / "notes.txt").touch()
    with pytest.raises(RecordingError, match=r"rear_tele_30 holds no picture \(.jpg, .jpeg, .png\)"):
        Recording.open(*drive)


@pytest.mark.parametrize("stem", ["frame_7", "17e8", "-5", "²", str(2**63)])
def test_a_name_that_is_no_stamp_is_refused(drive, stem):
    (drive[0] / FRONT.label / f"{stem}.jpg").touch()
    with pytest.raises(RecordingError, match=rf"{stem}.jpg: the name of a picture must be its stamp in nanoseconds"):
        Recording.open(*drive)


def test_two_pictures_of_one_stamp_are_refused(drive):
    (drive[0] / FRONT.label / f"{END_NS}.jpg").touch()
    with pytest.raises(RecordingError, match=rf"{END_NS}.jpg and {END_NS}.png have the same stamp; keep one"):
        Recording.open(*drive)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_picture_that_was_cut_off_is_refused(drive, suffix, kept):
    """Decoders may fill what is missing with grey: nothing may be invented."""
    folder = drive[0] / TELE.label
    whole = cv2.imread(str(folder / f"{END_NS}.png"))
    (folder / f"{END_NS}.png").unlink()
    path = folder / f"{END_NS}{suffix}"
    assert cv2.imwrite(str(path), whole)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(Refusal, match=rf"camera front_tele_30: {path} is no readable picture; it is damaged"):
        observed(drive)


def test_a_picture_with_an_absurd_size_is_refused(drive):
    path = drive[0] / TELE.label / f"{END_NS}.png"
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 200_000, 200_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(Refusal, match=rf"camera front_tele_30: {path} is no readable picture; it is damaged"):
        observed(drive)


def test_a_black_picture_and_a_frozen_camera_are_refused(drive):
    folder = drive[0] / TELE.label
    (folder / f"{END_NS}.png").write_bytes((folder / f"{END_NS - 100_000_000}.png").read_bytes())
    with pytest.raises(Refusal, match=r"camera front_tele_30: it shows the same picture .* although the vehicle moved"):
        observed(drive)
    assert cv2.imwrite(str(folder / f"{END_NS}.png"), np.zeros((120, 160, 3), dtype=np.uint8))
    with pytest.raises(Refusal, match="camera front_tele_30: its picture is black"):
        observed(drive)


def test_pictures_of_differing_sizes_are_refused(drive):
    assert cv2.imwrite(str(drive[0] / TELE.label / f"{END_NS}.png"), noise((120, 162, 3)))
    with pytest.raises(Refusal, match="camera front_tele_30: its pictures differ in size: 160×120, 162×120"):
        observed(drive)


@pytest.mark.parametrize("name", ["nowhere.csv", "images"])
def test_poses_that_are_no_file_are_refused(drive, name):
    with pytest.raises(
        RecordingError, match=rf"{name} is no file; give the ego poses as CSV with columns {EGO_HEADER}"
    ):
        Recording.open(drive[0], drive[1].parent / name)


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("time,x,y,z", ROWS, f"lacks the columns stamp_ns, qx, qy, qz, qw; its header must name {EGO_HEADER}"),
        (EGO_HEADER, [], "0 poses; at least two are needed"),
        (EGO_HEADER, [ROWS[0], "1,2,three,0,0,0,0,1"], r"line 3: .*'three'.* is not one number for each column"),
        (EGO_HEADER, ["", ROWS[0], "1.7e18,0,0,0,0,0,0,1"], r"line 4: .*'1.7e18'.* the stamp in whole ns"),
        (EGO_HEADER, [f"{2**63},0,0,0,0,0,0,1"], "line 2: .* the stamp in whole ns"),
        (EGO_HEADER, [ROWS[0], "1,2,0,0"], "line 3: .* is not one number for each column"),
        (EGO_HEADER, ["5,1,50,0,0,0,0,0,1"], "line 2: .* is not one number for each column"),
        (EGO_HEADER, [*ROWS[:4], f"{END_NS},nan,0,0,0,0,0,1"], rf"pose 4 \(stamp {END_NS} ns\) is not finite"),
        (EGO_HEADER, [ROWS[1], ROWS[0]], "stamps go back or repeat at pose 1 .*; sort them"),
        (EGO_HEADER, [ROWS[0], f"{END_NS},0,0,0,0,0,0,2"], "pose 1 .* quaternion has not length 1"),
    ],
)
def test_bad_poses_are_refused_with_file_and_place(drive, header, rows, message):
    write_ego(drive[1], rows, header)
    with pytest.raises(RecordingError, match=rf"{drive[1]}.*{message}"):
        Recording.open(*drive)


def test_a_file_that_is_no_text_is_refused(drive):
    with pytest.raises(RecordingError, match=r"png is not CSV text"):
        Recording.open(drive[0], drive[0] / FRONT.label / f"{END_NS}.png")


def test_columns_may_be_in_any_order_beside_others_and_behind_a_byte_order_mark(drive):
    header = "\ufeff" + ",".join([*reversed(EGO_HEADER.split(",")), "speed"])
    write_ego(drive[1], [",".join([*reversed(row.split(",")), "10"]) for row in ROWS], header)
    np.testing.assert_allclose(observed(drive).ego_history.positions[:, 0], np.linspace(-15, 0, 16), atol=1e-6)
