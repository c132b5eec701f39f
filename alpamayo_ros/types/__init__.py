"""The plain data that every room shares: dataclasses over numpy arrays, no behaviour that needs more than numpy."""

from alpamayo_ros.types.camera import CameraFrames, CameraRole
from alpamayo_ros.types.decision import (
    ComponentCategory,
    CriticalComponent,
    Decision,
    LaneAction,
    LateralAction,
    LateralDecision,
    LongitudinalAction,
    LongitudinalDecision,
    MetaAction,
)
from alpamayo_ros.types.judgement import (
    AxisVerdict,
    ConsistencyVerdict,
    GateCheck,
    GateFailure,
    GateVerdict,
    Judgement,
    MetaActions,
    ParsedTrace,
    ReadStatus,
)
from alpamayo_ros.types.observation import EgoHistory, Observation, ObservationError
from alpamayo_ros.types.plan import Plan, PlanSample, Trajectory

__all__ = [
    "AxisVerdict",
    "CameraFrames",
    "CameraRole",
    "ComponentCategory",
    "ConsistencyVerdict",
    "CriticalComponent",
    "Decision",
    "EgoHistory",
    "GateCheck",
    "GateFailure",
    "GateVerdict",
    "Judgement",
    "LaneAction",
    "LateralAction",
    "LateralDecision",
    "LongitudinalAction",
    "LongitudinalDecision",
    "MetaAction",
    "MetaActions",
    "Observation",
    "ObservationError",
    "ParsedTrace",
    "Plan",
    "PlanSample",
    "ReadStatus",
    "Trajectory",
]
