"""The `config.json` of a model, in the forms that exist.

Three forms are read. The released R1 and 1.5 forms name the language model's repository (`vlm_name_or_path`) and hold
no language-model numbers: those come from that repository's own `config.json`. Our own form, written by
`save_pretrained`, is the released form with these numbers inside, under `vlm_config`. What a `_target_` names is
compared with the one class each place may hold; nothing is ever imported because a file says so.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from alpamayo_ros.vla.config import (
    RELEASED_ROLES,
    ActionInProjConfig,
    ActionSpaceConfig,
    DecoderConfig,
    FutureTokenConfig,
    HistoryTokenConfig,
    ModelConfig,
    VisionConfig,
)
from alpamayo_ros.vla.errors import CheckpointError

DTYPES = ("float32", "bfloat16")
"""Dtypes that weights may have."""


def config_from_json(document: dict[str, Any], vlm_document: dict[str, Any]) -> ModelConfig:
    """Read a model's `config.json` together with that of its language model. Raises CheckpointError."""
    try:
        config = _read(document, vlm_document)
        _check(config)
    except CheckpointError:
        raise
    except KeyError as missing:
        raise CheckpointError(f"config.json lacks {missing}; it is not a complete Alpamayo configuration") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"config.json holds a value of the wrong kind ({error}); fetch it again") from None
    return config


def config_to_json(config: ModelConfig) -> dict[str, Any]:
    """Our own form, readable by `config_from_json(document, document["vlm_config"])`."""
    package = "alpamayo_r1" if config.is_r1 else "alpamayo1_5"
    action_space = _with_target(config.action_space, f"{package}.action_space.UnicycleAccelCurvatureActionSpace")
    future = config.future_tokens
    document: dict[str, Any] = {
        "model_type": config.model_type,
        "model_dtype": config.model_dtype,
        "dtype": config.weights_dtype,
        "vocab_size": config.vocab_size,
        "vlm_backend": "qwenvl3",
        "reasoning_temperature": config.reasoning_temperature,
        "max_jerk": config.max_jerk,
        "action_space_cfg": action_space,
        "action_in_proj_cfg": _with_target(
            config.action_in_proj, f"{package}.models.action_in_proj.PerWaypointActionInProjV2"
        ),
        "action_out_proj_cfg": {"_target_": "torch.nn.Linear"},
        "diffusion_cfg": {
            "_target_": f"{package}.diffusion.flow_matching.FlowMatching",
            "int_method": "euler",
            "num_inference_steps": config.num_inference_steps,
            "noise_temperature": config.noise_temperature,
        },
        "traj_tokenizer_cfg": {
            "_target_": f"{package}.action_space.discrete_action_space.DiscreteTrajectoryTokenizer",
            "action_space_cfg": _with_target(
                future.action_space, f"{package}.action_space.UnicycleAccelCurvatureActionSpace"
            ),
            "dims_min": list(future.dims_min),
            "dims_max": list(future.dims_max),
            "num_bins": future.num_bins,
        },
        "hist_traj_tokenizer_cfg": _with_target(
            config.history_tokens, f"{package}.models.delta_tokenizer.DeltaTrajectoryTokenizer"
        ),
        "expert_cfg": {
            key: getattr(config.expert, key)
            for key in ("hidden_size", "intermediate_size", "num_attention_heads", "head_dim")
        },
        "traj_vocab_size": config.traj_vocab_size,
        "tokens_per_history_traj": config.tokens_per_history_traj,
        "tokens_per_future_traj": config.tokens_per_future_traj,
        "min_pixels": config.min_pixels,
        "max_pixels": config.max_pixels,
        "camera_roles": list(config.camera_roles),
        "frames_per_camera": config.frames_per_camera,
        "include_camera_ids": config.include_camera_ids,
        "include_frame_nums": config.include_frame_nums,
        "vlm_config": _vlm_to_json(config),
    }
    return document


def _vlm_to_json(config: ModelConfig) -> dict[str, Any]:
    text = dataclasses.asdict(config.language)
    text["rope_scaling"] = {"mrope_interleaved": True, "mrope_section": list(text.pop("mrope_section"))}
    return {
        "model_type": "qwen3_vl",
        "image_token_id": config.image_token_id,
        "tie_word_embeddings": False,
        "text_config": {"model_type": "qwen3_vl_text", "hidden_act": "silu", "attention_bias": False, **text},
        "vision_config": {
            "model_type": "qwen3_vl",
            "hidden_act": "gelu_pytorch_tanh",
            **dataclasses.asdict(config.vision),
        },
    }


def _with_target(part: Any, target: str) -> dict[str, Any]:
    return {"_target_": target, **dataclasses.asdict(part)}


def _read(document: dict[str, Any], vlm_document: dict[str, Any]) -> ModelConfig:
    model_type = document["model_type"]
    if model_type not in ("alpamayo_r1", "alpamayo1_5"):
        raise CheckpointError(
            f"config.json has model_type {model_type!r}; this package runs alpamayo_r1 and alpamayo1_5 checkpoints"
        )
    language = _read_language(vlm_document)
    overrides = document["expert_cfg"]
    expert = dataclasses.replace(language, **_known(DecoderConfig, overrides, "expert_cfg"))
    # The expert writes into the language model's cache, so these cannot differ.
    for shared in ("num_hidden_layers", "num_key_value_heads", "head_dim", "rope_theta"):
        if getattr(expert, shared) != getattr(language, shared):
            raise CheckpointError(
                f"expert_cfg.{shared} is {getattr(expert, shared)} but the language model has "
                f"{getattr(language, shared)}; the expert shares its key-value cache, so they must be equal"
            )
    future = _checked(document["traj_tokenizer_cfg"], "traj_tokenizer_cfg", "DiscreteTrajectoryTokenizer")
    flow = _checked(document["diffusion_cfg"], "diffusion_cfg", "FlowMatching")
    if flow.get("int_method", "euler") != "euler":
        raise CheckpointError(f"diffusion_cfg.int_method is {flow['int_method']!r}; only 'euler' is supported")
    _checked(document["action_out_proj_cfg"], "action_out_proj_cfg", "Linear")
    names_cameras = document.get("include_camera_ids", model_type == "alpamayo1_5")
    return ModelConfig(
        model_type=model_type,
        model_dtype=document["model_dtype"],
        weights_dtype=document.get("dtype") or document["model_dtype"],
        vocab_size=document["vocab_size"],
        vision=_read_vision(vlm_document["vision_config"]),
        language=language,
        expert=expert,
        action_space=_read_action_space(document["action_space_cfg"], "action_space_cfg"),
        action_in_proj=ActionInProjConfig(
            **_known(
                ActionInProjConfig,
                _checked(document["action_in_proj_cfg"], "action_in_proj_cfg", "PerWaypointActionInProjV2"),
                "action_in_proj_cfg",
            )
        ),
        future_tokens=FutureTokenConfig(
            action_space=_read_action_space(future["action_space_cfg"], "traj_tokenizer_cfg.action_space_cfg"),
            dims_min=tuple(future["dims_min"]),
            dims_max=tuple(future["dims_max"]),
            num_bins=future["num_bins"],
        ),
        history_tokens=_read_history_tokens(document["hist_traj_tokenizer_cfg"]),
        reasoning_temperature=float(document.get("reasoning_temperature", 0.6)),
        num_inference_steps=flow["num_inference_steps"],
        noise_temperature=float(flow.get("noise_temperature", 1.0)),
        max_jerk=float(document.get("max_jerk", 0.0)),
        traj_vocab_size=document["traj_vocab_size"],
        tokens_per_history_traj=document["tokens_per_history_traj"],
        tokens_per_future_traj=document["tokens_per_future_traj"],
        min_pixels=document["min_pixels"],
        max_pixels=document["max_pixels"],
        image_token_id=vlm_document["image_token_id"],
        # Only our own form carries these; the releases were trained so.
        camera_roles=tuple(document.get("camera_roles", RELEASED_ROLES if names_cameras else (0, 1, 2, 6))),
        frames_per_camera=document.get("frames_per_camera", 4),
        include_camera_ids=names_cameras,
        include_frame_nums=document.get("include_frame_nums", model_type == "alpamayo1_5"),
    )


def _check(config: ModelConfig) -> None:
    """Refuse numbers that load but cannot work together."""
    steps, history = config.action_space.n_waypoints, config.history_tokens
    axes = 4 if history.predict_yaw else 3
    integers = (config.vocab_size, config.traj_vocab_size, config.min_pixels, config.frames_per_camera)
    rules = {
        f"model_dtype and dtype must be one of {', '.join(DTYPES)}": {config.model_dtype, config.weights_dtype}
        <= {*DTYPES},
        "sizes must be whole numbers above 0": all(isinstance(n, int) and n > 0 for n in integers),
        f"tokens_per_future_traj must be 2 × n_waypoints = {2 * steps}": config.tokens_per_future_traj == 2 * steps,
        f"tokens_per_history_traj must be a multiple of {axes}": config.tokens_per_history_traj % axes == 0,
        "num_bins must be 2 or more": min(config.future_tokens.num_bins, history.num_bins) >= 2,
        "traj_vocab_size must hold the bins of future and history": (
            config.future_tokens.num_bins + history.num_bins <= config.traj_vocab_size
        ),
        "max_jerk must be finite, and 0 or more": 0 <= config.max_jerk < math.inf,
        "min_pixels must not be above max_pixels": config.min_pixels <= config.max_pixels,
        "deepstack_visual_indexes must name blocks of the vision tower": all(
            0 <= index < config.vision.depth for index in config.vision.deepstack_visual_indexes
        ),
        "include_camera_ids and include_frame_nums must be true or false": (
            {type(config.include_camera_ids), type(config.include_frame_nums)} == {bool}
        ),
        "stem_channels must halve patch_size to a whole number": (
            config.vision.patch_size % 2 ** len(config.vision.stem_channels) == 0
        ),
        "with tubelets, frames_per_camera must be a multiple of temporal_patch_size": (
            not config.vision.tubelets or config.frames_per_camera % config.vision.temporal_patch_size == 0
        ),
        "camera_roles must be ascending roles from 0 to 6": (
            [*config.camera_roles] == sorted({*config.camera_roles} & {*RELEASED_ROLES})
        ),
    }
    for rule, kept in rules.items():
        if not kept:
            raise CheckpointError(f"config.json: {rule}")


def _read_language(vlm_document: dict[str, Any]) -> DecoderConfig:
    text = vlm_document["text_config"]
    if vlm_document.get("tie_word_embeddings", text.get("tie_word_embeddings", False)):
        raise CheckpointError(
            "the language model ties its embeddings (tie_word_embeddings); untied checkpoints are expected"
        )
    if text.get("attention_bias", False) or text.get("hidden_act", "silu") != "silu":
        raise CheckpointError("text_config: attention_bias must be false and hidden_act 'silu', as in Qwen3-VL")
    rope = text.get("rope_scaling") or {}
    if not rope.get("mrope_interleaved", False):
        raise CheckpointError("text_config.rope_scaling.mrope_interleaved must be true, as in Qwen3-VL")
    head_dim, section = text["head_dim"], tuple(rope["mrope_section"])
    if len(section) != 3 or sum(section) * 2 != head_dim:
        raise CheckpointError(
            f"mrope_section {list(section)} must have three parts that sum to head_dim / 2 = {head_dim // 2}"
        )
    return DecoderConfig(
        hidden_size=text["hidden_size"],
        intermediate_size=text["intermediate_size"],
        num_hidden_layers=text["num_hidden_layers"],
        num_attention_heads=text["num_attention_heads"],
        num_key_value_heads=text["num_key_value_heads"],
        head_dim=head_dim,
        rope_theta=float(text["rope_theta"]),
        mrope_section=section,
        rms_norm_eps=text["rms_norm_eps"],
    )


def _read_vision(vision: dict[str, Any]) -> VisionConfig:
    if vision.get("hidden_act", "gelu_pytorch_tanh") != "gelu_pytorch_tanh":
        raise CheckpointError(f"vision_config.hidden_act is {vision['hidden_act']!r}; Qwen3-VL has 'gelu_pytorch_tanh'")
    # Only our own form may have the two options that no release has.
    vision = {"stem_channels": (), "tubelets": False, **vision}
    values = {field.name: vision[field.name] for field in dataclasses.fields(VisionConfig)}
    for name in ("deepstack_visual_indexes", "stem_channels"):
        values[name] = tuple(values[name])
    return VisionConfig(**values)


def _read_action_space(part: dict[str, Any], place: str) -> ActionSpaceConfig:
    values = _known(ActionSpaceConfig, _checked(part, place, "UnicycleAccelCurvatureActionSpace"), place)
    return ActionSpaceConfig(**values)


def _read_history_tokens(part: dict[str, Any]) -> HistoryTokenConfig:
    place = "hist_traj_tokenizer_cfg"
    values = _known(HistoryTokenConfig, _checked(part, place, "DeltaTrajectoryTokenizer"), place)
    return HistoryTokenConfig(**values)


def _checked(part: dict[str, Any], place: str, expected: str) -> dict[str, Any]:
    """The part without its `_` keys, once its `_target_` names the class that this place must hold."""
    found = part["_target_"].rsplit(".", 1)[-1]
    if found != expected:
        raise CheckpointError(f"{place}._target_ names {part['_target_']!r}; only {expected} is supported here")
    return {key: value for key, value in part.items() if not key.startswith("_")}


def _known(kind: type, values: dict[str, Any], place: str) -> dict[str, Any]:
    unknown = sorted(set(values) - {field.name for field in dataclasses.fields(kind)})
    if unknown:
        raise CheckpointError(
            f"{place} has unknown keys {', '.join(unknown)}; a newer release than this package reads?"
        )
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
