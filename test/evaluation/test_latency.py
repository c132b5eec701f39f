"""`alpamayo bench latency`, `roofline`, `memory`: what is counted as what. Nothing here asserts how fast."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command import alpamayo, refusal

from alpamayo_ros.evaluation.latency import ceilings
from alpamayo_ros.evaluation.latency import subject as subjects
from alpamayo_ros.evaluation.latency.measure import SETTLING, time_plans
from alpamayo_ros.evaluation.latency.quantiles import quantiles
from alpamayo_ros.evaluation.latency.subject import Settings, Subject
from alpamayo_ros.evaluation.latency.ticks import consecutive_observations
from alpamayo_ros.policy import DrivingPolicy

STAGES = ["preprocessing", "vision", "prefill", "reasoning", "flow_matching", "unicycle", "judging"]


@pytest.fixture(scope="module")
def tiny() -> DrivingPolicy:
    return DrivingPolicy.from_pretrained("alpamayo-tiny", device="cpu")


def report(*arguments) -> dict:
    ran = alpamayo("bench", *arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_ticks_follow_each_other(tiny):
    """Three of four frames of a tick are those of the tick before, as caches across ticks need them."""
    first, second = consecutive_observations(tiny.model.config, 2, kind="open_road")
    assert second.t0_ns - first.t0_ns == 100_000_000
    for before, after in zip(first.cameras, second.cameras, strict=True):
        np.testing.assert_array_equal(before.stamps_ns[1:], after.stamps_ns[:-1])
        np.testing.assert_array_equal(before.images[1:], after.images[:-1])


def test_the_first_plan_is_cold_and_the_next_count_nowhere(tiny):
    plans = iter(range(100))

    memories = []

    def plan(observation, memory, **asked):
        assert asked["max_reasoning_tokens"] == 5
        memories.append(memory)
        memory.passes = 4
        return SimpleNamespace(latencies_ms={"vision": float(next(plans))}, samples=[])

    stub = SimpleNamespace(model=tiny.model, plan=plan, engine=tiny.engine)
    observations = consecutive_observations(tiny.model.config, 1 + SETTLING + 3, kind="open_road")
    timings = time_plans(Subject(stub, "stub", None, forced_tokens=5), Settings(1, 0.0, 10), observations)
    assert timings.cold == {"vision": 0.0}
    assert timings.stages == {"vision": [SETTLING + 1.0, SETTLING + 2.0, SETTLING + 3.0]}
    assert (len(timings.total), timings.tokens, timings.passes) == (3, [5, 5, 5], [4, 4, 4])
    # All ticks of a drive have one memory.
    assert len(memories) == 1 + SETTLING + 3
    assert len({id(memory) for memory in memories}) == 1
    assert (timings.picture_size, timings.pictures) == ((160, 96), (4, 60))


def test_quantiles():
    assert quantiles([3.0, 1.0, 2.0]) == {"p50_ms": 2.0, "p99_ms": 2.98}
    assert quantiles([7.0]) == {"p50_ms": 7.0, "p99_ms": 7.0}


def test_latency_against_transformers():
    found = report("latency", "--ticks", 2, "--reference", "transformers")
    assert (found["shape"], found["device"], found["precision"]) == ("alpamayo-tiny", "cpu", "float32")
    assert list(found["stages"]) == list(found["cold"]["stages_ms"]) == STAGES
    for figure in (*found["stages"].values(), found["total"], found["reference"]):
        assert 0 < figure["p50_ms"] <= figure["p99_ms"]
    assert found["total"]["p99_ms"] > max(figure["p50_ms"] for figure in found["stages"].values())
    assert found["ratio"] == pytest.approx(found["reference"]["p50_ms"] / found["total"]["p50_ms"], abs=1e-3)
    assert found["reference"]["same_words"] == 1.0
    # Of plain `vla` it is 0: this model's velocity field makes decimetres of the engine's other rounding.
    assert found["reference"]["furthest_m"] < 1.0
    assert found["reference"]["vision"] == "ours"
    assert (found["cameras"], found["frames"], found["picture_size"]) == (4, 4, "160x96")
    assert (found["weights"], found["coc_tokens_forced"], found["exactness"]) == ("trained", False, "exact")
    assert 5 < found["coc_tokens"] < 40
    assert (found["samples"], found["flow_steps"], found["ticks"]) == (1, 10, 2)


def small_pictures(monkeypatch) -> None:
    config = dataclasses.replace(subjects.shape_config("tiny"), min_pixels=160 * 96, max_pixels=160 * 96)
    monkeypatch.setattr(subjects, "shape_config", lambda name: config)


def test_latency_of_a_shape_with_random_weights(monkeypatch):
    small_pictures(monkeypatch)
    found = report(
        "latency", "--shape", "tiny", "--coc-tokens", 3, "--flow-steps", 2, "--ticks", 1, "--size", "160x96",
        "--samples", 2, "--precision", "float32",
    )  # fmt: skip
    assert (found["weights"], found["coc_tokens"], found["coc_tokens_forced"]) == ("random", 3, True)
    assert found["prompt_tokens"] == 3006 - 16 * (180 - 15)
    assert (found["exactness"], found["approximations"]) == ("approximate", ["2 flow steps instead of 10"])
    assert (found["reference"], found["ratio"]) == (None, None)
    assert found["samples"] == 2
    assert (found["switches"]["speculation"], found["passes"], found["acceptance_declared"]) == (False, None, None)


def test_latency_of_a_trajectory_decoded_as_tokens(monkeypatch):
    small_pictures(monkeypatch)
    asked = ("latency", "--shape", "tiny", "--coc-tokens", 3, "--ticks", 1, "--size", "160x96", "--decoding", "tokens")
    found = report(*asked)
    assert "trajectory_tokens" in found["stages"]
    assert "flow_matching" not in found["stages"]
    assert (found["flow_steps"], found["exactness"]) == (None, "exact but for rounding")
    refused = alpamayo("bench", *asked, "--flow-steps", 5)
    assert (refused.exit_code, "has no flow" in refused.stderr) == (2, True)


@pytest.mark.parametrize(("precision", "temperature"), [("float32", 1.0), ("bfloat16", 0.0)])
def test_declared_acceptance_takes_the_passes_that_it_says(monkeypatch, precision, temperature):
    """1 + 3 tokens a pass, after the first token, which the prompt gives: 12 in 3 passes."""
    small_pictures(monkeypatch)
    found = report(
        "latency", "--shape", "tiny", "--coc-tokens", 13, "--flow-steps", 1, "--ticks", 1, "--size", "160x96",
        "--precision", precision, "--temperature", temperature, "--acceptance", 3,
    )  # fmt: skip
    assert (found["acceptance_declared"], found["passes"]) == (3, 3)


def test_switches():
    assert not any(value is True for value in report("latency", "--plain", "--ticks", 1)["switches"].values())
    found = report("latency", "--switch", "vision_cache=off", "--switch", "skip_reasoning=on", "--ticks", 1)
    assert (found["switches"]["vision_cache"], found["switches"]["prefix_cache"]) == (False, True)
    assert (found["exactness"], found["approximations"]) == ("approximate", ["skip reasoning"])
    assert found["coc_tokens"] == 0


def test_without_reasoning_no_draft_saves_a_pass():
    found = report("latency", "--switch", "skip_reasoning=on", "--ticks", 1)
    assert (found["coc_tokens"], found["passes"]) == (0, None)


def test_float8_is_a_precision():
    found = report("latency", "--precision", "fp8", "--ticks", 1)
    assert (found["precision"], found["exactness"]) == ("fp8", "approximate")
    assert found["switches"]["float8"] == "weights_and_activations"


def test_streaming_is_approximate(monkeypatch):
    small_pictures(monkeypatch)
    ran = alpamayo(
        "bench", "latency", "--shape", "tiny", "--coc-tokens", 2, "--ticks", 1, "--size", "160x96",
        "--precision", "float32", "--switch", "streaming=on", "--switch", "packed_weights=off",
    )  # fmt: skip
    assert "10 flow steps, K = 1, greedy; approximate, streaming\n" in ran.stdout
    assert "\noff: speculation, packed_weights\n" in ran.stdout


def test_streaming_with_a_model_whose_frames_are_joined():
    line = refusal(alpamayo("bench", "latency", "--switch", "streaming=on"))
    assert "this model joins the frames of a camera to tubelets" in line


def test_tables_say_what_the_figures_are_of():
    ran = alpamayo("bench", "latency", "--ticks", 1)
    assert "alpamayo-tiny: 9.8 M parameters, trained weights, float32 on cpu" in ran.stdout
    assert "4 cameras × 4 frames of 160x96, prompt 134 tokens" in ran.stdout
    assert "10 flow steps, K = 1, greedy; exact" in ran.stdout
    for stage in (*STAGES, "total"):
        assert f"\n{stage} " in ran.stdout


@pytest.mark.parametrize("float8", ["off", "weights"])
def test_roofline(monkeypatch, tiny, float8):
    monkeypatch.setattr(ceilings, "_SECONDS", 0.01)
    found = report("roofline", "--ticks", 1, "--switch", f"float8={float8}")
    assert list(found["stages"]) == ["vision", "prefill", "reasoning", "flow_matching"]
    for stage, figure in found["stages"].items():
        if figure["floor_ms"] == 0.0:
            assert (stage, figure["share"]) == ("reasoning", None)
            continue
        compute, memory = figure["gflop"] / found["matmul_gflop_s"] * 1e3, figure["gb"] / found["copy_gb_s"] * 1e3
        assert figure["limit"] == ("compute" if compute > memory else "memory")
        assert figure["floor_ms"] == pytest.approx(max(compute, memory), rel=0.02, abs=2e-3)
        assert figure["share"] == pytest.approx(figure["floor_ms"] / figure["p50_ms"], rel=0.02, abs=1e-3)
        assert figure["products_ms"] > 0
    weights = sum(weight.numel() for weight in tiny.model.expert.layers.parameters()) * found["flow_steps"]
    assert (found["stages"]["flow_matching"]["gb"] * 1e9 < 4 * weights) == (float8 == "weights")


def test_roofline_knows_no_float8_products():
    line = refusal(alpamayo("bench", "roofline", "--precision", "fp8"))
    assert "roofline measures no rate of float8 products, and float8 is weights_and_activations" in line


def test_roofline_knows_no_streaming(monkeypatch):
    small_pictures(monkeypatch)
    line = refusal(alpamayo("bench", "roofline", "--shape", "tiny", "--switch", "streaming=on"))
    assert "roofline knows no floor of a prompt that is read in part" in line


def test_memory():
    found = report("memory", "--samples", "1,3")
    assert found["weights_mb"] == pytest.approx(found["parameters"] * 4 / 1e6, abs=1e-3)
    one, three = found["by_samples"]["1"], found["by_samples"]["3"]
    assert three["cache_mb"] == pytest.approx(3 * one["cache_mb"], abs=1e-2)
    # 134 tokens of prompt, room for 256 of reasoning, for passes behind them and for a prompt of 128 more;
    # 4 layers with 2 × 64 values twice.
    assert one["cache_mb"] == pytest.approx(768 * 4 * 2 * 2 * 64 * 4 / 1e6, abs=1e-3)
    for figure in (one, three):
        assert figure["cache_mb"] / 2 < figure["working_mb"] < figure["peak_mb"]
        assert figure["peak_mb"] > found["weights_mb"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "alpamayo-tiny", "--shape", "tiny"], "--model and --shape exclude each other"),
        (["--coc-tokens", 7], "--coc-tokens is for --shape"),
        (["--reference", "transformers", "--temperature", 0.6], "--reference needs --temperature 0"),
        (["--size", "small"], "'small' is no WIDTHxHEIGHT"),
        (["--acceptance", 3], "--acceptance is for --shape"),
        (
            ["--shape", "tiny", "--acceptance", 3, "--temperature", 1, "--switch", "streaming=on"],
            "--acceptance does not go with streaming",
        ),
        (["--switch", "magic=on"], "'magic=on' is no NAME=on|off"),
        (["--switch", "float8=on"], "'float8=on' is no NAME=off|weights|weights_and_activations"),
    ],
)
def test_options_that_do_not_go_together(arguments, message):
    ran = alpamayo("bench", "latency", *arguments)
    assert ran.exit_code == 2
    assert message in ran.stderr


def test_an_unknown_drive():
    assert "'on_the_moon' is no kind of drive" in refusal(alpamayo("bench", "latency", "--drive", "on_the_moon"))


def test_a_shape_that_memory_cannot_hold(monkeypatch):
    """Said at once: nothing is allocated first."""
    monkeypatch.setattr(subjects, "free_memory", lambda device: 16_000_000_000)
    monkeypatch.setattr(subjects, "fill_randomly", pytest.fail)
    line = refusal(alpamayo("bench", "latency", "--shape", "10b", "--device", "cpu"))
    assert "10b needs at least 22." in line
    assert "22.2 GB of bfloat16 weights" in line
    assert "16.0 GB are free" in line


def test_a_machine_without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    line = refusal(alpamayo("bench", "latency", "--reference", "transformers"))
    [pinned] = re.findall(r'"(transformers==.+?)"', (Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert line.endswith(f"pip install {pinned}")
