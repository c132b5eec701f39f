"""Kernels for a GPU, interpreted on the CPU where there is none: what they compute, in float32 and float8.

`make test-kernels` has the Triton that they take. How they round in bfloat16, and how fast they are, only a GPU tells.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alpamayo_ros.engine.cache import StaticCache
from alpamayo_ros.engine.decoder import Place, Stack, rotary_of
from alpamayo_ros.engine.linear import quantised
from alpamayo_ros.engine.switches import PLAIN, Switches
from alpamayo_ros.engine.tower import PictureTables, Tower
from alpamayo_ros.vla.config import DecoderConfig, VisionConfig
from alpamayo_ros.vla.decoder import Decoder
from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.vision import VisionTower

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
LANGUAGE = DecoderConfig(
    hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
    head_dim=16, rope_theta=1e6, mrope_section=(4, 2, 2),
)  # fmt: skip
CAPACITY = 160
NARROWING = 0.03 if DEVICE.type == "cuda" else 0.08
"""What float8 may be off by: interpreted, its last bits are cut off and not rounded."""


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def draw(*size: int, spread: float = 1.0) -> Tensor:
    return (spread * torch.randn(*size)).to(DEVICE)


def filled(network: torch.nn.Module) -> torch.nn.Module:
    """With weights that are not those of a new one: norms that scale, biases that are not zero."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
        if parameter.dim() == 1:
            parameter.uniform_(0.5, 1.5)
        else:
            parameter.normal_(0.0, 0.3)
    return network.to(DEVICE)


def cache_of(rows: int) -> StaticCache:
    made, draws = StaticCache(LANGUAGE, rows, CAPACITY, DEVICE, torch.float32), torch.Generator().manual_seed(5)
    for part in (made.keys, made.values):
        part.copy_(torch.randn(part.shape, generator=draws))
    return made


def some_visible(rows: int, tokens: int, end: int) -> Tensor:
    return torch.rand(rows, tokens, end) > 0.4


@pytest.mark.parametrize(
    ("rows", "tokens", "start", "visible", "asked"),
    [
        (1, 20, 10, "causal", 3),  # a prompt behind what is there
        (1, 90, 0, "causal", 0),  # a whole one, of more rows than the kernels for few take
        (1, 9, 30, some_visible(1, 9, 39), 2),  # a prompt with gaps
        (2, 5, 100, None, 0),
        (2, 5, 70, some_visible(2, 5, 75), 0),
        (3, 40, 60, some_visible(1, 40, 100), 0),
        (2, 1, 128, (torch.arange(129) < 90)[None, None], 0),
    ],
)
def test_a_decoder_stack(rows, tokens, start, visible, asked):
    """As over PyTorch's operators, the cache among it."""
    from alpamayo_ros.engine.cuda.decoder import FusedStack

    decoder, end = filled(Decoder(LANGUAGE)), start + tokens
    stacks = Stack(decoder, PLAIN), FusedStack(decoder, PLAIN)
    hidden, columns = draw(rows, tokens, LANGUAGE.hidden_size), torch.arange(start, end, device=DEVICE)
    # As where they are taken out of those of more tokens.
    angles = rotary_of(torch.randint(0, 50, (3, rows, tokens + 1)), LANGUAGE)
    rotary = tuple(part.to(DEVICE)[:, :tokens] for part in angles)
    deepstack = (
        (torch.tensor([1, 3], device=DEVICE), draw(2, 2, LANGUAGE.hidden_size)) if tokens > 5 and rows == 1 else None
    )
    visible = visible.to(DEVICE) if isinstance(visible, Tensor) else visible
    found = []
    for stack in stacks:
        cache = cache_of(rows)
        made = stack(hidden.clone(), rotary, Place(cache, columns, end, visible, asked=asked), deepstack)
        found.append((made, cache.keys, cache.values))
    for made, expected in zip(*reversed(found), strict=True):
        torch.testing.assert_close(made, expected, atol=3e-5, rtol=1e-4)


def test_heads_that_the_kernels_do_not_take_are_refused():
    from alpamayo_ros.engine.cuda.decoder import FusedStack

    odd = dataclasses.replace(LANGUAGE, head_dim=24, mrope_section=(4, 4, 4))
    with pytest.raises(ModelInputError, match="24 wide"):
        FusedStack(filled(Decoder(odd)), PLAIN)


def test_who_sees_nothing_gets_zeros():
    from alpamayo_ros.engine.cuda.attention import attend

    visible = torch.ones(1, 3, 70, dtype=torch.bool, device=DEVICE)
    visible[:, 1] = False
    mixed = attend(draw(1, 3, 4, 16), draw(1, 70, 2, 16), draw(1, 70, 2, 16), 70, visible)
    assert mixed[:, 1].abs().max() == 0
    assert mixed[:, [0, 2]].abs().amin(dim=(0, 2, 3)).min() > 0


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 100, 70), (5, 4096, 130), (64, 2100, 64), (70, 48, 30)])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product(rows, inner, columns, biased):
    from alpamayo_ros.engine.cuda.pointwise import Rows
    from alpamayo_ros.engine.cuda.product import Product, Whole

    x, weight, bias = draw(rows, inner), draw(columns, inner), draw(columns) if biased else None
    parts = Product(weight, bias)(Rows(x))
    assert len(parts) == (1 if biased or inner < 2048 or rows > 64 else min(4, inner // 1024))
    expected = F.linear(x, weight, bias)
    torch.testing.assert_close(parts.sum(dim=0), expected, atol=2e-4, rtol=1e-4)
    for given, wanted in ((x[None], expected[None]), (torch.stack([x, x], dim=1)[:, 1], expected)):
        torch.testing.assert_close(Whole(weight, bias)(given), wanted, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(("rows", "inner"), [(3, 80), (64, 2100), (70, 40)])
def test_a_product_of_float8_weights(rows, inner):
    """Their scales are in it; of few rows, and of many, which PyTorch multiplies."""
    from alpamayo_ros.engine.cuda.pointwise import Rows
    from alpamayo_ros.engine.cuda.product import Product

    x, weight = draw(rows, inner), draw(50, inner)
    narrow, scale = quantised(weight)
    made = Product(weight, float8="weights")(Rows(x)).sum(dim=0)
    torch.testing.assert_close(made, F.linear(x, narrow.float() * scale), atol=2e-3, rtol=1e-4)


def test_rows_as_float8():
    from alpamayo_ros.engine.cuda.pointwise import LARGEST, add_normalised, as_float8

    x = draw(5, 100)
    x[2] = 0
    rows = as_float8(x)
    assert float(rows.values.float().abs().max()) == LARGEST.value
    wide = rows.values.float() * rows.scale[:, None]
    assert float((wide - x).norm() / x.norm()) < NARROWING
    assert wide[2].abs().max() == 0
    weight = draw(100)
    exact, narrow = (add_normalised(x.clone(), None, weight, 1e-6, float8=it) for it in (False, True))
    wide = narrow.values.float() * narrow.scale[:, None]
    assert float((wide - exact.values).norm() / exact.values.norm()) < NARROWING


@pytest.mark.parametrize("grids", [((4, 6), (4, 6)), ((2, 4), (4, 4))])
def test_a_vision_tower(grids):
    """Heads of 36: no power of two, as the release's 72 is none."""
    from alpamayo_ros.engine.cuda.tower import FusedTower

    config = VisionConfig(
        depth=3, hidden_size=72, num_heads=2, intermediate_size=100, out_hidden_size=40, deepstack_visual_indexes=(1,),
        num_position_embeddings=64,
    )  # fmt: skip
    tower = filled(VisionTower(config))
    shapes, tables = [(3, 16 * h, 16 * w) for h, w in grids], PictureTables(tower)(grids)
    frames = [torch.randint(256, shape, dtype=torch.uint8).to(DEVICE) for shape in shapes]
    made, expected = (kind(tower, PLAIN)(frames, grids, tables) for kind in (FusedTower, Tower))
    for mine, theirs in zip(made, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-4)


def test_it_is_for_a_gpu():
    """And one switch."""
    from alpamayo_ros.engine import cuda

    weight = torch.ones(1, device=DEVICE)
    assert cuda.runs_here(weight, Switches()) == (DEVICE.type == "cuda")
    assert not cuda.runs_here(weight, PLAIN)


def test_attention_fits_the_shared_memory_of_gpus():
    """Per block, of compute capability 8.0 (A100) and 8.9 (RTX 4090), from NVIDIA's programming guide."""
    most = {80: 163 * 1024, 89: 99 * 1024}
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    script = Path(__file__).with_name("compiled_attention.py")
    ran = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    taken = json.loads(ran.stdout)
    assert len(taken) == 4
    assert all(size <= most[capability] for capability, _, size in taken), taken
