import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace

import numpy as np
import pytest

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.drive import Drive, trajectory_of
from alpamayo_ros.datasets.harvest import harvest
from alpamayo_ros.datasets.labels import Rejection, agreeing, label
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.production import write_dataset
from alpamayo_ros.datasets.sample import Sample, decode, encode
from alpamayo_ros.datasets.shard import unpack
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.keyframe import find_keyframes
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.training.corpus import Corpus
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import DEFAULT_ROLES, default_rig


def plan(**changes):
    settings = {"seeds": (3, 4), "kinds": ("slow_lead", "open_road"), "variants": ("nominal",), "roles": DEFAULT_ROLES}
    return DatasetPlan(**{**settings, "size": (64, 48), "every": 60, "drives_per_shard": 1, **changes})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "one"
    assert list(write_dataset(plan(), folder)) == [0, 1, 2, 3, 4]
    return folder


def test_two_processes_give_the_same_bytes(written, tmp_path):
    assert list(write_dataset(plan(), tmp_path / "two", workers=2)) == [0, 1, 2, 3, 4]
    assert contents(tmp_path / "two") == contents(written)


COMMAND = """
from alpamayo_ros.cli import main

main([
    "simulate", "dataset", "--seeds", "3-4", "--kinds", "slow_lead,open_road", "--variant", "nominal",
    "--size", "64x48", "--every", "6", "--drives-per-shard", "1", "--workers", "2", "--output", {!r},
])
"""


def test_a_killed_run_is_taken_up_and_gives_the_same_bytes(written, tmp_path):
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", COMMAND.format(str(folder))], start_new_session=True)
    until = time.monotonic() + 120
    while not (folder / "shard-000000.tar").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (folder / "dataset.json").exists(), "killed before its end"
    with pytest.raises(DatasetError, match="not complete"):
        Dataset.open(folder)
    (folder / ".partial-shard-000001.tar").write_bytes(b"half")
    kept = (folder / "shard-000000.tar").stat().st_mtime_ns
    _wait_for_group(process.pid)
    steps = list(write_dataset(plan(), folder))
    assert 1 <= steps[0] <= 4, "finished shards are not made again"
    assert (folder / "shard-000000.tar").stat().st_mtime_ns == kept
    assert contents(folder) == contents(written)


def _wait_for_group(group):
    """Workers of a killed parent end by themselves."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("workers outlived their parent")


def test_samples_come_back_as_they_were_made(written):
    dataset = Dataset.open(written)
    samples = list(dataset)
    assert len(samples) == len(dataset) == len({sample.key for sample in samples}) > 4
    for sample in samples:
        assert sample.observation.roles == DEFAULT_ROLES
        assert sample.observation.cameras[0].images.shape == (4, 48, 64, 3)
        assert sample.observation.ego_history.positions.shape == (16, 3)
        assert sample.future.positions.shape == (64, 3)
        if sample.label.sentences:
            assert sample.reasoning in sample.label.sentences
            assert parse(sample.reasoning).decision == sample.label.decision
        assert all(cause.observed for cause in sample.label.causes if cause.proximate)
    one = samples[0]
    drive = Drive.by_expert(one.kind, one.seed, one.variant, default_rig(64, 48))
    expected = foreseen(drive.episode, one.tick, 64, drive.rig)
    future = trajectory_of(expected.worlds[one.tick :])
    assert agreeing(label(expected, one.tick, drive.rig), drive.world(one.tick), future) == one.label
    np.testing.assert_array_equal(one.future.positions, future.positions)
    np.testing.assert_array_equal(one.observation.ego_history.rotations, drive.history(one.tick).rotations)
    seen = drive.observation(one.tick)
    for read, made in zip(one.observation.cameras, seen.cameras, strict=True):
        np.testing.assert_array_equal(read.stamps_ns, made.stamps_ns)
        assert np.abs(read.images.astype(int) - made.images).mean() < 4
    exact = Sample(**{**vars(one), "observation": seen})
    read = decode(one.key, encode(exact, "png"))
    np.testing.assert_array_equal(read.observation.cameras[3].images, seen.cameras[3].images)
    assert read.label == one.label


def test_shards_are_plain_tar_files_and_webdataset_reads_them(written):
    shards = sorted(written.glob("*.tar"))
    with tarfile.open(shards[0]) as tar:
        first = tar.getmembers()[0]
        assert (first.mtime, first.uid, first.uname) == (0, 0, "")
    webdataset = pytest.importorskip("webdataset")
    rows = list(webdataset.WebDataset([str(path) for path in shards], shardshuffle=False).decode("rgb8"))
    samples = list(Dataset.open(written))
    assert [row["__key__"] for row in rows] == [sample.key for sample in samples]
    assert rows[0]["json"]["reasoning"] == samples[0].reasoning
    assert rows[0]["front_wide_120.jpg"].shape == (192, 64, 3)
    assert rows[0]["motion.npz"]["future_positions"].shape == (64, 3)


def moments_of(kind, seed):
    """Every 60 ticks and at keyframes, from 1.5 seconds on to the end."""
    episode = drive_expert(build(kind, seed, "nominal"), ticks=200 + 64)
    ticks = range(15, 200 + 1)
    return set(ticks[::60]) | {frame.tick for frame in find_keyframes(episode) if frame.tick in ticks}


def test_the_summary_counts_what_is_kept_and_what_is_not(written):
    told = json.loads((written / "dataset.json").read_text())
    assert told["samples"] == sum(shard["samples"] for shard in told["shards"].values())
    for group in ("kind/", "variant/", "longitudinal/", "lateral/", "keyframe/"):
        assert sum(n for name, n in told["counts"].items() if name.startswith(group)) == told["samples"]
    moments = [moment for kind in ("slow_lead", "open_road") for seed in (3, 4) for moment in moments_of(kind, seed)]
    assert told["samples"] + sum(told["dropped"].values()) == len(moments), "every moment is in one of the two"
    assert max(sample.tick for sample in Dataset.open(written)) == range(15, 201, 60)[-1], "as long as a model drives"


def test_dense_labels_come_along_on_request():
    drive = Drive.by_expert("slow_lead", 3, "nominal", default_rig(64, 48))
    made = harvest(plan(kinds=("slow_lead",), dense=16), "slow_lead", 3, "nominal").samples
    sample = decode(*made[0])
    assert list(sample.dense) == list(DEFAULT_ROLES)
    truth = drive.dense(sample.tick, drive.labeller(16), foreseen(drive.episode, sample.tick, 64, drive.rig))
    for role, labels in sample.dense.items():
        assert labels.block == 16
        assert labels.classes.shape == (3, 4, 12)
        for field in ("classes", "path", "distance", "motion"):
            np.testing.assert_allclose(getattr(labels, field), getattr(truth[role], field), atol=0.07)
    assert sample.dense[DEFAULT_ROLES[1]].path.sum() > 0
    with pytest.raises(DatasetError, match="64x48 are not made of 20-pixel blocks"):
        plan(dense=20)


def test_an_unsafe_plan_teaches_nothing(monkeypatch):
    monkeypatch.setattr("alpamayo_ros.datasets.harvest._fault", lambda worlds: "front collision with car-0")
    made = harvest(plan(), "open_road", 3, "nominal")
    assert not made.samples
    assert dict(made.dropped) == {"unsafe_plan": 5}
    assert made.examples["unsafe_plan"] == "open_road-nominal-3-15: front collision with car-0"


def test_where_no_words_suit_the_plan_is_kept_without_them():
    made = harvest(plan(kinds=("on_ramp",), every=90), "on_ramp", 221, "challenging")
    samples = [decode(*sample) for sample in made.samples]
    wordless = [sample for sample in samples if not sample.label.sentences]
    assert made.wordless["inconsistent"] == len(wordless) > 0
    assert {sample.reasoning for sample in wordless} == {""}
    assert all(sample.label.decision.lateral is not None for sample in wordless)
    assert made.dropped["unobserved"] > 0, "a plan for what nobody can see is none to learn"


def test_a_road_that_ends_after_the_scenario_ends_no_earlier_plan():
    made = harvest(plan(every=30), "right_turn", 111, "nominal")
    assert made.dropped["unsafe_plan"] == 1
    assert made.examples["unsafe_plan"] == "right_turn-nominal-111-195: off the road"
    assert max(decode(*sample).tick for sample in made.samples) > 136


def test_a_cause_that_no_camera_shows_is_no_label():
    drive = Drive.by_expert("slow_lead", 3, "nominal", default_rig(64, 48))
    blind = default_rig(64, 48, [CameraRole.REAR_TELE_30])
    made = [label(drive.episode, tick, blind) for tick in (60, 100)]
    assert {each.check for each in made if isinstance(each, Rejection)} == {"unobserved"}


def test_words_that_the_motion_belies_are_no_label():
    drive = Drive.by_expert("open_road", 3, "nominal", default_rig(64, 48))
    made = label(drive.episode, 60, drive.rig)
    future = drive.path_after(60, 64)
    assert agreeing(made, drive.world(60), future).sentences
    braking = np.full(64, -3.0, np.float32)
    stopping = replace(future, accelerations=braking, speeds=np.maximum(future.speeds[0] + 0.1 * np.cumsum(braking), 0))
    rejected = agreeing(made, drive.world(60), stopping)
    assert isinstance(rejected, Rejection)
    assert rejected.check == "inconsistent"
    assert made.sentences[0] in rejected.reason


def test_other_plans_and_foreign_folders_are_refused(written, tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match=r"another plan \(seeds is \[3, 4\], asked for is \[3, 5\]\)"):
        next(write_dataset(plan(seeds=(3, 5)), written))
    monkeypatch.setattr("alpamayo_ros.datasets.production.code_fingerprint", lambda: "newer")
    with pytest.raises(DatasetError, match="code is .{12}, asked for is newer"):
        next(write_dataset(plan(), written))
    monkeypatch.undo()
    (tmp_path / "letter.txt").touch()
    with pytest.raises(DatasetError, match="is not empty"):
        next(write_dataset(plan(), tmp_path))
    first = write_dataset(plan(), written)
    next(first)
    with pytest.raises(DatasetError, match="another run"):
        next(write_dataset(plan(), written))
    first.close()


def test_damage_is_named(written, tmp_path):
    shard = tmp_path / "shard.tar"
    whole = (written / "shard-000000.tar").read_bytes()
    with tarfile.open(written / "shard-000000.tar") as tar:
        third = tar.getmembers()[2]
    for left in (0, 100, third.offset, third.offset + 200, third.offset_data + third.size // 2):
        shard.write_bytes(whole[:left])
        with pytest.raises(DatasetError, match="shard.tar is no readable shard"):
            list(unpack(shard))
    key, parts = next(unpack(written / "shard-000000.tar"))
    with pytest.raises(DatasetError, match=f"{key} is damaged"):
        decode(key, {**parts, "json": b"{}"})
    for name in ("motion.npz", "front_wide_120.jpg"):
        for content in (b"", parts[name][:40], parts[name][:60] + parts[name][:60] + parts[name][120:]):
            with pytest.raises(DatasetError, match=f"{key} is damaged"):
                decode(key, {**parts, name: content})
    with pytest.raises(DatasetError, match="no dataset"):
        Dataset.open(tmp_path)


def test_a_bit_that_fell_over_in_a_picture_is_named(written, tmp_path):
    """The tar file can be read, and so can the picture."""
    copied = shutil.copytree(written, tmp_path / "copied")
    shard = copied / "shard-000001.tar"
    content = bytearray(shard.read_bytes())
    with tarfile.open(shard) as tar:
        picture = next(member for member in tar.getmembers() if member.name.endswith("front_wide_120.jpg"))
    content[picture.offset_data + picture.size // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        DatasetError, match=r"shard-000001.tar is damaged \(its sha256 is not that in shard-000001.json"
    ):
        list(Dataset.open(copied))
    with pytest.raises(DatasetError, match="shard-000001.tar is damaged"):
        Corpus(Dataset.open(copied).shards, (0,))
    shard.with_suffix(".json").unlink()
    with pytest.raises(DatasetError, match="shard-000001.json is missing or damaged"):
        list(Dataset.open(copied))
