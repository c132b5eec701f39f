import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command import alpamayo, refusal
from golden_data import FOLDER

from alpamayo_ros.policy import DrivingPolicy
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.initial import initial_model
from alpamayo_ros.vla.action_in_proj import FourierFeatures
from alpamayo_ros.vla.checkpoint import load_model, save_model
from alpamayo_ros.vla.errors import CheckpointError


def test_begin_makes_a_model_that_is_loaded_like_any_other(shape, tmp_path):
    output = tmp_path / "model"
    assert alpamayo("train", "begin", "--shape", shape, "--output", output).exit_code == 0
    model = DrivingPolicy.from_pretrained(output).model
    assert model.config.takes_navigation
    assert not model.config.any_camera_subset
    again = initial_model(shape, seed=0).state_dict()
    assert all(torch.equal(part, again[name]) for name, part in model.state_dict().items())
    other = initial_model(shape, seed=1).state_dict()
    assert not torch.equal(other["vlm.lm_head.weight"], again["vlm.lm_head.weight"])
    assert "exists already" in refusal(alpamayo("train", "begin", "--shape", shape, "--output", output))


def test_no_two_far_curvatures_look_more_alike_than_near_ones():
    """Else every curvature of a tight bend, many deviations from 0, has to be learned by itself."""
    config = initial_model(Path(__file__).parents[2] / "config/training/alpamayo_tiny.json", seed=0).config
    of = config.action_in_proj
    features = FourierFeatures(of.num_fourier_feats, of.max_freq, persistent=False, constants_dtype=torch.float32)
    values = torch.arange(-33.0, 33.0, 0.05)  # in deviations: up to 0.2 1/m, a bend of 5 m
    apart, distance = torch.cdist(values[:, None], values[:, None]), torch.cdist(features(values), features(values))
    assert distance[apart > 1.0].min() > distance[(apart > 0.2) & (apart < 0.3)].max()


def test_shape_and_recipes_that_ship_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    began = alpamayo("train", "begin", "--output", "model")
    assert began.exit_code == 0, began.output
    for stage in ("vision", "sft", "grpo", "expert"):
        ran = alpamayo("train", stage, "--model", "model", "--data", "data", "--output", "out", "--set", "wrong=1")
        assert f"config/training/alpamayo_tiny.toml, [{stage}]: unknown key wrong; the keys are steps" in refusal(ran)


def test_export_stores_half_and_loads_whole(begun, tmp_path):
    output = tmp_path / "exported"
    assert alpamayo("train", "export", "--model", begun, "--output", output).exit_code == 0
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (begun, output)]
    assert sizes[1] < 0.55 * sizes[0]
    model, exact = (DrivingPolicy.from_pretrained(folder).model for folder in (output, begun))
    assert model.dtype == torch.float32
    whole = exact.state_dict()
    assert all(torch.equal(part, whole[name].bfloat16().float()) for name, part in model.state_dict().items())
    assert sorted(path.name for path in output.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_export_leaves_constants_as_they_are(tmp_path):
    """R1 stores them: its action space and its Fourier features would be others after rounding."""
    model = load_model(FOLDER / "ar1_tiny", language_model=FOLDER / "vlm_tiny", dtype=torch.float32)
    model.config = dataclasses.replace(model.config, model_dtype="float32")
    for constant in model.buffers():
        constant.add_(1e-4)
    save_model(model, tmp_path / "trained")
    assert alpamayo("train", "export", "--model", tmp_path / "trained", "--output", tmp_path / "half").exit_code == 0
    exported = dict(load_model(tmp_path / "half").named_buffers())
    stored = [name for name in model.state_dict() if name in exported]
    assert len(stored) == 7
    assert all(torch.equal(exported[name], model.state_dict()[name]) for name in stored)


@torch.no_grad()
def test_signals_begin_with_a_size_that_can_be_learned_from(model, corpus):
    from recipes import sft

    from alpamayo_ros.training.sft_stage import SftStage

    stage = SftStage(model, sft(trajectory_share=1.0))
    work = stage.prepare(corpus.batch(range(4), dense=False), 0)
    features = model.vlm.encode_images(work.inputs["rows"], work.inputs["grids"])
    assert 0.05 < float(features.tokens.std()) < 5
    # Before it has learned anything, every token is about as likely as any other.
    sums = stage(work)
    for name in ("reasoning", "trajectory"):
        uniform = torch.tensor(float(model.config.vocab_size)).log()
        assert float(sums[name]) / work.counts[name] == pytest.approx(float(uniform), rel=0.1)


def test_the_bins_of_trajectories_begin_as_numbers(model):
    """Neighbours are more alike than bins a little apart, and these than bins far apart; both as read and as said."""
    first, config = model.tokenizer.future_bin_0, model.config
    futures, histories = config.future_tokens.num_bins, config.history_tokens.num_bins
    weights = model.vlm.model.language_model.embed_tokens.weight, model.vlm.lm_head.weight
    for weight, size in zip(weights, (0.3, 0.02), strict=True):
        for start, bins in ((first, futures), (first + futures, histories)):
            rows = weight[start : start + bins]
            assert float(rows.std()) == pytest.approx(size, rel=0.1)
            apart = [float((rows[step:] - rows[: bins - step]).norm(dim=1).mean()) for step in (1, 3, 300)]
            assert apart[0] < 0.6 * apart[1]
            assert apart[1] < 0.8 * apart[2]


def test_what_is_no_shape_is_refused(shape, tmp_path):
    with pytest.raises(TrainingError, match="No such file"):
        initial_model(tmp_path / "none.json", 0)
    (tmp_path / "shape.json").write_text("{}")
    with pytest.raises(TrainingError, match="is no shape of a model: KeyError"):
        initial_model(tmp_path / "shape.json", 0)
    wrong = json.loads(shape.read_text()) | {"frames_per_camera": 5}
    (tmp_path / "shape.json").write_text(json.dumps(wrong))
    with pytest.raises(CheckpointError, match="frames_per_camera must be a multiple"):
        initial_model(tmp_path / "shape.json", 0)


@pytest.mark.parametrize("stage", ["begin", "vision", "sft", "grpo", "expert", "export", "average"])
def test_help_does_not_wait_for_torch(stage):
    program = (
        "import sys; from alpamayo_ros.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program, "train", stage, "--help"], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
