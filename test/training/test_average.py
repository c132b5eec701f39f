import json
import shutil

import pytest
import torch
from command import alpamayo, refusal

from alpamayo_ros.training.initial import initial_model
from alpamayo_ros.vla.checkpoint import load_model, save_model


@pytest.fixture(scope="module")
def other(shape, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "other"
    save_model(initial_model(shape, seed=1), folder)
    return folder


def weights(folder):
    return load_model(folder).state_dict()


def average(output, *folders):
    models = [part for folder in folders for part in ("--model", folder)]
    return alpamayo("train", "average", *models, "--output", output)


def test_each_weight_is_the_mean_and_a_folder_named_twice_counts_twice(begun, other, tmp_path):
    ran = average(tmp_path / "mean", begun, other, begun)
    assert (ran.exit_code, ran.output) == (0, f"wrote {tmp_path / 'mean'}: the mean of 3 models\n")
    mean, one, two = weights(tmp_path / "mean"), weights(begun), weights(other)
    trained = dict(load_model(begun).named_parameters())
    assert not torch.equal(one["vlm.lm_head.weight"], two["vlm.lm_head.weight"])
    for name, part in mean.items():
        expected = (2 * one[name].double() + two[name].double()) / 3 if name in trained else one[name]
        torch.testing.assert_close(part, expected.float(), rtol=1e-6, atol=1e-7)
    assert (tmp_path / "mean/config.json").read_bytes() == (begun / "config.json").read_bytes()


def test_how_weights_are_stored_is_no_difference(begun, other, tmp_path):
    assert alpamayo("train", "export", "--model", other, "--output", tmp_path / "half").exit_code == 0
    assert average(tmp_path / "mean", begun, tmp_path / "half").exit_code == 0


def test_models_that_differ_in_more_than_weights_are_refused(begun, other, tmp_path):
    assert "give --model more than once" in refusal(average(tmp_path / "mean", begun))
    changed = shutil.copytree(other, tmp_path / "changed")
    document = json.loads((changed / "config.json").read_text())
    (changed / "config.json").write_text(json.dumps(document | {"max_jerk": 2.5}))
    assert "different max_jerk in config.json" in refusal(average(tmp_path / "mean", begun, changed))
    words = shutil.copytree(other, tmp_path / "words")
    spoken = (words / "tokenizer.json").read_text()
    assert spoken.count('"Stop"') == 1
    (words / "tokenizer.json").write_text(spoken.replace('"Stop"', '"Halt"'))
    assert "different vocabularies" in refusal(average(tmp_path / "mean", begun, words))
    assert not (tmp_path / "mean").exists()
    (tmp_path / "mean").mkdir()
    assert "exists already" in refusal(average(tmp_path / "mean", begun, other))
