"""`alpamayo doctor`."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from command import alpamayo, refusal
from golden_data import FOLDER, MODELS, model

from alpamayo_ros.engine.native import library
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.errors import ModelInputError


def report(*arguments: object) -> dict[str, str | list[str]]:
    ran = alpamayo("doctor", "--json", *arguments)
    assert (ran.exit_code, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


def test_this_machine_is_reported_without_a_model():
    facts = report()
    assert facts["torch"] == torch.__version__
    assert "model" not in facts
    assert ("none" in facts["gpu"]) == any("no CUDA GPU" in line for line in facts["missing"])


def test_kernels_that_were_not_built_are_missing(monkeypatch):
    assert report()["cpu kernels"] in {"AVX-512 and AMX", "AVX-512", "AVX2", "what any processor has"}

    def unbuilt():
        raise ModelInputError("libalpamayo_engine.so is missing")

    monkeypatch.setattr(library, "library", unbuilt)
    facts = report()
    assert facts["cpu kernels"] == "none"
    assert "libalpamayo_engine.so is missing" in facts["missing"]


@pytest.mark.parametrize("release", ["r1", "15"])
def test_the_size_and_the_needs_of_a_model_are_reported(release):
    facts = report("--model", FOLDER / MODELS[release])
    loaded = model(release)
    millions = sum(parameter.numel() for parameter in loaded.parameters()) / 1e6
    assert facts["model size"].startswith(f"{millions:.1f} M parameters, ")
    assert facts["navigation"] == ("yes" if release == "15" else "no")
    assert facts["cameras"].startswith(f"roles {list(loaded.config.camera_roles)} × 4 frames")
    assert facts["cameras"].endswith("any subset") == (release == "15")


def test_the_size_is_that_of_the_weights_as_they_are_loaded(tmp_path):
    """After training they are float32, twice as large as those of the release that it began with."""
    shutil.copytree(FOLDER / "ar15_tiny", tmp_path / "trained")
    config = json.loads((tmp_path / "trained/config.json").read_text())
    config |= {"model_dtype": "bfloat16", "dtype": "float32"}
    (tmp_path / "trained/config.json").write_text(json.dumps(config))
    loaded = load_model(tmp_path / "trained", language_model=FOLDER / "vlm_tiny")
    assert loaded.dtype == torch.float32
    facts = report("--model", tmp_path / "trained", "--language-model", FOLDER / "vlm_tiny")
    assert facts["model size"].endswith("GiB as float32")


def test_every_fact_has_its_line():
    facts = report("--model", FOLDER / "ar1_tiny")
    lines = alpamayo("doctor", "--model", FOLDER / "ar1_tiny").stdout.splitlines()
    missing = facts.pop("missing")
    assert lines[: len(facts)] == [f"{name:16} {value}" for name, value in facts.items()]
    assert lines[len(facts) :] == [f"{'missing':16} {line}" for line in missing or ["nothing"]]


def test_a_model_folder_without_weights_is_reported(tmp_path):
    shutil.copy(FOLDER / "ar1_tiny" / "config.json", tmp_path)
    facts = report("--model", tmp_path, "--language-model", FOLDER / "vlm_tiny")
    assert f"weights: {tmp_path} holds no .safetensors file yet" in facts["missing"]


def test_an_unknown_model_is_refused_in_one_line():
    line = refusal(alpamayo("doctor", "--model", "alpamayo-teeny"))
    assert line.startswith("Error: unknown model 'alpamayo-teeny': it is no local folder")


def test_a_folder_that_is_no_model_is_refused_in_one_line(tmp_path):
    line = refusal(alpamayo("doctor", "--model", tmp_path))
    assert line.startswith(f"Error: {tmp_path / 'config.json'} is missing; ")


def test_a_language_model_alone_is_refused(tmp_path):
    ran = alpamayo("doctor", "--language-model", tmp_path)
    assert ran.exit_code == 2
    assert "Error: --language-model says nothing without --model" in ran.stderr
