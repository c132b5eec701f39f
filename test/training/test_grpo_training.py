"""GRPO in the trainer: rewards go up, and a run does not depend on interruptions or on the number of processes."""

import json

import pytest
import torch
from command import alpamayo, refusal
from recipes import grpo
from safetensors.torch import load_file
from training_runs import kill_after_first_state, run, train_command

from alpamayo_ros.training.grpo_stage import GrpoStage
from alpamayo_ros.training.parallel import Processes
from alpamayo_ros.training.rewards.reasoning import BEST, Critic, ReasoningReward
from alpamayo_ros.training.trainer import train

pytestmark = pytest.mark.slow  # each trains a model, some in several processes

ALONE = Processes(0, 1, torch.device("cpu"))
RECIPE = """
[grpo]
steps = 4
batch_size = 2
micro_batch = 1
group_size = 3
longest = 4
temperature = 1.0
learning_rate = 3e-3
final_learning_rate = 1e-3
warmup_steps = 1
passes = 2
save_every = 1
validate_every = 0
candidates = 4
informative = 2
"""


class LikesOneLetter(Critic):
    def grade(self, text, situation):
        return BEST * text.count("e") / max(len(text), 1)


def test_what_is_rewarded_becomes_more(model, corpus, tmp_path):
    stage = GrpoStage(
        model,
        grpo(steps=20, learning_rate=2e-2, final_learning_rate=2e-2, group_size=8, longest=12, micro_batch=2),
        [(1.0, ReasoningReward(LikesOneLetter()))],
    )

    def reward():
        works = [stage.act(stage.prepare(corpus.batch([0, 1], dense=False), 1000 + step)) for step in range(3)]
        return sum(float(work.inputs["rewards"].mean()) for work in works) / len(works)

    before, frozen = reward(), {name: part.clone() for name, part in model.expert.named_parameters()}
    assert train(stage, corpus, None, tmp_path / "out", ALONE).finished
    assert reward() > 2.0 * before
    assert all(torch.equal(part, frozen[name]) for name, part in model.expert.named_parameters())


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, begun, data):
    """The folder of a run in one process that nothing interrupted."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "recipe.toml").write_text(RECIPE)
    assert run(train_command("grpo", folder / "recipe.toml", begun, data, folder / "out")) == 0
    return folder / "out"


def differing(folder, other):
    weights, others = (load_file(one / "model.safetensors") for one in (folder, other))
    return [name for name in weights if not torch.equal(weights[name], others[name])]


def test_a_killed_run_that_goes_on_ends_in_the_same_bits(recipe, begun, data, tmp_path, uninterrupted):
    arguments, output = train_command("grpo", recipe, begun, data, tmp_path / "out"), tmp_path / "out"
    kill_after_first_state(arguments, output)
    assert not (output / "training/step-00000004").exists(), "killed before its end"
    assert run(arguments) == 0
    assert differing(output, uninterrupted) == []
    assert differing(output, begun) != []


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_learn_what_one_learns(recipe, begun, data, tmp_path, uninterrupted, sharding):
    recipe.write_text(f'{RECIPE}sharding = "{sharding}"\n')
    assert run(train_command("grpo", recipe, begun, data, tmp_path / "out"), processes=2) == 0
    chosen, alone = (
        json.loads((folder / "training/selection.json").read_text()) for folder in (tmp_path / "out", uninterrupted)
    )
    assert chosen["numbers"] == alone["numbers"]
    weights, others, first = (
        load_file(folder / "model.safetensors") for folder in (tmp_path / "out", uninterrupted, begun)
    )
    moved = max(float((others[name] - first[name]).abs().max()) for name in weights)
    apart = max(float((others[name] - weights[name]).abs().max()) for name in weights)
    assert moved > 2e-3
    assert apart < 0.02 * moved, (apart, moved)


def test_prompts_are_chosen_once(recipe, begun, data, tmp_path):
    arguments = train_command("grpo", recipe, begun, data, tmp_path / "out")
    result = alpamayo(*arguments, "--minutes", "0", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "out/training/selection.json").read_text())
    assert len(set(told["numbers"])) == 4
    assert told["disagreement_chosen"] >= told["disagreement_all"] > 0
    recipe.write_text(RECIPE.replace("candidates = 4", "candidates = 5"))
    assert "selection.json is of another recipe, model or other data" in refusal(alpamayo(*arguments))
    recipe.write_text(RECIPE.replace("candidates = 4", "candidates = 4000"))
    other = train_command("grpo", recipe, begun, data, tmp_path / "other")
    assert "candidates + informative = 4002 are more" in refusal(alpamayo(*other))
