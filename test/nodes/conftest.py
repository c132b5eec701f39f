"""What the tests of the planner share."""

from __future__ import annotations

import pytest
import rclpy
from planner_bench import Bench
from straight_policy import StraightPolicy

from alpamayo_ros.policy import DrivingPolicy


@pytest.fixture
def bench(tmp_path, ros_domain, monkeypatch):
    """Makes a Bench; closes it in the end."""
    made: list[Bench] = []

    def make(
        raw: bool = False,
        seconds: float = 0.0,
        takes_navigation: bool = False,
        words: str | None = None,
        namespace: str = "",
        **options,
    ):
        policy = StraightPolicy(seconds=seconds, takes_navigation=takes_navigation)
        policy.words = policy.words if words is None else words
        monkeypatch.setattr(DrivingPolicy, "from_pretrained", lambda *_, **__: policy)
        made.append(Bench(tmp_path, policy, raw, namespace, **options))
        return made[-1]

    rclpy.init(domain_id=ros_domain)
    yield make
    for each in made:
        each.close()
    rclpy.shutdown()
