import numpy as np
import pytest
import torch
from recipes import sft, vision

from alpamayo_ros.training.dense import OUTPUTS, PRESENCES, dense_loss, dense_rows, newest, present
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.sft_stage import SftStage
from alpamayo_ros.training.vision_stage import VisionStage, load_head, save_head
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.vision import VisionFeatures


def test_labels_are_in_the_order_of_the_patches(model):
    """Pictures whose blocks are painted with a number, labelled with that number."""
    numbers = np.arange(2 * 4, dtype=np.uint8).reshape(2, 4)
    picture = np.repeat(np.repeat(numbers, 16, 0), 16, 1)[..., None].repeat(3, 2)
    rows, grids = preprocess([picture] * 4, model.config)
    assert grids.tolist() == [[1, 2, 4]]
    seen = (rows.mean(1) * 127.5 + 127.5).round()
    labels = torch.from_numpy(numbers).float().reshape(1, 1, 2, 4, 1)
    torch.testing.assert_close(dense_rows(labels, (2, 4), model.config)[:, 0], seen)
    with pytest.raises(TrainingError, match="2×4 blocks, the model's pictures 4×4 patches"):
        dense_rows(labels, (4, 4), model.config)


def test_the_newest_picture_of_each_camera_is_labelled():
    # Two cameras, three pictures each, two tokens a picture.
    tokens = torch.arange(12.0)[:, None]
    features = newest(VisionFeatures(tokens, tokens[None]), pictures=6, per_camera=3)
    assert features.tokens[:, 0].tolist() == [4, 5, 10, 11]
    assert features.deepstack[0, :, 0].tolist() == [4, 5, 10, 11]


def test_presences_are_named_as_the_labels_have_them(corpus):
    batch = corpus.batch(range(len(corpus)), dense=True)
    labels = batch.dense.flatten(0, 3)
    told = dict(zip(PRESENCES, present(labels).T, strict=True))
    np.testing.assert_allclose(told["vehicle"], (labels[:, 7] * 32).clamp(max=1))
    np.testing.assert_allclose(told["path"], (labels[:, 21] * 32).clamp(max=1))
    assert told["vehicle"].max() == told["path"].max() == 1
    outputs = torch.zeros(len(labels), OUTPUTS)
    outputs[:, 12 : 12 + len(PRESENCES)] = (present(labels) - 0.499) * 50
    assert dense_loss(outputs, labels) < dense_loss(-outputs, labels)


def test_a_person_who_is_missed_costs_more_than_a_sign(corpus):
    labels = corpus.batch([0], dense=True).dense.flatten(0, 3)
    labels[:, [8, 11]] = 0.0
    losses = {}
    for name, channel in (("vulnerable", 8), ("sign", 11)):
        there = labels.clone()
        there[0, channel] = 8 / 256  # as small as what is fully present
        assert present(there)[0, PRESENCES.index(name)] == 1
        outputs = torch.zeros(len(labels), OUTPUTS)
        outputs[:, 12 : 12 + len(PRESENCES)] = -5.0
        losses[name] = float(dense_loss(outputs, there) - dense_loss(outputs, labels))
    assert losses["vulnerable"] > 5 * losses["sign"]


def test_the_head_goes_from_stage_to_stage(model, corpus, tmp_path):
    with pytest.raises(TrainingError, match="train vision"):
        load_head(model, tmp_path)
    stage = VisionStage(model, vision())
    save_head(tmp_path, stage.state_dict())
    again = SftStage(model, sft(dense=0.5), load_head(model, tmp_path))
    torch.testing.assert_close(again.head.out.weight, stage.head.out.weight)
    batch = corpus.batch([0, 1], dense=True)
    torch.testing.assert_close(again(again.prepare(batch, 0))["dense"], stage(stage.prepare(batch, 0))["dense"])
    assert again.weights(0)["dense"] == 0.5
    assert again.weights(3)["dense"] == pytest.approx(0.25)
    assert again.weights(6)["dense"] == pytest.approx(0.0)
