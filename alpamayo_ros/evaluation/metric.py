"""The metrics by name: title, unit, and what is shown first."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.evaluation.displacement import HORIZONS


@dataclass(frozen=True)
class Metric:
    """title: as reports show it. unit: "" for shares from 0 to 1."""

    title: str
    unit: str = ""


METRICS: dict[str, Metric] = {
    "at_fault_collision_rate": Metric("At-fault collisions"),
    "collision_rate": Metric("Collisions"),
    "off_road_rate": Metric("Off the road"),
    "wrong_lane_rate": Metric("Wrong lane"),
    "close_encounter_rate": Metric("Close encounters"),
    "missed_stop_rate": Metric("Stop lines ignored"),
    "progress": Metric("Progress"),
    "scene_score": Metric("Scene score"),
    "km_per_event": Metric("Distance per event", unit="km"),
    **{
        f"min_ade_{count}{suffix}": Metric(f"minADE {count}{words}", unit="m")
        for count in (1, 6)
        for suffix, words in [("", ""), *((f"_at_{h}s", f" at {h} s") for h in HORIZONS)]
    },
    "comfort": Metric("Comfort"),
    "consistency_rate": Metric("Words and motion agree"),
    "decision_accuracy_longitudinal": Metric("Longitudinal decision"),
    "decision_accuracy_lateral": Metric("Lateral decision"),
    "component_precision": Metric("Named components that are causes"),
    "component_recall": Metric("Causes that are named"),
    "component_f1": Metric("Components, F1"),
    "causal_faithfulness": Metric("Causal faithfulness"),
}
"""All metrics that exist, in the order of tables. One that does not apply to a policy or a loop is absent from its
results."""
