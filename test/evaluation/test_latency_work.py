"""FLOP and bytes of the stages: against torch's counter on small models, and by hand at the release's size."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from golden_data import model as golden_model
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from alpamayo_ros.engine import linear
from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.switches import PLAIN
from alpamayo_ros.evaluation.latency.roofline import floor_ms
from alpamayo_ros.evaluation.latency.shapes import shape_config
from alpamayo_ros.evaluation.latency.work import (
    Load,
    Product,
    Work,
    cache_bytes,
    cache_values,
    picture_counts,
    plan_work,
    prefill_work,
    reasoning_work,
    vision_work,
    words,
)
from alpamayo_ros.policy import find_model
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.decoder import KVCache
from alpamayo_ros.vla.flow_matching import integrate
from alpamayo_ros.vla.model import AlpamayoModel, Reasoning
from alpamayo_ros.vla.prompt import PromptBatch
from alpamayo_ros.vla.vision import VisionFeatures

LOAD = Load(pictures=0, patches=0, known=0, prompt=21, tokens=5, passes=5, flow_steps=3, samples=2)


@pytest.fixture(scope="module", params=["golden", "alpamayo-tiny"])
def model(request) -> AlpamayoModel:
    """Without and with a convolutional stem."""
    return golden_model("r1") if request.param == "golden" else load_model(find_model(request.param))


def counted(run) -> int:
    """FLOP by torch's own count, which knows attention only as the products that it is made of."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@pytest.fixture
def prompt(model) -> PromptBatch:
    ids = torch.full((1, 21), model.tokenizer.im_end)
    places = torch.arange(21).expand(3, 1, -1)
    return PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), places, torch.zeros(1, dtype=torch.long))


def nothing_seen(model) -> VisionFeatures:
    width = model.config.vision.out_hidden_size
    return VisionFeatures(
        torch.empty(0, width), torch.empty(len(model.config.vision.deepstack_visual_indexes), 0, width)
    )


def unused_logits(model, rows: int) -> int:
    """What plain `vla` does and nothing needs: logits of trajectory tokens in reasoning."""
    return 2 * rows * model.config.language.hidden_size * model.config.traj_vocab_size


@torch.inference_mode()
def test_vision(model):
    vision = model.config.vision
    grids = torch.tensor([[1, 4, 6]] * 3)
    rows = torch.randn(3 * 24, vision.in_channels * vision.temporal_patch_size * vision.patch_size**2)
    assert counted(lambda: model.vlm.encode_images(rows, grids)) == vision_work(vision, pictures=3, patches=24).flops


def last_layer(model, rows: int) -> int:
    """FLOP of the last layer without its keys and values, for so many tokens: a prefill needs those of one."""
    language = model.config.language
    queries = language.num_attention_heads * language.head_dim
    return 2 * rows * language.hidden_size * (2 * queries + 3 * language.intermediate_size)


@torch.inference_mode()
def test_prefill(model, prompt):
    language = model.config.language
    # Plain `vla` does more: it multiplies what a causal mask hides, and the whole last layer.
    queries = 4 * language.num_attention_heads * language.head_dim
    hidden = (language.num_hidden_layers - 1) * queries * (21 * 20 // 2) + queries * 21 * 20
    found = counted(lambda: model.read(prompt, nothing_seen(model)))
    needed = prefill_work(model.config, known=0, prompt=21).flops
    assert found == needed + hidden + last_layer(model, 20) + unused_logits(model, 1)


def test_a_known_head_is_not_read_again(model):
    """The head's own prefill and the rest's are the whole, but for the one token that either ends with."""
    whole, head = (prefill_work(model.config, known=0, prompt=prompt) for prompt in (21, 8))
    rest = prefill_work(model.config, known=8, prompt=21)
    language = model.config.language
    ends = last_layer(model, 1) + 4 * language.num_attention_heads * language.head_dim * 8
    logits = 2 * language.hidden_size * words(model.config)
    assert head.flops + rest.flops == whole.flops + ends + logits


@torch.inference_mode()
def test_reasoning(model, prompt):
    context = model.read(prompt, nothing_seen(model), room=8).repeat(2, capacity=29)

    def five_more() -> None:
        for _ in range(5):
            model.feed(context, torch.full((2, 1), 7), torch.ones(2, 1, dtype=torch.bool))

    assert counted(five_more) == plan_work(model.config, LOAD)["reasoning"].flops + unused_logits(model, 10)


@torch.inference_mode()
def test_flow_matching(model, prompt):
    context = model.read(prompt, nothing_seen(model), room=80).repeat(2, capacity=101)
    for _ in range(5):
        model.feed(context, torch.full((2, 1), 7), torch.ones(2, 1, dtype=torch.bool))
    reasoning = Reasoning(torch.full((2, 6), 7), torch.zeros(2, dtype=torch.bool), torch.full((2,), 6))
    velocity, noise = model.velocity(context, reasoning), torch.randn(2, 64, 2)
    assert counted(lambda: integrate(velocity, noise, 3)) == plan_work(model.config, LOAD)["flow_matching"].flops


def test_weights_are_read_once_a_pass(model):
    """Matrices alone: what is left out are norms, biases and tables of positions and words."""
    load = dataclasses.replace(LOAD, pictures=1, patches=4, tokens=1, passes=1, flow_steps=1)
    works = plan_work(model.config, load)

    def matrices(*parts: torch.nn.Module) -> int:
        kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)
        modules = (module for part in parts for module in part.modules() if isinstance(module, kinds))
        return sum(module.weight.numel() for module in modules)

    def weights(stage: str) -> int:
        return sum(product.weights for product in works[stage].products)

    language = matrices(model.vlm.model.language_model, model.vlm.lm_head) - unused_logits(model, 1) // 2
    assert weights("vision") == matrices(model.vlm.model.visual)
    assert weights("prefill") == language
    assert weights("reasoning") == language
    assert weights("flow_matching") == matrices(model.expert, model.action_in_proj, model.action_out_proj)


def test_right_drafts_save_passes(model):
    """12 tokens, 4 of them right with the prompt, then 4 a pass: the weights are read 2 times instead of 12."""
    one_by_one, drafted = (
        reasoning_work(model.config, dataclasses.replace(LOAD, tokens=12, passes=passes, samples=1))
        for passes in (12, 2)
    )
    assert [product.weights * 6 for product in drafted.products] == [one.weights for one in one_by_one.products]
    assert [product.flops * 12 for product in drafted.products] == [one.flops * 8 for one in one_by_one.products]
    assert one_by_one.moved == sum(21 + i for i in range(1, 13)) * cache_values(model.config)
    assert drafted.moved == sum(21 + i for i in (8, 12)) * cache_values(model.config)
    at_once = dataclasses.replace(LOAD, tokens=12, passes=0)
    assert plan_work(model.config, at_once)["prefill"] == prefill_work(model.config, 0, 21, drafted=12)
    assert plan_work(model.config, LOAD)["prefill"] == prefill_work(model.config, 0, 21)
    nothing_left = reasoning_work(model.config, at_once)
    assert (nothing_left.flops, nothing_left.bytes(4)) == (0, 0)


def test_the_released_size():
    """TFLOP and GB in bfloat16 of a plan with 1.5's prompt, as they were worked out before this code."""
    model = SimpleNamespace(config=shape_config("10b"))
    load = Load(pictures=16, patches=720, known=0, prompt=3086, tokens=1, passes=1, flow_steps=1, samples=1)
    works = plan_work(model.config, load)
    assert works["vision"].flops / 1e12 == pytest.approx(11.5, abs=0.05)
    # That figure has the last layer whole.
    last = last_layer(model, 3085) + 4 * 4096 * (3086 * 3085 // 2)
    assert (works["prefill"].flops + last) / 1e12 == pytest.approx(45.7, abs=0.05)
    assert works["reasoning"].bytes(2) / 1e9 == pytest.approx(15.6, abs=0.05)
    assert works["flow_matching"].bytes(2) / 1e9 == pytest.approx(5.0, abs=0.05)
    assert works["flow_matching"].bytes(2, float8=True) / 1e9 == pytest.approx(2.7, abs=0.05)


def test_the_cache_has_the_size_that_is_counted(model):
    cache = KVCache.empty(model.config.language, 3, 50, torch.device("cpu"), torch.float32)
    assert cache.keys.nbytes + cache.values.nbytes == cache_bytes(model.config, samples=3, columns=50, itemsize=4)
    assert cache_bytes(model.config, samples=1, columns=50, itemsize=2) == 50 * cache_values(model.config) * 2


def test_pictures_of_the_largest_size_that_a_model_reads(model):
    """alpamayo-tiny reads a tubelet of 160×96 a camera."""
    assert picture_counts(model.config) == ((4, 60) if model.config.vision.tubelets else (16, 680))


def test_the_longer_time_is_the_floor():
    work = Work((Product(rows=10, inner=20, columns=30, count=2),), attention_flops=1000, moved=300)
    assert work.flops == 25_000
    assert work.bytes(4) == 4 * (300 + 1200)
    assert floor_ms(work, 6000, copied=1e6, multiplied=1e9) == (6.0, "memory")
    assert floor_ms(work, 6000, copied=1e9, multiplied=1e6) == (25.0, "compute")


def test_float8_weights_have_one_byte(model, monkeypatch):
    """Those that the engine holds so, and no others."""
    narrow = []
    monkeypatch.setattr(linear, "Float8", lambda weight, activations: narrow.append(weight.numel()))
    Engine(model, dataclasses.replace(PLAIN, float8="weights"))
    works = plan_work(model.config, dataclasses.replace(LOAD, flow_steps=1))
    prefill, flow = works["prefill"], works["flow_matching"]
    # Each reads all weights of its decoder once.
    saved = [work.bytes(2) - work.bytes(2, float8=True) for work in (prefill, flow)]
    assert sum(saved) == sum(narrow) > 0
    assert prefill.bytes(4) - prefill.bytes(4, float8=True) == 3 * saved[0]
    vision = vision_work(model.config.vision, pictures=1, patches=4)
    assert vision.bytes(2, float8=True) == vision.bytes(2)
