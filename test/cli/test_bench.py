"""`alpamayo bench` measures; nothing here asserts how fast."""

from __future__ import annotations

import json

import pytest
import rclpy
from command import alpamayo
from golden_data import FOLDER
from nav_msgs.msg import Odometry

from alpamayo_ros import simulation


def test_cameras(monkeypatch):
    monkeypatch.setattr(simulation, "KINDS", dict(list(simulation.KINDS.items())[:2]))
    report = json.loads(alpamayo("bench", "cameras", "--width", 64, "--height", 48, "--json").stdout)
    assert report["size"] == "64x48"
    assert set(report["by_kind"]) == set(simulation.KINDS)
    assert report["slowest"] <= report["mean"] <= report["fastest"]
    assert report["mean"] == pytest.approx(2 / sum(1 / rate for rate in report["by_kind"].values()), rel=0.02)


@pytest.mark.slow
def test_ros(ros_domain):
    """Small and short: that pictures of another process become plans, with nothing in the caller's domain."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    try:
        bystander = rclpy.create_node("bystander", context=context)
        heard = []
        bystander.create_subscription(Odometry, "/odom", heard.append, 10)
        ran = alpamayo(
            "bench", "ros", "--model", FOLDER / "ar1_tiny", "--language-model", FOLDER / "vlm_tiny", "--json",
            "--max-reasoning-tokens", 4, "--size", "160x96", "--seconds", 2, "--camera-rate", 10,
        )  # fmt: skip
        assert ran.exit_code == 0, ran.output
        assert bystander.count_publishers("/odom") == 0
        assert heard == []
    finally:
        rclpy.shutdown(context=context)
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["ingest"]["received_share"] > 0.5
    assert report["planning"]["plans"] > 0
    assert 0 < report["planning"]["frame_age_p50_ms"] <= report["planning"]["stamp_to_plan_p99_ms"]
