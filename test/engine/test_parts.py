"""The engine's parts: products, recorded passes, and what is approximate."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import weakref
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from ticks import drive, known, model, quickly
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from alpamayo_ros.engine import cuda
from alpamayo_ros.engine.cache import StaticCache
from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.graphs import MOST, Graphs
from alpamayo_ros.engine.linear import Float8, Packed, make_projection
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.switches import PLAIN, Switches
from alpamayo_ros.engine.tower import MOST_GRIDS
from alpamayo_ros.policy import find_model
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.model import AlpamayoModel, Reasoning
from alpamayo_ros.vla.prompt import batch_prompts
from alpamayo_ros.vla.sampling import GREEDY

X = torch.randn(2, 5, 48, generator=torch.Generator().manual_seed(1))


def layers() -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(48, size, bias=False).requires_grad_(False) for size in (32, 16, 16)]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_projections(joined, packed):
    parts = layers()
    weights = [part.weight.clone() for part in parts]
    project = make_projection(parts, dataclasses.replace(PLAIN, joined_projections=joined, packed_weights=packed))
    expected = torch.cat([F.linear(X, weight) for weight in weights], dim=-1)
    torch.testing.assert_close(project(X), expected)
    # The model still has its own weights; joined, they lie in one piece of memory, and are not held twice.
    assert all(torch.equal(part.weight, weight) for part, weight in zip(parts, weights, strict=True))
    pieces = {part.weight.untyped_storage().data_ptr() for part in parts}
    assert len(pieces) == (1 if joined else 3)


def test_packed_weights_have_a_bias():
    layer = nn.Linear(48, 20).requires_grad_(False)
    torch.testing.assert_close(Packed(layer.weight, layer.bias)(X), layer(X))


@pytest.mark.parametrize(("activations", "error"), [(False, 0.04), (True, 0.06)])
def test_float8(activations, error):
    weight = layers()[0].weight
    exact, rough = F.linear(X, weight), Float8(weight, activations=activations)(X)
    assert 0.005 < float((rough - exact).norm() / exact.norm()) < error


@pytest.mark.parametrize(("inner", "out"), [(640, 3440), (1720, 320), (320, 24)])
@torch.inference_mode()
def test_float8_products_have_layouts_that_cuda_takes(inner, out):
    """Tensors without values are refused as the real ones would be: 1720 is a width of the shape 0.5b."""
    with FakeTensorMode():
        weight, x = (torch.empty(*size, inner, device="cuda", dtype=torch.bfloat16) for size in ((out,), (2, 5)))
        product = Float8(weight, activations=True)(x)
        assert (product.shape, product.dtype) == ((2, 5, out), torch.bfloat16)


def test_kernels_for_a_gpu_without_triton_are_refused(monkeypatch):
    weight = SimpleNamespace(is_cuda=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not cuda.runs_here(weight, PLAIN)
    with pytest.raises(ModelInputError, match="takes Triton"):
        cuda.runs_here(weight, Switches())


def test_recorded_passes_read_their_own_buffers():
    calls = []

    def double(x):
        calls.append(x.data_ptr())
        return (2 * x,)

    graphs = Graphs(torch.device("cpu"), static=True)
    one, two = torch.ones(3), torch.full((3,), 5.0)
    assert graphs.run("a", double, one)[0].tolist() == [2.0] * 3
    assert graphs.run("a", double, two)[0].tolist() == [10.0] * 3
    assert len(set(calls)) == 1
    assert one.data_ptr() not in calls
    assert one.tolist() == [1.0] * 3
    for key in range(MOST):
        graphs.run(key, double, one)
    graphs.run("a", double, one)
    assert len(set(calls)) > MOST
    assert len(graphs._passes) == MOST


class FakeCuda:
    """Stands in for `torch.cuda` where there is no GPU: what is called on which stream, and recorded into which pool.

    passed: (stream, pool) of each call of `double`, the pool None where it is not recorded. replays: so many.
    """

    def __init__(self, monkeypatch):
        self.passed, self.replays, self._here = [], 0, ("current", None)
        self._made = itertools.count()
        for name, stand_in in {
            "device": lambda device: contextlib.nullcontext(),
            "Stream": lambda device: SimpleNamespace(name=next(self._made), wait_stream=lambda other: None),
            "current_stream": lambda: SimpleNamespace(wait_stream=lambda other: None),
            "stream": lambda stream: self._on(stream, None),
            "graph_pool_handle": lambda: next(self._made),
            "CUDAGraph": lambda: SimpleNamespace(replay=self._replay),
            "graph": lambda graph, pool, stream, capture_error_mode: self._on(stream, pool),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    @contextlib.contextmanager
    def _on(self, stream, pool):
        before, self._here = self._here, (stream.name, pool)
        yield
        self._here = before

    def _replay(self):
        self.replays += 1

    def double(self, x):
        self.passed.append(self._here)
        return (2 * x,)


def test_passes_are_recorded_on_one_stream_into_one_pool(monkeypatch):
    """And warmed up on one other. What is recorded is replayed, and not called again."""
    cuda = FakeCuda(monkeypatch)
    graphs, others = (Graphs(torch.device("cuda"), static=True) for _ in range(2))
    for key in "ab":
        graphs.run(key, cuda.double, torch.ones(1))
    warm_up, recording = cuda.passed[1:3]
    assert cuda.passed == [warm_up, warm_up, recording] * 2
    assert warm_up[1] is None
    assert recording[1] is not None
    graphs.run("a", cuda.double, torch.ones(1))
    assert (len(cuda.passed), cuda.replays) == (6, 3)
    others.run("a", cuda.double, torch.ones(1))
    assert len({"current", *(stream for stream, _ in cuda.passed)}) == 5
    assert cuda.passed[-1][1] != recording[1]


def test_passes_are_recorded_into_memory_of_their_own_after_all_were_forgotten(monkeypatch):
    """PyTorch refuses to record into the memory of passes that are all gone, while a tensor in it is still held
    (`use_count > 0` in its CUDACachingAllocator)."""
    cuda = FakeCuda(monkeypatch)
    graphs = Graphs(torch.device("cuda"), static=True)
    graphs.run("a", cuda.double, torch.ones(1))
    graphs.forget()
    graphs.run("a", cuda.double, torch.ones(1))
    before, after = cuda.passed[:3], cuda.passed[3:]
    assert before[2][1] != after[2][1]
    assert [stream for stream, _ in before] == [stream for stream, _ in after]


def test_passes_are_forgotten_only_with_the_cache_that_they_were_recorded_over():
    """Else what a warm-up records would be recorded again by the first plan."""
    engine, tick = Engine(model("r1"), Switches()), drive("r1", 1)[0]
    quickly(engine, tick)
    kept = dict(engine._graphs._passes)
    assert {key[0] for key in kept} == {"vision", "prefill", "block", "flow"}
    quickly(engine, tick)
    assert engine._graphs._passes == kept
    quickly(engine, tick, num_samples=2)
    assert not any(key in kept for key in engine._graphs._passes if key[0] != "vision")


def test_a_recorded_pass_of_the_tower_keeps_its_tables():
    """On CUDA it reads them where they were when it was recorded, however many other grids came since."""
    engine, tick = Engine(model("r1"), Switches()), drive("r1", 1)[0]
    quickly(engine, tick)
    [position] = (weakref.ref(tables[0]) for tables in engine._sight._tables._made.values())
    for width in range(1, MOST_GRIDS + 1):
        engine._sight._tables(((2, 2 * width),))
    assert len(engine._sight._tables) < MOST_GRIDS
    assert position() is not None


def test_passes_that_are_not_recorded_read_what_they_are_given():
    given = torch.ones(3)
    assert Graphs(torch.device("cpu"), static=False).run("a", lambda x: (x,), given)[0] is given


@pytest.mark.parametrize("name", ["15", "tiny"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_passes_stay_on_the_device_of_the_model(name, dtype):
    """With weights that have a device but no values, whatever mixes devices or waits for a value fails."""
    source = model(name)
    config, vision = source.config, source.config.vision
    loaded = AlpamayoModel(config, source.tokenizer).to("meta", dtype)
    engine = Engine(loaded, Switches(static_graphs=False), rounded=True)
    tower, reader, grids = engine._sight._tower, engine._reader, ((6, 10), (6, 10))
    shape, depth = (3, 6 * vision.patch_size, 10 * vision.patch_size), vision.temporal_patch_size
    frames = [torch.empty(shape, dtype=torch.uint8, device="meta") for _ in range(2 * depth if vision.tubelets else 2)]
    features = tower(frames, grids, engine._sight._tables(grids))
    cache = StaticCache(config.language, 2, 512, loaded.device, dtype)
    ids = [1, 2, *[config.image_token_id] * 30, 3]
    prompt = batch_prompts([ids], [torch.tensor([[1, 6, 10]] * 2)], config, source.tokenizer.pad)
    reading = reader.read(prompt, features, cache, [4, 5])
    told = reader.say(reading, torch.ones(2, 3, dtype=torch.long), reading.length)
    assert reading.logits.shape[:2] == (1, 3)
    assert told.shape[:2] == (2, 3)
    tokens = torch.ones(2, 4, dtype=torch.long, device="meta")
    ended = Reasoning(tokens, torch.ones(2, dtype=torch.bool), torch.tensor([2, 4]))
    noise = torch.zeros(2, config.action_space.n_waypoints, 2)
    action = engine._act(noise, 2, [(reading, [40, 42])], ended, 1.0)
    assert action.shape == noise.shape
    assert {part.device.type for part in (*features, reading.logits, told, action)} == {"meta"}


def test_bfloat16():
    """No further from float32 than three times what plain `vla` is in bfloat16, and 0.2 m, behind one same word."""
    half = load_model(find_model("alpamayo-tiny"), dtype=torch.bfloat16)
    tick, changes = drive("tiny", 1)[0], {"sampling": GREEDY, "noise_temperature": 0.0, "max_new_tokens": 1}
    exact = known(model("tiny"), tick, **changes)
    made, plain = quickly(Engine(half, Switches()), tick, Memory(), **changes), known(half, tick, **changes)
    assert made.reasoning.tokens.tolist() == plain.reasoning.tokens.tolist() == exact.reasoning.tokens.tolist()
    far, plainly_far = (float((it.xyz - exact.xyz).norm(dim=-1).max()) for it in (made, plain))
    assert 0 < far < 3 * plainly_far + 0.2


def test_float8_is_another_plan_but_close():
    tick, changes = drive("tiny", 1)[0], {"sampling": GREEDY, "max_new_tokens": 1}
    exact = known(model("tiny"), tick, **changes)
    for float8 in ("weights", "weights_and_activations"):
        made = quickly(Engine(model("tiny"), Switches(float8=float8)), tick, **changes)
        assert 1e-3 < float((made.xyz - exact.xyz).norm(dim=-1).max()) < 20


def test_samples_that_share_their_reasoning():
    engine, tick = Engine(model("tiny"), Switches(shared_reasoning=True)), drive("tiny", 1)[0]
    exact, memory = known(engine.model, tick, num_samples=3), Memory()
    for _ in range(2):
        made = quickly(engine, tick, memory, num_samples=3)
        assert made.reasoning.tokens.tolist() == [made.reasoning.tokens[0].tolist()] * 3
        length = int(exact.reasoning.length[0])
        assert made.reasoning.tokens[0, :length].tolist() == exact.reasoning.tokens[0, :length].tolist()
        torch.testing.assert_close(made.xyz[0], exact.xyz[0], atol=1e-4, rtol=0)
        assert float((made.xyz[0] - made.xyz[1]).abs().max()) > 1e-2


def test_no_reasoning():
    engine, tick = Engine(model("tiny"), Switches(skip_reasoning=True)), drive("tiny", 1)[0]
    made, exact = quickly(engine, tick, num_samples=2), known(engine.model, tick, num_samples=2)
    assert bool(made.reasoning.complete.all())
    assert made.reasoning.length.tolist() == [2, 2]
    assert 1e-4 < float((made.xyz - exact.xyz).norm(dim=-1).max()) < 100


def test_an_old_gpu_is_not_asked_for_products_of_float8(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    config = SimpleNamespace(vision=SimpleNamespace(tubelets=False))
    stand_in = SimpleNamespace(config=config, device=torch.device("cuda"))
    with pytest.raises(ModelInputError, match=r"compute capability 8.9 or more; take float8=weights"):
        Engine(stand_in, dataclasses.replace(PLAIN, float8="weights_and_activations"))
