"""Samples of datasets as a trainer wants them: any one at any time, decoded when it is needed.

Shards stay on disk; what is kept in memory is where each part of a sample lies, its motion and its words.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.labels import Label
from alpamayo_ros.datasets.sample import decode_frames, label_of, load_arrays
from alpamayo_ros.datasets.shard import check
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.simulation.scenarios import HELD_OUT
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.types import CameraRole

DENSE_FIELDS = (
    "classes", "brake", "indicator", "lit", "lamps", "lane_edges", "path", "distance", "motion", "ranges", "across"
)  # fmt: skip
"""Of DenseLabels, in the order of the channels of `Batch.dense`."""


@dataclass(frozen=True)
class Origin:
    """Where a moment is from: with this the simulator drives there again. disturbance: strength, of the dataset."""

    kind: str
    seed: int
    variant: str
    tick: int
    disturbance: float


@dataclass(frozen=True, eq=False)
class Moment:
    """One sample without its pictures.

    origin: of which drive; None where a model drove first and the expert took over. places: (shard, offset, size) of
    each part. frames: of each camera. keyframe: whether a decision is taken there. label: the truth about it, and its
    sentences.
    history: (16, 3) and (16, 3, 3), future: (64, 3) and (64, 3, 3), in the ego frame at t0.
    """

    key: str
    origin: Origin | None
    places: dict[str, tuple[int, int, int]]
    frames: int
    keyframe: bool
    label: Label
    navigation: str | None
    history: tuple[Tensor, Tensor]
    future: tuple[Tensor, Tensor]

    @property
    def drive(self) -> str:
        """Kind, variant and seed; the tick comes last in a key."""
        return self.key.rpartition("-")[0]


@dataclass(frozen=True, eq=False)
class Batch:
    """Moments with their pictures.

    numbers: of each in the corpus. places: of each in the step's batch, over all processes. images: of each moment,
        camera by camera, oldest first, (H, W, 3) uint8 RGB.
    dense: (B, cameras, h, w, channels) labels of the newest pictures, where the stage asks for them.
    """

    numbers: tuple[int, ...]
    places: tuple[int, ...]
    moments: tuple[Moment, ...]
    images: list[np.ndarray]
    dense: Tensor | None

    def __len__(self) -> int:
        return len(self.moments)


class Corpus:
    """All samples of some shards, in their order."""

    def __init__(self, shards: Sequence[Path], roles: Sequence[int], *, wordless: bool = False) -> None:
        """roles: cameras that the model takes. wordless: with those samples that have no sentence. Raises TrainingError
        or DatasetError."""
        self.shards = tuple(shards)
        self._cameras = [CameraRole(role).label for role in roles]
        self._files = [path.open("rb") for path in shards]
        self._dense: dict[int, np.ndarray] = {}
        self.moments: list[Moment] = []
        for number, path in enumerate(tqdm(shards, desc="reading", unit="shard", disable=None)):
            if path not in shards[:number]:  # it may be listed twice, to count twice
                check(path)
            self.moments += [m for m in _read_shard(number, path) if wordless or m.label.sentences]
        if not self.moments:
            raise TrainingError("the data hold no sample; give a folder that `alpamayo simulate dataset` wrote")

    def __len__(self) -> int:
        return len(self.moments)

    def batch(self, numbers: Sequence[int], *, dense: bool, places: Sequence[int] | None = None) -> Batch:
        """The samples of these numbers; `dense`: with dense labels. places: by default they are a batch alone."""
        moments = tuple(self.moments[number] for number in numbers)
        images = [image for moment in moments for image in self._images(moment)]
        labels = torch.from_numpy(np.stack([self._labels(n) for n in numbers])).float() if dense else None
        return Batch(tuple(numbers), tuple(range(len(numbers)) if places is None else places), moments, images, labels)

    def keep(self, numbers: Sequence[int]) -> None:
        """Forget all samples but these, which are numbered anew."""
        self.moments, self._dense = [self.moments[number] for number in numbers], {}

    def check_apart_from(self, validation: Corpus) -> None:
        """Raise TrainingError for a drive that is in both: what is learned from is no test."""
        drives, others = ({moment.drive for moment in corpus.moments} for corpus in (self, validation))
        if shared := sorted(drives & others):
            raise TrainingError(f"data and validation both have the drive {shared[0]}; validate on other seeds")

    def _part(self, moment: Moment, name: str) -> bytes:
        if name not in moment.places:
            raise TrainingError(f"sample {moment.key} has no {name}; make the data with the model's cameras")
        shard, offset, size = moment.places[name]
        file = self._files[shard]
        file.seek(offset)
        return file.read(size)

    def _images(self, moment: Moment) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for camera in self._cameras:
            suffix = "png" if f"{camera}.png" in moment.places else "jpg"
            try:
                found += list(decode_frames(self._part(moment, f"{camera}.{suffix}"), moment.frames))
            except ValueError as error:
                raise DatasetError(f"the picture {camera} of sample {moment.key} is damaged ({error})") from None
        return found

    def _labels(self, number: int) -> np.ndarray:
        """(cameras, h, w, channels) float16, kept: unpacking them is slower than the pictures."""
        if number not in self._dense:
            moment = self.moments[number]
            if "dense.npz" not in moment.places:
                raise TrainingError(f"sample {moment.key} has no dense labels; make the data with --dense 16")
            try:
                file = load_arrays(self._part(moment, "dense.npz"))
                cameras = [[file[f"{camera}.{field}"] for field in DENSE_FIELDS] for camera in self._cameras]
            except (ValueError, KeyError) as error:
                raise DatasetError(f"the dense labels of sample {moment.key} are damaged ({error})") from None
            channels = [[part if part.ndim == 3 else part[..., None] for part in parts] for parts in cameras]
            self._dense[number] = np.stack([np.concatenate(parts, axis=-1) for parts in channels])
        return self._dense[number]


def find_shards(folders: Iterable[Path], *, unfinished: bool) -> list[Path]:
    """The shards of datasets. unfinished: take what is complete of those that are still being written.

    Raises DatasetError where a folder holds no dataset, or an unfinished one unasked.
    """
    found: list[Path] = []
    for folder in folders:
        if unfinished and (folder / "plan.json").is_file():
            found += sorted(folder.glob("shard-*.tar"))
        else:
            found += Dataset.open(folder).shards
    return found


def order(corpus: Corpus, seed: int, epoch: int, keyframe_repeats: int) -> np.ndarray:
    """The numbers of samples as an epoch takes them, those of keyframes so many times."""
    times = [keyframe_repeats if moment.keyframe else 1 for moment in corpus.moments]
    return np.random.default_rng((seed, epoch)).permutation(np.repeat(np.arange(len(times)), times))


def _read_shard(number: int, path: Path) -> list[Moment]:
    places: dict[str, dict[str, tuple[int, int, int]]] = {}
    parts: dict[str, dict[str, bytes]] = {}
    try:
        plan = json.loads((path.parent / "plan.json").read_text())
        disturbance = None if plan.get("driven") else float(plan["disturbance"])
        with tarfile.open(path) as tar:
            for info in tar:
                key, _, part = info.name.partition(".")
                places.setdefault(key, {})[part] = (number, info.offset_data, info.size)
                if part in ("json", "motion.npz"):
                    file = tar.extractfile(info)
                    assert file is not None
                    parts.setdefault(key, {})[part] = file.read()
        return [_moment(key, where, parts[key], disturbance) for key, where in places.items()]
    except TrainingError:
        raise
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{path} is no readable shard ({error!r}); make it again") from None


def _moment(
    key: str, places: dict[str, tuple[int, int, int]], parts: dict[str, bytes], disturbance: float | None
) -> Moment:
    """disturbance: of the drive; None where it cannot be driven again."""
    told: dict[str, Any] = json.loads(parts["json"])
    if told["seed"] >= HELD_OUT:
        raise TrainingError(f"sample {key}: seeds from {HELD_OUT:,} on are for judging; nothing may be trained on them")
    file = load_arrays(parts["motion.npz"])
    motion = [
        torch.from_numpy(file[name])
        for name in ("history_positions", "history_rotations", "future_positions", "future_rotations")
    ]
    origin = None
    if disturbance is not None:
        origin = Origin(told["kind"], told["seed"], told["variant"], told["tick"], disturbance)
    return Moment(
        key, origin, places, len(next(iter(told["stamps_ns"].values()))), told["keyframe"] is not None, label_of(told),
        told["navigation"],
        (motion[0], motion[1]), (motion[2], motion[3]),
    )  # fmt: skip
