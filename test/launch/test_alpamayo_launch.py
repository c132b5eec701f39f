"""alpamayo.launch.py, run by the real `launch`: the planner starts, gets its parameters, and says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "test/golden"
FILE = ROOT / "launch/alpamayo.launch.py"
TINY = {"model": GOLDEN / "ar1_tiny", "language_model": GOLDEN / "vlm_tiny"}

pytestmark = pytest.mark.launch


def test_the_planner_becomes_active_with_its_parameters_and_ends_on_ctrl_c(launch: Callable, tmp_path: Path) -> None:
    shipped = (ROOT / "config/planner.yaml").read_text()
    edited = tmp_path / "mine.yaml"
    edited.write_text(shipped.replace("num_samples: 1 ", "num_samples: 3 ").replace("rig: simulator", "rig: autoware"))

    launched = launch(FILE, params_file=edited, rig="carla", use_sim_time="true", **TINY)
    launched.until(lambda: launched.state("/alpamayo_planner") == "active")

    names = ("rig", "model", "num_samples", "use_sim_time")
    assert launched.parameters("/alpamayo_planner", *names) == ["carla", str(GOLDEN / "ar1_tiny"), 3, True]
    assert launched.interrupt() == 0
    assert launched.left_over() == []
    assert "ERROR" not in launched.output


def test_without_autostart_it_stays_unconfigured_in_its_namespace(launch: Callable, tmp_path: Path) -> None:
    edited = tmp_path / "mine.yaml"
    edited.write_text((ROOT / "config/planner.yaml").read_text().replace("rig: simulator", "rig: autoware"))

    launched = launch(FILE, autostart="false", namespace="car", params_file=edited)

    assert launched.state("/car/alpamayo_planner") == "unconfigured"
    assert launched.parameters("/car/alpamayo_planner", "rig", "use_sim_time") == ["autoware", False]
    assert launched.state("/car/alpamayo_planner") == "unconfigured"


def test_a_rig_that_is_not_there_ends_the_launch_with_an_error(launch: Callable) -> None:
    launched = launch(FILE, rig="spaceship", **TINY)

    assert launched.end() == 1
    assert "not configured: unknown rig 'spaceship'; shipped are" in launched.output
    assert "the planner could not be configured" in launched.output
    assert "Traceback" not in launched.output
    assert launched.left_over() == []


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("autostart", "maybe", 'Argument "autostart" provided value "maybe" is not valid'),
        ("params_file", "/nowhere.yaml", "params_file: /nowhere.yaml is no file"),
    ],
)
def test_a_bad_argument_is_refused_before_anything_starts(
    launch: Callable, argument: str, value: str, error: str
) -> None:
    launched = launch(FILE, **{argument: value})

    assert launched.end() == 1
    errors = [line for line in launched.lines if "ERROR" in line]  # launch itself may say it twice
    assert errors
    assert all(error in line for line in errors)
    assert "process started" not in launched.output
