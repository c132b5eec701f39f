"""What limits the expert, and what it therefore means to do."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.types import LateralDecision, LongitudinalDecision


@dataclass(frozen=True)
class Constraint:
    """An upper bound on the acceleration (m/s^2), the decision it stands for, and the identity of its cause.

    hard: may be met with more than comfortable jerk.
    """

    decision: LongitudinalDecision
    cause: str
    acceleration: float
    hard: bool = False


@dataclass(frozen=True)
class Intent:
    """What the expert is doing on each axis and because of what; a cause is None where nothing constrains it.

    margin: how much more it would accelerate without the longitudinal cause, m/s^2.
    """

    longitudinal: LongitudinalDecision
    longitudinal_cause: str | None
    lateral: LateralDecision
    lateral_cause: str | None
    margin: float = 0.0


def stopping(speed: float, gap: float) -> float:
    """Acceleration that ends at standstill after `gap` metres, m/s^2.

    a = -0.57 v^2 / gap starts 14 % above constant braking and fades out towards the end, so that the car does not nod.
    """
    return -0.57 * speed * speed / max(gap, 0.3)
