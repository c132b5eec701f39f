"""Drivers by name."""

from __future__ import annotations

from pathlib import Path

from alpamayo_ros.engine.switches import EXACT, Switches
from alpamayo_ros.evaluation.drivers.blind_idm import BlindIdm
from alpamayo_ros.evaluation.drivers.constant_velocity import ConstantVelocity
from alpamayo_ros.evaluation.drivers.driver import Driver
from alpamayo_ros.evaluation.drivers.expert import ExpertDriver
from alpamayo_ros.evaluation.errors import EvaluationError

BASELINES: dict[str, type[ExpertDriver] | type[ConstantVelocity] | type[BlindIdm]] = {
    "expert": ExpertDriver,
    "constant-velocity": ConstantVelocity,
    "idm-blind": BlindIdm,
}
"""The drivers that come with the evaluation."""


def make_driver(
    policy: str,
    *,
    num_samples: int,
    ticks_per_plan: int = 1,
    autoregressive: bool = False,
    flow_steps: int | None = None,
    temperature: float | None = None,
    noise_temperature: float | None = None,
    max_jerk: float | None = None,
    switches: Switches = EXACT,
    language_model: str | None = None,
    device: str | None = None,
) -> Driver:
    """A baseline, or any model that `DrivingPolicy.from_pretrained` takes. Raises EvaluationError.

    The settings are a model's; a baseline is refused with any other than their defaults.
    """
    if policy in BASELINES:
        options = {
            "--samples": num_samples != 1,
            "--plan-every": ticks_per_plan != 1,
            "--decoding": autoregressive,
            "--flow-steps": flow_steps is not None,
            "--temperature": temperature is not None,
            "--noise-temperature": noise_temperature is not None,
            "--max-jerk": max_jerk is not None,
            "--switch": switches != EXACT,
            "--language-model": language_model is not None,
            "--device": device is not None,
        }
        given = [name for name, changed in options.items() if changed]
        if given:
            raise EvaluationError(f"{policy} is no model, and only models have {', '.join(given)}; leave that out")
        return BASELINES[policy]()
    # Only now: the baselines must not wait for torch.
    from alpamayo_ros.evaluation.drivers.model import ModelDriver
    from alpamayo_ros.policy import DrivingPolicy
    from alpamayo_ros.vla.errors import CheckpointError

    try:
        loaded = DrivingPolicy.from_pretrained(policy, language_model=language_model, device=device, switches=switches)
    except CheckpointError as error:
        # A folder was meant to be a model: what is wrong with it is all there is to say.
        others = "" if Path(policy).is_dir() else f"; the baselines are {', '.join(BASELINES)}"
        raise EvaluationError(f"{error}{others}") from None
    return ModelDriver(
        loaded,
        num_samples,
        ticks_per_plan,
        autoregressive=autoregressive,
        flow_steps=flow_steps,
        temperature=temperature,
        noise_temperature=noise_temperature,
        max_jerk=max_jerk,
    )
