"""The library does what PyTorch's operators do, on every instruction set that this processor has."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace

import pytest
import torch

from alpamayo_ros.engine.backend import make_stack
from alpamayo_ros.engine.cache import StaticCache
from alpamayo_ros.engine.decoder import Place, Stack, rotary_of
from alpamayo_ros.engine.flow import Flow
from alpamayo_ros.engine.native import library as native
from alpamayo_ros.engine.native.decoder import NativeStack
from alpamayo_ros.engine.native.library import library
from alpamayo_ros.engine.native.tower import NativeTower
from alpamayo_ros.engine.switches import PLAIN, Switches
from alpamayo_ros.engine.tower import PictureTables
from alpamayo_ros.policy import find_model
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.config import DecoderConfig, VisionConfig
from alpamayo_ros.vla.decoder import Decoder
from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.images import pixel_values
from alpamayo_ros.vla.vision import VisionTower

CAPACITY = 160
USUAL = DecoderConfig(
    hidden_size=48,
    intermediate_size=88,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    rope_theta=10000.0,
    mrope_section=(4, 2, 2),
)
SHAPES = {
    "usual": USUAL,
    # No size is a multiple of a register, and a head has its own keys.
    "odd": dataclasses.replace(
        USUAL, hidden_size=37, intermediate_size=51, num_attention_heads=3, num_key_value_heads=3
    ),
    "one layer": dataclasses.replace(USUAL, num_hidden_layers=1, num_key_value_heads=1, head_dim=32),
}


@pytest.fixture(params=[1, 3, 4, 5], ids=["any", "avx2", "avx512", "amx"])
def level(request):
    """Kernels of one instruction set, for whatever is made in the test."""
    if not library().choose_level(request.param):
        pytest.skip("this processor has not got it")
    yield
    assert any(library().choose_level(best) for best in (5, 4, 3, 1))


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def decoder_of(config):
    torch.manual_seed(0)
    made = Decoder(config).requires_grad_(False)
    for name, weight in made.named_parameters():
        weight.mul_(2).add_(torch.rand_like(weight) if "norm" in name else 0)
        weight.copy_(weight.bfloat16())  # As in checkpoints, and as matrix units take them.
    return made


def native_stack(decoder, *, matrix_units=True):
    return NativeStack(decoder, matrix_units=matrix_units)


def filled(config, rows, dtype=torch.float32):
    cache = StaticCache(config, rows, CAPACITY, torch.device("cpu"), dtype)
    torch.manual_seed(1)
    for part in (cache.keys, cache.values):
        part.copy_(torch.randn(part.shape))
    return cache


def check(config, rows, columns, end, visible=None, asked=0, deepstack=None, scale=1.0):
    """Both are about as close to what double precision gives, in what they return and in what they write."""
    decoder, hidden = decoder_of(config), torch.randn(rows, len(columns), config.hidden_size) * scale
    rotary = rotary_of(columns.expand(3, 1, -1), config)

    def run(stack, dtype):
        cache = filled(config, rows, dtype)
        angles, place = tuple(part.to(dtype) for part in rotary), Place(cache, columns, end, visible, asked=asked)
        return stack(hidden.to(dtype, copy=True), angles, place, deepstack), cache.keys, cache.values

    made, usual = (run(stack, torch.float32) for stack in (native_stack(decoder), Stack(decoder, PLAIN)))
    exact = run(Stack(decoder.double(), PLAIN), torch.float64)
    for mine, theirs, truth in zip(made, usual, exact, strict=True):
        error, allowed = ((part - truth).norm() / truth.norm() for part in (mine, theirs))
        assert error < 4 * allowed + 1e-7


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens", [1, 7, 64, 131])
def test_all_see_all(level, threads, shape, tokens):
    check(SHAPES[shape], 1, torch.arange(20, 20 + tokens), 20 + tokens)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("asked", [0, 1, 9])
def test_a_prompt_of_which_the_end_is_asked_for(level, threads, shape, asked):
    config, where = SHAPES[shape], torch.tensor([0, 3, 4, 60, 99])
    deepstack = where, torch.randn(1, len(where), config.hidden_size)
    check(config, 1, torch.arange(5, 105), 105, "causal", asked, deepstack)


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_see_different_columns(level, threads, shape):
    seen = torch.tensor([30, 12, 20])[:, None]
    column = torch.arange(94)
    check(SHAPES[shape], 3, column[30:], 94, ((column < seen) | (column >= 30))[:, None])


@pytest.mark.parametrize("asked", [0, 2])
def test_tokens_with_gaps_between_that_see_different_columns(level, threads, asked):
    columns, end = torch.tensor([3, 4, 9, 40, 41]), 42
    check(USUAL, 1, columns, end, (torch.arange(end) <= columns[:, None])[None], asked)


def test_scores_beyond_what_a_float_can_raise(level):
    check(USUAL, 1, torch.arange(20, 40), 40, scale=1e4)


def test_what_is_not_a_number_is_not_hidden(level):
    decoder, columns = decoder_of(USUAL), torch.arange(4)
    hidden = torch.randn(1, 4, USUAL.hidden_size)
    hidden[0, 2, 5] = torch.nan
    rotary = rotary_of(columns.expand(3, 1, -1), USUAL)
    made = native_stack(decoder)(hidden, rotary, Place(filled(USUAL, 1), columns, 4, "causal"))
    assert made.isnan()[0, 2:].all()


def test_as_many_threads_as_there_are_give_the_same_bits(level):
    decoder, columns, hidden = decoder_of(USUAL), torch.arange(100), torch.randn(1, 100, USUAL.hidden_size)
    rotary, made, before = rotary_of(columns.expand(3, 1, -1), USUAL), [], torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        made.append(native_stack(decoder)(hidden.clone(), rotary, Place(filled(USUAL, 1), columns, 100, "causal")))
    torch.set_num_threads(before)
    assert all(torch.equal(other, made[0]) for other in made[1:])


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("places", [1, 2], ids=["whole", "guided, step by step"])
@torch.inference_mode()
def test_flow(level, threads, rows, places):
    model = load_model(find_model("alpamayo-tiny"))
    config, columns = model.config, torch.arange(90, 154)
    caches, noise = [filled(config.language, rows) for _ in range(places)], torch.randn(rows, 64, 2)
    caches[-1].keys.mul_(0.5)
    angles = rotary_of(columns.expand(3, rows, -1), model.expert.config)
    actions = []
    for switches in (PLAIN, Switches()):
        flow = Flow(model, switches)
        flow.prepare(3)
        actions.append(flow(noise, 3, [(angles, Place(cache, columns, 154)) for cache in caches], 1.5))
    torch.testing.assert_close(actions[1], actions[0], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_flow_is_the_same_in_one_call_and_step_by_step_and_with_any_number_of_threads(level):
    """Over one layer, whose keys a step writes again while others may still look at those of the step before."""
    model, columns, before = load_model(find_model("alpamayo-tiny")), torch.arange(90, 154), torch.get_num_threads()
    model.expert.layers = model.expert.layers[:1]
    flow, noise = Flow(model, Switches()), torch.randn(1, 64, 2)
    flow.prepare(10)
    angles, cache = rotary_of(columns.expand(3, 1, -1), model.expert.config), filled(model.config.language, 1)
    behind, made = (angles, Place(cache, columns, 154)), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        made.append(flow(noise, 10, [behind], 1.0))
    torch.set_num_threads(before)
    assert all(torch.equal(other, made[0]) for other in made[1:])
    torch.testing.assert_close(flow(noise, 10, [behind, behind], 1.0), made[0], rtol=1e-4, atol=1e-5)


TOWERS = {
    "patches": VisionConfig(
        depth=3, hidden_size=48, num_heads=3, intermediate_size=70, out_hidden_size=40, deepstack_visual_indexes=(0, 1),
        num_position_embeddings=16,
    ),
    "stem": VisionConfig(
        depth=2, hidden_size=32, num_heads=2, intermediate_size=40, out_hidden_size=24, deepstack_visual_indexes=(0,),
        num_position_embeddings=16, stem_channels=(5, 8, 16), tubelets=True, temporal_patch_size=4,
    ),
    "joined by threes": VisionConfig(
        depth=1, hidden_size=32, num_heads=1, intermediate_size=33, out_hidden_size=8, deepstack_visual_indexes=(0,),
        num_position_embeddings=16, spatial_merge_size=3, stem_channels=(4,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOWERS)
@pytest.mark.parametrize("grids", [((6, 12),), ((6, 6), (6, 6), (6, 6)), ((6, 12), (12, 18), (6, 6))])
@torch.inference_mode()
def test_tower(level, threads, name, grids):
    """Twice, because buffers of the stem are used again."""
    config = TOWERS[name]
    torch.manual_seed(0)
    tower = VisionTower(config).requires_grad_(False)
    for weight in tower.parameters():
        weight.mul_(2).add_(0.1 * torch.randn_like(weight))
        weight.copy_(weight.bfloat16())
    made = NativeTower(tower, matrix_units=True)
    exact = copy.deepcopy(tower).double()
    tables, grid_thw = PictureTables(tower)(grids), torch.tensor([(1, *grid) for grid in grids])
    for _ in range(2):
        sides = [[config.patch_size * side for side in grid] for grid in grids]
        depth = config.temporal_patch_size if config.tubelets else 1
        frames = [torch.randint(256, (3, *side), dtype=torch.uint8) for side in sides for _ in range(depth)]
        rows = pixel_values(frames, config)
        found, usual = made(frames, grids, tables), tower(rows, grid_thw)
        for mine, theirs, truth in zip(found, usual, exact(rows.double(), grid_thw), strict=True):
            error, allowed = ((part - truth).norm() / truth.norm() for part in (mine, theirs))
            assert error < 4 * allowed + 1e-7


@pytest.mark.parametrize("level", [5], ids=["amx"], indirect=True)
@pytest.mark.parametrize(("bfloat16_weights", "matrix_units"), [(True, True), (True, False), (False, True)])
def test_matrix_units_take_weights_that_lose_nothing_there(level, bfloat16_weights, matrix_units):
    decoder, columns = decoder_of(USUAL), torch.arange(4)
    if not bfloat16_weights:
        for weight in decoder.parameters():
            weight.mul_(1.001)
    hidden, rotary = torch.randn(1, 4, USUAL.hidden_size), rotary_of(columns.expand(3, 1, -1), USUAL)

    def run():
        stack, place = native_stack(decoder, matrix_units=matrix_units), Place(filled(USUAL, 1), columns, 4, "causal")
        return stack(hidden.clone(), rotary, place)

    made = run()
    assert library().choose_level(4)
    assert torch.equal(run(), made) != (bfloat16_weights and matrix_units)


def test_only_float32_weights_as_they_are_go_there():
    decoder = decoder_of(USUAL)
    assert isinstance(make_stack(decoder, Switches()), NativeStack)
    assert isinstance(make_stack(decoder, Switches(float8="weights")), Stack)
    assert isinstance(make_stack(decoder, PLAIN), Stack)
    assert isinstance(make_stack(decoder.bfloat16(), Switches()), Stack)


def test_some_are_asked_for_in_one_row_only():
    decoder, columns = decoder_of(USUAL), torch.arange(4)
    place = Place(filled(USUAL, 2), columns, 4, "causal", asked=1)
    with pytest.raises(ValueError, match="in one row only"):
        native_stack(decoder)(torch.randn(2, 4, 48), rotary_of(columns.expand(3, 1, -1), USUAL), place)


def test_a_library_that_was_not_built_is_named(monkeypatch, tmp_path):
    library.cache_clear()
    monkeypatch.setattr(native, "alpamayo_ros", SimpleNamespace(__path__=[str(tmp_path)]))
    with pytest.raises(ModelInputError, match=r"libalpamayo_engine.so is missing .*make build.*native"):
        library()


def test_a_library_of_another_version_is_named(monkeypatch):
    library.cache_clear()
    monkeypatch.setattr(native, "INTERFACE", 0)
    with pytest.raises(ModelInputError, match=r"libalpamayo_engine.so in .* another version: .*make build.*native"):
        library()
