"""The engine on a GPU: recorded passes, and kernels of our own. Run with `pytest -m cuda` where there is one."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache

import pytest
import torch
from ticks import DRAWN, check_drive, drive, model, plainly, quickly

from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.switches import PLAIN, Switches
from alpamayo_ros.vla.model import AlpamayoModel
from alpamayo_ros.vla.sampling import GREEDY, Sampling

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

ON_CUDA = ("joined_projections", "text_head", "quick_choice", "fused_kernels", "static_graphs")


@cache
def on_gpu(name: str) -> AlpamayoModel:
    # As the CPU computes: products of 10 bits of mantissa would be another model.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return copy.deepcopy(model(name)).to("cuda")


@pytest.mark.parametrize("name", ["tiny", "r1", "15"])
def test_plain_vla_is_what_it_is_on_the_cpu(name):
    for tick in drive(name, 2):
        made, expected = (plainly(it, tick, sampling=GREEDY) for it in (on_gpu(name), model(name)))
        assert made.reasoning.tokens.tolist() == expected.reasoning.tokens.tolist()
        assert float((made.xyz.cpu() - expected.xyz).abs().max()) < 1e-3


@pytest.mark.parametrize("name", ["tiny", "r1", "15"])
@pytest.mark.parametrize("switch", [None, *ON_CUDA])
def test_every_switch_alone(name, switch):
    switches = PLAIN if switch is None else dataclasses.replace(PLAIN, **{switch: True})
    check_drive(Engine(on_gpu(name), switches), drive(name, 2), Memory())


@pytest.mark.parametrize("name", ["tiny", "r1", "15"])
@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN, Sampling(1.5, None, 5)])
def test_all_switches(name, num_samples, sampling):
    check_drive(Engine(on_gpu(name), Switches()), drive(name, 4), Memory(), num_samples=num_samples, sampling=sampling)


@pytest.mark.parametrize("name", ["tiny", "r1"])
def test_a_trajectory_as_tokens(name):
    check_drive(Engine(on_gpu(name), Switches()), drive(name, 2), Memory(), autoregressive=True)


def test_bfloat16_is_near_plain_vla():
    """A word may be another; a trajectory is near all the same."""
    rounded = copy.deepcopy(on_gpu("tiny")).bfloat16()
    engine, memory = Engine(rounded, Switches()), Memory()
    for tick in drive("tiny", 3):
        apart = quickly(engine, tick, memory).xyz - plainly(rounded, tick).xyz
        assert float(apart.norm(dim=-1).max()) < 0.5


def test_float8_says_much_the_same():
    """Its products are those of the GPU, over layouts of their own."""
    engine = Engine(copy.deepcopy(on_gpu("tiny")).bfloat16(), Switches(float8="weights_and_activations"))
    made, exact = quickly(engine, drive("tiny", 1)[0]), plainly(model("tiny"), drive("tiny", 1)[0])
    assert float((made.xyz.cpu() - exact.xyz).norm(dim=-1).max()) < 3
