"""Whatever is killed in between, annotating goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from annotation_runs import Straight, annotated
from bag_records import drive, write_bag, write_rig
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.vla.errors import ModelInputError


def run_slowly(bag: Path, rig: Path, output: Path) -> None:
    annotated(bag, rig, output, Straight(seconds=0.05), copy=True)


def same_bytes(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    bag, rig = write_bag(tmp_path / "bag", drive(3.0)), write_rig(tmp_path)
    annotated(bag, rig, tmp_path / "whole" / "out", copy=True)
    output = tmp_path / "killed" / "out"
    output.parent.mkdir()
    journal = tmp_path / "killed" / "out.part" / "steps.bin"
    for size in (1, 10_000, 30_000):
        process = get_context("fork").Process(target=run_slowly, args=(bag, rig, output))
        process.start()
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.stat().st_size >= size) and process.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert not output.exists()
    found = annotated(bag, rig, output, copy=True)
    assert found.resumed > 15
    assert same_bytes(output, tmp_path / "whole" / "out")
    assert not journal.parent.exists()


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory) -> Path:
    """A folder with a bag, its rig, what comes of it (whole/out), and a journal that broke off (out.part)."""
    folder = tmp_path_factory.mktemp("journal")
    bag, rig = write_bag(folder / "bag", drive(1.8)), write_rig(folder)
    annotated(bag, rig, folder / "whole" / "out")
    with pytest.raises(ModelInputError):
        annotated(bag, rig, folder / "out", Straight(fails_at=3))
    return folder


@settings(max_examples=8, deadline=None)
@given(part=st.floats(0, 1), garbage=st.binary(max_size=40))
def test_a_journal_that_ends_anywhere_is_continued(broken_off, part, garbage):
    with TemporaryDirectory() as folder:
        output = Path(folder) / "out"
        shutil.copytree(broken_off / "out.part", output.with_name("out.part"))
        steps = output.with_name("out.part") / "steps.bin"
        kept = steps.read_bytes()
        steps.write_bytes(kept[: round(part * len(kept))] + garbage)
        annotated(broken_off / "bag", broken_off / "rig.yaml", output)
        assert same_bytes(output, broken_off / "whole" / "out")


def test_the_journal_of_another_command_is_refused(tmp_path):
    bag, rig = write_bag(tmp_path / "bag", drive(1.8)), write_rig(tmp_path)
    with pytest.raises(ModelInputError):
        annotated(bag, rig, tmp_path / "out", Straight(fails_at=2))
    with pytest.raises(DatasetError, match=r"out\.part holds the unfinished work of another command .* in every\)"):
        annotated(bag, rig, tmp_path / "out", every=2)
    other = write_bag(tmp_path / "other", drive(1.9))
    with pytest.raises(DatasetError, match=r"it differs in bag\)"):
        annotated(other, rig, tmp_path / "out")
    assert annotated(bag, rig, tmp_path / "out").resumed == 16


def test_a_run_that_fails_before_its_first_plan_leaves_nothing(tmp_path):
    bag, rig = write_bag(tmp_path / "bag", drive(1.8)), write_rig(tmp_path)
    with pytest.raises(ModelInputError):
        annotated(bag, rig, tmp_path / "out", Straight(fails_at=1))
    assert not list(tmp_path.glob("out*"))


def test_two_runs_at_once_are_refused(tmp_path):
    bag, rig = write_bag(tmp_path / "bag", drive(2.5)), write_rig(tmp_path)
    process = get_context("fork").Process(target=run_slowly, args=(bag, rig, tmp_path / "out"))
    process.start()
    while not (tmp_path / "out.part" / "steps.bin").exists() and process.is_alive():
        time.sleep(0.002)
    time.sleep(0.1)
    with pytest.raises(DatasetError, match="another process is writing to it"):
        annotated(bag, rig, tmp_path / "out")
    process.kill()
    process.join()
