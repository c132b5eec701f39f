import pytest
import torch

from alpamayo_ros.training.dense import OUTPUTS, PRESENCES, dense_loss, located, present
from alpamayo_ros.training.sight_score import SightScore


@pytest.fixture
def labels(corpus):
    return corpus.batch(range(len(corpus)), dense=True).dense.flatten(0, 3)


def figures(outputs, labels):
    score = SightScore()
    score.add(outputs[::2], labels[::2])
    score.add(outputs[1::2], labels[1::2])
    return score.figures()


def answer(labels):
    """Outputs that say each presence as surely as it is there."""
    outputs = torch.zeros(len(labels), OUTPUTS)
    outputs[:, 12 : 12 + len(PRESENCES)] = (present(labels) - 0.499) * 50
    return outputs


def test_a_perfect_answer_has_no_presence_wrong(labels):
    told = figures(answer(labels), labels)
    assert {value for name, value in told.items() if name.startswith("f1_")} == {1.0}
    assert {value for name, value in told.items() if name.startswith("found_")} == {1.0}


def test_what_is_found_is_told_by_how_far_away_it_is(labels):
    """Of vehicles: all within 15 m, none beyond; and none where too many are false alarms."""
    vehicle, away = PRESENCES.index("vehicle"), labels[:, 26]
    outputs = answer(labels)
    outputs[away >= 15, 12 + vehicle] = -25.0
    told = {name: value for name, value in figures(outputs, labels).items() if name.startswith("found_vehicle")}
    assert len(told) >= 3
    assert told.pop("found_vehicle_8_15m") == 1.0
    told.pop("found_vehicle_0_8m", None)
    assert set(told.values()) == {0.0}
    # As sure of a hundredth of the empty patches: ten times as many as may be false alarms.
    empty = (labels[:, 7] == 0).nonzero()[:, 0]
    outputs[empty[::100], 12 + vehicle] = 99.0
    assert figures(outputs, labels)["found_vehicle_8_15m"] == 0.0


def test_what_is_there_is_located(labels):
    outputs = torch.zeros(len(labels), OUTPUTS)
    wanted, there = located(labels)
    outputs[:, -11:] = torch.where(there > 0, wanted, 99.0)
    errors = {name: value for name, value in figures(outputs, labels).items() if "error" in name}
    assert set(errors.values()) == {0.0}
    assert {"range_error_vehicle", "across_error_vehicle", "across_error_edge_left", "across_error_path"} <= set(errors)
    best = dense_loss(outputs, labels)
    # A tenth of the logarithm too far, and a tenth of a block aside.
    outputs[:, -11:] += 0.1
    assert figures(outputs, labels)["range_error_vehicle"] == pytest.approx(0.1, abs=1e-4)
    assert dense_loss(outputs, labels) > best
