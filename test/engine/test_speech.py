"""Drafts, draws and the short way to a token: none of them changes a word."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from golden_data import FOLDER, MODELS
from hypothesis import given, settings
from hypothesis import strategies as st
from ticks import check_same, drive, known, model, muted, plainly, prompt_of, quickly, small

from alpamayo_ros.engine import choice
from alpamayo_ros.engine.choice import Chooser
from alpamayo_ros.engine.draft import guess
from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.reader import Reader
from alpamayo_ros.engine.switches import Switches
from alpamayo_ros.vla.checkpoint import load_model
from alpamayo_ros.vla.model import Guidance
from alpamayo_ros.vla.sampling import GREEDY, RowStreams, Sampling, drawn_tokens, next_tokens

OLD = [5, 6, 7, 8, 5, 6, 9]


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ([], [5, 6, 7, 8]),
        ([5, 6], [7, 8, 5, 6]),
        ([5, 6, 7, 8, 5, 6, 9], []),
        # One word was put in: what follows is found again by its end.
        ([5, 6, 1, 7, 8], [5, 6, 9]),
        # Where an end stands twice, the place nearest to this one counts.
        ([1, 1, 1, 1, 5, 6], [9]),
        ([1, 5, 6], [7, 8, 5, 6]),
        # One word is another: it goes on at the same place.
        ([5, 1], [7, 8, 5, 6]),
        ([1] * 9, []),
    ],
)
def test_guess(spoken, expected):
    assert guess([OLD], spoken, 4) == expected


def test_guess_among_sentences():
    older = [[5, 6, 3, 4], [9, 7, 7], [5, 6, 3, 1]]
    assert guess([OLD, *older], [5, 6, 3], 4) == [4]
    assert guess([OLD, *older], [5, 6, 3, 1], 4) == OLD[4:]
    assert guess([OLD, *older], [2, 7], 4) == [8, 5, 6, 9]
    assert guess([OLD, *older], [2, 9], 4) == [7, 7]


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """Tokens in each pass behind the prompt."""
    fed: list[int] = []
    say = Reader.say

    def counted(self, reading, tokens, start):
        fed.append(tokens.shape[1])
        return say(self, reading, tokens, start)

    monkeypatch.setattr(Reader, "say", counted)
    return fed


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.6, 0.98)])
def test_a_draft_that_is_right_needs_no_pass_of_its_own(sampling, passes):
    engine, memory, tick = Engine(model("tiny"), Switches()), Memory(), drive("tiny", 1)[0]
    first = quickly(engine, tick, memory, sampling=sampling, max_new_tokens=64)
    length = int(first.reasoning.length)
    assert passes == [1] * length
    passes.clear()
    check_same(quickly(engine, tick, memory, sampling=sampling, max_new_tokens=64), first)
    # It was read with the prompt.
    assert passes == []


def test_a_sentence_that_was_said_before_comes_back_in_one_pass(passes):
    """Two plans with other words between each other, as when one cause takes over from another."""
    engine, memory, tick = Engine(model("r1"), Switches()), Memory(), drive("r1", 1)[0]
    seeds = {tuple(known(engine.model, tick, seed=seed).reasoning.tokens[0].tolist()): seed for seed in range(12)}
    one, other, *_ = seeds.values()
    for seed in (one, other):
        quickly(engine, tick, memory, seed=seed)
    for seed in (one, other):
        passes.clear()
        check_same(quickly(engine, tick, memory, seed=seed), known(engine.model, tick, seed=seed))
        assert len(passes) == 1


@pytest.mark.parametrize("name", ["tiny", "r1"])
@pytest.mark.parametrize("num_samples", [1, 3])
def test_drafts_that_are_wrong_change_nothing(name, num_samples, passes):
    engine, tick = Engine(model(name), Switches()), drive(name, 1)[0]
    expected = known(engine.model, tick, num_samples=num_samples)
    right = [row[:length] for row, length in zip(
        expected.reasoning.tokens.tolist(), expected.reasoning.length.tolist(), strict=True
    )]  # fmt: skip
    begin = engine.model.tokenizer.special_ids["traj_future_start"]
    other = 3
    spoiled = {
        "nothing": [[]],
        "one other word": [[*row[:2], other, *row[3:]] for row in right],
        "one word more": [[*row[:2], other, *row[2:]] for row in right],
        "one word less": [row[:1] + row[2:] for row in right],
        "the end too early": [[*row[:3], begin] for row in right],
        "the end of the text": [[engine.model.tokenizer.im_end] * 5],
        "much too long": [row[:-1] + [other] * 60 for row in right],
        "a place for a picture": [[engine.model.config.image_token_id] * 5],
        "another sample's": right[::-1],
        "one row for all": right[:1],
    }
    for what, drafts in spoiled.items():
        memory = Memory()
        memory.look(tick.cameras, engine._sight._resize, engine._sight)
        memory.reasoning = drafts
        check_same(quickly(engine, tick, memory, num_samples=num_samples), expected)
        assert memory.reasoning[:num_samples] == right, what


def test_rows_that_end_at_different_places():
    """One that ends its text, others that begin their trajectory or go on to the limit."""
    loaded, tick = load_model(FOLDER / MODELS["15"], language_model=FOLDER / "vlm_tiny"), drive("15", 1)[0]
    muted(loaded).config = small("15").config
    changes = {"num_samples": 4, "sampling": Sampling(1.5, None, 5), "max_new_tokens": 16, "seed": 2}
    words = known(loaded, tick, **changes).reasoning.tokens
    # Where the second row says its fifth word, it ends from now on.
    swapped = [loaded.tokenizer.im_end, int(words[1, 4])]
    loaded.vlm.lm_head.weight[swapped] = loaded.vlm.lm_head.weight[swapped[::-1]]
    expected, engine, memory = plainly(loaded, tick, **changes), Engine(loaded, Switches()), Memory()
    assert expected.reasoning.length[1] == 5
    assert expected.reasoning.complete.any()
    assert len(set(expected.reasoning.length.tolist())) > 2
    for _ in range(2):
        check_same(quickly(engine, tick, memory, **changes), expected)
    alone = {**changes, "num_samples": 2}
    check_same(quickly(engine, tick, memory, **alone), plainly(loaded, tick, **alone))


def test_guidance_behind_the_end_of_text_as_a_word():
    """A row that says what others are filled up with has said it, in both prompts."""
    loaded, tick = load_model(FOLDER / MODELS["15"], language_model=FOLDER / "vlm_tiny"), drive("15", 1)[0]
    muted(loaded).config = small("15").config
    changes = {"num_samples": 2, "sampling": Sampling(1.5, None, 5), "max_new_tokens": 12, "seed": 2}
    told = dataclasses.replace(tick, navigation="Turn left")
    words = plainly(loaded, told, **changes).reasoning.tokens
    swapped = [loaded.tokenizer.pad, int(words[1, 3])]
    loaded.vlm.lm_head.weight[swapped] = loaded.vlm.lm_head.weight[swapped[::-1]]
    engine = Engine(loaded, Switches())
    guidance = Guidance(prompt_of(loaded, tick, engine.look(tick.cameras).grid_thw), 0.0)
    expected = plainly(loaded, told, guidance=guidance, **changes)
    said = expected.reasoning.tokens[1, : int(expected.reasoning.length[1]) - 1]
    assert (said == loaded.tokenizer.pad).any()
    check_same(quickly(engine, told, guidance=guidance, **changes), expected)


@given(
    seed=st.integers(0, 10_000),
    width=st.sampled_from([3, 40, 200, 1000]),
    sharpness=st.sampled_from([0.0, 0.5, 4.0, 20.0]),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    top_p=st.sampled_from([None, 0.5, 0.98, 1.0]),
    top_k=st.sampled_from([None, 1, 5, 100]),
)
@settings(max_examples=300)
def test_the_short_way_leads_to_the_same_token(seed, width, sharpness, temperature, top_p, top_k):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(2, 3, width, generator=generator)
    logits[:, :, ::7] = logits[:, :, :1]  # equal scores
    sampling = Sampling(temperature, top_p, top_k)
    chooser = Chooser(sampling, RowStreams(seed, 2, 0), quick=True)
    streams = RowStreams(seed, 2, 0)
    expected = torch.stack([next_tokens(logits[:, place].clone(), sampling, streams) for place in range(3)], dim=1)
    assert chooser.choose(logits, 0).tolist() == expected.tolist()
    # A place that is looked at again has the same draw.
    assert chooser.choose(logits[:, 1:], 1).tolist() == expected[:, 1:].tolist()


def test_the_short_way_with_scores_of_thousands():
    """Rounding of such scores to float32 moves probabilities by more than the margin; that of their differences not."""
    sampling, draws = Sampling(0.01, None), torch.linspace(0.48, 0.52, 4001, dtype=torch.float64)
    logits = torch.full((4001, 70), -5.0)
    logits[:, 1], logits[:, 2] = 29.9913, 29.9912
    chosen, settled = choice._quickly(logits, sampling, draws.numpy())
    expected = drawn_tokens(logits.clone(), sampling, draws).numpy()
    assert settled.any()
    assert (chosen == expected)[settled].all()


def test_the_short_way_is_taken():
    logits = 5 * torch.randn(200, 500, generator=torch.Generator().manual_seed(0))
    draws = np.random.default_rng(0).random(200)
    for sampling in (Sampling(0.6, 0.98), Sampling(0.6, None), Sampling(0.6, None, 20)):
        assert choice._quickly(logits, sampling, draws)[1].mean() > 0.97
    flat = torch.zeros(4, 500)
    assert not choice._quickly(flat, Sampling(1.0, 0.98), draws[:4])[1].any()
