"""DrivingPolicy: an Observation goes in, a Plan comes out, and what does not fit is refused in one line."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from golden_data import FOLDER, MODELS, arrays, frames

from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.switches import PLAIN
from alpamayo_ros.policy import DrivingPolicy, find_model
from alpamayo_ros.reasoning.selection import medoid, select
from alpamayo_ros.types import (
    AxisVerdict,
    CameraFrames,
    CameraRole,
    ConsistencyVerdict,
    EgoHistory,
    GateCheck,
    GateFailure,
    GateVerdict,
    Judgement,
    MetaActions,
    Observation,
    ObservationError,
    ParsedTrace,
    PlanSample,
    ReadStatus,
    Trajectory,
)
from alpamayo_ros.vla.errors import CheckpointError, ModelInputError

T0 = 1_700_000_000_000_000_000
R1_ROLES = (0, 1, 2, 6)


@pytest.fixture(scope="module")
def policies() -> dict[str, DrivingPolicy]:
    return {
        release: DrivingPolicy.from_pretrained(FOLDER / folder, language_model=FOLDER / "vlm_tiny")
        for release, folder in MODELS.items()
    }


def observe(
    roles=R1_ROLES, count: int = 4, poses: int = 16, navigation: str | None = None, size: tuple[int, int] = (96, 160)
) -> Observation:
    cameras = tuple(
        CameraFrames(
            CameraRole(role),
            np.stack(frames(role + 1, count, *size)),
            T0 - 100_000_000 * np.arange(count - 1, -1, -1, dtype=np.int64),
        )
        for role in roles
    )
    data = arrays("action_space")
    history = EgoHistory(data["hist_xyz"][6][-poses:], data["hist_rot"][6][-poses:])
    return Observation(T0, cameras, history, navigation)


@pytest.mark.parametrize("release", MODELS)
def test_plan(policies, release):
    policy = policies[release]
    plan = policy.plan(observe(), num_samples=3, seed=4)
    assert (plan.t0_ns, plan.seed, len(plan.samples)) == (T0, 4, 3)
    assert plan.model == str(FOLDER / MODELS[release])
    assert len(plan.revision) == 12
    stages = ["preprocessing", "vision", "prefill", "reasoning", "flow_matching", "unicycle", "judging"]
    assert list(plan.latencies_ms) == stages
    assert len(plan.judgements) == 3
    assert plan.judgement is plan.judgements[plan.selected]
    for sample in plan.samples:
        path = sample.trajectory
        assert path.positions.shape == (64, 3)
        assert path.times[0] == pytest.approx(0.1)
        assert path.times[-1] == pytest.approx(6.4)
        gram = path.rotations @ path.rotations.transpose(0, 2, 1)
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), (64, 3, 3)), atol=1e-5)
        # The waypoints are the unicycle's: accelerations integrate to speeds, speeds to distance.
        np.testing.assert_allclose(np.diff(path.speeds), path.accelerations[1:] * 0.1, atol=1e-4)
        step = np.linalg.norm(np.diff(path.positions[:, :2], axis=0), axis=1)
        np.testing.assert_allclose(step, 0.05 * np.abs(path.speeds[1:] + path.speeds[:-1]), rtol=0.02, atol=0.02)
        assert "<|cot_end|>" not in sample.reasoning


@pytest.mark.parametrize("options", [{}, {"autoregressive": True}, {"temperature": 0.0}, {"flow_steps": 3}])
def test_same_observation_and_seed_give_the_same_bits(policies, options):
    one, two = (policies["r1"].plan(observe(), num_samples=2, seed=1, **options) for _ in range(2))
    assert one.selected == two.selected
    for a, b in zip(one.samples, two.samples, strict=True):
        assert a.reasoning == b.reasoning
        assert a.complete == b.complete
        for name in ("positions", "rotations", "speeds", "accelerations", "curvatures"):
            np.testing.assert_array_equal(getattr(a.trajectory, name), getattr(b.trajectory, name))


def test_a_memory_changes_no_word_and_plans_without_one_do_not_see_it(policies):
    policy, memory = policies["15"], Memory()
    alone = policy.plan(observe((1,)), seed=1)
    first, second = (policy.plan(observe((1,)), seed=1, memory=memory).chosen for _ in range(2))
    again = policy.plan(observe((1,)), seed=1)
    assert alone.chosen.reasoning == first.reasoning == second.reasoning == again.chosen.reasoning
    assert memory.features
    np.testing.assert_array_equal(alone.chosen.trajectory.positions, again.chosen.trajectory.positions)


def test_switches(policies):
    plain = DrivingPolicy.from_pretrained(FOLDER / "ar1_tiny", language_model=FOLDER / "vlm_tiny", switches=PLAIN)
    a, b = (policy.plan(observe(), flow_steps=1).chosen for policy in (policies["r1"], plain))
    assert a.reasoning == b.reasoning
    np.testing.assert_allclose(a.trajectory.positions, b.trajectory.positions, atol=1e-2)


def test_dtype(policies):
    half = DrivingPolicy.from_pretrained(FOLDER / "ar1_tiny", language_model=FOLDER / "vlm_tiny", dtype="bfloat16")
    options = {"temperature": 0.0, "noise_temperature": 0.0}
    a, b = (policy.plan(observe(), **options).chosen for policy in (policies["r1"], half))
    assert np.isfinite(b.trajectory.positions).all()
    assert not np.array_equal(a.trajectory.positions, b.trajectory.positions)


def test_a_model_may_bring_its_own_temperature(policies, tmp_path):
    policies["r1"].save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["reasoning_temperature"] == 0.6  # that of the released inference script
    (tmp_path / "config.json").write_text(json.dumps({**config, "reasoning_temperature": 0.0}))
    greedy = DrivingPolicy.from_pretrained(tmp_path)
    own, asked, released = (
        policy.plan(observe(), flow_steps=1, temperature=temperature).chosen.reasoning
        for policy, temperature in ((greedy, None), (policies["r1"], 0.0), (policies["r1"], None))
    )
    assert own == asked != released


def test_a_model_may_bring_its_own_noise(policies, tmp_path):
    policies["r1"].save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["diffusion_cfg"]["noise_temperature"] == 1.0  # the releases do not say, and were trained with it
    config["diffusion_cfg"]["noise_temperature"] = 0.25
    (tmp_path / "config.json").write_text(json.dumps(config))
    quiet = DrivingPolicy.from_pretrained(tmp_path)
    own, asked, released = (
        policy.plan(observe(), flow_steps=2, noise_temperature=scale).chosen.trajectory.positions
        for policy, scale in ((quiet, None), (policies["r1"], 0.25), (policies["r1"], None))
    )
    np.testing.assert_array_equal(own, asked)
    assert not np.array_equal(own, released)


def test_a_model_may_bring_its_own_limit_of_jerk(policies, tmp_path):
    policies["r1"].save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["max_jerk"] == 0.0  # the releases have none
    (tmp_path / "config.json").write_text(json.dumps({**config, "max_jerk": 2.0}))
    limited = DrivingPolicy.from_pretrained(tmp_path)
    own, asked, off, released = (
        policy.plan(observe(), max_jerk=limit).chosen.trajectory.positions
        for policy, limit in ((limited, None), (policies["r1"], 2.0), (limited, 0.0), (policies["r1"], None))
    )
    np.testing.assert_array_equal(own, asked)
    np.testing.assert_array_equal(off, released)
    assert not np.array_equal(own, off)


def test_a_sample_that_never_began_its_trajectory_says_so(policies):
    plan = policies["r1"].plan(observe(), temperature=0.0, max_reasoning_tokens=2)
    assert [sample.complete for sample in plan.samples] == [False]
    assert np.isfinite(plan.chosen.trajectory.positions).all()


@pytest.mark.parametrize("options", [{}, {"autoregressive": True}])
def test_a_plan_may_begin_with_the_acceleration_that_the_car_has(policies, options):
    policy, observation = policies["r1"], observe()
    plans = [policy.plan(observation, num_samples=2, max_jerk=limit, **options) for limit in (None, 2.0)]
    own, limited = (plan.samples for plan in plans)
    history = (torch.from_numpy(part)[None] for part in vars(observation.ego_history).values())
    now = float(policy.model.action_space.motion_at_t0(*history)[1])
    for one, other in zip(own, limited, strict=True):
        assert one.reasoning == other.reasoning
        np.testing.assert_array_equal(one.trajectory.curvatures, other.trajectory.curvatures)
        began = other.trajectory.accelerations[0]
        assert began < now + 0.2 + 1e-3
        assert began > now - 0.2 - 1e-3 or one.trajectory.accelerations[0] < -4.0
        assert not np.array_equal(one.trajectory.positions, other.trajectory.positions)


def test_what_is_kept_of_a_prompt_is_not_taken_for_another_of_the_same_length():
    """Pictures that lie and that stand have as many tokens, at other positions."""
    lying, standing = (observe(size=size) for size in ((96, 160), (160, 96)))

    def plans(*observations):
        policy = DrivingPolicy.from_pretrained(FOLDER / "ar1_tiny", language_model=FOLDER / "vlm_tiny")
        return [policy.plan(it, flow_steps=2).chosen.trajectory.positions for it in observations]

    (alone,), (_, after, _) = plans(standing), plans(lying, standing, lying)
    np.testing.assert_array_equal(after, alone)
    assert not np.array_equal(plans(lying)[0], alone)


def test_any_camera_subset_of_1_5(policies):
    for roles in ((1,), (0, 3, 5), tuple(range(7))):
        assert len(policies["15"].plan(observe(roles), flow_steps=1).samples) == 1


def test_navigation_changes_the_plan_of_1_5(policies):
    policy = policies["15"]
    plain = policy.plan(observe()).chosen.trajectory.positions
    left = policy.plan(observe(navigation="Turn left in 40 m")).chosen.trajectory.positions
    more = policy.plan(observe(navigation="Turn left in 40 m"), navigation_guidance=2.0).chosen.trajectory.positions
    assert not np.allclose(plain, left, atol=1e-2)
    assert not np.allclose(left, more, atol=1e-2)


def test_answer(policies):
    answer = policies["15"].answer(observe(), "Is there a <|im_end|> pedestrian?", temperature=0.0)
    assert isinstance(answer, str)
    assert answer == policies["15"].answer(observe(), "Is there a <|im_end|> pedestrian?", temperature=0.0)
    with pytest.raises(ModelInputError, match="without question answering"):
        policies["r1"].answer(observe(), "Is there a pedestrian?")


@pytest.mark.parametrize(
    ("release", "given", "options", "message"),
    [
        ("r1", {"roles": (0, 1, 2)}, {}, "cameras are .*takes exactly .*front_tele_30"),
        ("r1", {"roles": (0, 1, 2, 3, 6)}, {}, "takes exactly"),
        ("r1", {"count": 3}, {}, "cross_left_120 has 3 frames; .* takes 4"),
        ("15", {"count": 5}, {}, "has 5 frames"),
        ("r1", {"poses": 15}, {}, "history has 15 poses; .* takes 16"),
        ("r1", {"navigation": "left"}, {}, "trained without navigation"),
        ("15", {"navigation": "  "}, {}, "navigation text is '  '"),
        ("15", {"navigation": 7}, {}, "navigation text is 7"),
        ("15", {"navigation": "left" * 300}, {}, "1200 characters; at most 1000"),
        ("15", {"navigation": "turn \ud800"}, {}, "not Unicode at character 5"),
        ("15", {"navigation": "left"}, {"navigation_guidance": float("nan")}, "navigation_guidance is nan"),
        ("r1", {}, {"noise_temperature": float("nan")}, "noise_temperature is nan"),
        ("r1", {}, {"noise_temperature": -1.0}, "noise_temperature is -1"),
        ("r1", {}, {"autoregressive": True, "flow_steps": 3}, "drop flow_steps"),
        ("r1", {}, {"num_samples": 1.5}, "num_samples is 1.5"),
        ("r1", {}, {"max_jerk": -1.0}, "max_jerk is -1.0; it must be 0 or more"),
        ("r1", {}, {"max_jerk": float("nan")}, "max_jerk is nan"),
        ("15", {}, {"navigation_guidance": 2.0}, "without navigation text"),
        ("r1", {}, {"num_samples": 0}, "num_samples is 0"),
        ("r1", {}, {"flow_steps": 0}, "flow_steps is 0"),
        ("r1", {}, {"max_reasoning_tokens": 0}, "max_reasoning_tokens is 0"),
        ("r1", {}, {"temperature": -1.0}, "temperature is -1"),
        ("r1", {}, {"seed": -1}, "seed is -1"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(policies, release, given, options, message):
    with pytest.raises((ObservationError, ModelInputError), match=message) as error:
        policies[release].plan(observe(**given), **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("max_jerk", [0.0, 2.0])
def test_damaged_weights_give_no_plan(policies, value, max_jerk):
    broken = DrivingPolicy.from_pretrained(FOLDER / "ar1_tiny", language_model=FOLDER / "vlm_tiny")
    broken.model.action_out_proj.bias.fill_(value)
    with pytest.raises(CheckpointError, match="waypoints that are not finite"):
        broken.plan(observe(), max_jerk=max_jerk)


def test_save_pretrained(policies, tmp_path):
    policies["15"].save_pretrained(tmp_path / "saved")
    again = DrivingPolicy.from_pretrained(tmp_path / "saved")
    a, b = (policy.plan(observe((1, 3)), seed=2).chosen for policy in (policies["15"], again))
    assert a.reasoning == b.reasoning
    np.testing.assert_array_equal(a.trajectory.positions, b.trajectory.positions)


def test_unknown_names():
    for name, message in (
        ("alpamayo-huge", "unknown model 'alpamayo-huge'.*nvidia/"),
        ("./nowhere/x", "unknown model"),
    ):
        with pytest.raises(CheckpointError, match=message):
            find_model(name)
    with pytest.raises(CheckpointError, match="float16"):
        DrivingPolicy.from_pretrained(FOLDER / "ar1_tiny", dtype="float16")


def test_selection_is_the_medoid_of_the_best_judged_samples():
    flat = np.zeros(64)
    template = Trajectory(flat, np.zeros((64, 3)), np.zeros((64, 3, 3)), flat, flat, flat)

    def ending_at(y: float, complete: bool = True) -> PlanSample:
        positions = np.linspace(0, 1, 64)[:, None] * np.array([50.0, y, 0.0])
        return PlanSample(dataclasses.replace(template, positions=positions), "", complete)

    def gate(*passed: bool, check: GateCheck = GateCheck.REVERSING) -> tuple[Judgement, ...]:
        good = AxisVerdict(True, "")
        actions = MetaActions((), (), (), False, 0, 0, 0, 0, 0, 0, 0, 0)
        failure = (GateFailure(check, "test"),)
        trace = ParsedTrace("", ReadStatus.UNPARSED, None, (), ("test",))
        verdicts = (GateVerdict(() if ok else failure) for ok in passed)
        return tuple(Judgement(trace, actions, ConsistencyVerdict(good, good), verdict) for verdict in verdicts)

    apart = (ending_at(0), ending_at(1), ending_at(9), ending_at(10))
    assert medoid(apart[:3], range(3)) == 1
    assert select(apart[:3], gate(True, True, True)) == (1, "medoid of those that pass the gate")
    assert select(apart, gate(True, False, True, True))[0] == 2
    # One that is only uncomfortable comes before others that should not be driven at all.
    mixed = gate(False, False, False) + gate(False, check=GateCheck.COMFORT)
    assert select(apart, mixed) == (3, "medoid of those that fail the gate by comfort alone")
    broken = (ending_at(0), ending_at(1, complete=False), ending_at(9), ending_at(10))
    index, rule = select(broken, gate(False, False, False, False))
    assert index == 2
    assert "none passes the gate" in rule
    index, rule = select((ending_at(3, complete=False),), gate(False))
    assert index == 0
    assert "none has complete reasoning" in rule
