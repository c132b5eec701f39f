"""The numbers that define a model; `config_json` reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ModelType = Literal["alpamayo_r1", "alpamayo1_5"]

RELEASED_ROLES = range(7)
"""Camera roles of 1.5; R1 has the first three and the last."""


@dataclass(frozen=True)
class VisionConfig:
    """Qwen3-VL vision tower. `num_position_embeddings` is a square grid of learned positions.

    Two options that no release has, for models that are trained from scratch on little:
    stem_channels: convolutions (3 × 3, stride 2, GELU) of so many channels in front of the patch embedding, which then
        covers what they leave of a patch; none by default. A linear embedding of whole patches learns to see slowly.
    tubelets: a temporal patch holds `temporal_patch_size` frames of a camera that follow each other, not one frame
        repeated: fewer tokens, and motion is in them.
    """

    depth: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    out_hidden_size: int
    deepstack_visual_indexes: tuple[int, ...]
    patch_size: int = 16
    temporal_patch_size: int = 2
    spatial_merge_size: int = 2
    in_channels: int = 3
    num_position_embeddings: int = 2304
    stem_channels: tuple[int, ...] = ()
    tubelets: bool = False


@dataclass(frozen=True)
class DecoderConfig:
    """A Qwen3 decoder stack: the language model, and with other widths the action expert."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rope_theta: float
    mrope_section: tuple[int, int, int]
    rms_norm_eps: float = 1e-6


@dataclass(frozen=True)
class ActionSpaceConfig:
    """Unicycle action space: normalisation of (acceleration, curvature) and the weights of its least squares.

    accel_bounds, curvature_bounds: of the release, in m/s² and 1/m. It stores them, and no plan is clamped to them.
    """

    accel_mean: float = 0.0
    accel_std: float = 1.0
    curvature_mean: float = 0.0
    curvature_std: float = 1.0
    accel_bounds: tuple[float, float] = (-9.8, 9.8)
    curvature_bounds: tuple[float, float] = (-0.2, 0.2)
    dt: float = 0.1
    n_waypoints: int = 64
    theta_lambda: float = 1e-6
    theta_ridge: float = 1e-8
    v_lambda: float = 1e-6
    v_ridge: float = 1e-4
    a_lambda: float = 1e-4
    a_ridge: float = 1e-4
    kappa_lambda: float = 1e-4
    kappa_ridge: float = 1e-4


@dataclass(frozen=True)
class FutureTokenConfig:
    """Discrete trajectory tokens: uniform bins over the normalised (acceleration, curvature)."""

    action_space: ActionSpaceConfig
    dims_min: tuple[float, float]
    dims_max: tuple[float, float]
    num_bins: int


@dataclass(frozen=True)
class HistoryTokenConfig:
    """Delta tokens: uniform bins over the step between poses, and over its yaw when `predict_yaw`."""

    ego_xyz_min: tuple[float, float, float] = (-4.0, -4.0, -10.0)
    ego_xyz_max: tuple[float, float, float] = (4.0, 4.0, 10.0)
    ego_yaw_min: float = -3.141592653589793
    ego_yaw_max: float = 3.141592653589793
    num_bins: int = 1000
    predict_yaw: bool = False


@dataclass(frozen=True)
class ActionInProjConfig:
    """Embedding of a noisy action and its flow time: Fourier features and an MLP."""

    hidden_size: int
    num_enc_layers: int
    num_fourier_feats: int
    max_freq: float


@dataclass(frozen=True)
class ModelConfig:
    """All numbers of an Alpamayo model.

    model_dtype: constants of the action space and Fourier frequencies have the values they take in this dtype, whatever
        dtype the model is run in.
    weights_dtype: the dtype of the stored weights.
    camera_roles: roles the model was trained with, in input order; with `any_camera_subset` any of them may be absent.
    frames_per_camera: frames of each camera, 0.1 s apart, the last at t0.
    reasoning_temperature: of the words, and num_inference_steps, noise_temperature: of the flow, where a plan asks for
        no others. The releases have no temperatures in their config: 0.6, as in their inference script, and 1, the
        noise they were trained with.
    max_jerk: m/s³ with which a plan leaves the acceleration that the car has (`jerk_limit`), where it asks for no
        other. 0, as in the releases: it begins with what the model wants.
    """

    model_type: ModelType
    model_dtype: str
    weights_dtype: str
    vocab_size: int
    vision: VisionConfig
    language: DecoderConfig
    expert: DecoderConfig
    action_space: ActionSpaceConfig
    action_in_proj: ActionInProjConfig
    future_tokens: FutureTokenConfig
    history_tokens: HistoryTokenConfig
    reasoning_temperature: float
    num_inference_steps: int
    noise_temperature: float
    max_jerk: float
    traj_vocab_size: int
    tokens_per_history_traj: int
    tokens_per_future_traj: int
    min_pixels: int
    max_pixels: int
    image_token_id: int
    camera_roles: tuple[int, ...]
    frames_per_camera: int
    include_camera_ids: bool
    include_frame_nums: bool

    @property
    def is_r1(self) -> bool:
        return self.model_type == "alpamayo_r1"

    @property
    def takes_navigation(self) -> bool:
        """1.5 has navigation text and question answering; R1 was trained with neither."""
        return not self.is_r1

    @property
    def any_camera_subset(self) -> bool:
        """1.5 names its cameras in the prompt; R1 knows them by their order only, so it needs all of its own."""
        return self.include_camera_ids

    @property
    def history_steps(self) -> int:
        return self.tokens_per_history_traj // (4 if self.history_tokens.predict_yaw else 3)
