"""What a ratio is measured against says and drives the same as we do: otherwise it would compare different work."""

from __future__ import annotations

import pytest
import torch
from golden_data import model as golden_model

from alpamayo_ros.evaluation.latency.inputs import read_observation
from alpamayo_ros.evaluation.latency.reference import TransformersReference
from alpamayo_ros.evaluation.latency.ticks import consecutive_observations
from alpamayo_ros.policy import find_model
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.model import AlpamayoModel, Samples
from alpamayo_ros.vla.prompt import batch_prompts
from alpamayo_ros.vla.sampling import GREEDY


def shipped(dtype: torch.dtype = torch.float32) -> AlpamayoModel:
    return load_model(find_model("alpamayo-tiny"), dtype=dtype)


def plain(model: AlpamayoModel, observation, *, num_samples: int, max_reasoning_tokens: int) -> Samples:
    """`vla` alone, without anything that makes it faster."""
    inputs = read_observation(model, observation)
    return model.sample(
        batch_prompts([inputs.ids], [inputs.grid_thw], model.config, model.tokenizer.pad),
        *inputs[1:],
        num_samples=num_samples,
        seed=3,
        sampling=GREEDY,
        max_new_tokens=max_reasoning_tokens,
        num_flow_steps=4,
        noise_temperature=model.config.noise_temperature,
    )


@pytest.mark.parametrize(
    ("source", "num_samples", "vision"),
    [("shipped", 1, "ours"), ("shipped", 2, "ours"), ("golden", 1, "transformers")],
)
def test_the_same_tokens_and_trajectory(source, num_samples, vision):
    """golden: random weights that say anything until they are cut off, and transformers' own vision tower."""
    model = shipped() if source == "shipped" else golden_model("r1")
    limit = 40 if source == "shipped" else 6
    reference = TransformersReference(model)
    assert reference.vision == vision
    for observation in consecutive_observations(model.config, 2 if source == "shipped" else 1, kind="red_light"):
        ours = plain(model, observation, num_samples=num_samples, max_reasoning_tokens=limit)
        theirs = reference.plan(observation, num_samples=num_samples, seed=3, max_reasoning_tokens=limit, flow_steps=4)
        # One token behind the start of the trajectory is generated, and ours leaves it out.
        length = int(ours.reasoning.length.max())
        assert torch.equal(theirs.tokens[:, :length], ours.reasoning.tokens[:, :length])
        assert theirs.tokens.shape[1] == ours.reasoning.tokens.shape[1]
        assert bool(ours.reasoning.complete.all()) == (source == "shipped")
        torch.testing.assert_close(theirs.xyz, ours.xyz, atol=1e-3, rtol=0)


def test_it_shares_the_weights():
    model = shipped()
    reference = TransformersReference(model)
    ours = {tensor.data_ptr() for tensor in model.parameters()}
    for part in (reference._vlm, reference._expert):
        assert {tensor.data_ptr() for tensor in part.parameters()} <= ours


def test_bfloat16_runs_under_autocast():
    model = shipped(torch.bfloat16)
    [observation] = consecutive_observations(model.config, 1, kind="red_light")
    asked = {"num_samples": 1, "max_reasoning_tokens": 40}
    theirs = TransformersReference(model).plan(observation, **asked, seed=3, flow_steps=4)
    ours = plain(model, observation, **asked)
    length = int(ours.reasoning.length.max())
    assert torch.equal(theirs.tokens[:, :length], ours.reasoning.tokens[:, :length])
    assert float((theirs.xyz - ours.xyz).norm(dim=-1).max()) < 0.5
