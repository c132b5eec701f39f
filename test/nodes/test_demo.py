"""The demo: what comes of it, and that nothing of it stays behind, however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import rclpy
from command import alpamayo, refusal
from golden_data import FOLDER, MODELS
from rclpy.context import Context
from rosbags.highlevel import AnyReader

from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.evaluation.closed_loop import WARM_UP
from alpamayo_ros.nodes.demo import KEPT, SCENES
from alpamayo_ros.nodes.domains import DomainError, own_domain
from alpamayo_ros.nodes.message_types import message_store
from alpamayo_ros.nodes.planner_process import PlannerError, PlannerProcess

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "from alpamayo_ros.cli import main; main()", "demo")
PLANS = 2


def planners_of(process: int) -> list[int]:
    """Process ids of the planners that a process has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = place.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            command = place.joinpath("cmdline").read_text()
        except OSError:
            continue
        if parent == str(process) and "alpamayo_ros.nodes.planner" in command:
            found.append(int(place.name))
    return found


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.1)


@pytest.mark.slow
def test_the_demo_drives_and_keeps_everything(tmp_path: Path) -> None:
    output = tmp_path / "demo"
    done = subprocess.run(
        [*COMMAND, "--seconds", str((WARM_UP + PLANS) / 10), "--output", output, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures == json.loads((output / "summary.json").read_text())
    assert [row["kind"] for row in figures] == [scene.kind for scene in SCENES]
    assert all(1 <= row["plans"] <= PLANS for row in figures)
    # A live line of every plan, and the table.
    assert done.stderr.count(" ms  ") == sum(row["plans"] for row in figures)
    assert "latency p50/p99" in done.stderr
    assert "stages, median ms: observing" in done.stderr
    assert all(row["stages_p50_ms"]["flow_matching"] > 0 for row in figures)
    with AnyReader([output / "bag"], default_typestore=message_store()) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        counts = {topic: reader.topics[topic].msgcount for topic in kinds}
        plans = [
            reader.deserialize(raw, connection.msgtype)
            for connection, _, raw in reader.messages()
            if connection.topic == "/alpamayo_planner/plan"
        ]
    states = sum(WARM_UP + row["plans"] for row in figures)
    assert counts["/camera/front_wide_120/image_raw/compressed"] == states
    assert counts["/camera/front_wide_120/camera_info"] == states
    assert counts["/odom"] == counts["/tf"] == sum(2 + 5 * (WARM_UP + row["plans"] - 1) for row in figures)
    assert counts["/tf_static"] == 1
    assert kinds["/alpamayo_planner/plan"] == "alpamayo_ros/msg/DrivingPlan"
    assert len(plans) == sum(row["plans"] for row in figures)
    assert {counts[topic] for topic in KEPT} == {len(plans)}, "none is held back, so each has all its topics"
    assert plans[0].header.stamp.sec * 10**9 + plans[0].header.stamp.nanosec == EPOCH_NS + WARM_UP * TICK_NS
    pages = int(cv2.VideoCapture(str(output / "drive.mp4")).get(cv2.CAP_PROP_FRAME_COUNT))
    assert pages == sum(round(row["seconds"] * 10) + 1 + 9 for row in figures)
    assert cv2.imread(str(output / "drive.png")).shape[1] == 1920


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_is_ended_no_planner_stays(tmp_path: Path, how: signal.Signals) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--output", tmp_path / "demo"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: planners_of(demo.pid))
        [planner] = planners_of(demo.pid)
        demo.send_signal(how)
        _, said = demo.communicate(timeout=30)
        wait_until(lambda: not is_running(planner), 10)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode != 0
    assert "Traceback" not in said


def test_a_planner_that_cannot_start_says_why(ros_domain: int, tmp_path: Path) -> None:
    parameters = {"model": str(FOLDER / MODELS["r1"]), "rig": str(tmp_path / "no.yaml")}
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain)
    try:
        with (
            PlannerProcess(parameters, tmp_path / "planner.log", ros_domain) as planner,
            pytest.raises(PlannerError, match=r"the planner is not configured: .*no\.yaml is no file"),
        ):
            planner.bring_up(context)
    finally:
        rclpy.shutdown(context=context)
    assert not is_running(planner.pid)


def test_a_planner_that_is_gone_is_noticed(ros_domain: int, tmp_path: Path) -> None:
    with PlannerProcess({"model": 3}, tmp_path / "planner.log", ros_domain) as planner:
        os.kill(planner.pid, signal.SIGKILL)
        with pytest.raises(PlannerError, match="has ended with status -9"):
            wait_until(planner.check)


def test_two_demos_at_once_have_domains_of_their_own() -> None:
    with own_domain() as one, own_domain() as other:
        assert one != other
    with own_domain([one]):
        pass  # it is free again


@pytest.mark.parametrize("before", [None, "SUBNET"])
def test_in_a_domain_of_its_own_nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    name = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    monkeypatch.delenv(name) if before is None else monkeypatch.setenv(name, before)
    with own_domain():
        child = subprocess.check_output([sys.executable, "-c", f"import os; print(os.environ['{name}'])"], text=True)
    assert child.strip() == "LOCALHOST"
    assert os.environ.get(name) == before


def test_more_demos_than_domains_are_refused() -> None:
    with own_domain() as one, pytest.raises(DomainError, match="no ROS domain is free"), own_domain([one]):
        pass


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    assert "exists already" in refusal(alpamayo("demo", "--output", tmp_path))


def test_a_model_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    assert "unknown model" in refusal(alpamayo("demo", "--model", "nothing", "--output", tmp_path / "demo"))
    assert not (tmp_path / "demo").exists()
