"""Action projections, expert and flow matching against the original."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_data import arrays, model, tensors

from alpamayo_ros.vla.action_in_proj import ActionInProj
from alpamayo_ros.vla.decoder import KVCache, interleaved_mrope
from alpamayo_ros.vla.flow_matching import guided, integrate
from alpamayo_ros.vla.model import Context, Reasoning

pytestmark = pytest.mark.golden


@torch.inference_mode()
def test_action_in_proj():
    data, proj = arrays("action_in_proj"), model("r1").action_in_proj
    x, t = tensors("action_in_proj", "x", "t")
    features = proj.features(x, t[:, 0, 0])
    np.testing.assert_allclose(features, data["fourier_features"], atol=1e-5)
    np.testing.assert_allclose(proj.encoder(features), data["encoder_out"], atol=1e-5)
    for name in ("out", "out_1_5"):
        np.testing.assert_allclose(proj(x, t[:, 0, 0]), data[name], atol=1e-5)
    np.testing.assert_allclose(proj.sinus[0].freqs, data["freqs"], rtol=1e-6)
    (moments,) = tensors("action_in_proj", "fourier_t")
    np.testing.assert_allclose(proj.timestep_fourier_encoder(moments), data["fourier_out"], atol=1e-5)


@torch.inference_mode()
def test_action_in_proj_with_frequencies_of_the_released_dtype():
    loaded, data = model("r1"), arrays("action_in_proj")
    config = loaded.config
    proj = ActionInProj(
        config.action_in_proj, config.expert.hidden_size, persistent=False, constants_dtype=torch.bfloat16
    )
    proj.load_state_dict(loaded.action_in_proj.state_dict(), strict=False)
    for name in ("freqs_bf16cast", "freqs_built_under_bf16_default"):
        np.testing.assert_array_equal(proj.sinus[0].freqs[0], data[name].reshape(-1))
    x, t = tensors("action_in_proj", "x", "t")
    np.testing.assert_allclose(proj(x, t[:, 0, 0]), data["out_bf16freqs"], atol=1e-5)


@torch.inference_mode()
def test_action_out_proj():
    (hidden,) = tensors("action_in_proj", "out_proj_in")
    np.testing.assert_allclose(model("r1").action_out_proj(hidden), arrays("action_in_proj")["out_proj_out"], atol=1e-5)


@pytest.fixture
def context() -> tuple[Context, Reasoning]:
    """The recorded cache as if each row's reasoning had ended at its recorded offset."""
    loaded = model("r1")
    keys, values, offset, delta = tensors("expert_flow", "cache_k", "cache_v", "offset", "rope_delta")
    rows, length = keys.shape[1], keys.shape[3]
    cache = KVCache.empty(
        loaded.config.expert, rows, length + loaded.config.action_space.n_waypoints, loaded.device, loaded.dtype
    )
    cache.keys[..., :length, :], cache.values[..., :length, :], cache.length = keys, values, length
    told = Context(cache, 0, torch.ones(rows, length, dtype=torch.bool), delta[:, 0].long(), torch.empty(rows, 0))
    complete = torch.ones(rows, dtype=torch.bool)
    return told, Reasoning(torch.empty(rows, length, dtype=torch.long), complete, offset.long())


@torch.inference_mode()
def test_expert(context):
    data, loaded, cache = arrays("expert_flow"), model("r1"), context[0].cache
    positions = torch.from_numpy(data["position_ids"]).long()
    cos, sin = interleaved_mrope(positions, loaded.config.expert, torch.float32)
    np.testing.assert_allclose(cos[:, 0], data["rope_cos"], atol=1e-5)
    np.testing.assert_allclose(sin[:, 0], data["rope_sin"], atol=1e-5)
    mask = ~torch.from_numpy(data["mask_is_blocked"])[:, None, None].expand(-1, 1, positions.shape[2], -1)
    hidden = loaded.expert(torch.from_numpy(data["inputs_embeds"]), positions, cache, mask)
    np.testing.assert_allclose(hidden, data["last_hidden_state"], atol=1e-4)
    np.testing.assert_allclose(cache.keys[..., cache.length :, :], data["new_k"], atol=1e-4)
    np.testing.assert_allclose(cache.values[..., cache.length :, :], data["new_v"], atol=1e-4)


@torch.inference_mode()
def test_velocity(context):
    data, velocity = arrays("expert_flow"), model("r1").velocity(*context)
    for moment in (0.0, 0.5):
        expected = data[f"v_at_{moment:g}"]
        np.testing.assert_allclose(velocity(torch.from_numpy(data["noise"]), moment), expected, atol=1e-4)


@pytest.mark.parametrize(("name", "temperature"), [("flow_n10", 1.0), ("flow_n4", 1.0), ("flow_n10_temp06", 0.6)])
@torch.inference_mode()
def test_flow(context, name, temperature):
    expected = arrays("expert_flow")[f"{name}_all_steps"]
    noise = torch.from_numpy(arrays("expert_flow")["noise"]) * temperature
    states = integrate(model("r1").velocity(*context), noise, expected.shape[1] - 1)
    np.testing.assert_allclose(torch.stack(states, dim=1), expected, atol=1e-4)


@torch.inference_mode()
def test_guidance_leaves_a_field_that_agrees_with_itself(context):
    velocity = model("r1").velocity(*context)
    (noise,) = tensors("expert_flow", "noise")
    np.testing.assert_allclose(guided(velocity, velocity, 1.7)(noise, 0.5), velocity(noise, 0.5), atol=1e-5)
