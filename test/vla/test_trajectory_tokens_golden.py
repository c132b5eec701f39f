"""History and future tokens against the original."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from golden_data import arrays, document, model, tensors

from alpamayo_ros.vla.model import ended_rows
from alpamayo_ros.vla.tokenizer import section
from alpamayo_ros.vla.trajectory_tokens import DeltaTokens

pytestmark = pytest.mark.golden


@pytest.fixture
def motion() -> list[torch.Tensor]:
    return tensors("action_space", "hist_xyz", "hist_rot", "fut_xyz", "fut_rot")


def test_delta_tokens(motion):
    data, tokens = arrays("tokenizers"), model("r1").history_tokens
    for name, xyz, rot in (("hist", *motion[:2]), ("fut", *motion[2:])):
        np.testing.assert_array_equal(tokens.encode(xyz, rot), data[f"delta_{name}_tokens"])
        back_xyz, back_rot = tokens.decode(torch.from_numpy(data[f"delta_{name}_tokens"]))
        np.testing.assert_allclose(back_xyz, data[f"delta_{name}_dec_xyz"], atol=1e-5)
        np.testing.assert_allclose(back_rot, data[f"delta_{name}_dec_rot"], atol=1e-6)


@pytest.mark.parametrize("name", ["ext", "half"])
def test_delta_tokens_clamp_and_round_half_to_even(name):
    (xyz,) = tensors("tokenizers", f"delta_{name}_xyz")
    still = torch.eye(3).expand(*xyz.shape[:2], 3, 3)
    encoded = model("r1").history_tokens.encode(xyz, still)
    np.testing.assert_array_equal(encoded, arrays("tokenizers")[f"delta_{name}_tokens"])


def test_delta_tokens_with_yaw(motion):
    data = arrays("tokenizers")
    tokens = DeltaTokens(dataclasses.replace(model("r1").config.history_tokens, predict_yaw=True))
    np.testing.assert_array_equal(tokens.encode(*motion[2:]), data["deltayaw_fut_tokens"])
    xyz, rot = tokens.decode(torch.from_numpy(data["deltayaw_fut_tokens"]))
    np.testing.assert_allclose(xyz, data["deltayaw_dec_xyz"], atol=1e-5)
    np.testing.assert_allclose(rot, data["deltayaw_dec_rot"], atol=1e-6)


def test_future_tokens_of_actions_are_exact():
    (action,) = tensors("action_space", "f32_action")
    encoded = model("r1").future_tokens.encode_actions(action)
    np.testing.assert_array_equal(encoded, arrays("tokenizers")["disc_tokens"])


@pytest.mark.parametrize(("inputs", "wanted"), [("fut", "disc_tokens"), ("clamp", "disc_clamp_tokens")])
def test_future_tokens_of_trajectories(motion, inputs, wanted):
    """The float32 solver's last digits depend on the processor (4.5e-3 of an action, a bin is 6.7e-3): one bin may
    differ, and rarely."""
    future = motion[2:] if inputs == "fut" else tensors("tokenizers", "disc_clamp_xyz", "disc_clamp_rot")
    expected = arrays("tokenizers")[wanted]
    encoded = model("r1").future_tokens.encode(*(t[: len(expected)] for t in motion[:2]), *future).numpy()
    assert np.abs(encoded - expected).max() <= 1
    assert (encoded == expected).mean() > 0.99


@pytest.mark.parametrize("name", ["disc", "disc_rand"])
def test_future_tokens_decode(motion, name):
    data = arrays("tokenizers")
    tokens = torch.from_numpy(data[f"{name}_tokens"])
    xyz, rot = model("r1").future_tokens.decode(*(t[: len(tokens)] for t in motion[:2]), tokens)
    np.testing.assert_allclose(xyz, data[f"{name}_dec_xyz"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(rot, data[f"{name}_dec_rot"], rtol=0, atol=1e-4)


def test_tokens_behind_the_end_of_a_row_become_padding():
    case = document("golden_token_utils")["replace_padding"]
    ended = ended_rows(torch.tensor(case["in"]), begin=case["eos"], end=-1, pad=case["pad"])
    assert ended.tokens.tolist() == case["out"]


def test_section_of_a_text():
    case = document("golden_token_utils")["between"]
    assert [section(text, case["token"]) for text in case["in"]] == case["out"]
