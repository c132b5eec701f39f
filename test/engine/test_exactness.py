"""The engine says the words of plain `vla` and drives its trajectory, whatever is on."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from golden_data import FOLDER, MODELS
from ticks import (
    DRAWN,
    check_drive,
    check_same,
    drive,
    invented,
    model,
    muted,
    plainly,
    prompt_of,
    quickly,
    simulated,
    tiny,
)

from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.switches import PLAIN, Switches
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.model import Guidance
from alpamayo_ros.vla.sampling import GREEDY, Sampling

EXACT = [field.name for field in dataclasses.fields(Switches) if field.type == "bool" and field.default is True]
ALL = Switches()
NAMES = ("tiny", "r1", "15")


def test_plain_has_no_exact_switch_on():
    assert {name for name in EXACT if getattr(PLAIN, name)} == set()
    assert len(EXACT) == 11


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("switch", [None, *EXACT])
def test_every_switch_alone(name, switch):
    switches = PLAIN if switch is None else dataclasses.replace(PLAIN, **{switch: True})
    check_drive(Engine(model(name), switches), drive(name, 2), Memory())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("switch", EXACT)
def test_every_switch_missing(name, switch):
    engine = Engine(model(name), dataclasses.replace(ALL, **{switch: False}))
    check_drive(engine, drive(name, 2), Memory())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN, Sampling(1.5, None, 5)])
def test_all_switches(name, num_samples, sampling):
    check_drive(Engine(model(name), ALL), drive(name, 3), Memory(), num_samples=num_samples, sampling=sampling)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_samples", [1, 3])
def test_sizes_as_they_are_rounded_for_recorded_passes(name, num_samples):
    engine = Engine(model(name), ALL, rounded=True)
    check_drive(engine, drive(name, 3), Memory(), num_samples=num_samples)


def test_a_pass_whose_first_token_stood_in_its_last_column():
    """There it saw all columns; the same pass, over a later plan's columns, may not."""
    engine, tick, word = Engine(model("r1"), ALL, rounded=True), drive("r1", 1)[0], torch.tensor([[9]])
    pictures = engine.look(tick.cameras)
    with torch.inference_mode():
        prompt, features = prompt_of(engine.model, tick, pictures.grid_thw), engine._sight.encode(pictures)
        cache = engine._cache("told", 1, prompt.ids.shape[1], 20)
        reading = engine._reader.read(prompt, features, cache)
        expected = engine._reader.say(reading, word, reading.length).clone()
        engine._graphs.forget()
        last = engine._reader.span(reading.length + 1) - 1
        engine._reader.say(reading, word, last)
        torch.testing.assert_close(engine._reader.say(reading, word, reading.length), expected)


def test_a_limit_that_cuts_reasoning_off():
    for name in NAMES:
        engine, memory = Engine(model(name), ALL), Memory()
        for limit in (1, 2, 5):
            check_drive(engine, drive(name, 2), memory, max_new_tokens=limit, num_samples=2)


def test_without_a_memory_a_plan_depends_on_nothing_before_it():
    engine, ticks = Engine(tiny(), ALL), drive("tiny", 3)
    first = quickly(engine, ticks[0])
    quickly(engine, ticks[2], num_samples=3)
    quickly(engine, ticks[1], Memory())
    again = quickly(engine, ticks[0])
    assert again.xyz.tolist() == first.xyz.tolist()
    assert again.reasoning.tokens.tolist() == first.reasoning.tokens.tolist()


def test_a_memory_of_the_same_drive_gives_the_same_bits():
    engine, drives = Engine(tiny(), ALL), []
    for _ in range(2):
        memory = Memory()
        drives.append([quickly(engine, tick, memory).xyz.tolist() for tick in drive("tiny", 3)])
    assert drives[0] == drives[1]


@pytest.mark.parametrize("name", ["tiny", "15"])
@pytest.mark.parametrize(
    ("switches", "rounded", "changes"),
    [
        (ALL, None, {}),
        (PLAIN, None, {}),
        (ALL, True, {"sampling": DRAWN}),
        # Nobody is done by then, and in the other case rows are done after different numbers of words.
        (ALL, None, {"max_new_tokens": 3}),
        (ALL, None, {"sampling": Sampling(1.5, None, 5), "num_samples": 3}),
    ],
)
def test_trajectory_tokens(name, switches, rounded, changes):
    engine = Engine(model(name), switches, rounded=rounded)
    check_drive(engine, drive(name, 1), Memory(), **{"num_samples": 2, "autoregressive": True, **changes})


@pytest.mark.parametrize(("name", "weight"), [("15", 0.0), ("tiny", 2.0)])
@pytest.mark.parametrize("num_samples", [1, 2])
def test_navigation_and_guidance(name, weight, num_samples):
    """Random weights turn the difference of two rounded velocities into decimetres, so there it is not exaggerated."""
    engine, memory = Engine(model(name), ALL), Memory()
    for tick in drive(name, 2):
        told = dataclasses.replace(tick, navigation="Turn left")
        guidance = Guidance(prompt_of(engine.model, tick, engine.look(tick.cameras).grid_thw), weight)
        changes = {"guidance": guidance, "num_samples": num_samples}
        check_same(quickly(engine, told, memory, **changes), plainly(engine.model, told, **changes))


def test_pictures_that_are_added_behind_the_last_layer():
    """As many deepstack features as layers: the engine has left the pictures behind by then."""
    loaded = load_model(FOLDER / MODELS["r1"], language_model=FOLDER / "vlm_tiny")
    muted(loaded).config = model("r1").config
    for stack in (loaded.vlm.model.language_model, loaded.expert):
        stack.layers = stack.layers[:2]
    check_drive(Engine(loaded, ALL), drive("r1", 2), Memory())


def test_cameras_of_different_sizes():
    tick = invented(1)[0]
    odd = dataclasses.replace(tick.cameras[1], images=tick.cameras[1].images[:, :, :96])
    mixed = dataclasses.replace(tick, cameras=(tick.cameras[0], odd))
    check_drive(Engine(model("r1"), ALL), [mixed, mixed], Memory())


@torch.inference_mode()
def test_a_head_that_was_read_in_part(monkeypatch):
    """As when memory is short in the middle of it: the one before is not there any more."""
    engine, tick = Engine(model("r1"), ALL), drive("r1", 1)[0]
    expected, reader = quickly(engine, tick), engine._reader
    stack, pictures = reader._stack, engine.look(tick.cameras)
    other = prompt_of(engine.model, tick, pictures.grid_thw)
    other.ids[0, 0] += 1

    def fails(*inputs):
        stack(*inputs)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(reader, "_stack", fails)
    with pytest.raises(torch.OutOfMemoryError):
        reader.read(other, engine._sight.encode(pictures), engine._caches["told"])
    monkeypatch.undo()
    check_same(quickly(engine, tick), expected)


def test_more_samples_later():
    """The cache is made anew, and everything that was recorded over it."""
    engine, memory = Engine(model("r1"), ALL), Memory()
    for num_samples in (1, 3, 2):
        check_drive(engine, drive("r1", 1), memory, num_samples=num_samples)


def test_one_prompt_at_a_time():
    engine, tick = Engine(model("r1"), ALL), drive("r1", 1)[0]
    pictures = engine.look(tick.cameras)
    prompt = prompt_of(engine.model, tick, pictures.grid_thw)
    two = dataclasses.replace(prompt, ids=prompt.ids.expand(2, -1))
    with pytest.raises(ValueError, match="one prompt at a time, not 2"):
        engine.sample(
            two, pictures, *tick.history, num_samples=1, seed=0, sampling=GREEDY, max_new_tokens=1, num_flow_steps=1
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["red_light", "jaywalker", "cut_in"])
@pytest.mark.parametrize(("num_samples", "sampling"), [(1, GREEDY), (1, DRAWN), (3, DRAWN)])
def test_long_drives(kind, num_samples, sampling):
    own = {"num_flow_steps": 10, "noise_temperature": tiny().config.noise_temperature}
    changes = {"num_samples": num_samples, "sampling": sampling, "max_new_tokens": 64, **own}
    engine, memory = Engine(tiny(), ALL), Memory()
    for tick in simulated(kind, 40):
        check_same(quickly(engine, tick, memory, **changes), plainly(tiny(), tick, **changes), 1e-4)
