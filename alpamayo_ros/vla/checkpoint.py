"""Model folders: config.json, tokenizer.json or the language model's folder, and weights in safetensors.

Only safetensors is read, never pickle. Names, shapes and kinds of all tensors are compared before any weight is read;
then each goes straight to its device and dtype, one at a time: memory holds one copy of the model and one tensor.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from alpamayo_ros.vla.config import ModelConfig
from alpamayo_ros.vla.config_json import config_from_json, config_to_json
from alpamayo_ros.vla.errors import CheckpointError
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.tokenizer import AlpamayoTokenizer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
STORED_DTYPES = ("F64", "F32", "BF16", "F16")
MAX_SHARD_BYTES = 5_000_000_000
_NAMES_SHOWN = 4


def load_model(
    folder: Path,
    *,
    language_model: Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> AlpamayoModel:
    """Load a released checkpoint or one that `save_model` wrote.

    language_model: folder of the language model that a released config names; by default the folder beside `folder`,
        or the hub's copy of that name. dtype: of the weights; by default the one that the config names.
    Raises CheckpointError.
    """
    target = usable_device(device)
    config, tokenizer = load_config(folder, language_model)
    with torch.device("meta"):
        model = AlpamayoModel(config, tokenizer)
    wanted = dtype or getattr(torch, config.weights_dtype)
    size = sum(parameter.numel() for parameter in model.parameters()) * wanted.itemsize
    try:
        _fill(model, _tensor_files(folder), target, wanted)
        return model.to(target).eval().requires_grad_(False)
    except torch.OutOfMemoryError:
        raise CheckpointError(
            f"{folder}: {size / 2**30:.1f} GiB of weights as {wanted} do not fit on {target}; take bfloat16, "
            "or another device"
        ) from None


def load_config(folder: Path, language_model: Path | None = None) -> tuple[ModelConfig, AlpamayoTokenizer]:
    """The numbers and the vocabulary of a model folder; arguments and errors as in `load_model`."""
    document = _read_json(folder / "config.json")
    if "vlm_config" in document:
        config = config_from_json(document, document["vlm_config"])
        tokenizer = AlpamayoTokenizer.from_file(folder / "tokenizer.json", config.model_type)
    else:
        base = language_model or _find_language_model(folder, document)
        config = config_from_json(document, _read_json(base / "config.json"))
        tokenizer = AlpamayoTokenizer.from_language_model(base, config.model_type, config.traj_vocab_size)
    if len(tokenizer) > config.vocab_size:
        raise CheckpointError(
            f"the vocabulary has {len(tokenizer)} tokens, but config.json says vocab_size {config.vocab_size}; "
            "the tokenizer and the weights are not of one model"
        )
    if tokenizer.special_ids["image_pad"] != config.image_token_id:
        raise CheckpointError(
            f"<|image_pad|> has id {tokenizer.special_ids['image_pad']} in the vocabulary, but image_token_id is "
            f"{config.image_token_id}; the tokenizer and the language model's config.json are not of one model"
        )
    expected = document.get("traj_token_start_idx", tokenizer.future_bin_0)
    if tokenizer.future_bin_0 != expected:
        raise CheckpointError(
            f"<i0> has id {tokenizer.future_bin_0} in the vocabulary, but traj_token_start_idx is {expected}; "
            "the language model's folder is not the one this model was made from"
        )
    return config, tokenizer


def save_model(
    model: AlpamayoModel,
    folder: Path,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write config.json (our form), tokenizer.json and safetensors, in shards with an index when they are large.

    weights: the state dict, where the model itself has only a part of it, as in training over many processes.
    Weights that an earlier save left in the folder are removed: an old index would hide the new weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in [folder / INDEX, *folder.glob("model*.safetensors")]:
        old.unlink(missing_ok=True)
    config = dataclasses.replace(model.config, weights_dtype=str(model.dtype).removeprefix("torch."))
    (folder / "config.json").write_text(json.dumps(config_to_json(config), indent=2) + "\n")
    model.tokenizer.save(folder / "tokenizer.json")
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = total = 0
    for name, tensor in (model.state_dict() if weights is None else weights).items():
        if size and size + tensor.nbytes > max_shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensor.contiguous()
        size += tensor.nbytes
        total += tensor.nbytes
    if len(shards) == 1:
        save_file(shards[0], folder / WEIGHTS)
        return
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, folder / file)
        weight_map |= dict.fromkeys(shard, file)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")


def fetch_from_hub(repository: str, *, weights: bool = True) -> Path:
    """The local copy of a hub repository, downloaded when it is not there yet. Needs `huggingface_hub`."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise CheckpointError(
            f"{repository!r} is no local folder, and huggingface_hub is not installed to fetch it; "
            "pip install huggingface_hub, or give a local folder"
        ) from None
    patterns = ["*.json", "*.txt", "*.safetensors"] if weights else ["*.json", "*.txt"]
    try:
        return Path(snapshot_download(repository, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise CheckpointError(f"cannot fetch {repository!r} from the hub: {reason}; give a local folder") from None


def fingerprint(folder: Path) -> str:
    """Names the weights in a folder: the commit of a hub's copy, else a hash of config.json and of each tensor's first
    row (reading 22 GB through would take longer than a plan is worth). Raises CheckpointError."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        with _open(path) as file:
            for name in sorted(file.keys()):
                part = file.get_slice(name)
                shape = part.get_shape()
                row = part[: 1 if len(shape) > 1 else None].contiguous() if shape else file.get_tensor(name)
                digest.update(f"{name} {shape} {row.dtype}".encode())
                digest.update(row.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:12]


def _find_language_model(folder: Path, document: dict[str, Any]) -> Path:
    name = document.get("vlm_name_or_path")
    if not isinstance(name, str) or not name:
        raise CheckpointError(f"{folder}/config.json names no vlm_name_or_path; give the language model's folder")
    for candidate in (folder.parent / name, folder.parent / Path(name).name):
        if (candidate / "config.json").is_file():
            return candidate
    if "/" not in name:
        raise CheckpointError(
            f"{folder}/config.json names the language model {name!r}, and there is no folder {folder.parent / name}; "
            "put it there or give its place as language_model"
        )
    return fetch_from_hub(name, weights=False)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; a model folder holds config.json and weights in safetensors")
    try:
        document = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); fetch it again") from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} holds a {type(document).__name__}; expected an object")
    return document


def _tensor_files(folder: Path) -> dict[str, Path]:
    """The file of each tensor."""
    if (folder / INDEX).is_file():
        weight_map = _read_json(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not all(Path(file).name == file for file in weight_map.values()):
            raise CheckpointError(f"{folder / INDEX}: weight_map must name files of this folder; fetch it again")
        missing = sorted({file for file in weight_map.values() if not (folder / file).is_file()})
        if missing:
            raise CheckpointError(f"{folder} lacks {_listed(missing)}, named by {INDEX}; finish the download")
        return {name: folder / file for name, file in weight_map.items()}
    if not (folder / WEIGHTS).is_file():
        others = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        hint = f" ({_listed(others)}: pickle is never loaded; convert it)" if others else ""
        raise CheckpointError(f"{folder} has neither {WEIGHTS} nor {INDEX}{hint}")
    with _open(folder / WEIGHTS) as file:
        return dict.fromkeys(file.keys(), folder / WEIGHTS)


def _fill(model: AlpamayoModel, files: dict[str, Path], device: torch.device, dtype: torch.dtype) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # R1 stores the constants of its action space and Fourier features, 1.5 does not; either layout loads.
    constants = {name for name, _ in model.named_buffers()}
    missing = sorted(set(expected) - set(files) - constants)
    unexpected = sorted(set(files) - set(expected) - constants)
    if missing or unexpected:
        parts = [
            f"{len(names)} {what} ({_listed(names)})"
            for what, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise CheckpointError(
            f"the weights do not fit config.json: {' and '.join(parts)}; is this the folder of another model?"
        )
    by_file = {path: [name for name, place in files.items() if place == path] for path in sorted({*files.values()})}
    buffers = dict(model.named_buffers())
    shapes = expected | {name: tuple(buffer.shape) for name, buffer in buffers.items()}
    for path, names in by_file.items():
        with _open(path) as file:
            for name in names:
                _check_tensor(file, path, name, shapes[name])
    for path, names in by_file.items():
        with _open(path) as file:
            for name in names:
                tensor = _read_tensor(file, path, name)
                if name in buffers:
                    # Constants stay float32, with the values they have in the released dtype.
                    buffers[name].copy_(tensor.to(getattr(torch, model.config.model_dtype)))
                    continue
                owner, _, leaf = name.rpartition(".")
                moved = tensor.to(device=device, dtype=dtype, copy=True)
                setattr(model.get_submodule(owner), leaf, torch.nn.Parameter(moved, requires_grad=False))


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name, if torch can use it. Raises CheckpointError."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise CheckpointError(f"device {name!r} is unknown; use 'cpu', 'cuda' or 'cuda:0'") from None
    if device.type not in ("cpu", "cuda"):
        raise CheckpointError(f"device {name!r} is not supported; use 'cpu' or 'cuda'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        seen = torch.cuda.device_count() or "no"
        raise CheckpointError(f"device {name!r} was asked for, but torch sees {seen} GPU; use 'cpu' or fix the driver")
    return device


def _check_tensor(file: Any, path: Path, name: str, expected: tuple[int, ...]) -> None:
    try:
        header = file.get_slice(name)
    except SafetensorError as error:
        raise CheckpointError(f"{path} holds no {name} ({error}); fetch it again") from None
    if tuple(header.get_shape()) != expected:
        raise CheckpointError(f"{path.name}: {name} has shape {tuple(header.get_shape())}, the model {expected}")
    if header.get_dtype() not in STORED_DTYPES:
        raise CheckpointError(
            f"{path.name}: {name} is stored as {header.get_dtype()}; quantised checkpoints are not supported, only "
            f"{', '.join(STORED_DTYPES)}"
        )


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or truncated ({error}); fetch it again") from None


def _read_tensor(file: Any, path: Path, name: str) -> torch.Tensor:
    try:
        return file.get_tensor(name)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: cannot read {name} ({error}); fetch it again") from None


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown}, … {len(names) - _NAMES_SHOWN} more"
