"""The metrics by name: which unit, which direction is good, what is shown first."""

from __future__ import annotations

from dataclasses import dataclass

from alpamayo_ros.evaluation.displacement import HORIZONS


@dataclass(frozen=True)
class Metric:
    """title: as reports show it. unit: "" for shares from 0 to 1. rises: whether more is better."""

    title: str
    rises: bool
    unit: str = ""


METRICS: dict[str, Metric] = {
    "at_fault_collision_rate": Metric("At-fault collisions", rises=False),
    "collision_rate": Metric("Collisions", rises=False),
    "off_road_rate": Metric("Off the road", rises=False),
    "wrong_lane_rate": Metric("Wrong lane", rises=False),
    "close_encounter_rate": Metric("Close encounters", rises=False),
    "missed_stop_rate": Metric("Stop lines ignored", rises=False),
    "progress": Metric("Progress", rises=True),
    "scene_score": Metric("Scene score", rises=True),
    "km_per_event": Metric("Distance per event", rises=True, unit="km"),
    **{
        f"min_ade_{count}{suffix}": Metric(f"minADE {count}{words}", rises=False, unit="m")
        for count in (1, 6)
        for suffix, words in [("", ""), *((f"_at_{h}s", f" at {h} s") for h in HORIZONS)]
    },
    "comfort": Metric("Comfort", rises=True),
    "consistency_rate": Metric("Words and motion agree", rises=True),
    "decision_accuracy_longitudinal": Metric("Longitudinal decision", rises=True),
    "decision_accuracy_lateral": Metric("Lateral decision", rises=True),
    "component_precision": Metric("Named components that are causes", rises=True),
    "component_recall": Metric("Causes that are named", rises=True),
    "component_f1": Metric("Components, F1", rises=True),
    "causal_faithfulness": Metric("Causal faithfulness", rises=True),
}
"""All metrics that exist, in the order of tables. One that does not apply to a policy or a loop is absent from its
results."""
