"""`alpamayo bench` measures; nothing here asserts how fast."""

from __future__ import annotations

import json

import pytest
from command import alpamayo

from alpamayo_ros import simulation


def test_cameras(monkeypatch):
    monkeypatch.setattr(simulation, "KINDS", dict(list(simulation.KINDS.items())[:2]))
    report = json.loads(alpamayo("bench", "cameras", "--width", 64, "--height", 48, "--json").stdout)
    assert report["size"] == "64x48"
    assert set(report["by_kind"]) == set(simulation.KINDS)
    assert report["slowest"] <= report["mean"] <= report["fastest"]
    assert report["mean"] == pytest.approx(2 / sum(1 / rate for rate in report["by_kind"].values()), rel=0.02)
