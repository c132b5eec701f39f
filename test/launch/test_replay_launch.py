"""replay.launch.py: a bag is played to the planner on the bag's time, run by the real `launch`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command import alpamayo

from alpamayo_ros.datasets.drive import EPOCH_NS

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "launch/replay.launch.py"
GOLDEN = ROOT / "test/golden"

pytestmark = pytest.mark.launch


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, object]:
    """Of a planner with random weights and few words, on a machine that may be slow."""
    parameters = tmp_path / "tiny.yaml"
    parameters.write_text(
        "/**/alpamayo_planner: {ros__parameters: {max_reasoning_tokens: 8, image_reliability: reliable}}"
    )
    return {"params_file": parameters, "model": GOLDEN / "ar1_tiny", "language_model": GOLDEN / "vlm_tiny"}


def test_a_bag_is_planned_on_its_own_time_and_the_launch_ends_with_it(
    launch: Callable, arguments: dict[str, object], tmp_path: Path
) -> None:
    from alpamayo_ros.msg import DrivingPlan

    recorded = alpamayo("simulate", "bag", "--kind", "cut_in", "--seconds", "6", "--output", tmp_path / "bag")
    assert recorded.exit_code == 0, recorded.output

    launched = launch(FILE, bag=tmp_path / "bag", rate=0.5, **arguments)
    plans: list[DrivingPlan] = []
    launched.node.create_subscription(DrivingPlan, "/alpamayo_planner/plan", plans.append, 10)
    launched.until(lambda: plans)

    begin = EPOCH_NS // 1_000_000_000
    assert begin < plans[0].header.stamp.sec <= begin + 6  # the history is 1.5 s long
    assert launched.end() == 0
    assert launched.left_over() == []


def test_a_bag_that_is_not_there_ends_the_launch_with_an_error(
    launch: Callable, arguments: dict[str, object], tmp_path: Path
) -> None:
    launched = launch(FILE, bag=tmp_path / "none", **arguments)

    assert launched.end() == 1
    assert str(tmp_path / "none") in launched.output
    assert "the bag could not be played" in launched.output
    assert launched.left_over() == []
