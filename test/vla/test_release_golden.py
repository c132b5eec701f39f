"""The released 10B shape, and the tiny checkpoints' names: keys and shapes of the state dict."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from golden_data import MODELS, arrays, document, model

from alpamayo_ros.vla.config_json import config_from_json, config_to_json
from alpamayo_ros.vla.model import AlpamayoModel

pytestmark = pytest.mark.golden

# Qwen3-VL-8B, which both releases extend, as its public config.json gives it.
QWEN3_VL_8B = {
    "image_token_id": 151655,
    "tie_word_embeddings": False,
    "text_config": {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "rope_theta": 5000000,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "hidden_act": "silu",
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
    },
    "vision_config": {
        "depth": 27,
        "hidden_size": 1152,
        "num_heads": 16,
        "intermediate_size": 4304,
        "out_hidden_size": 4096,
        "deepstack_visual_indexes": [8, 16, 24],
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "in_channels": 3,
        "num_position_embeddings": 2304,
        "hidden_act": "gelu_pytorch_tanh",
    },
}


@pytest.mark.parametrize("release", MODELS)
def test_10b_shape(release):
    config = config_from_json(document(f"release_config_reconstructed_{release}"), QWEN3_VL_8B)
    with torch.device("meta"):
        instance = AlpamayoModel(config, model(release).tokenizer)
    assert {name: list(tensor.shape) for name, tensor in instance.state_dict().items()} == document(
        f"release_shapes_{release}"
    )


@pytest.mark.parametrize("release", MODELS)
def test_tiny_shape(release):
    shapes = {name: list(tensor.shape) for name, tensor in model(release).state_dict().items()}
    recorded = document("state_dict_keys")[MODELS[release]]
    assert shapes == {name: list(shape) for name, shape in recorded.items()}


@pytest.mark.parametrize("release", MODELS)
def test_constants_of_the_released_dtype(release):
    """The file was recorded from the tiny models, cast to bfloat16."""
    config = dataclasses.replace(model(release).config, model_dtype="bfloat16")
    with torch.device("meta"):
        instance = AlpamayoModel(config, model(release).tokenizer)
    with_file = {key.rpartition("/")[2]: value for key, value in arrays("bf16").items() if f"{release}/buf/" in key}
    for name in ("accel_mean", "accel_std", "curvature_mean", "curvature_std"):
        assert float(getattr(instance.action_space, name)) == float(with_file[name])
        assert float(getattr(instance.future_tokens.action_space, name)) == float(with_file[name])
    assert instance.action_in_proj.sinus[0].freqs.tolist() == with_file["sinus.0.freqs"].tolist()


@pytest.mark.parametrize("release", MODELS)
def test_own_form_of_the_configuration(release):
    config = model(release).config
    document = config_to_json(config)
    assert config_from_json(document, document["vlm_config"]) == config
