"""The same weights as the released code runs them: transformers' Qwen3-VL `generate`, and its decoder as the expert.

The released code asks `generate` for the reasoning with its key-value cache, then calls a second text model of
transformers on that cache once a flow step, and crops what the step appended
(`sample_trajectories_from_data_with_vlm_rollout` in its models). So does this. Three things are ours on both sides,
because none of them is what is compared: the preparation of pictures and prompt, the embedding of noisy actions, and
the unicycle. Decoding is greedy.

A vision tower with a stem or tubelets is not Qwen3-VL's: there ours stands in for transformers'.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from alpamayo_ros.evaluation.errors import EvaluationError
from alpamayo_ros.evaluation.latency.inputs import read_observation
from alpamayo_ros.types import Observation
from alpamayo_ros.vla.config import DecoderConfig, ModelConfig
from alpamayo_ros.vla.flow_matching import Velocity, integrate
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.sampling import NOISE_STREAM, RowStreams
from alpamayo_ros.vla.vision import VisionTower


class ReferencePlan(NamedTuple):
    """tokens: (K, T) generated ids, as `generate` leaves them. xyz: (K, 64, 3) on the CPU. milliseconds: wall time."""

    tokens: Tensor
    xyz: Tensor
    milliseconds: float


class TransformersReference:
    """Shares the weights of `model`: it needs no memory for its own. Raises EvaluationError without transformers."""

    def __init__(self, model: AlpamayoModel) -> None:
        try:
            import transformers
        except ImportError:
            raise EvaluationError(
                "transformers is not installed, and the reference is made of it; pip install transformers==4.57.1"
            ) from None
        self.name = f"transformers {transformers.__version__}"
        self.vision = "transformers" if _is_qwens(model.config) else "ours"
        self._model = model
        self._vlm = _vision_language_model(model)
        self._expert = _expert(model)

    @torch.inference_mode()
    def plan(
        self, observation: Observation, *, num_samples: int, seed: int, max_reasoning_tokens: int, flow_steps: int
    ) -> ReferencePlan:
        """One plan, greedily; the noise of the flow is that of `DrivingPolicy.plan` with the same seed."""
        begin = time.perf_counter()
        model, device = self._model, self._model.device
        inputs = read_observation(model, observation)
        half = model.dtype == torch.bfloat16  # then the released script runs everything under autocast
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            prompt = torch.tensor([inputs.ids], device=device)
            said = self._generate(prompt, inputs.pixel_values, inputs.grid_thw, num_samples, max_reasoning_tokens)
            velocity = self._velocity(said.past_key_values, said.sequences, len(inputs.ids))
            steps = model.config.action_space.n_waypoints
            noise = RowStreams(seed, num_samples, NOISE_STREAM).normal(steps, 2).to(device)
            action = integrate(velocity, noise * model.config.noise_temperature, flow_steps)[-1].cpu()
        past = inputs.history_xyz.repeat(num_samples, 1, 1), inputs.history_rot.repeat(num_samples, 1, 1, 1)
        xyz, _ = model.action_space.action_to_trajectory(action, *past, model.action_space.speed_at_t0(*past))
        elapsed = (time.perf_counter() - begin) * 1e3
        return ReferencePlan(said.sequences[:, len(inputs.ids) :].cpu(), xyz, elapsed)

    def _generate(
        self, prompt: Tensor, pixel_values: Tensor, grid_thw: Tensor, num_samples: int, max_new_tokens: int
    ) -> Any:
        """`generate` repeats a prompt and its pictures for each sample before the prefill, but not when it is greedy:
        so it is done here."""
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        tokenizer, device = self._model.tokenizer, self._model.device
        first = tokenizer.future_bin_0
        bins = slice(first, first + self._model.config.traj_vocab_size)
        begin = tokenizer.special_ids["traj_future_start"]

        def without_bins(ids: Tensor, scores: Tensor) -> Tensor:
            scores[:, bins] = -torch.inf
            return scores

        def all_began(ids: Tensor, scores: Any, **_: Any) -> Tensor:
            """One token after the last row began its trajectory, so that this token is in the cache."""
            began = (ids[:, prompt.shape[1] : -1] == begin).any(dim=1)
            return began.all().expand(len(ids))

        ids = prompt.repeat(num_samples, 1)
        return self._vlm.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=pixel_values.to(device).repeat(num_samples, 1),
            image_grid_thw=grid_thw.to(device).repeat(num_samples, 1),
            generation_config=GenerationConfig(
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=tokenizer.im_end,
                pad_token_id=tokenizer.pad,
                return_dict_in_generate=True,
            ),
            logits_processor=LogitsProcessorList([without_bins]),
            stopping_criteria=StoppingCriteriaList([all_began]),
        )

    def _velocity(self, cache: Any, sequences: Tensor, prompt_length: int) -> Velocity:
        """The expert on the cache that `generate` left."""
        model = self._model
        said = sequences[:, prompt_length:]
        columns = torch.arange(said.shape[1], device=said.device)
        begins = said == model.tokenizer.special_ids["traj_future_start"]
        length = (torch.where(begins, columns, said.shape[1]).amin(dim=1) + 1).clamp(max=said.shape[1])
        offset = prompt_length + length
        filled, steps = cache.get_seq_length(), model.config.action_space.n_waypoints
        mask = torch.zeros(len(said), 1, steps, filled + steps, device=said.device)
        behind = torch.arange(filled, device=said.device) >= offset[:, None]
        mask[..., :filled].masked_fill_(behind[:, None, None], torch.finfo(mask.dtype).min)
        positions = torch.arange(steps, device=said.device) + (self._vlm.model.rope_deltas + offset[:, None])

        def velocity(action: Tensor, moment: float) -> Tensor:
            embedded = model.action_in_proj(action, torch.full((len(action),), moment, device=action.device))
            seen = self._expert(
                inputs_embeds=embedded,
                position_ids=positions.expand(3, -1, -1),
                past_key_values=cache,
                attention_mask=mask,
                use_cache=True,
            )
            cache.crop(filled)
            return model.action_out_proj(seen.last_hidden_state)

        return velocity


class _OurVision(nn.Module):
    """Our vision tower behind the face of transformers'."""

    def __init__(self, tower: VisionTower) -> None:
        super().__init__()
        self.tower = tower
        self.spatial_merge_size = tower.config.spatial_merge_size
        self.dtype = tower.pos_embed.weight.dtype

    def forward(self, pixel_values: Tensor, grid_thw: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = self.tower(pixel_values, grid_thw)
        return features.tokens, list(features.deepstack)


def _is_qwens(config: ModelConfig) -> bool:
    return not config.vision.stem_channels and not config.vision.tubelets


def _vision_language_model(model: AlpamayoModel) -> Any:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    config = model.config
    vision = dataclasses.asdict(config.vision)
    del vision["stem_channels"], vision["tubelets"]
    with torch.device("meta"):
        vlm = Qwen3VLForConditionalGeneration(
            Qwen3VLConfig(
                text_config=_text(config.language, config.vocab_size),
                vision_config={**vision, "deepstack_visual_indexes": list(config.vision.deepstack_visual_indexes)},
                image_token_id=config.image_token_id,
                vision_start_token_id=model.tokenizer.token_id("<|vision_start|>"),
                tie_word_embeddings=False,
            )
        )
    weights = model.vlm.state_dict()
    if _is_qwens(config):
        vlm.load_state_dict(weights, assign=True)
        rotary = vlm.model.visual.rotary_pos_emb
        # Not a weight, so it is still without memory.
        size = config.vision.hidden_size // config.vision.num_heads // 2
        vlm.model.visual.rotary_pos_emb = type(rotary)(size).to(model.device)
    else:
        vlm.model.visual = _OurVision(model.vlm.model.visual)
        kept = {name.replace("visual.", "visual.tower."): weight for name, weight in weights.items()}
        vlm.load_state_dict(kept, assign=True)
    _make_rotary(vlm.model.language_model, model.device)
    return vlm.eval()


def _expert(model: AlpamayoModel) -> Any:
    """transformers' text model without its embeddings, as the released code makes it."""
    from transformers import Qwen3VLTextConfig, Qwen3VLTextModel

    with torch.device("meta"):
        expert = Qwen3VLTextModel(Qwen3VLTextConfig(**_text(model.config.expert, vocab_size=1)))
    del expert.embed_tokens
    expert.load_state_dict(model.expert.state_dict(), assign=True)
    _make_rotary(expert, model.device)
    return expert.eval()


def _make_rotary(text_model: Any, device: torch.device) -> None:
    """The rotary frequencies are no weights: made on the meta device, they have no values."""
    text_model.rotary_emb = type(text_model.rotary_emb)(config=text_model.config, device=device)


def _text(config: DecoderConfig, vocab_size: int) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    section = list(values.pop("mrope_section"))
    rope = {"rope_type": "default", "mrope_interleaved": True, "mrope_section": section}
    return {**values, "vocab_size": vocab_size, "rope_scaling": rope, "pad_token_id": None}
