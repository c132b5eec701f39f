"""demo.launch.py: simulator and planner drive together, run by the real `launch`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "launch/demo.launch.py"
GOLDEN = ROOT / "test/golden"

pytestmark = pytest.mark.launch


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Path]:
    """Arguments for a planner with random weights and few words, which is quick."""
    parameters = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    parameters["/**/alpamayo_planner"]["ros__parameters"]["max_reasoning_tokens"] = 8
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(parameters))
    return {
        "params_file": tmp_path / "tiny.yaml",
        "model": GOLDEN / "ar1_tiny",
        "language_model": GOLDEN / "vlm_tiny",
    }


def test_the_planner_plans_in_the_simulator_until_ctrl_c(launch: Callable, tiny: dict[str, Path]) -> None:
    """With a model that takes instructions and whichever cameras the rig has, here all seven."""
    from alpamayo_ros.msg import DrivingPlan

    tiny["model"] = GOLDEN / "ar15_tiny"
    launched = launch(FILE, kind="open_road", navigation="true", cameras="all", **tiny)
    plans: list[DrivingPlan] = []
    launched.node.create_subscription(DrivingPlan, "/alpamayo_planner/plan", plans.append, 10)
    launched.until(lambda: len(plans) >= 2)

    stamps = [plan.header.stamp.sec * 10**9 + plan.header.stamp.nanosec for plan in plans]
    assert stamps[1] - stamps[0] == 100_000_000
    assert all(len(plan.samples) == 1 and plan.header.frame_id == "base_link" for plan in plans)
    assert launched.interrupt() == 0
    assert launched.left_over() == []


def test_the_planner_hears_the_instructions_of_the_simulator(launch: Callable, tiny: dict[str, Path]) -> None:
    """This model was trained without navigation: that it refuses them shows that it heard them."""
    launched = launch(FILE, kind="right_turn", navigation="true", **tiny)

    assert launched.end() == 1
    assert "the planner does not take the instruction 'Turn right in" in launched.output
    assert launched.left_over() == []


def test_a_scenario_that_is_not_there_ends_the_launch_with_an_error(launch: Callable, tiny: dict[str, Path]) -> None:
    launched = launch(FILE, kind="moon_landing", **tiny)

    assert launched.end() == 1
    assert "moon_landing" in launched.output
    assert "the simulator has failed" in launched.output
    assert launched.left_over() == []
