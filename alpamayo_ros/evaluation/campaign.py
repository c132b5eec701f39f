"""Many scenes over many processes, each kept on disk as soon as it is done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from alpamayo_ros.datasets.workers import worker_pool
from alpamayo_ros.engine.switches import EXACT, Switches
from alpamayo_ros.evaluation.drivers import Driver, make_driver
from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.scene import Outcome, Scene
from alpamayo_ros.evaluation.version import code_version

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

RunScene = Callable[[Scene, Driver], Outcome]
"""How a scene is run: a function at the top of a module, as it has to reach other processes."""


@dataclass(frozen=True)
class Contender:
    """Which driver, and the settings that `make_driver` makes it with."""

    policy: str
    num_samples: int = 1
    ticks_per_plan: int = 1
    autoregressive: bool = False
    flow_steps: int | None = None
    temperature: float | None = None
    noise_temperature: float | None = None
    max_jerk: float | None = None
    switches: Switches = EXACT
    language_model: str | None = None
    device: str | None = None

    def make(self) -> Driver:
        return make_driver(**vars(self))


def run_campaign(
    run_scene: RunScene, scenes: Sequence[Scene], contender: Contender, kept: Path, workers: int
) -> list[Outcome]:
    """The outcomes of all scenes, in their order.

    kept: a file of JSON lines that every outcome is added to. What it holds already for the same scene, driver,
    settings and code is not run again; a line that a kill has cut short is dropped. workers: processes; with one,
    everything runs in this one. Raises EvaluationError.
    """
    driver = contender.make()
    stamp = _stamp(run_scene, contender, driver)
    done = _read(kept, stamp)
    left = [scene for scene in scenes if scene not in done]
    with (
        kept.open("a") as file,
        tqdm(total=len(scenes), initial=len(scenes) - len(left), unit="scene", disable=None) as bar,
    ):
        for outcome in _run(run_scene, left, contender, driver, workers):
            _write(file, stamp, outcome)
            done[outcome.scene] = outcome
            bar.update()
    return [done[scene] for scene in scenes]


def _run(
    run_scene: RunScene, scenes: Sequence[Scene], contender: Contender, driver: Driver, workers: int
) -> Iterator[Outcome]:
    if workers == 1 or len(scenes) < 2:
        yield from (run_scene(scene, driver) for scene in scenes)
        return
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        with worker_pool(workers, _prepare, (run_scene, contender)) as pool:
            for future in as_completed([pool.submit(_work, scene) for scene in scenes]):
                yield future.result()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_mine: tuple[RunScene, Driver] | None = None


def _prepare(run_scene: RunScene, contender: Contender) -> None:
    """In a worker, which has its own driver."""
    global _mine  # noqa: PLW0603, the one place where a worker keeps what it was started with
    _mine = (run_scene, contender.make())


def _work(scene: Scene) -> Outcome:
    assert _mine is not None
    run_scene, driver = _mine
    return run_scene(scene, driver)


def _stamp(run_scene: RunScene, contender: Contender, driver: Driver) -> dict[str, Any]:
    return {
        **asdict(contender),
        "loop": run_scene.__module__.rsplit(".", 1)[1],
        "policy": driver.name,
        "revision": driver.revision,
        "version": code_version(),
    }


def _write(file: IO[str], stamp: dict[str, Any], outcome: Outcome) -> None:
    file.write(json.dumps({**stamp, **outcome.as_json()}) + "\n")
    file.flush()


def _read(kept: Path, stamp: dict[str, Any]) -> dict[Scene, Outcome]:
    """Outcomes that carry `stamp`. An unfinished last line is cut off, so that the next one begins a new line.

    Raises EvaluationError where another line is no outcome.
    """
    if not kept.exists():
        return {}
    text = kept.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with kept.open("r+b") as file:
            file.truncate(whole)
    found = {}
    for number, line in enumerate(text[:whole].splitlines(), start=1):
        try:
            document = json.loads(line)
            outcome = Outcome.from_json(document)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EvaluationError(f"{kept}, line {number} is no outcome of a scene; move the file away") from None
        if all(document.get(name) == value for name, value in stamp.items()):
            found[outcome.scene] = outcome
    return found
