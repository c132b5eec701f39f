"""Frames that the last plan read are not read again: what is kept, what is read, and when nothing is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from ticks import Tick, apart, check_same, invented, known, model, prompt_of, quickly, tiny

from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.reader import Reading
from alpamayo_ros.engine.switches import PLAIN, Switches
from alpamayo_ros.vla.decoder import KVCache
from alpamayo_ros.vla.errors import ModelInputError
from alpamayo_ros.vla.model import AlpamayoModel, Guidance, Samples
from alpamayo_ros.vla.prompt import PromptBatch
from alpamayo_ros.vla.vision import VisionFeatures

NAMES = ("r1", "15")
STREAMING = Switches(streaming=True)
FRAMES = 4
TICKS = invented(2 * FRAMES, depth=FRAMES)
"""Of two cameras; a tick has three frames of each in common with the one before."""
TOKENS = 15
"""Of a picture: 160×96, of which 32×32 are one."""
FINE = {"atol": 1e-5, "rtol": 1e-4}
ROUNDED = {"atol": 1e-4, "rtol": 1e-4}
"""After several layers; what is approximate is above 1e-3."""


@torch.inference_mode()
def read(
    engine: Engine, tick: Tick, memory: Memory, draft: list[int] | None = None
) -> tuple[PromptBatch, VisionFeatures, Reading]:
    pictures = engine.look(tick.cameras, memory)
    prompt, features = prompt_of(engine.model, tick, pictures.grid_thw), engine._sight.encode(pictures)
    cache = engine._cache("told", 1, prompt.ids.shape[1], 20)
    return prompt, features, engine._reader.read(prompt, features, cache, draft or [], pictures.frames)


def moves(engine: Engine, prompt: PromptBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of frames that a tick shares with the one before: there, and here."""
    columns = (prompt.ids[0] == engine.model.config.image_token_id).nonzero()[:, 0].reshape(2, FRAMES, TOKENS)
    return columns[:, 1:].flatten(), columns[:, :-1].flatten()


def turned(keys: torch.Tensor, by: torch.Tensor, theta: float) -> torch.Tensor:
    """Keys (layers, N, heads, width) whose positions grow by (N,): each pair of halves is a complex number."""
    first, second = keys.double().chunk(2, dim=-1)
    half = first.shape[-1]
    angle = by.double()[:, None] * theta ** -(torch.arange(half) / half).double()
    made = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat([made.real, made.imag], dim=-1).float()


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
def test_kept_keys_are_turned_and_kept_values_are_as_they_were(name):
    engine, memory = Engine(model(name), STREAMING), Memory()
    prompt, _, reading = read(engine, TICKS[0], memory)
    keys, values = reading.cache.keys[:, 0].clone(), reading.cache.values[:, 0].clone()
    for tick in TICKS[1:3]:
        read(engine, tick, memory)
        old, new = moves(engine, prompt)
        further = prompt.positions[:, 0, new] - prompt.positions[:, 0, old]
        # A picture of 3 × 5 tokens takes 5 positions, and text around it one for each token.
        text = int(old[0] - new[0]) - TOKENS
        assert further.unique().tolist() == [-(5 + text)]
        expected = turned(keys[:, old], further[0], engine.model.config.language.rope_theta)
        torch.testing.assert_close(reading.cache.keys[:, 0, new], expected, **FINE)
        assert torch.equal(reading.cache.values[:, 0, new], values[:, old])
        keys, values = reading.cache.keys[:, 0].clone(), reading.cache.values[:, 0].clone()


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
def test_the_first_layer_is_exact(name):
    """Its keys and values know what a token is and where it stands, and nothing of what is before it."""
    engine, memory = Engine(model(name), STREAMING), Memory()
    for tick in TICKS[:3]:
        prompt, _, streamed = read(engine, tick, memory)
    _, _, exact = read(Engine(model(name), Switches()), TICKS[2], Memory())
    length, (_, new) = prompt.ids.shape[1], moves(engine, prompt)
    for made, expected in ((streamed.cache.keys, exact.cache.keys), (streamed.cache.values, exact.cache.values)):
        torch.testing.assert_close(made[0, 0, :length], expected[0, 0, :length], **FINE)
        assert float((made[1:, 0, new] - expected[1:, 0, new]).abs().max()) > 1e-3


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("switches", [STREAMING, dataclasses.replace(PLAIN, streaming=True)])
def test_every_token_that_is_read_sees_all_before_it(name, switches):
    """As plain `vla` reads them one by one, finding what was kept in its cache."""
    engine, memory, draft = Engine(model(name), switches), Memory(), [5, 6, 7]
    read(engine, TICKS[0], memory)
    prompt, features, reading = read(engine, TICKS[1], memory, draft)
    loaded, cache = engine.model, reading.cache
    kept = set(moves(engine, prompt)[1].tolist())
    ids = [*prompt.ids[0].tolist(), *draft]
    behind = torch.arange(reading.length, len(ids)) + reading.rope_delta
    positions = torch.cat([prompt.positions, behind.expand(3, 1, -1)], dim=2)
    plain = KVCache.empty(loaded.config.language, 1, len(ids), loaded.device, loaded.dtype)
    language, picture, logits = loaded.vlm.model.language_model, 0, []
    for column, token in enumerate(ids):
        hidden, deepstack = language.embed_tokens(torch.tensor([[token]])), None
        if token == loaded.config.image_token_id:
            hidden = features.tokens[None, picture, None]
            deepstack = torch.ones(1, 1, dtype=torch.bool), features.deepstack[:, picture, None]
            picture += 1
        if column in kept:
            plain.keys[:, :, :, column] = cache.keys[:, :, column]
            plain.values[:, :, :, column] = cache.values[:, :, column]
        else:
            hidden = language(hidden, positions[:, :, column, None], plain, None, deepstack)
        plain.length += 1
        logits.append(loaded.vlm.logits(hidden[:, -1]))
    torch.testing.assert_close(cache.keys[:, 0, : len(ids)], plain.keys[:, 0].transpose(1, 2), **ROUNDED)
    torch.testing.assert_close(cache.values[:, 0, : len(ids)], plain.values[:, 0].transpose(1, 2), **ROUNDED)
    expected = torch.cat(logits[reading.length - 1 :])
    words = engine._reader.ids(torch.arange(reading.logits.shape[-1]))
    said = reading.logits[0].isfinite()
    torch.testing.assert_close(reading.logits[0][said], expected[:, words][said], **ROUNDED)


def plan(engine: Engine, tick: Tick, memory: Memory | None, **changes: Any) -> tuple[Samples, int]:
    """A plan, and how many tokens went through the language model for its prompt, but for the constant head."""
    fed: list[int] = []
    stack = engine._reader._stack

    def counted(hidden, rotary, place, deepstack):
        # Of what is said, every token is asked for.
        if place.asked:
            fed.append(hidden.shape[1])
        return stack(hidden, rotary, place, deepstack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine._reader, "_stack", lambda *given: counted(*given, *[None] * (4 - len(given))))
        made = quickly(engine, tick, memory, **changes)
    return made, fed[-1]


def text_and(pictures: int, engine: Engine, tick: Tick) -> int:
    """Tokens of the prompt behind its constant head, with so many pictures."""
    grids = engine.look(tick.cameras).grid_thw
    ids = prompt_of(engine.model, tick, grids, navigation=tick.navigation).ids[0].tolist()
    head = ids.index(engine.model.config.image_token_id)
    return len(ids) - head - TOKENS * (len(grids) - pictures)


@pytest.mark.parametrize("name", NAMES)
def test_only_new_frames_and_text_are_read(name):
    engine, memory = Engine(model(name), Switches(streaming=True, speculation=False)), Memory()
    for number, pictures in ((0, 8), (1, 2), (2, 2), (2, 0), (4, 4), (7, 6)):
        _, fed = plan(engine, TICKS[number], memory)
        assert fed == text_and(pictures, engine, TICKS[number]), number


@pytest.mark.parametrize("name", NAMES)
def test_the_same_observation_again_is_the_same_plan(name):
    """What is kept stays where it is, and saw what it would see now."""
    engine, memory = Engine(model(name), STREAMING), Memory()
    for _ in range(3):
        check_same(quickly(engine, TICKS[0], memory), known(engine.model, TICKS[0]))


def test_a_draft_is_read_with_what_is_new():
    engine, memory = Engine(model("r1"), STREAMING), Memory()
    said = plan(engine, TICKS[0], memory)[0].reasoning
    _, fed = plan(engine, TICKS[1], memory)
    assert fed == text_and(2, engine, TICKS[1]) + int(said.length)


def test_what_is_told_behind_the_pictures_is_read_anew():
    engine, memory = Engine(model("15"), Switches(streaming=True, speculation=False)), Memory()
    plan(engine, TICKS[0], memory)
    told = dataclasses.replace(TICKS[1], navigation="Turn left")
    assert plan(engine, told, memory)[1] == text_and(2, engine, told) > text_and(2, engine, TICKS[1])


def test_without_the_other_switches():
    engine, memory = Engine(model("r1"), dataclasses.replace(PLAIN, streaming=True)), Memory()
    whole = plan(engine, TICKS[0], memory)[1]
    assert plan(engine, TICKS[1], memory)[1] == whole - 6 * TOKENS
    assert memory.features == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rounded", "num_samples"), [(False, 1), (True, 2)])
def test_a_drive_that_only_streaming_changes(name, rounded, num_samples):
    """Every exact switch is exact with it too, and the plans are others than without it."""
    quick = Engine(model(name), STREAMING, rounded=rounded)
    plain, far = Engine(model(name), dataclasses.replace(PLAIN, streaming=True)), []
    memories = Memory(), Memory()
    for tick in TICKS[:4]:
        made = quickly(quick, tick, memories[0], num_samples=num_samples)
        check_same(made, quickly(plain, tick, memories[1], num_samples=num_samples))
        assert bool(made.xyz.isfinite().all())
        far.append(apart(made, known(quick.model, tick, num_samples=num_samples)))
    assert far[0] < 1e-4
    assert min(far[1:]) > 1e-3


def test_guidance_has_a_prompt_of_its_own():
    engines = [Engine(model("15"), each) for each in (STREAMING, dataclasses.replace(PLAIN, streaming=True))]
    memories = Memory(), Memory()
    for tick in TICKS[:2]:
        told = dataclasses.replace(tick, navigation="Turn left")
        guidance = Guidance(prompt_of(model("15"), tick, engines[0].look(tick.cameras).grid_thw), 0.0)
        made = [plan(engine, told, memory, guidance=guidance) for engine, memory in zip(engines, memories, strict=True)]
        check_same(made[0][0], made[1][0])
    # The last that was read is the prompt without route.
    assert made[0][1] == text_and(2, engines[0], tick)


def changed(tick: Tick, **changes: Any) -> Tick:
    """With another second camera."""
    return dataclasses.replace(tick, cameras=(tick.cameras[0], dataclasses.replace(tick.cameras[1], **changes)))


def shaped(tick: Tick, *size: int) -> Tick:
    return changed(tick, images=np.resize(tick.cameras[1].images, (FRAMES, *size, 3)))


ANEW = {
    "the first plan": [TICKS[0]],
    "a jump past all frames": [TICKS[0], TICKS[4]],
    "time that goes back": [TICKS[1], TICKS[0]],
    "another role": [TICKS[0], changed(TICKS[1], role=2)],
    "a camera less": [TICKS[0], dataclasses.replace(TICKS[1], cameras=TICKS[1].cameras[:1])],
    "another size": [TICKS[0], shaped(TICKS[1], 96, 96)],
    "as many tokens of other sides": [TICKS[0], shaped(TICKS[1], 32, 480)],
    "a frame less": [TICKS[0], invented(3, depth=FRAMES - 1)[2]],
}


@pytest.mark.parametrize("case", ANEW)
def test_where_nothing_can_be_kept_it_is_the_engine_without_the_switch(case):
    name = "15" if case == "a camera less" else "r1"
    made = []
    for switches in (STREAMING, Switches()):
        engine, memory = Engine(model(name), switches), Memory()
        for tick in ANEW[case]:
            found, fed = plan(engine, tick, memory)
        made.append((found.xyz.tolist(), found.reasoning.tokens.tolist(), fed))
    assert made[0] == made[1]


def fails(*given: Any) -> None:
    raise torch.OutOfMemoryError


def forget(engine: Engine, memory: Memory) -> Memory | None:
    return None


def drive_another(engine: Engine, memory: Memory) -> Memory:
    quickly(engine, TICKS[0], Memory())
    return memory


def clear(engine: Engine, memory: Memory) -> Memory:
    memory.clear()
    return memory


def sample_more(engine: Engine, memory: Memory) -> Memory:
    quickly(engine, TICKS[0], memory, num_samples=2)
    return memory


def run_out_of_memory(engine: Engine, memory: Memory) -> Memory:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine._reader, "_stack", fails)
        with pytest.raises(torch.OutOfMemoryError):
            quickly(engine, TICKS[0], memory)
    return memory


@pytest.mark.parametrize("between", [forget, drive_another, clear, sample_more, run_out_of_memory])
def test_what_happens_between_two_plans_of_one_drive(between):
    """After each of these the next plan reads all of its prompt, as without the switch."""
    made = []
    for switches in (STREAMING, Switches()):
        engine, memory = Engine(model("r1"), switches), Memory()
        plan(engine, TICKS[0], memory)
        found, fed = plan(engine, TICKS[1], between(engine, memory))
        made.append((found.xyz.tolist(), found.reasoning.tokens.tolist(), fed))
    assert made[0] == made[1]


def test_what_is_kept_stays_on_the_device_of_the_model():
    """With weights that have a device but no values, whatever mixes devices or waits for a value fails."""
    loaded = AlpamayoModel(model("r1").config, model("r1").tokenizer).to("meta", torch.bfloat16)
    engine, memory = Engine(loaded, Switches(streaming=True, static_graphs=False), rounded=True), Memory()
    for tick in TICKS[:2]:
        _, _, reading = read(engine, tick, memory, [5, 6])
    assert {part.device.type for part in (reading.logits, reading.cache.keys)} == {"meta"}
    assert reading.cache.keys.dtype == torch.bfloat16


def test_models_with_tubelets_are_refused():
    with pytest.raises(ModelInputError, match="this model joins the frames of a camera to tubelets"):
        Engine(tiny(), STREAMING)
