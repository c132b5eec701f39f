"""What is learned is what is asked for: training and inference see the same."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from recipes import expert, sft

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.sample import Sample, encode
from alpamayo_ros.datasets.shard import pack
from alpamayo_ros.policy import DrivingPolicy, reasoning_text
from alpamayo_ros.training.corpus import Corpus
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.expert_stage import ExpertStage
from alpamayo_ros.training.sequence import REASONING, TRAJECTORY, Memory, choose, disguised, select, streams
from alpamayo_ros.training.sft_stage import SftStage
from alpamayo_ros.training.validation import speak
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.model import Reasoning
from alpamayo_ros.vla.prompt import batch_prompts, driving_prompt


def prompted(model, batch):
    """The context of a batch as `AlpamayoModel.sample` reads it, with navigation, and each prompt's length."""
    rows, grids = preprocess(batch.images, model.config)
    of_each = list(grids.reshape(len(batch), -1, 3))
    history = [torch.stack(part) for part in zip(*(moment.history for moment in batch.moments), strict=True)]
    bins = model.history_tokens.encode(*history)
    prompts = [
        driving_prompt(model.tokenizer, model.config, grid, [0, 1, 2, 6], bins[row], moment.navigation)
        for row, (moment, grid) in enumerate(zip(batch.moments, of_each, strict=True))
    ]
    prompt = batch_prompts(prompts, of_each, model.config, model.tokenizer.pad)
    return model.read(prompt, model.vlm.encode_images(rows, grids), room=200), [len(one) for one in prompts]


@pytest.fixture
def batch(corpus):
    """Moments with and without navigation, so that their prompts differ in length."""
    named = [number for number, moment in enumerate(corpus.moments) if moment.navigation]
    return corpus.batch([0, named[0], named[-1]], dense=True)


@torch.no_grad()
def test_the_language_model_learns_what_it_will_be_asked(model, batch):
    stage = SftStage(model, sft(navigation_dropout=0.0, trajectory_share=1.0, phrasing="first"))
    work = stage.prepare(batch, 0)
    [(members, _, sequences)] = work.inputs["groups"]
    features = select(model.vlm.encode_images(work.inputs["rows"], work.inputs["grids"]), members, len(batch))
    hidden = model.vlm(sequences.ids, sequences.positions, Memory(), "causal", features)
    context, lengths = prompted(model, batch)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(model.vlm.logits(hidden[row, length - 1]), context.logits[row])
    # Fed token by token, as it speaks.
    answers = [sequences.ids[row, length : length + 20] for row, length in enumerate(lengths)]
    for column in range(20):
        tokens = torch.stack([answer[column : column + 1] for answer in answers])
        model.feed(context, tokens, torch.ones_like(tokens, dtype=torch.bool))
        for row, length in enumerate(lengths):
            wanted = model.vlm.logits(hidden[row, length + column])
            torch.testing.assert_close(wanted, context.logits[row], atol=1e-4, rtol=1e-4)


def test_answers_hold_the_sentence_and_the_trajectory(model, batch):
    stage = SftStage(model, sft(trajectory_share=1.0, phrasing="first"))
    work = stage.prepare(batch, 0)
    [(_, _, sequences)] = work.inputs["groups"]
    for row, moment in enumerate(batch.moments):
        said = sequences.ids[row, : sequences.lengths[row]]
        parts = sequences.parts[row, : sequences.lengths[row]]
        text = model.tokenizer.decode(said[parts == REASONING].tolist(), skip_special=False)
        assert text == f"{moment.label.sentences[0]}<|cot_end|><|im_end|>"
        tokens = said[parts == TRAJECTORY]
        special = model.tokenizer.special_ids
        assert (int(tokens[0]), int(tokens[-1])) == (special["traj_future_start"], special["traj_future_end"])
        history = [part[None] for part in moment.history]
        driven, _ = model.future_tokens.decode(*history, tokens[None, 1:-1] - model.tokenizer.future_bin_0)
        assert (driven[0] - moment.future[0]).norm(dim=-1).mean() < 0.1
    assert work.counts["trajectory"] == 130 * len(batch)


@torch.no_grad()
def test_a_hidden_trajectory_is_said_without_being_read(model, batch):
    recipe = {"trajectory_share": 1.0, "phrasing": "first", "navigation_dropout": 0.0}
    stage = SftStage(model, sft(hidden_trajectories=1.0, **recipe))
    work = stage.prepare(batch, 0)
    [(members, read, sequences)] = work.inputs["groups"]
    hidden, special = sequences.ids != read, model.tokenizer.special_ids
    assert read[hidden].unique().tolist() == [special["traj_future"]]
    assert hidden.sum(dim=1).tolist() == [128] * len(batch)
    assert int(sequences.ids[0, hidden[0].nonzero()[0] - 1]) == special["traj_future_start"]
    # What is not read is said all the same.
    features = select(model.vlm.encode_images(work.inputs["rows"], work.inputs["grids"]), members, len(batch))
    states = model.vlm(read, sequences.positions, Memory(), "causal", features)[:, :-1]
    told = -model.vlm.logits(states).log_softmax(-1).gather(-1, sequences.ids[:, 1:, None])[..., 0]
    wanted = told[sequences.parts[:, 1:] == TRAJECTORY].sum()
    torch.testing.assert_close(stage.forward(work)["trajectory"], wanted, rtol=1e-4, atol=1e-3)
    [(_, read, sequences)] = SftStage(model, sft(**recipe)).prepare(batch, 0).inputs["groups"]
    assert torch.equal(read, sequences.ids)


def test_without_reasoning_the_chain_ends_at_once(model, batch):
    stage = SftStage(model, sft(reasoning=0.0, trajectory_share=1.0))
    [(_, _, sequences)] = stage.prepare(batch, 0).inputs["groups"]
    special = model.tokenizer.special_ids
    opening = sequences.ids[0].tolist().index(special["cot_start"])
    # What the engine puts there when it is to skip the reasoning.
    assert sequences.ids[0, opening + 1 : opening + 3].tolist() == [special["cot_end"], special["traj_future_start"]]
    assert sequences.parts[0, opening + 1 : opening + 3].tolist() == [TRAJECTORY, TRAJECTORY]


@torch.no_grad()
@pytest.mark.parametrize("weighting", ["uniform", "acceleration", "motion"])
def test_the_expert_learns_the_field_that_is_integrated(model, batch, weighting):
    stage = ExpertStage(
        model, expert(navigation_dropout=0.0, times_per_sample=2, phrasing="first", weighting=weighting)
    )
    work = stage.act(stage.prepare(batch, 0))
    context, lengths = prompted(model, batch)
    sequences = work.inputs["sequences"]
    length = int((sequences.lengths - torch.tensor(lengths)).max())
    tokens = torch.full((len(batch), length), model.tokenizer.pad)
    said = sequences.lengths - torch.tensor(lengths)
    for row, start in enumerate(lengths):
        tokens[row, : said[row]] = sequences.ids[row, start : sequences.lengths[row]]
    model.feed(context, tokens, tokens != model.tokenizer.pad)
    velocity = model.velocity(context, Reasoning(tokens, torch.ones(len(batch), dtype=torch.bool), said))
    action, noise, times = (work.inputs[name] for name in ("action", "noise", "times"))
    space, total = model.config.action_space, 0.0
    for number in range(2):
        for row in range(len(batch)):
            time = float(times[row, number])
            mixed = time * action + (1 - time) * noise[:, number]
            wanted = action[row] - noise[row, number]
            error = velocity(mixed, time)[row] - wanted
            counts = error.square().sum(0)
            if weighting == "motion":
                # What they are wrong by after so many tenths of a second: speed, and how far it has come.
                after = torch.arange(1, 65)[:, None] - torch.arange(64)
                speeds = after.clamp(0, 1).float() @ error * 0.1
                places = (after.clamp(min=0) * 0.01).float() @ error
                counts = counts + 0.5 * speeds.square().sum(0) + 0.05 * places.square().sum(0)
            along, curvature = counts.tolist()
            if weighting != "uniform":
                # In metres per second squared, the sideways part as large as speed² × curvature, to a bound.
                speed = float(batch.moments[row].history[0].diff(dim=0)[-1].norm()) / 0.1
                lateral = (speed**2 * space.curvature_std / space.accel_std) ** 2
                curvature *= min(max(lateral, 1.0), 10.0)
            total += along + curvature
    assert float(stage(work)["flow"]) == pytest.approx(total, rel=1e-4 if weighting == "uniform" else 1e-2)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_expert_can_learn_behind_what_the_model_says_itself(corpus, share):
    model = DrivingPolicy.from_pretrained("alpamayo-tiny").model
    batch = corpus.batch(range(6), dense=False)
    stage = ExpertStage(model, expert(navigation_dropout=0.0, phrasing="first", own_words=share))
    prepared = stage.prepare(batch, 3)
    work = stage.act(prepared)
    samples = speak(model, batch.images, batch.moments, autoregressive=False)
    own = prepared.inputs["own"]
    assert len(own) == 6 if share == 1.0 else 0 < len(own) < 6
    for row, moment in enumerate(batch.moments):
        sequences = work.inputs["sequences"]
        text = model.tokenizer.decode(sequences.ids[row, : sequences.lengths[row]].tolist(), skip_special=False)
        said = reasoning_text(model, samples.reasoning.tokens[row])
        wanted = said if row in own else moment.label.sentences[0]
        assert text.endswith(f"<|cot_start|>{wanted}<|cot_end|><|traj_future_start|>")
    spoken = [reasoning_text(model, samples.reasoning.tokens[row]) for row in own]
    assert any(text != batch.moments[row].label.sentences[0] for row, text in zip(own, spoken, strict=True))
    assert torch.equal(work.inputs["action"], stage.prepare(batch, 3).inputs["action"]), "what is right stays so"
    assert torch.isfinite(stage(work)["flow"])


def test_where_no_words_suit_the_expert_reads_the_models_own(corpus):
    model = DrivingPolicy.from_pretrained("alpamayo-tiny").model
    batch = corpus.batch(range(3), dense=False)
    moments = tuple(replace(moment, label=replace(moment.label, sentences=())) for moment in batch.moments)
    stage = ExpertStage(model, expert(own_words=0.01))
    assert stage.wordless
    assert not ExpertStage(model, expert()).wordless
    work = stage.act(stage.prepare(replace(batch, moments=moments), 3))
    samples = speak(model, batch.images, moments, autoregressive=False)
    for row in range(3):
        ids = work.inputs["sequences"].ids[row, : work.inputs["sequences"].lengths[row]].tolist()
        said = reasoning_text(model, samples.reasoning.tokens[row])
        assert said
        assert model.tokenizer.decode(ids, skip_special=False).endswith(f"{said}<|cot_end|><|traj_future_start|>")


def test_samples_without_words_are_read_where_that_is_asked(data, tmp_path):
    sample = next(iter(Dataset.open(data)))
    silent = Sample(**{**vars(sample), "tick": sample.tick + 1, "label": replace(sample.label, sentences=())})
    shard = tmp_path / "shard-000000.tar"
    content = pack((one.key, encode(one)) for one in (sample, silent))
    shard.write_bytes(content)
    shard.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    (tmp_path / "plan.json").write_bytes((data / "plan.json").read_bytes())
    assert [moment.key for moment in Corpus([shard], (0,)).moments] == [sample.key]
    assert [moment.key for moment in Corpus([shard], (0,), wordless=True).moments] == [sample.key, silent.key]


def test_flow_times_have_the_released_distribution(model, corpus):
    stage = ExpertStage(model, expert(times_per_sample=400))
    times = stage.prepare(corpus.batch([0, 1], dense=False), 3).inputs["times"]
    assert float(times.min()) >= 0
    assert float(times.max()) <= 0.999
    # Beta(1.5, 1) has mean 0.6.
    assert float(times.mean()) == pytest.approx(0.999 * 0.4, abs=0.03)


def test_what_is_drawn_depends_on_seed_step_and_place(corpus):
    moment, batch = corpus.moments[0], corpus.batch([0, 1, 0], dense=False)
    numbers = [draw.random() for draw in streams(0, 1, batch)]
    assert numbers == [draw.random() for draw in streams(0, 1, batch)]
    assert len({*numbers, *(draw.random() for draw in streams(0, 2, batch))}) == 6, "the third is the first again"
    alone = corpus.batch([1], dense=False, places=[1])
    assert streams(0, 1, alone)[0].random() == numbers[1], "in whatever process"
    sentences = {choose(moment, streams(0, step, batch)[0], "drawn", 0.0).sentence for step in range(60)}
    assert sentences == set(moment.label.sentences)
    assert choose(moment, np.random.default_rng(0), "first", 1.0).navigation is None


def test_a_share_of_every_batch_has_its_trajectory(model, corpus):
    stage = SftStage(model, sft(trajectory_share=0.25))
    batch = corpus.batch(range(8), dense=False)
    counts = stage.prepare(batch, 0).counts
    assert counts["trajectory"] == 2 * 130
    assert counts["reasoning"] > 8 * 9
    # However the batch is cut, over micro-batches or processes.
    parts = [
        stage.prepare(corpus.batch(share, dense=False, places=share), 0) for share in (range(0, 8, 2), range(1, 8, 2))
    ]
    assert sum(part.counts["trajectory"] for part in parts) == 2 * 130


def test_a_past_may_be_that_of_a_car_that_steered_more(corpus):
    moments = [moment for moment in corpus.moments if float(moment.history[0][0].norm()) > 8.0][:3]
    assert moments
    draws = [np.random.default_rng(number) for number in range(len(moments))]
    for moment, changed, number in zip(moments, disguised(moments, draws, 0.8, 0.0), range(3), strict=False):
        (xyz, rotations), (before, turned) = changed.history, moment.history
        speed = float(before.diff(dim=0)[-1].norm()) / 0.1
        curvature = 0.8 * np.random.default_rng(number).standard_normal() / max(speed, 4.0) ** 2
        # Where it is at t0, and what it will do, stays; how it got there is another circle.
        torch.testing.assert_close(xyz[-1], before[-1])
        torch.testing.assert_close(rotations[-1], turned[-1])
        assert changed.future is moment.future
        driven = before.diff(dim=0).norm(dim=-1).sum()
        heading = torch.atan2(rotations[0, 1, 0], rotations[0, 0, 0]) - torch.atan2(turned[0, 1, 0], turned[0, 0, 0])
        assert float(heading) == pytest.approx(-curvature * float(driven), abs=1e-5)
        assert float(xyz[0, 1] - before[0, 1]) == pytest.approx(0.5 * curvature * float(driven) ** 2, abs=1e-4)
        # The headings still lie along the path.
        along = xyz.diff(dim=0)[0]
        assert float(torch.atan2(along[1], along[0])) == pytest.approx(
            float(torch.atan2(rotations[0, 1, 0], rotations[0, 0, 0])), abs=0.02
        )


def test_a_past_may_be_that_of_a_car_that_accelerated_more(corpus):
    moments = [moment for moment in corpus.moments if float(moment.history[0][0].norm()) > 8.0][:3]
    assert moments
    draws = [np.random.default_rng(number) for number in range(len(moments))]
    for moment, changed, number in zip(moments, disguised(moments, draws, 0.0, 1.2), range(3), strict=False):
        speeds, before = (history[0].diff(dim=0).norm(dim=-1) / 0.1 for history in (changed.history, moment.history))
        added = 1.2 * np.random.default_rng(number).standard_normal(2)[1] * min(float(before[-1]) / 4.0, 1.0)
        added = min(added, float(before[0]) / 1.5)
        torch.testing.assert_close(changed.history[1], moment.history[1])
        ages = torch.arange(14.5, 0.0, -1.0) * 0.1
        torch.testing.assert_close(speeds, before - added * ages, atol=0.1, rtol=0.0)
        assert float(speeds.min()) > -1e-3


def test_a_car_that_stands_has_no_other_past(corpus):
    still = replace(corpus.moments[0], history=(torch.zeros(16, 3), torch.eye(3).expand(16, 3, 3)))
    (changed,) = disguised([still], [np.random.default_rng(0)], 0.7, 1.2)
    torch.testing.assert_close(changed.history, still.history)


def test_pictures_of_several_shapes_are_refused(model, batch):
    images = [np.rot90(image).copy() if number < 4 else image for number, image in enumerate(batch.images)]
    with pytest.raises(TrainingError, match="pictures of several shapes"):
        SftStage(model, sft(trajectory_share=1.0)).prepare(replace(batch, images=images), 0)
