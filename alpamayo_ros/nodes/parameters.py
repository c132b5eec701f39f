"""The planner's parameters: declared with description and range, checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from alpamayo_ros.types import GateCheck

FLAG, HOLD_BACK = "flag", "hold_back"
RELIABILITIES = ("best_effort", "reliable")
WITHOUT_COMFORT = tuple(check.value for check in GateCheck if check is not GateCheck.COMFORT)


@dataclass(frozen=True)
class _Spec:
    """fixed: cannot be changed once the node runs. span: smallest and largest value. choices: of a text."""

    default: Any
    description: str
    fixed: bool = False
    span: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()


SPECS: dict[str, _Spec] = {
    "rig": _Spec("simulator", "Rig profile: the name of a shipped one, or the path of a YAML file.", fixed=True),
    "model": _Spec("alpamayo-tiny", "Model: a folder, a shipped model's name, or a hub id.", fixed=True),
    "language_model": _Spec("", "Folder of the language model that a config names; empty: beside it.", fixed=True),
    "device": _Spec("", "cpu, cuda, cuda:1 …; empty: the GPU when there is one.", fixed=True),
    "dtype": _Spec(
        "", "Precision; empty: that of the weights.", fixed=True, choices=("", "float32", "bfloat16")
    ),
    "odometry_topic": _Spec("", "Odometry in place of the rig's ego source; empty: that of the rig.", fixed=True),
    "image_reliability": _Spec(
        "best_effort", "Of camera subscriptions; best_effort hears every publisher.", fixed=True, choices=RELIABILITIES
    ),
    "image_depth": _Spec(10, "Frames of a camera that may wait to be received.", fixed=True, span=(1, 1000)),
    "odometry_reliability": _Spec("best_effort", "Of the odometry subscription.", fixed=True, choices=RELIABILITIES),
    "odometry_depth": _Spec(100, "Poses that may wait to be received.", fixed=True, span=(1, 10000)),
    "slop_ms": _Spec(50, "How far a frame may be from its time, ms.", fixed=True, span=(0, 1000)),
    "max_lag_ms": _Spec(150, "How late a source may be against the newest one, ms.", fixed=True, span=(0, 10000)),
    "max_jump": _Spec(1.0, "How far a pose may be from where the last ones lead, m.", fixed=True, span=(0.01, 1000.0)),
    "max_age_ms": _Spec(1000, "How far t0 may be from the node's clock, ms.", span=(1, 3_600_000)),
    "num_samples": _Spec(1, "Trajectories to sample.", span=(1, 64)),
    "seed": _Spec(0, "Of every plan: the same observation gives the same plan.", span=(0, 2**62)),
    "temperature": _Spec(-1.0, "Of the reasoning; 0 is greedy, below 0 the model's own.", span=(-1.0, 10.0)),
    "top_p": _Spec(0.98, "Of the reasoning: the most probable tokens that add up to this.", span=(0.001, 1.0)),
    "max_reasoning_tokens": _Spec(256, "After so many tokens the reasoning is cut off.", span=(1, 4096)),
    "flow_steps": _Spec(0, "Euler steps of the flow; 0: the model's own.", span=(0, 1000)),
    "noise_temperature": _Spec(
        -1.0, "Scale of the noise that the flow begins with; below 0 the model's own.", span=(-1.0, 10.0)
    ),
    "max_jerk": _Spec(
        -1.0,
        "m/s³ with which a plan leaves the acceleration that the car has; 0: it begins with what the model wants; "
        "below 0 the model's own.",
        span=(-1.0, 1000.0),
    ),
    "may_reverse": _Spec(False, "Whether the gate lets a plan reverse."),
    "gate_policy": _Spec(
        FLAG, "What to do with a plan that fails the gate: publish it flagged, or hold it back.",
        choices=(FLAG, HOLD_BACK),
    ),
    "holding_checks": _Spec(
        list(WITHOUT_COMFORT), "Checks of the gate that hold a plan back. Without comfort: an emergency stop has none.",
    ),
    "diagnostics_period": _Spec(1.0, "Seconds between diagnostics.", fixed=True, span=(0.1, 60.0)),
}  # fmt: skip


class ParameterError(ValueError):
    """Parameters that do not fit: the message names the parameter and what it may be."""


@dataclass(frozen=True)
class Parameters:
    """The values, as `SPECS` describes them."""

    rig: str
    model: str
    language_model: str
    device: str
    dtype: str
    odometry_topic: str
    image_reliability: str
    image_depth: int
    odometry_reliability: str
    odometry_depth: int
    slop_ms: int
    max_lag_ms: int
    max_jump: float
    max_age_ms: int
    num_samples: int
    seed: int
    temperature: float
    top_p: float
    max_reasoning_tokens: int
    flow_steps: int
    noise_temperature: float
    max_jerk: float
    may_reverse: bool
    gate_policy: str
    holding_checks: tuple[str, ...]
    diagnostics_period: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Parameters:
        """Check values by name, all of them. Raises ParameterError."""
        values = {name: _typed(name, values[name]) for name in SPECS}
        for name, spec in SPECS.items():
            if spec.span and not spec.span[0] <= values[name] <= spec.span[1]:
                raise ParameterError(f"{name} is {values[name]!r}; it must be {spec.span[0]} … {spec.span[1]}")
            if spec.choices and values[name] not in spec.choices:
                raise ParameterError(
                    f"{name} is {values[name]!r}; it must be one of {', '.join(map(repr, spec.choices))}"
                )
        for name in ("rig", "model"):
            if not values[name].strip():
                raise ParameterError(f"{name} is empty; {SPECS[name].description}")
        known = [check.value for check in GateCheck]
        unknown = [check for check in values["holding_checks"] if check not in known]
        if unknown:
            raise ParameterError(f"holding_checks has {', '.join(unknown)}; known are {', '.join(known)}")
        if values["gate_policy"] == HOLD_BACK and not values["holding_checks"]:
            raise ParameterError("gate_policy is hold_back, but holding_checks is empty: nothing would be held back")
        chosen: dict[str, Any] = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{**chosen, "holding_checks": tuple(chosen["holding_checks"])})

    def plan_options(self) -> dict[str, Any]:
        """Keyword arguments of `DrivingPolicy.plan`."""
        return {
            "num_samples": self.num_samples,
            "seed": self.seed,
            "temperature": None if self.temperature < 0 else self.temperature,
            "top_p": self.top_p,
            "max_reasoning_tokens": self.max_reasoning_tokens,
            "flow_steps": self.flow_steps or None,
            "noise_temperature": None if self.noise_temperature < 0 else self.noise_temperature,
            "max_jerk": None if self.max_jerk < 0 else self.max_jerk,
            "may_reverse": self.may_reverse,
        }


def _typed(name: str, value: Any) -> Any:
    """The value, of its default's type; a whole number will do for a float."""
    default = SPECS[name].default
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ParameterError(f"{name} is {value!r}; it must be a {type(default).__name__}")
    return value


def declare(node: Node) -> None:
    """Declare all parameters on the node; launch files and parameter files override the defaults.

    Raises rclpy's ParameterException for an override of another type or out of range.
    """
    for name, spec in SPECS.items():
        # Dynamic, so that a whole number will do for a float; `Parameters.of` checks it.
        dynamic = isinstance(spec.default, float)
        descriptor = ParameterDescriptor(description=spec.description, read_only=spec.fixed, dynamic_typing=dynamic)
        if spec.choices:
            descriptor.additional_constraints = "one of " + ", ".join(map(repr, spec.choices))
        if spec.span and isinstance(spec.default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=spec.span[0], to_value=spec.span[1])]
        elif spec.span:
            first, last = (int(bound) for bound in spec.span)
            descriptor.integer_range = [IntegerRange(from_value=first, to_value=last, step=1)]
        node.declare_parameter(name, spec.default, descriptor)


def read(node: Node, **changes: Any) -> Parameters:
    """The node's parameters, with `changes` in place of some of them. Raises ParameterError."""
    values = {name: node.get_parameter(name).value for name in SPECS}
    return Parameters.of({**values, **changes})
