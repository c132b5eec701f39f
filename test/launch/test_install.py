"""`colcon build` of a plain copy, and what a sourced install space has: executables, launch files, configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("CMakeLists.txt", "LICENSE", "alpamayo_ros", "config", "launch", "msg", "package.xml")

pytestmark = [pytest.mark.launch, pytest.mark.slow]  # it builds all messages once more


@pytest.fixture(scope="module")
def sourced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment after `colcon build` and `source install/setup.bash`, with the wheels for a ROS to build on."""
    workspace = tmp_path_factory.mktemp("workspace")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, workspace / name)
    wheels = {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COLCON_PREFIX_PATH")}
    python = f"-DPython3_EXECUTABLE={sys.executable}"
    built = subprocess.run(
        [Path(sys.prefix, "bin/colcon"), "build", "--cmake-args", python],
        cwd=workspace, env=clean | wheels, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    printed = subprocess.run(
        ["bash", "-c", "source install/setup.bash && env -0"],
        cwd=workspace, env=clean | wheels, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return dict(line.split("=", 1) for line in printed.split("\0") if line)


def test_the_install_space_has_all_that_ros2_run_and_launch_look_for(sourced: dict[str, str]) -> None:
    prefix = Path(sourced["AMENT_PREFIX_PATH"].split(":")[0])
    executables = sorted((prefix / "lib/alpamayo_ros").iterdir())
    shared = prefix / "share/alpamayo_ros"

    assert [path.name for path in executables] == ["alpamayo", "planner", "replay", "simulator"]
    assert all(os.access(path, os.X_OK) and not path.is_symlink() for path in executables)
    for folder in ("launch", "config"):
        installed = {str(path.relative_to(shared)) for path in (shared / folder).rglob("*") if path.is_file()}
        assert installed == {
            str(path.relative_to(ROOT))
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }


def test_the_installed_command_runs_and_knows_its_version(sourced: dict[str, str]) -> None:
    command = Path(sourced["AMENT_PREFIX_PATH"].split(":")[0]) / "lib/alpamayo_ros/alpamayo"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([command, *arguments], env=sourced, capture_output=True, text=True, check=False)

    version = run("--version")
    refused = run("annotate", "/nowhere", "--rig", "/no.yaml", "--model", "/no", "--out", "/no")

    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("alpamayo, version ")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "Error: /no.yaml is no file; give the path of a rig profile\n"


def test_python_knows_the_version_by_the_install_space(sourced: dict[str, str]) -> None:
    """Where there is only `colcon build`, nobody else tells it."""
    program = (
        "from importlib.metadata import distribution; found = distribution('alpamayo_ros'); "
        "print(found.version, found.locate_file(''))"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], env=sourced, text=True, cwd="/")
    version, _, place = printed.strip().partition(" ")

    assert version == ElementTree.parse(ROOT / "package.xml").findtext("version")
    assert Path(place).is_relative_to(sourced["AMENT_PREFIX_PATH"].split(":")[0])


def test_an_installed_launch_file_starts_the_installed_planner(launch: Callable, sourced: dict[str, str]) -> None:
    prefix = Path(sourced["AMENT_PREFIX_PATH"].split(":")[0])
    here = {name: os.environ[name] for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}

    launched = launch(prefix / "share/alpamayo_ros/launch/alpamayo.launch.py", sourced | here, autostart="false")

    assert launched.parameters("/alpamayo_planner", "rig") == ["simulator"]
    [pid] = launched.started()
    assert str(prefix / "lib/alpamayo_ros/planner").encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
