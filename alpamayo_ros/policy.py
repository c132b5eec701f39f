"""The public door: an Observation goes in, a Plan comes out."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import CameraPictures, Memory
from alpamayo_ros.engine.sight import Pictures
from alpamayo_ros.engine.switches import EXACT, Switches
from alpamayo_ros.reasoning.gate import judge
from alpamayo_ros.reasoning.selection import select
from alpamayo_ros.shipped import shipped_folders
from alpamayo_ros.types import (
    CameraRole,
    Observation,
    ObservationError,
    Plan,
    PlanSample,
    Trajectory,
)
from alpamayo_ros.vla.checkpoint import fetch_from_hub, fingerprint, load_model, save_model
from alpamayo_ros.vla.errors import CheckpointError, ModelInputError
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import AlpamayoModel, Guidance, Samples
from alpamayo_ros.vla.prompt import (
    PromptBatch,
    batch_prompts,
    check_takes_navigation,
    driving_prompt,
    question_prompt,
)
from alpamayo_ros.vla.sampling import REASONING_STREAM, RowStreams, Sampling, next_tokens
from alpamayo_ros.vla.tokenizer import section

INPUT_ERRORS = (ObservationError, CheckpointError, ModelInputError)
"""What `DrivingPolicy` raises when its user is to act; each message says how."""

MAX_OUTSIDE_TEXT = 1000
"""Characters of a navigation instruction or a question."""

MAX_REASONING_TOKENS = 256
"""The released inference script's limit."""


class DrivingPolicy:
    """A loaded model and how to ask it. Same observation, same seed, same machine: same plan, to the bit.

    A `Memory` makes the plans of one drive faster: give each drive its own, and give it to every plan. With exact
    switches the words stay the same (in bfloat16 up to its rounding); of the trajectory the last digits then depend on
    what was planned before, as products over other numbers of rows round differently. So the live planner has one, and
    whoever promises the same bytes from anywhere in a drive (annotations that are resumed, `alpamayo plan`) has none.

    switches: what the engine does for speed.
    """

    def __init__(self, model: AlpamayoModel, name: str, revision: str, switches: Switches = EXACT) -> None:
        self.model = model
        self.engine = Engine(model, switches)
        self.name = name
        self.revision = revision

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        language_model: str | Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        switches: Switches = EXACT,
    ) -> DrivingPolicy:
        """Load a local folder, a model that ships with this package, or a hub id.

        language_model: folder of the language model, where a released checkpoint does not have it beside it.
        device: "cpu", "cuda", …; by default the GPU when there is one. dtype: "float32" or "bfloat16"; by default that
            of the weights. switches: what the engine does for speed. Raises CheckpointError.
        """
        if dtype not in (None, "float32", "bfloat16"):
            raise CheckpointError(f"dtype is {dtype!r}; it must be 'float32' or 'bfloat16'")
        folder = find_model(str(model))
        loaded = load_model(
            folder,
            language_model=Path(language_model) if language_model else None,
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            dtype=getattr(torch, dtype) if dtype else None,
        )
        return cls(loaded, str(model), fingerprint(folder), switches)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model so that `from_pretrained` reads it from `folder` alone."""
        save_model(self.model, Path(folder))

    def plan(
        self,
        observation: Observation,
        *,
        num_samples: int = 1,
        seed: int = 0,
        temperature: float | None = None,
        top_p: float | None = 0.98,
        top_k: int | None = None,
        max_reasoning_tokens: int = MAX_REASONING_TOKENS,
        flow_steps: int | None = None,
        noise_temperature: float | None = None,
        navigation_guidance: float | None = None,
        autoregressive: bool = False,
        max_jerk: float | None = None,
        may_reverse: bool = False,
        memory: Memory | None = None,
    ) -> Plan:
        """Reason about the observation and plan 6.4 s of motion, `num_samples` times.

        temperature, top_p, top_k: of the reasoning; temperature 0 is greedy. flow_steps: Euler steps of the flow.
        noise_temperature: scale of its initial noise. These three are by default the model's own. navigation_guidance:
        weight w of v = (1 − w) v_without + w v_with navigation text. autoregressive: decode the trajectory as 128
        tokens instead. max_jerk: m/s³ with which a plan leaves the acceleration that the car has, see `vla.jerk_limit`;
        0: it begins with what the model wants; by default the model's own. may_reverse: whether the gate lets a plan
        reverse. memory: of the drive that the observation is from.

        Every sample is judged, and the selected one is the medoid of those that pass the gate. Where none passes, it is
        that of those that are merely uncomfortable, as an emergency stop is; then of those whose reasoning is complete;
        then of all. `selection` says which.
        Raises ObservationError or ModelInputError.
        """
        _check_whole("num_samples", num_samples, least=1)
        _check_whole("max_reasoning_tokens", max_reasoning_tokens, least=1)
        _check_whole("seed", seed, least=0)
        flow = (flow_steps, noise_temperature, navigation_guidance)
        _check_flow(*flow, observation.navigation, autoregressive=autoregressive)
        if max_jerk is not None and not 0 <= max_jerk < math.inf:
            raise ModelInputError(f"max_jerk is {max_jerk}; it must be 0 or more")
        sampling = self._sampling(temperature, top_p, top_k)
        self._check_fits(observation)

        begin = time.perf_counter()
        pictures = self.engine.look(
            [CameraPictures(int(it.role), it.images, tuple(it.stamps_ns.tolist())) for it in observation.cameras],
            memory,
        )
        preprocessing_ms = (time.perf_counter() - begin) * 1e3
        samples = self._sample(
            observation,
            pictures,
            *flow,
            max_jerk,
            num_samples=num_samples,
            seed=seed,
            sampling=sampling,
            max_new_tokens=max_reasoning_tokens,
            autoregressive=autoregressive,
            memory=memory,
        )
        return self._judged(observation, samples, seed, preprocessing_ms, may_reverse=may_reverse)

    @torch.inference_mode()
    def answer(
        self, observation: Observation, question: str, *, seed: int = 0, temperature: float | None = None
    ) -> str:
        """Answer a question about the pictures, in text (1.5 only). Raises ObservationError or ModelInputError."""
        self._check_fits(observation)
        _check_whole("seed", seed, least=0)
        _check_text("question", question)
        images = [image for camera in observation.cameras for image in camera.images]
        pixel_values, grid_thw = preprocess(images, self.model.config)
        model, streams, sampling = self.model, RowStreams(seed, 1, REASONING_STREAM), self._sampling(temperature)
        ids = question_prompt(model.tokenizer, model.config, grid_thw, list(observation.roles), question)
        prompt = batch_prompts([ids], [grid_thw], model.config, model.tokenizer.pad)
        features = model.vlm.encode_images(pixel_values.to(model.device), grid_thw)
        context = model.read(prompt, features, room=MAX_REASONING_TOKENS)
        tokens = model.answer(context, lambda logits: next_tokens(logits, sampling, streams), MAX_REASONING_TOKENS)
        return model.tokenizer.decode(tokens[0].tolist(), skip_special=True).strip()

    def _sampling(self, temperature: float | None, *limits: Any) -> Sampling:
        return Sampling(self.model.config.reasoning_temperature if temperature is None else temperature, *limits)

    def check_navigation(self, text: str) -> None:
        """Raises ModelInputError for a driving instruction that this model does not take."""
        check_takes_navigation(self.model.config, text)
        _check_text("navigation", text)

    def _sample(
        self,
        observation: Observation,
        pictures: Pictures,
        flow_steps: int | None,
        noise_temperature: float | None,
        navigation_guidance: float | None,
        max_jerk: float | None,
        *,
        num_samples: int,
        **options: Any,
    ) -> Samples:
        """What the engine makes of an observation; the model's own values stand in for what is None.

        options: the others of `Engine.sample`. Raises CheckpointError or ModelInputError.
        """
        config, tokenizer, grid_thw = self.model.config, self.model.tokenizer, pictures.grid_thw
        history_xyz, history_rot = (
            torch.from_numpy(np.asarray(part, dtype=np.float32))[None]
            for part in (observation.ego_history.positions, observation.ego_history.rotations)
        )
        history_bins = self.model.history_tokens.encode(history_xyz, history_rot)[0]

        def prompt(navigation: str | None) -> PromptBatch:
            ids = driving_prompt(tokenizer, config, grid_thw, list(observation.roles), history_bins, navigation)
            return batch_prompts([ids], [grid_thw], config, tokenizer.pad)

        try:
            samples = self.engine.sample(
                prompt(observation.navigation),
                pictures,
                history_xyz,
                history_rot,
                num_samples=num_samples,
                num_flow_steps=flow_steps or config.num_inference_steps,
                noise_temperature=config.noise_temperature if noise_temperature is None else noise_temperature,
                guidance=None if navigation_guidance is None else Guidance(prompt(None), navigation_guidance),
                max_jerk=config.max_jerk if max_jerk is None else max_jerk,
                **options,
            )
        except torch.OutOfMemoryError:
            raise ModelInputError(
                f"the GPU's memory does not hold the model and num_samples = {num_samples}; ask for fewer samples"
            ) from None
        if not bool(torch.isfinite(samples.xyz).all()):
            raise CheckpointError(
                f"{self.name} gave waypoints that are not finite; its weights are damaged, or not made for "
                f"{self.model.dtype}"
            )
        return samples

    def _judged(
        self, observation: Observation, samples: Samples, seed: int, preprocessing_ms: float, *, may_reverse: bool
    ) -> Plan:
        """The plan that these samples make: each is judged, and one is selected."""
        begin = time.perf_counter()
        found = plan_samples(self.model, samples)
        judgements = tuple(judge(it, observation.ego_history, may_reverse=may_reverse) for it in found)
        selected, selection = select(found, judgements)
        judging_ms = (time.perf_counter() - begin) * 1e3
        return Plan(
            t0_ns=observation.t0_ns,
            samples=found,
            judgements=judgements,
            selected=selected,
            selection=selection,
            seed=seed,
            model=self.name,
            revision=self.revision,
            latencies_ms={"preprocessing": preprocessing_ms, **samples.stage_ms, "judging": judging_ms},
        )

    def _check_fits(self, observation: Observation) -> None:
        config = self.model.config
        expected = tuple(CameraRole(role) for role in config.camera_roles)
        unknown = [role for role in observation.roles if role not in expected]
        missing = [role for role in expected if role not in observation.roles]
        if unknown or (missing and not config.any_camera_subset):
            need = "any of" if config.any_camera_subset else "exactly"
            raise ObservationError(
                f"cameras are {_labels(observation.roles)}; {self.name} takes {need} {_labels(expected)}"
            )
        for camera in observation.cameras:
            if len(camera.images) != config.frames_per_camera:
                raise ObservationError(
                    f"camera {camera.role.label} has {len(camera.images)} frames; {self.name} takes "
                    f"{config.frames_per_camera}, 0.1 s apart, the last at t0"
                )
        poses = len(observation.ego_history.positions)
        if poses != config.history_steps:
            raise ObservationError(
                f"ego history has {poses} poses; {self.name} takes {config.history_steps}, 0.1 s apart, the last at t0"
            )
        if observation.navigation is not None:
            self.check_navigation(observation.navigation)


def plan_samples(model: AlpamayoModel, samples: Samples) -> tuple[PlanSample, ...]:
    """What a model sampled, as a plan has it, one for each row."""
    space = model.action_space
    states = space.rollout(samples.action, samples.initial_speed)
    times = space.config.dt * np.arange(1, space.config.n_waypoints + 1)
    columns = (samples.xyz, samples.rot, states.speed[:, 1:], states.accel, states.curvature)
    arrays = [column.float().cpu().numpy() for column in columns]
    return tuple(
        PlanSample(
            Trajectory(times, *(array[row] for array in arrays)),
            reasoning_text(model, samples.reasoning.tokens[row]),
            bool(samples.reasoning.complete[row]),
        )
        for row in range(len(samples.xyz))
    )


def reasoning_text(model: AlpamayoModel, tokens: torch.Tensor) -> str:
    """The sentence in generated tokens (T,)."""
    said = model.tokenizer.decode(tokens.tolist(), skip_special=False)
    said = said.partition("<|traj_future_start|>")[0].replace("<|endoftext|>", "").replace("<|im_end|>", "")
    # Reasoning that the model did not close itself is shown as far as it went.
    return section(said + "<|cot_end|>", "cot")


def find_model(name: str, *, weights: bool = True) -> Path:
    """The folder of a model: a local one, a shipped one, or the hub's copy, without its weights where they are not
    wanted. Raises CheckpointError."""
    if name and Path(name).is_dir():
        return Path(name)
    shipped = {
        path.name: path
        for folder in reversed(shipped_folders("models"))
        for path in sorted(folder.iterdir())
        if path.is_dir()
    }
    if name in shipped:
        return shipped[name]
    looks_like_hub_id = name.count("/") == 1 and not name.startswith((".", "/", "~"))
    if looks_like_hub_id:
        return fetch_from_hub(name, weights=weights)
    known = ", ".join(shipped) or "none"
    raise CheckpointError(
        f"unknown model {name!r}: it is no local folder, no shipped model ({known}) and no hub id such as "
        "nvidia/Alpamayo-R1-10B"
    )


def _check_whole(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise ModelInputError(f"{name} is {value}; it must be a whole number, {least} or more")


def _check_flow(
    steps: int | None, noise: float | None, guidance: float | None, navigation: str | None, *, autoregressive: bool
) -> None:
    """Options of the flow, as they are called in `DrivingPolicy.plan`."""
    if steps is not None:
        _check_whole("flow_steps", steps, least=1)
    if noise is not None and not 0 <= noise < math.inf:
        raise ModelInputError(f"noise_temperature is {noise}; it must be 0 or more")
    if guidance is not None and not math.isfinite(guidance):
        raise ModelInputError(f"navigation_guidance is {guidance}; it must be a finite number")
    if guidance is not None and navigation is None:
        raise ModelInputError("navigation_guidance was given without navigation text in the observation")
    if autoregressive and (steps, noise, guidance) != (None, None, None):
        raise ModelInputError(
            "autoregressive decoding has no flow: drop flow_steps, noise_temperature and navigation_guidance"
        )


def _check_text(name: str, text: str) -> None:
    """Text from outside: some characters, not too many, and all of them encodable."""
    if not isinstance(text, str) or not text.strip():
        raise ModelInputError(f"{name} text is {text!r}; give some text, or leave it out")
    if len(text) > MAX_OUTSIDE_TEXT:
        raise ModelInputError(f"{name} text has {len(text)} characters; at most {MAX_OUTSIDE_TEXT} are read")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ModelInputError(f"{name} text is not Unicode at character {error.start}; send it as UTF-8") from None


def _labels(roles: tuple[CameraRole, ...]) -> str:
    return "[" + ", ".join(role.label for role in roles) + "]"
