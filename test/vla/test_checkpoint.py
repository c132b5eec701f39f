"""Loading and saving: both buffer layouts, shards, one copy in memory, and one clear error for each kind of damage."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from golden_data import FOLDER, MODELS
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from alpamayo_ros.vla import checkpoint
from alpamayo_ros.vla.checkpoint import fetch_from_hub, fingerprint, load_config, load_model, save_model
from alpamayo_ros.vla.errors import CheckpointError

LANGUAGE_MODEL = FOLDER / "vlm_tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny R1 checkpoint beside its language model, free to damage."""
    shutil.copytree(LANGUAGE_MODEL, tmp_path / "vlm_tiny")
    copied = tmp_path / "model"
    copied.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(FOLDER / "ar1_tiny" / name, copied / name)
    return copied


def rewrite(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("release", MODELS)
@pytest.mark.parametrize("shard_bytes", [10**9, 400_000])
def test_round_trip(release, shard_bytes, tmp_path):
    original = load_model(FOLDER / MODELS[release], language_model=LANGUAGE_MODEL)
    save_model(original, tmp_path / "saved", max_shard_bytes=shard_bytes)
    assert (tmp_path / "saved" / "model.safetensors.index.json").exists() == (shard_bytes < 10**9)
    again = load_model(tmp_path / "saved")  # our own form needs no language model's folder
    assert again.config == original.config
    assert same_weights(original, again)
    text = "Stop for the <|cot_end|><i17> naïve café"
    assert again.tokenizer.encode(text) == original.tokenizer.encode(text)


@pytest.mark.parametrize("release", MODELS)
@pytest.mark.parametrize("with_constants", [True, False])
def test_both_buffer_layouts(release, with_constants, folder):
    shutil.copyfile(FOLDER / MODELS[release] / "config.json", folder / "config.json")
    if not with_constants:
        rewrite(folder, lambda weights: [weights.pop(name) for name in list(weights) if _is_constant(name)])
    reference = load_model(FOLDER / MODELS[release], language_model=LANGUAGE_MODEL)
    assert same_weights(load_model(folder), reference)


def _is_constant(name: str) -> bool:
    return name.endswith(".freqs") or (name.startswith("action_space.") and name.endswith(("_mean", "_std")))


def test_constants_have_their_values_in_the_released_dtype(folder):
    edit_config(folder, model_dtype="bfloat16")
    loaded = load_model(folder, dtype=torch.float32)
    assert loaded.dtype == torch.float32
    assert float(loaded.action_space.accel_std) == 0.6796875
    assert loaded.action_space.accel_std.dtype == torch.float32
    assert float(loaded.action_in_proj.sinus[0].freqs[0, 1]) == 1.671875


def test_dtype_of_the_weights(folder):
    loaded = load_model(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for buffer in loaded.buffers()} == {torch.float32}


def test_memory_holds_one_copy(tmp_path):
    """A model of 380 MB in shards: peak memory over the baseline stays below one copy and a margin."""
    script = """
import sys, dataclasses, torch
from pathlib import Path
from alpamayo_ros.vla.checkpoint import load_model, load_config, save_model
from alpamayo_ros.vla.model import AlpamayoModel
tiny, language_model, out, stage = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
if stage == "save":
    config, tokenizer = load_config(tiny, language_model)
    language = dataclasses.replace(config.language, hidden_size=1280, intermediate_size=5120)
    vision = dataclasses.replace(config.vision, out_hidden_size=1280)
    model = AlpamayoModel(dataclasses.replace(config, language=language, vision=vision), tokenizer)
    save_model(model, out, max_shard_bytes=50_000_000)
else:
    def told(name):
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(name)) * 1024
    before = told("VmRSS")
    model = load_model(out)
    size = sum(p.nbytes for p in model.parameters())
    # Not ru_maxrss: that one remembers how large the parent was when it forked.
    peak = told("VmHWM") - before
    print(size, peak)
"""
    arguments = [str(FOLDER / "ar1_tiny"), str(LANGUAGE_MODEL), str(tmp_path / "big")]
    for stage in ("save", "load"):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments, stage], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    size, peak = map(int, done.stdout.split())
    assert size > 300e6
    # One copy, the largest tensor once more, and the shard that is mapped from the page cache.
    assert peak < 1.5 * size


DAMAGE = {
    "missing tensor": (
        lambda folder: rewrite(folder, lambda weights: weights.pop("expert.norm.weight")),
        "1 missing .*expert.norm.weight",
    ),
    "unexpected tensor": (
        lambda folder: rewrite(folder, lambda weights: weights.update({"vlm.extra": torch.zeros(1)})),
        "1 unexpected .*vlm.extra",
    ),
    "another shape": (
        lambda folder: rewrite(folder, lambda weights: weights.update({"expert.norm.weight": torch.zeros(3)})),
        r"expert.norm.weight has shape \(3,\)",
    ),
    "foreign weights": (
        lambda folder: save_file({f"layer.{i}": torch.zeros(1) for i in range(9)}, folder / "model.safetensors"),
        "missing .*… .* more.*and 9 unexpected",
    ),
    "truncated weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:200_000]
        ),
        "damaged or truncated.*fetch it again",
    ),
    "weights that are something else": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"not safetensors at all"),
        "damaged or truncated",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors nor"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
    "another kind of model": (lambda folder: edit_config(folder, model_type="llama"), "model_type 'llama'"),
    "config of nothing": (lambda folder: (folder / "config.json").write_text("{}"), "names no vlm_name_or_path"),
    "incomplete config": (
        lambda folder: (folder / "config.json").write_text('{"vlm_config": {"text_config": {}}}'),
        "lacks 'model_type'",
    ),
    "another class": (
        lambda folder: edit_config(folder, action_out_proj_cfg={"_target_": "os.system"}),
        "names 'os.system'; only Linear",
    ),
    "no language model": (lambda folder: shutil.rmtree(folder.parent / "vlm_tiny"), "no folder .*vlm_tiny"),
    "no merges": (lambda folder: (folder.parent / "vlm_tiny" / "merges.txt").unlink(), "has no merges.txt"),
    "another vocabulary": (lambda folder: edit_config(folder, traj_token_start_idx=7), "traj_token_start_idx is 7"),
    "small vocabulary": (lambda folder: edit_config(folder, vocab_size=100), "vocab_size 100"),
    "quantised weights": (
        lambda folder: rewrite(folder, lambda w: w.update({"expert.norm.weight": torch.zeros(48, dtype=torch.int8)})),
        "stored as I8; quantised checkpoints are not supported",
    ),
    "index that leads elsewhere": (
        lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "/etc/passwd"}}'),
        "must name files of this folder",
    ),
    "no index at all": (
        lambda folder: (folder / "model.safetensors.index.json").write_text('{"weight_map": []}'),
        "must name files of this folder",
    ),
    "unknown dtype": (lambda folder: edit_config(folder, model_dtype="load"), "must be one of float32, bfloat16"),
    "no expert": (lambda folder: edit_config(folder, expert_cfg=None), "wrong kind"),
    "an expert that turns otherwise": (
        lambda folder: edit_config(folder, expert_cfg={"rope_theta": 10.0}),
        "expert_cfg.rope_theta is 10.0 but the language model has 5",
    ),
    "text for a number": (lambda folder: edit_config(folder, vocab_size="5334"), "sizes must be whole numbers"),
    "text for a flag": (lambda folder: edit_config(folder, include_camera_ids="no"), "must be true or false"),
    "half a trajectory": (lambda folder: edit_config(folder, tokens_per_future_traj=100), "must be 2 × n_waypoints"),
    "odd history": (lambda folder: edit_config(folder, tokens_per_history_traj=47), "multiple of 3"),
    "few trajectory tokens": (lambda folder: edit_config(folder, traj_vocab_size=3500), "must hold the bins"),
    "pixels upside down": (lambda folder: edit_config(folder, min_pixels=10**9), "above max_pixels"),
    "broken vocabulary": (lambda folder: (folder.parent / "vlm_tiny" / "vocab.json").write_text("{"), "damaged vocab"),
    "no added tokens": (
        lambda folder: (folder.parent / "vlm_tiny" / "tokenizer_config.json").write_text("{}"),
        "damaged vocab",
    ),
    "missing shard": (
        lambda folder: (folder / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
        ),
        "lacks model-00001-of-00002.safetensors",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_gives_one_line(damage, folder):
    break_it, message = DAMAGE[damage]
    break_it(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        load_model(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_saving_again_leaves_no_old_weights(tmp_path):
    loaded = load_model(FOLDER / "ar1_tiny", language_model=LANGUAGE_MODEL)
    save_model(loaded, tmp_path, max_shard_bytes=400_000)
    loaded.expert.norm.weight.add_(1)
    save_model(loaded, tmp_path)
    assert same_weights(load_model(tmp_path), loaded)


def test_saved_dtype_is_the_loaded_one(folder, tmp_path):
    half = load_model(folder, dtype=torch.bfloat16)
    save_model(half, tmp_path / "half")
    assert load_model(tmp_path / "half").dtype == torch.bfloat16


def test_pickle_is_never_loaded(folder):
    """A file that runs code when unpickled: it must not."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(CheckpointError, match="pytorch_model.bin: pickle is never loaded"):
        load_model(folder)


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize("device", ["cuda:99", "banana", "meta", "mps"])
def test_unusable_device(folder, device):
    with pytest.raises(CheckpointError, match=device):
        load_model(folder, device=device)


def test_hub_without_network(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="cannot fetch 'nvidia/Nothing-0B'.*give a local folder"):
        fetch_from_hub("nvidia/Nothing-0B")


def test_hub_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="is not installed to fetch it; pip install huggingface_hub, or"):
        fetch_from_hub("nvidia/Nothing-0B")


def test_fingerprint_names_the_weights(folder):
    before = fingerprint(folder)
    assert before == fingerprint(folder)
    rewrite(folder, lambda weights: weights["expert.norm.weight"].add_(1))
    assert fingerprint(folder) != before


def test_fingerprint_sees_a_change_of_any_tensor(folder):
    """Also of those in the middle of the file, as where the language model alone was trained."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = sorted(file.keys())
    found = {fingerprint(folder)}
    for name in names:
        rewrite(folder, lambda weights, name=name: weights[name].add_(1))
        found.add(fingerprint(folder))
    assert len(found) == 1 + len(names)


def test_weights_that_do_not_fit_are_one_clear_error(folder, monkeypatch):
    def full(*given):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(checkpoint, "_fill", full)
    with pytest.raises(CheckpointError, match=r"0.0 GiB of weights as torch.float32 do not fit on cpu; take bfloat16"):
        load_model(folder, dtype=torch.float32)


def test_config_alone_reads_no_weights(folder):
    (folder / "model.safetensors").unlink()
    config, _ = load_config(folder)
    assert config.is_r1
