"""The simulator over real topics: what it publishes, and that a planner behind them drives as one in this process."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rclpy
import yaml
from car import Wire
from fake_planner import FakePlanner, constant_plan
from golden_data import FOLDER, MODELS
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from simulated import SCENE, T0, simulated
from straight_policy import StraightPolicy

from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.datasets.sensor_messages import image_topic
from alpamayo_ros.evaluation.closed_loop import WARM_UP, actions_of, drive_policy
from alpamayo_ros.evaluation.drivers.model import ModelDriver, renderer_of
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.nodes import replay, simulator
from alpamayo_ros.nodes.pictures import decode
from alpamayo_ros.nodes.planner import PlannerNode
from alpamayo_ros.nodes.planner_process import PlannerProcess
from alpamayo_ros.nodes.sensor_feed import NAVIGATION_REMAP
from alpamayo_ros.nodes.sensors import stamp_of
from alpamayo_ros.nodes.simulator import PAUSE_NS, SettingError, simulate, simulator_node
from alpamayo_ros.nodes.topic_driver import NoPlanError, TopicDriver
from alpamayo_ros.policy import DrivingPolicy
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.motion import seen_from
from alpamayo_ros.simulation.world import Variant
from alpamayo_ros.timeline import Refusal, TimeContract, Timeline
from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import DEFAULT_ROLES, default_rig


@contextmanager
def running_planner(domain, folder, monkeypatch, policy):
    """The real planner, active, in a thread of this process; its model is `policy`."""
    monkeypatch.setattr(DrivingPolicy, "from_pretrained", lambda *_, **__: policy)
    cameras = {it.label: {"topic": image_topic(it.label, raw=True), "transport": "raw"} for it in DEFAULT_ROLES}
    rig = {"ego": {"source": "odometry", "topic": "/odom"}, "cameras": cameras}
    (folder / "rig.yaml").write_text(json.dumps(rig))  # JSON is YAML
    demo = yaml.safe_load((Path(__file__).resolve().parents[2] / "config/demo.yaml").read_text())
    values = {**demo["/**/alpamayo_planner"]["ros__parameters"], "rig": str(folder / "rig.yaml"), "use_sim_time": True}
    rclpy.init(domain_id=domain)
    planner = PlannerNode(
        cli_args=["--ros-args", "-r", NAVIGATION_REMAP],
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    assert planner.trigger_configure().name == planner.trigger_activate().name == "SUCCESS"
    wire = Wire(planner)
    try:
        yield
    finally:
        wire.close()
        planner.destroy_node()
        rclpy.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("takes_navigation", [True, False])
def test_every_plan_has_the_instruction_of_its_state(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes_navigation: bool
) -> None:
    policy = StraightPolicy(takes_navigation=takes_navigation)
    reference = drive_expert(Scene("right_turn", 0, Variant.NOMINAL).build(), ticks=WARM_UP + 12)
    answers = []
    with (
        running_planner(ros_domain, tmp_path, monkeypatch, policy),
        simulated(ros_domain, navigation=True) as (node, feed),
    ):
        driver = TopicDriver(node, feed, timeout=30.0, on_answer=answers.append)
        driver.wait_for_planner()
        feed.begin(EPOCH_NS)
        if not takes_navigation:
            with pytest.raises(NoPlanError, match="does not take the instruction '.* m': refused: trained without"):
                drive_policy(reference, driver)
            return
        drive_policy(reference, driver)
        driver.close()
    given = [answer.world.instruction for answer in answers]
    assert [seen.navigation for seen in policy.seen[2:]] == given, "the first two are those of the warm-up"
    assert len(given) == 12
    assert len(set(given)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("raw", [True, False])
def test_two_scenarios_in_a_row_give_the_planner_what_the_model_reads(ros_domain: int, raw: bool) -> None:
    """Through the timeline, but without a planner: pictures to the pixel, history to the bit of a float32."""
    timeline = Timeline(
        TimeContract(DEFAULT_ROLES), lambda data: decode(deserialize_message(data, Image if raw else CompressedImage))
    )
    refused: list[Refusal] = []

    def take(message) -> None:
        try:
            if "/image_raw" in message.topic:
                role = CameraRole.from_label(message.topic.split("/")[2])
                assert stamp_of(message.data) == message.stamp_ns
                timeline.add_frame(role, message.stamp_ns, message.data)
            elif message.topic == "/odom":
                pose = deserialize_message(message.data, Odometry).pose.pose
                place, turn = pose.position, pose.orientation
                timeline.add_pose(
                    message.stamp_ns, [place.x, place.y, place.z], [turn.x, turn.y, turn.z, turn.w], "odom"
                )
        except Refusal as refusal:
            refused.append(refusal)

    renderer = Renderer(default_rig(64, 48), 1)
    with simulated(ros_domain, renderer, raw, take) as (_, feed):
        first_ns = EPOCH_NS
        for scene in (SCENE, Scene("sharp_curve", 1, Variant.NOMINAL)):
            worlds = drive_expert(scene.build(), ticks=WARM_UP).worlds
            feed.begin(first_ns)
            for world in worlds:
                feed.show(world)
            t0 = first_ns + WARM_UP * TICK_NS
            assert timeline.newest_t0_ns == t0
            seen = timeline.moment(t0).observe()
            positions, rotations = seen_from(worlds[-1].ego, [world.ego for world in worlds])
            np.testing.assert_allclose(seen.ego_history.positions, positions.astype(np.float32), rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(seen.ego_history.rotations, rotations.astype(np.float32), rtol=1e-7, atol=1e-9)
            for camera in seen.cameras:
                drawn = np.stack([renderer.render(world, camera.role) for world in worlds[-4:]])
                assert np.abs(camera.images.astype(int) - drawn).mean() <= (0.0 if raw else 5.0)
            first_ns = t0 + PAUSE_NS
    # Of each source the first stamp after the pause is ignored: that is what the pose before tick 0 is for.
    assert {refusal.reason.value for refusal in refused} <= {"time_ahead"}


@pytest.mark.slow
def test_over_topics_a_model_drives_as_in_this_process(ros_domain: int, tmp_path: Path) -> None:
    """The end-to-end proof: cameras and odometry over ROS, the planner in its process, plans over ROS, and every action
    is the one that the same model, given the simulator's pictures directly, takes."""
    model, language_model = FOLDER / MODELS["r1"], FOLDER / "vlm_tiny"
    policy = DrivingPolicy.from_pretrained(model, language_model=language_model, device="cpu")
    renderer = renderer_of(policy.model.config)
    rig = {"ego": {"source": "odometry", "topic": "/odom"}, "cameras": {}}
    for role in renderer.rig.roles:
        rig["cameras"][role.label] = {"topic": image_topic(role.label, raw=True), "transport": "raw"}
    (tmp_path / "rig.yaml").write_text(json.dumps(rig))  # JSON is YAML
    parameters = {
        "rig": str(tmp_path / "rig.yaml"),
        "model": str(model),
        "language_model": str(language_model),
        "device": "cpu",
        "seed": 7,
        "max_reasoning_tokens": 4,
    }
    scenes = (SCENE, Scene("sharp_curve", 0, Variant.NOMINAL))
    over_topics = []
    with (
        PlannerProcess(parameters, tmp_path / "planner.log", ros_domain) as planner,
        simulated(ros_domain, renderer) as (node, feed),
    ):
        driver = TopicDriver(node, feed, timeout=100.0, check=planner.check)
        planner.bring_up(node.context)
        driver.wait_for_planner()
        for number, scene in enumerate(scenes):
            feed.begin(EPOCH_NS + number * (PAUSE_NS + 2_000_000_000))
            over_topics.append(drive_policy(drive_expert(scene.build(), ticks=WARM_UP + 2), driver))
    in_process = ModelDriver(policy, 1, 1, seed=7, max_reasoning_tokens=4)
    for scene, (driven, consistent) in zip(scenes, over_topics, strict=True):
        expected = drive_policy(drive_expert(scene.build(), ticks=WARM_UP + 2), in_process)
        assert actions_of(driven) == actions_of(expected[0])
        assert [world.ego for world in driven] == [world.ego for world in expected[0]]
        assert consistent == expected[1]


def start_simulator(domain: int, *parameters: str) -> subprocess.Popen:
    arguments = [part for parameter in parameters for part in ("-p", parameter)]
    return subprocess.Popen(
        [sys.executable, "-m", "alpamayo_ros.nodes.simulator", "--ros-args", *arguments],
        env=os.environ | {"ROS_DOMAIN_ID": str(domain)},
        stderr=subprocess.PIPE,
        text=True,
    )


SMALL = ("width:=64", "height:=48", "kind:=open_road")


def test_free_running_the_expert_drives_in_its_time_until_it_is_interrupted(ros_domain: int) -> None:
    with FakePlanner(ros_domain, DEFAULT_ROLES, lambda stamp: None, CompressedImage) as listener:
        simulator = start_simulator(ros_domain, *SMALL)
        deadline = time.monotonic() + 60
        front = "/camera/front_wide_120/image_raw/compressed"
        while len(listener.heard[front]) < 8 and time.monotonic() < deadline:
            time.sleep(0.05)
        simulator.send_signal(signal.SIGINT)
        _, said = simulator.communicate(timeout=30)
    assert simulator.returncode == 0, said
    assert "Traceback" not in said
    assert set(np.diff(listener.stamps(front))) == {TICK_NS}
    assert set(np.diff(listener.stamps("/odom"))) == {TICK_NS // 5}


@pytest.mark.parametrize(("module", "work"), [(simulator, "simulate"), (replay, "_parameters")])
def test_a_signal_while_something_is_published_is_no_error(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch, module: ModuleType, work: str
) -> None:
    def interrupted(node: Node) -> None:
        publisher = node.create_publisher(Odometry, "/odom", 1)
        rclpy.shutdown()  # as does the thread that answers a signal, before the exception comes
        publisher.publish(Odometry())

    monkeypatch.setattr(module, work, interrupted)
    monkeypatch.setattr(sys, "argv", ["node"])
    module.main()
    assert not rclpy.ok()


def test_in_lockstep_the_scenario_ends_with_what_the_planner_does(ros_domain: int) -> None:
    """To the left, and off the road."""
    with FakePlanner(ros_domain, DEFAULT_ROLES, lambda stamp: constant_plan(stamp, 0.0, 0.1), CompressedImage):
        simulator = start_simulator(ros_domain, *SMALL, "lockstep:=true")
        _, said = simulator.communicate(timeout=120)
    assert simulator.returncode == 0, said
    assert "Keep going." in said
    assert "off the road, at" in said


def test_without_a_plan_the_simulator_ends_with_one_line(ros_domain: int) -> None:
    with FakePlanner(ros_domain, DEFAULT_ROLES, lambda stamp: None, CompressedImage):
        simulator = start_simulator(ros_domain, *SMALL, "lockstep:=true", "timeout:=1.0")
        _, said = simulator.communicate(timeout=120)
    assert simulator.returncode == 1
    assert "Traceback" not in said
    [line] = [line for line in said.splitlines() if "[FATAL]" in line]
    assert f"no plan for t0 = {T0} ns within 1 s: the planner says nothing on /diagnostics" in line


@pytest.mark.slow
def test_free_running_a_scenario_ends_and_so_does_the_simulator(ros_domain: int) -> None:
    simulator = start_simulator(ros_domain, *SMALL, "realtime_factor:=20.0")
    _, said = simulator.communicate(timeout=120)
    assert simulator.returncode == 0, said
    assert "the scenario ended after 20.0 s" in said


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("kind", "nowhere", "unknown scenario kind 'nowhere'"),
        ("variant", "odd", "'odd' is not a valid Variant"),
        ("transport", "pigeon", "transport is 'pigeon'; it must be raw or compressed"),
        ("cameras", "front", "unknown camera role 'front'"),
        ("odometry_rate", 25, "no multiple"),
        ("realtime_factor", 0.0, "realtime_factor is 0.0; it must be above 0"),
        ("width", 4, "16x16"),
    ],
)
def test_parameters_that_make_no_simulation_are_refused(ros_domain: int, name: str, value: object, words: str) -> None:
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain)
    try:
        node = simulator_node(context=context, parameter_overrides=[Parameter(name, value=value)])
        with pytest.raises(SettingError, match=words):
            simulate(node)
    finally:
        rclpy.shutdown(context=context)


def test_the_refusal_of_a_parameter_is_one_line(ros_domain: int) -> None:
    simulator = start_simulator(ros_domain, "kind:=nowhere")
    _, said = simulator.communicate(timeout=60)
    assert simulator.returncode == 1
    [line] = said.splitlines()
    assert "unknown scenario kind 'nowhere'" in line
