"""Writing a dataset: drives in parallel, shards in order, and picking up where a killed run stopped.

FOLDER/plan.json               what it is made of, by which code; a run with another plan is refused
FOLDER/shard-000000.tar        samples (see `shard` and `sample`), there only when complete
FOLDER/shard-000000.json       what is in it and what was left out
FOLDER/dataset.json            the sum over all shards, there only when all are
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from alpamayo_ros.datasets.harvest import Harvest, harvest
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.shard import pack
from alpamayo_ros.datasets.staging import DatasetError, locked, settle
from alpamayo_ros.datasets.workers import worker_pool

Drive = tuple[str, int, str]


def shard_path(folder: Path, index: int) -> Path:
    return folder / f"shard-{index:06d}.tar"


def write_dataset(plan: DatasetPlan, folder: Path, workers: int = 1) -> Iterator[int]:
    """Write what is missing of a dataset; yields the number of drives that are done after each drive.

    The bytes are the same for any number of workers and any number of interruptions. Raises DatasetError where the
    folder holds something else, or where another run is writing to it.
    """
    with locked(folder):
        _claim(plan, folder)
        shards = plan.shards
        missing = {index: drives for index, drives in enumerate(shards) if not _is_done(folder, index)}
        done = sum(map(len, shards)) - sum(map(len, missing.values()))
        yield done
        results = _harvests(plan, [drive for drives in missing.values() for drive in drives], workers)
        for index, drives in missing.items():
            harvested = []
            for _ in drives:
                harvested.append(next(results))
                done += 1
                yield done
            _write_shard(folder, index, harvested)
        _write(folder / "dataset.json", _json(_sum(folder, len(shards))))


def _harvests(plan: DatasetPlan, drives: list[Drive], workers: int) -> Iterator[Harvest]:
    """The drives' harvests in the order of the drives."""
    work = partial(_harvest, plan)
    if workers == 1:
        yield from map(work, drives)
        return
    with worker_pool(workers) as pool:
        yield from pool.map(work, drives)


def _harvest(plan: DatasetPlan, drive: Drive) -> Harvest:
    return harvest(plan, *drive)


def _claim(plan: DatasetPlan, folder: Path) -> None:
    for left_over in folder.glob(".partial-*"):
        left_over.unlink()
    wanted, path = {**plan.described(), "code": code_fingerprint()}, folder / "plan.json"
    if not path.exists():
        if any(entry.name != ".lock" for entry in folder.iterdir()):
            raise DatasetError(f"{folder} is not empty and holds no dataset; choose another folder")
        _write(path, _json(wanted))
        return
    try:
        there = dict(json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise DatasetError(f"{path} is damaged; choose another folder") from None
    differing = [name for name in wanted if there.get(name) != wanted[name]]
    if differing:
        name = differing[0]
        raise DatasetError(
            f"{folder} holds a dataset of another plan ({name} is {there.get(name)}, asked for is {wanted[name]}); "
            "choose another folder, or the same options and version"
        )


def code_fingerprint() -> str:
    """Twelve digits that change with the code that makes samples: shards of two versions are not mixed."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for room in ("datasets", "reasoning", "simulation", "types"):
        for path in sorted((package / room).rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _is_done(folder: Path, index: int) -> bool:
    path = shard_path(folder, index)
    return path.exists() and path.with_suffix(".json").exists()


def _write_shard(folder: Path, index: int, harvested: list[Harvest]) -> None:
    content = pack(sample for drive in harvested for sample in drive.samples)
    dropped, wordless, counts, examples = Counter[str](), Counter[str](), Counter[str](), dict[str, str]()
    for drive in harvested:
        dropped.update(drive.dropped)
        wordless.update(drive.wordless)
        counts.update(drive.counts)
        examples = {**drive.examples, **examples}
    summary = {
        "drives": len(harvested),
        "samples": sum(len(drive.samples) for drive in harvested),
        "sha256": hashlib.sha256(content).hexdigest(),
        "dropped": dict(sorted(dropped.items())),
        "wordless": dict(sorted(wordless.items())),
        "counts": dict(sorted(counts.items())),
        "examples": dict(sorted(examples.items())),
    }
    path = shard_path(folder, index)
    # The summary first: the tar file's name is what says that the shard is complete.
    _write(path.with_suffix(".json"), _json(summary))
    _write(path, content)


def _sum(folder: Path, count: int) -> dict[str, Any]:
    shards, drives = {}, 0
    dropped, wordless, counts, examples = Counter[str](), Counter[str](), Counter[str](), dict[str, str]()
    for index in range(count):
        path = shard_path(folder, index)
        told = json.loads(path.with_suffix(".json").read_text())
        shards[path.name] = {"samples": told["samples"], "sha256": told["sha256"], "bytes": path.stat().st_size}
        drives += told["drives"]
        dropped.update(told["dropped"])
        wordless.update(told["wordless"])
        counts.update(told["counts"])
        examples = {**told["examples"], **examples}
    return {
        "plan": json.loads((folder / "plan.json").read_text()),
        "drives": drives,
        "samples": sum(shard["samples"] for shard in shards.values()),
        "bytes": sum(shard["bytes"] for shard in shards.values()),
        "dropped": dict(sorted(dropped.items())),
        "wordless": dict(sorted(wordless.items())),
        "counts": dict(sorted(counts.items())),
        "examples": dict(sorted(examples.items())),
        "shards": shards,
    }


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """All or nothing, also when the machine goes down."""
    partial_path = path.with_name(f".partial-{path.name}")
    partial_path.write_bytes(content)
    settle(partial_path)
    partial_path.rename(path)
