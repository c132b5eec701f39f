"""Rollouts are the model's own, their probabilities are those they were drawn with, and they are rewarded as asked."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from recipes import grpo

from alpamayo_ros.training.answers import answers_of
from alpamayo_ros.training.corpus import Corpus
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.grpo_stage import GrpoStage
from alpamayo_ros.training.parallel import Processes
from alpamayo_ros.training.rewards.choice import chosen_rewards
from alpamayo_ros.training.rewards.endpoint import EndpointCritic
from alpamayo_ros.training.rewards.reward import Reward
from alpamayo_ros.training.selection import disagreement, keep_informative
from alpamayo_ros.training.sequence import NONE, REASONING, TRAJECTORY
from alpamayo_ros.vla.model import Reasoning, Samples


class Counting(Reward):
    """0, 1, 2 … in the order of the attempts."""

    name, span = "counting", 4.0

    def score(self, attempts):
        return [float(number) for number in range(len(attempts))]


@pytest.fixture
def batch(corpus):
    """A prompt with navigation and one without: they differ in length."""
    named = next(number for number, moment in enumerate(corpus.moments) if moment.navigation)
    return corpus.batch([0, named], dense=False)


def spoken(model, rows):
    """Samples of which the first row begins its trajectory itself, and the others do not."""
    begin, pad = model.tokenizer.special_ids["traj_future_start"], model.tokenizer.pad
    tokens = torch.randint(0, 300, (rows, 5), generator=torch.Generator().manual_seed(1))
    tokens[0, 3:] = torch.tensor([begin, pad])
    complete = torch.tensor([True] + [False] * (rows - 1))
    reasoning = Reasoning(tokens, complete, torch.tensor([4] + [5] * (rows - 1)))
    bins = torch.randint(
        0, model.config.future_tokens.num_bins, (rows, 128), generator=torch.Generator().manual_seed(2)
    )
    return bins, Samples(reasoning, model.future_tokens.decode_actions(bins), *[torch.empty(0)] * 3)


def test_answers_hold_what_was_said_and_planned(model):
    bins, samples = spoken(model, 2)
    answers = answers_of(model, samples)
    first, said = model.tokenizer.future_bin_0, samples.reasoning.tokens
    assert answers.ids[0].tolist() == [*said[0, :4].tolist(), *(bins[0] + first).tolist()]
    # The trajectory of a row that did not begin one itself is nobody's choice.
    assert answers.ids[1, :5].tolist() == said[1].tolist()
    assert answers.parts.tolist() == [[REASONING] * 4 + [TRAJECTORY] * 128, [REASONING] * 5 + [NONE] * 127]
    assert answers.owners.tolist() == [0] * 4 + [1] * 5 + [0] * 128


@torch.no_grad()
def test_probabilities_are_those_of_decoding_token_by_token(model, batch):
    stage = GrpoStage(model, grpo(train_temperature=0.7), [(1.0, Counting())])
    work = stage.prepare(batch, 0)
    rows = len(batch) * stage.recipe.group_size
    answers = answers_of(model, spoken(model, rows)[1])
    found = stage.log_probabilities(model.vlm, {**work.inputs, "answers": answers})
    features = model.vlm.encode_images(work.inputs["rows"], work.inputs["grids"])
    length, first = answers.ids.shape[1], model.tokenizer.future_bin_0
    context = model.read(work.inputs["prompt"], features, length).repeat(
        stage.recipe.group_size, work.inputs["prompt"].ids.shape[1] + length
    )
    told = torch.zeros(answers.ids.shape)
    for column in range(length):
        logits = context.logits / 0.7
        bare, binned = logits.clone(), logits[:, first : first + model.config.future_tokens.num_bins]
        bare[:, first : first + model.config.traj_vocab_size] = -torch.inf
        for row, token in enumerate(answers.ids[:, column].tolist()):
            if answers.parts[row, column] == REASONING:
                told[row, column] = bare[row].log_softmax(dim=-1)[token]
            if answers.parts[row, column] == TRAJECTORY:
                told[row, column] = binned[row].log_softmax(dim=-1)[token - first]
        model.feed(context, answers.ids[:, column : column + 1], answers.parts[:, column : column + 1] != NONE)
    wanted = torch.cat([told[answers.parts == part] for part in (REASONING, TRAJECTORY)])
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_step_rewards_its_groups_and_begins_on_its_own_policy(model, batch, passes):
    stage = GrpoStage(model, grpo(kl=0.1, passes=passes), [(0.5, Counting())])
    work = stage.act(stage.prepare(batch, 0))
    assert ("before" in work.inputs) == (passes == 2)
    # Random weights never come to a trajectory: each is worse by the whole span.
    assert work.inputs["rewards"].tolist() == [[-2.0, -1.5, -1.0], [-0.5, 0.0, 0.5]]
    by_rollout = torch.tensor([-0.5, 0.0, 0.5] * 2)
    owners = work.inputs["answers"].owners
    assert torch.equal(work.inputs["advantage"], by_rollout[owners])
    assert work.counts["policy"] == len(owners) == (work.inputs["answers"].parts == REASONING).sum()
    sums = stage(work)
    means = {name: float(value.detach()) / work.counts[name] for name, value in sums.items()}
    assert set(means) == set(stage.weights(0))
    assert means["policy"] == pytest.approx(-float(by_rollout[owners].mean()), abs=1e-6)
    assert (means["clipped"], means["reward"], means["reward_counting"]) == (0.0, -0.75, 2.5)
    assert means["unfinished"] == 1.0
    assert means["advantage_std"] == pytest.approx(0.5)
    assert means["kl_rollout"] == pytest.approx(0.0, abs=1e-6)
    assert means["kl_reference"] == pytest.approx(0.0, abs=1e-6)
    sums["policy"].backward()
    learned = {name for name, part in stage.named_parameters() if part.grad is not None}
    assert learned
    assert all(name.startswith("model.vlm.") for name in learned)


def test_what_is_unfinished_is_worse_than_all_that_is_finished(model, batch, monkeypatch):
    stage = GrpoStage(model, grpo(), [(0.5, Counting())])
    sample = model.sample

    def half(*arguments, **options):
        found = sample(*arguments, **options)
        complete = torch.tensor([True, False, True] * 2)
        return replace(found, reasoning=replace(found.reasoning, complete=complete))

    monkeypatch.setattr(model, "sample", half)
    work = stage.act(stage.prepare(batch, 0))
    assert work.inputs["rewards"].tolist() == [[0.0, -1.5, 1.0], [1.5, 0.0, 2.5]]
    assert float(work.inputs["told"]["unfinished"]) == 2.0


def test_what_is_drawn_depends_on_the_prompt_its_place_and_the_step_alone(model, corpus, batch):
    stage = GrpoStage(model, grpo(), [(1.0, Counting())])

    def rolled(numbers, step, places=None):
        return stage.act(stage.prepare(corpus.batch(numbers, dense=False, places=places), step)).inputs["answers"]

    both, alone = rolled(batch.numbers, 3), rolled(batch.numbers[1:], 3, batch.places[1:])
    mine = both.parts[3:] != 0
    assert torch.equal(both.ids[3:][mine], alone.ids[alone.parts != 0])
    assert not torch.equal(alone.ids, rolled(batch.numbers[1:], 4).ids)


def test_validation_tells_the_rewards_of_greedy_plans(model, corpus):
    stage = GrpoStage(model, grpo(validation_samples=4), [(0.5, Counting())])
    figures = stage.validate(corpus)
    assert figures["reward_counting"] == (0 + 1 + 2 + 3) / 4
    assert figures["ade"] > 0


def test_a_reward_of_weight_0_is_not_asked(monkeypatch):
    names = [reward.name for _, reward in chosen_rewards(grpo(reasoning=0.0, trajectory=2.0))]
    assert names == ["consistency", "trajectory"]
    assert [weight for weight, _ in chosen_rewards(grpo(reasoning=0.0, trajectory=2.0))] == [1.0, 2.0]
    monkeypatch.setenv("KEY", "secret")
    asked = grpo(critic="endpoint", critic_url="http://localhost:1/v1", critic_model="judge", critic_key="KEY")
    [(_, reward), *_] = chosen_rewards(asked)
    assert isinstance(reward.critic, EndpointCritic)


def test_disagreement_is_where_model_and_reward_prefer_others():
    likely = torch.tensor([[-0.1, -0.7, -0.7]] * 3)
    rewards = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    agreed, opposed, indifferent = disagreement(likely, rewards, beta=10.0).tolist()
    assert agreed < 0.01
    assert opposed > 0.99
    assert agreed < indifferent < opposed
    assert disagreement(likely, rewards, beta=0.0).tolist() == [0.0] * 3


@pytest.mark.parametrize("passes", [1, 2])
def test_the_prompts_that_disagree_most_are_kept_and_as_many_others(model, corpus, tmp_path, passes):
    mine = Corpus(corpus.shards, (0, 1, 2, 6))
    stage = GrpoStage(model, grpo(candidates=4, informative=1, micro_batch=2, passes=passes), [(1.0, Counting())])
    keep_informative(stage, mine, tmp_path, Processes(0, 1, torch.device("cpu")), "this model")
    told = json.loads((tmp_path / "training/selection.json").read_text())
    assert [moment.key for moment in mine.moments] == [corpus.moments[number].key for number in told["numbers"]]
    assert len(mine) == 2
    assert told["disagreement_chosen"] > told["disagreement_all"] > 0
    again = Corpus(corpus.shards, (0, 1, 2, 6))
    with pytest.raises(TrainingError, match="is of another recipe, model or other data"):
        keep_informative(stage, again, tmp_path, Processes(0, 1, torch.device("cpu")), "another model")
    keep_informative(stage, again, tmp_path, Processes(0, 1, torch.device("cpu")), "this model")
    assert [moment.key for moment in again.moments] == [moment.key for moment in mine.moments]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda moment: replace(moment, history=(moment.history[0] + 1.0, moment.history[1])), "make the data again"),
        (lambda moment: replace(moment, origin=None), "begins with a model's drive"),
    ],
)
def test_data_that_cannot_be_driven_again_are_refused_before_the_first_step(model, corpus, change, told):
    stage = GrpoStage(model, grpo(), [(1.0, Counting())])
    stage.check(corpus)
    changed = copy.copy(corpus)
    changed.moments = [change(moment) for moment in corpus.moments]
    with pytest.raises(TrainingError, match=told):
        stage.check(changed)
