"""The closed set of driving decisions and the critical components that cause them.

Source: Alpamayo-R1 (arXiv 2511.00088), Tables 1 and 2. `None` on an axis means: no change of behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class LongitudinalDecision(StrEnum):
    """What the car decides about its speed (Table 1)."""

    SET_SPEED_TRACKING = "set_speed_tracking"
    LEAD_OBSTACLE_FOLLOWING = "lead_obstacle_following"
    SPEED_ADAPTATION = "speed_adaptation"
    GAP_SEARCHING = "gap_searching"
    ACCELERATION_FOR_PASSING = "acceleration_for_passing"
    YIELD = "yield"
    STOP_FOR_STATIC_CONSTRAINTS = "stop_for_static_constraints"


class LateralDecision(StrEnum):
    """What the car decides about its path (Table 1)."""

    LANE_KEEPING = "lane_keeping"
    MERGE_SPLIT = "merge_split"
    OUT_OF_LANE_NUDGE_LEFT = "out_of_lane_nudge_left"
    OUT_OF_LANE_NUDGE_RIGHT = "out_of_lane_nudge_right"
    IN_LANE_NUDGE_LEFT = "in_lane_nudge_left"
    IN_LANE_NUDGE_RIGHT = "in_lane_nudge_right"
    LANE_CHANGE_LEFT = "lane_change_left"
    LANE_CHANGE_RIGHT = "lane_change_right"
    PULL_OVER = "pull_over"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    MANEUVER_ABORT = "maneuver_abort"


@dataclass(frozen=True)
class Decision:
    """At most one decision on each axis."""

    longitudinal: LongitudinalDecision | None = None
    lateral: LateralDecision | None = None


class ComponentCategory(StrEnum):
    """The categories of critical components (Table 2)."""

    CRITICAL_OBJECT = "critical_object"
    TRAFFIC_LIGHT = "traffic_light"
    YIELD_STOP_CONTROL = "yield_stop_control"
    ROAD_EVENT = "road_event"
    LANE = "lane"
    ROUTING_INTENT = "routing_intent"
    ODD = "odd"


@dataclass(frozen=True)
class CriticalComponent:
    """One observed cause. `kind` is open-ended (for example `pedestrian`); attributes are those of Table 2."""

    category: ComponentCategory
    kind: str
    attributes: dict[str, str] = field(default_factory=dict)


class LongitudinalAction(StrEnum):
    """What a trajectory does with its speed, segment by segment (labels of the public CoC autolabeler)."""

    REVERSE = "reverse"
    STOP = "stop"
    STRONG_ACCELERATE = "strong_accelerate"
    GENTLE_ACCELERATE = "gentle_accelerate"
    STRONG_DECELERATE = "strong_decelerate"
    GENTLE_DECELERATE = "gentle_decelerate"
    MAINTAIN_SPEED = "maintain_speed"


class LateralAction(StrEnum):
    """How a trajectory steers, segment by segment (labels of the public CoC autolabeler)."""

    REVERSE_LEFT = "reverse_left"
    REVERSE_RIGHT = "reverse_right"
    SHARP_STEER_LEFT = "sharp_steer_left"
    SHARP_STEER_RIGHT = "sharp_steer_right"
    STEER_LEFT = "steer_left"
    STEER_RIGHT = "steer_right"
    GO_STRAIGHT = "go_straight"


class LaneAction(StrEnum):
    """What a trajectory does with respect to its lane, segment by segment (labels of the public CoC autolabeler)."""

    LANE_CHANGE_LEFT = "lane_change_left"
    LANE_CHANGE_RIGHT = "lane_change_right"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    SLIGHT_SHIFT_LEFT = "slight_shift_left"
    SLIGHT_SHIFT_RIGHT = "slight_shift_right"
    LANE_KEEP = "lane_keep"


@dataclass(frozen=True)
class MetaAction:
    """One segment of a trajectory under one label.

    start, end: seconds after t0; segments of one level follow each other without a gap.
    change: what the segment adds: speed in m/s (longitudinal), heading in rad, positive to the left (lateral),
        lateral offset in m, positive to the left (lane level).
    """

    action: LongitudinalAction | LateralAction | LaneAction
    start: float
    end: float
    change: float
