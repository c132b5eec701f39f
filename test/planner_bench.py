"""A planner of known answers and a car that it hears, in one process."""

from __future__ import annotations

from pathlib import Path

import yaml
from car import RIG, Car, Wire, coast, drive, parameters, wait_until
from straight_policy import StraightPolicy

from alpamayo_ros.nodes.planner import PlannerNode

SECOND = 1_000_000_000
WARM = 16
"""Ticks until the history is whole."""


class Bench:
    """A planner of known answers, active, and a car that it hears."""

    def __init__(self, folder: Path, policy: StraightPolicy, raw: bool = False, namespace: str = "", **options) -> None:
        cameras = {
            label: {**camera, "transport": "raw" if raw else "compressed"} for label, camera in RIG["cameras"].items()
        }
        rig = folder / "rig.yaml"
        rig.write_text(yaml.safe_dump({**RIG, "cameras": cameras}))
        self.policy = policy
        overrides = parameters(str(rig), diagnostics_period=0.1, **options)
        self.node = PlannerNode(namespace=namespace, parameter_overrides=overrides)
        self.car = Car(raw, self.node.get_fully_qualified_name())
        assert self.node.trigger_configure().name == "SUCCESS"
        assert self.node.trigger_activate().name == "SUCCESS"
        self.wire = Wire(self.node, self.car.node)
        assert wait_until(lambda: self.car.node.count_subscribers("/odom") and self.car.diagnostics)

    def warm_up(self) -> None:
        """Drive until the history is whole."""
        coast(self.car, WARM - 1)
        assert drive(self.car, 1) == [self.car.now]
        self.car.forget()

    def close(self) -> None:
        self.wire.close()
        self.node.trigger_shutdown()
        self.node.destroy_node()
        self.car.node.destroy_node()
