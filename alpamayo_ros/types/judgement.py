"""What is found out about a sample of a plan: what its words say, what its path does, and whether to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from alpamayo_ros.types.decision import CriticalComponent, Decision, MetaAction


class ReadStatus(StrEnum):
    """How much of a text was understood."""

    PARSED = "parsed"
    PARTLY_PARSED = "partly_parsed"
    UNPARSED = "unparsed"


@dataclass(frozen=True)
class ParsedTrace:
    """What a text says.

    text: the text as given.
    decision: None exactly when the status is UNPARSED. `Decision(None, None)` is an explicit "no change".
    components: in the order in which the text names them.
    problems: why the text is not, or not wholly, understood; empty exactly when the status is PARSED.
    """

    text: str
    status: ReadStatus
    decision: Decision | None
    components: tuple[CriticalComponent, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class MetaActions:
    """All levels of one trajectory, and the few figures that a verdict is worded with.

    longitudinal, lateral: gapless segments over the whole trajectory.
    lane: likewise, or empty when it cannot be known (no lane data and a curved path).
    lane_known_from_map: whether `lane` rests on lane data; else on the path's own shape.
    initial_speed, final_speed: m/s.
    distance: metres travelled.
    heading_change: rad from first to last, positive to the left.
    offset_left, offset_right: the farthest the car moves to either side of its initial offset, metres, both ≥ 0; zero
        when the lane level is unknown.
    final_offset: metres to the left of the initial offset at the end; zero when the lane level is unknown.
    initial_offset: metres to the left of the center of its lane at the start; zero without lane data.
    """

    longitudinal: tuple[MetaAction, ...]
    lateral: tuple[MetaAction, ...]
    lane: tuple[MetaAction, ...]
    lane_known_from_map: bool
    initial_speed: float
    final_speed: float
    distance: float
    heading_change: float
    offset_left: float
    offset_right: float
    final_offset: float
    initial_offset: float


@dataclass(frozen=True)
class AxisVerdict:
    """Agreement on one axis, and why, for example "explained a yield but the plan accelerates by 3.1 m/s"."""

    agrees: bool
    reason: str


@dataclass(frozen=True)
class ConsistencyVerdict:
    """Agreement of words and motion on both axes."""

    longitudinal: AxisVerdict
    lateral: AxisVerdict

    @property
    def consistent(self) -> bool:
        """True if and only if both axes agree; int() of it is the reward."""
        return self.longitudinal.agrees and self.lateral.agrees


class GateCheck(StrEnum):
    """What every plan is checked for before anybody drives it. Waypoints that are not finite never become a plan."""

    STARTS_AT_CAR = "starts_at_car"
    ACCELERATION = "acceleration"
    CURVATURE = "curvature"
    REVERSING = "reversing"
    COMFORT = "comfort"
    REASONING_COMPLETE = "reasoning_complete"
    LONGITUDINAL_CONSISTENCY = "longitudinal_consistency"
    LATERAL_CONSISTENCY = "lateral_consistency"


@dataclass(frozen=True)
class GateFailure:
    """One check that a sample failed, and by how much or why."""

    check: GateCheck
    reason: str


@dataclass(frozen=True)
class GateVerdict:
    """All checks that a sample failed, in the order of `GateCheck`; none is a pass."""

    failures: tuple[GateFailure, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class Judgement:
    """What was found about one sample."""

    trace: ParsedTrace
    meta_actions: MetaActions
    consistency: ConsistencyVerdict
    gate: GateVerdict
