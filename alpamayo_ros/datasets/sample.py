"""One training sample, and the parts it has in a shard.

<key>.<role>.jpg      frames of one camera below each other, the oldest at the top (png on request)
<key>.json            where it is from, decision, causes, sentences; see `_describe`
<key>.motion.npz      ego history and future, float32, ego frame at t0
<key>.dense.npz       `<role>.<field>` of DenseLabels for the newest frame, on request
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from alpamayo_ros.datasets.labels import CauseLabel, Label
from alpamayo_ros.datasets.shard import Members
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.simulation.cameras import DenseLabels
from alpamayo_ros.simulation.world import PERIOD
from alpamayo_ros.types import (
    CameraFrames,
    CameraRole,
    ComponentCategory,
    CriticalComponent,
    Decision,
    EgoHistory,
    LateralDecision,
    LongitudinalDecision,
    Observation,
    Trajectory,
)

PICTURES = ("jpg", "png")
_FUTURE = ("positions", "rotations", "speeds", "accelerations", "curvatures")


@dataclass(frozen=True, eq=False)
class Sample:
    """A moment of a drive: what was seen, what the expert did next, and why.

    keyframe: the rule that chose the moment, None for a regular time. phrasing: index of one of `label.sentences`, if
    there is any, for readers that learn one; `alpamayo train` has a key for it in its recipe. navigation: the
    instruction at t0; not in the observation, because not every model takes one.
    dense: labels of the newest frame by camera, empty where none were asked for; on disk as float16.
    """

    kind: str
    seed: int
    variant: str
    tick: int
    keyframe: str | None
    observation: Observation
    navigation: str | None
    future: Trajectory
    label: Label
    phrasing: int
    dense: Mapping[CameraRole, DenseLabels]

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.variant}-{self.seed:07d}-{self.tick:03d}"

    @property
    def reasoning(self) -> str:
        """The Chain of Causation, as `phrasing` says; empty where no words suit."""
        return self.label.sentences[self.phrasing] if self.label.sentences else ""


def encode(sample: Sample, picture: str = "jpg", quality: int = 95) -> Members:
    """The parts of a sample. picture: jpg (with `quality`) or png."""
    parts = Members()
    # Full colour resolution: a brake light is one or two pixels.
    jpeg = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, cv2.IMWRITE_JPEG_QUALITY, quality]
    options = jpeg if picture == "jpg" else []
    for camera in sample.observation.cameras:
        column = camera.images.reshape(-1, *camera.images.shape[2:])
        _, data = cv2.imencode(f".{picture}", cv2.cvtColor(column, cv2.COLOR_RGB2BGR), options)
        parts[f"{camera.role.label}.{picture}"] = data.tobytes()
    parts["json"] = json.dumps(_describe(sample), separators=(",", ":")).encode()
    history = sample.observation.ego_history
    motion = {"history_positions": history.positions, "history_rotations": history.rotations}
    motion |= {f"future_{name}": getattr(sample.future, name) for name in _FUTURE}
    parts["motion.npz"] = _arrays(motion)
    if sample.dense:
        parts["dense.npz"] = _arrays(
            {
                f"{role.label}.{field}": np.asarray(value, np.int64 if field == "block" else np.float16)
                for role, labels in sample.dense.items()
                for field, value in vars(labels).items()
            }
        )
    return parts


def decode(key: str, parts: Members) -> Sample:
    """The sample that was encoded; pictures as the file format kept them. Raises DatasetError."""
    try:
        told = json.loads(parts["json"])
        motion = load_arrays(parts["motion.npz"])
        future = [motion[f"future_{name}"] for name in _FUTURE]
        cameras = tuple(_frames(label, stamps, parts) for label, stamps in told["stamps_ns"].items())
        history = EgoHistory(motion["history_positions"], motion["history_rotations"])
        return Sample(
            told["kind"], told["seed"], told["variant"], told["tick"], told["keyframe"],
            Observation(told["t0_ns"], cameras, history), told["navigation"],
            Trajectory(PERIOD * np.arange(1, len(future[0]) + 1), *future),
            label_of(told), told["phrasing"],
            _dense(load_arrays(parts["dense.npz"])) if "dense.npz" in parts else {},
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise DatasetError(f"sample {key} is damaged or of another version: {error!r}") from None


def _describe(sample: Sample) -> dict[str, Any]:
    label = sample.label
    return {
        "kind": sample.kind,
        "seed": sample.seed,
        "variant": sample.variant,
        "tick": sample.tick,
        "keyframe": sample.keyframe,
        "t0_ns": sample.observation.t0_ns,
        "stamps_ns": {camera.role.label: camera.stamps_ns.tolist() for camera in sample.observation.cameras},
        "navigation": sample.navigation,
        "decision": {"longitudinal": label.decision.longitudinal, "lateral": label.decision.lateral},
        "reasoning": sample.reasoning,
        "phrasing": sample.phrasing,
        "sentences": label.sentences,
        "components": [asdict(component) for component in label.components],
        "causes": [asdict(cause) for cause in label.causes],
        "innocent": label.innocent,
    }


def label_of(told: dict[str, Any]) -> Label:
    """The label in the `json` part of a sample."""
    longitudinal, lateral = told["decision"]["longitudinal"], told["decision"]["lateral"]
    decision = Decision(
        LongitudinalDecision(longitudinal) if longitudinal else None, LateralDecision(lateral) if lateral else None
    )
    return Label(
        decision,
        tuple(_component(entry) for entry in told["components"]),
        tuple(told["sentences"]),
        tuple(CauseLabel(**{**entry, "component": _component(entry["component"])}) for entry in told["causes"]),
        tuple(told["innocent"]),
    )


def _component(entry: dict[str, Any]) -> CriticalComponent:
    return CriticalComponent(ComponentCategory(entry["category"]), entry["kind"], dict(entry["attributes"]))


def _dense(arrays: dict[str, np.ndarray]) -> dict[CameraRole, DenseLabels]:
    found: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        label, _, field = name.partition(".")
        found.setdefault(label, {})[field] = int(array) if field == "block" else array.astype(np.float32)
    return {CameraRole.from_label(label): DenseLabels(**fields) for label, fields in found.items()}


def _frames(label: str, stamps: list[int], parts: Members) -> CameraFrames:
    coded = next(parts[f"{label}.{suffix}"] for suffix in PICTURES if f"{label}.{suffix}" in parts)
    return CameraFrames(
        CameraRole.from_label(label), decode_frames(coded, len(stamps)), np.array(stamps, dtype=np.int64)
    )


def decode_frames(coded: bytes, count: int) -> np.ndarray:
    """(count, height, width, 3) RGB of a camera's picture in a sample. Raises ValueError."""
    try:
        column = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # an empty file, or a header with an absurd size
        column = None
    if column is None:
        raise ValueError("a picture cannot be read")
    return cv2.cvtColor(column, cv2.COLOR_BGR2RGB).reshape(count, -1, column.shape[1], 3)


def _arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # no array is called `allow_pickle`
    return buffer.getvalue()


def load_arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an npz. Raises ValueError."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # of the zip, of its compression, of a header that is parsed as Python
        raise ValueError(f"no readable arrays: {error}") from None
