import re
from pathlib import Path

import pytest

from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.recipe import ExpertRecipe, GrpoRecipe, SftRecipe, VisionRecipe, read_recipe
from alpamayo_ros.training.trainer import learning_rate

FOLDER = Path(__file__).parents[2] / "config/training"
GOOD = {"steps": "10", "batch_size": "4", "micro_batch": "2", "learning_rate": "1e-3", "final_learning_rate": "1e-5"}


def written(tmp_path, table="sft", **changes):
    lines = {**GOOD, "warmup_steps": "2", **changes}
    path = tmp_path / "recipe.toml"
    path.write_text(f"[{table}]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items() if value))
    return path


@pytest.mark.parametrize(
    ("name", "table", "kind"),
    [
        ("alpamayo_tiny", "vision", VisionRecipe),
        ("alpamayo_tiny", "sft", SftRecipe),
        ("alpamayo_tiny", "expert", ExpertRecipe),
        ("alpamayo_tiny", "grpo", GrpoRecipe),
        ("released_10b", "sft", SftRecipe),
        ("released_10b", "expert", ExpertRecipe),
        ("released_10b", "grpo", GrpoRecipe),
    ],
)
def test_the_shipped_recipes_are_read(name, table, kind):
    assert read_recipe(FOLDER / f"{name}.toml", table, kind).steps > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": "3"}, r"recipe.toml, \[sft\]: unknown key stepz; the keys are steps, "),
        ({"steps": ""}, "steps is missing"),
        ({"steps": '"many"'}, "steps is 'many'; it must be of type int"),
        ({"batch_size": "true"}, "batch_size is True"),
        ({"steps": "0"}, "steps must be above 0"),
        ({"precision": '"half"'}, "precision must be one of float32, bfloat16"),
        ({"trajectory_share": "0.0"}, "trajectory_share must be in"),
        ({"reasoning": "0.0", "trajectory_share": "0.5"}, "without reasoning, trajectory_share must be 1"),
        ({"hidden_trajectories": "1.5"}, "hidden_trajectories must be in"),
        ({"phrasing": '"all"'}, "phrasing must be one of"),
        ({"final_learning_rate": "1.0"}, "final_learning_rate must be from 0 to learning_rate"),
        ({"warmup_steps": "11"}, "warmup_steps must be from 0 to steps"),
        ({"validation_samples": "0"}, "validation_samples must be above 0"),
        ({"vision_rate": "-1.0"}, "vision_rate and weight_decay must be 0 or more"),
        ({"beta_2": "1.5"}, "beta_2 must be in"),
        ({"trajectory_share": "0.1"}, "trajectory_share of batch_size must be one sample or more"),
        (
            {"sharding": '"fsdp"', "validate_every": "0", "trajectory_share": "0.5", "micro_batch": "2"},
            "with sharding fsdp, micro_batch or trajectory_share must be 1",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(TrainingError, match=message) as error:
        read_recipe(written(tmp_path, **changes), "sft", SftRecipe)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": "1"}, "group_size must be 2 or more"),
        ({"top_p": "0.0"}, r"top_p must be in \(0, 1\]"),
        ({"clip_low": "1.0"}, "clip_low must be below 1"),
        ({"passes": "0"}, "passes must be above 0"),
        ({"kl": "-0.1"}, "kl must be 0 or more"),
        (
            {"reasoning": "0", "consistency": "0", "trajectory": "0"},
            "weights of rewards must be 0 or more, and not all 0",
        ),
        ({"critic": '"oracle"'}, "critic must be one of rubric, endpoint"),
        ({"critic": '"endpoint"'}, "critic endpoint needs critic_url and critic_model"),
        ({"candidates": "8"}, "informative and candidates are given together"),
        ({"candidates": "8", "informative": "8"}, "informative and candidates are given together, candidates the more"),
        ({"kl": "0.1", "sharding": '"fsdp"', "validate_every": "0"}, "with sharding fsdp, kl must be 0"),
        ({"normalise": "1"}, "normalise is 1; it must be of type bool"),
    ],
)
def test_a_wrong_recipe_for_rewards_is_refused_in_one_line(tmp_path, changes, message):
    with pytest.raises(TrainingError, match=message) as error:
        read_recipe(written(tmp_path, "grpo", **changes), "grpo", GrpoRecipe)
    assert "\n" not in str(error.value)


def test_processes_that_share_weights_speak_equally_often(tmp_path):
    """Who says a sentence of its own gathers the weights for it, and would wait for ever for who says none."""
    path = written(tmp_path, "expert", sharding='"fsdp"', validate_every="0")
    for share in (0.0, 1.0):
        assert read_recipe(path, "expert", ExpertRecipe, (f"own_words={share}",)).own_words == share
    with pytest.raises(TrainingError, match="with sharding fsdp, own_words must be 0 or 1"):
        read_recipe(path, "expert", ExpertRecipe, ("own_words=0.5",))


def test_what_is_said_beside_a_recipe_goes_before_it(tmp_path):
    path = written(tmp_path, "sft", optimiser='"adamw"')
    recipe = read_recipe(path, "sft", SftRecipe, ('optimiser = "muon"', "trajectory_share=0.5", "steps=77"))
    assert (recipe.optimiser, recipe.trajectory_share, recipe.steps) == ("muon", 0.5, 77)
    for change, message in (
        ("stepz=1", "unknown key stepz"),
        ("steps=muon", "give KEY=VALUE as TOML has it"),
        ("steps", "give KEY=VALUE as TOML has it"),
        ('steps="7"', "steps is '7'; it must be of type int"),
        ('optimiser="sgd"', "optimiser must be one of adamw, muon"),
        ("[steps]", "steps is {}; it must be of type int"),
    ):
        with pytest.raises(TrainingError, match=re.escape(message)):
            read_recipe(path, "sft", SftRecipe, (change,))
    sharded = ('optimiser="muon"', 'sharding="fsdp"', "validate_every=0")
    with pytest.raises(TrainingError, match="with sharding fsdp, optimiser must be adamw"):
        read_recipe(path, "sft", SftRecipe, sharded)


def test_the_public_recipes_figures_are_what_is_left_unsaid(tmp_path):
    recipe = read_recipe(written(tmp_path, "grpo"), "grpo", GrpoRecipe)
    assert (recipe.group_size, recipe.temperature, recipe.top_p, recipe.train_temperature) == (12, 0.6, 0.98, 1.0)
    assert (recipe.clip_low, recipe.clip_high, recipe.kl, recipe.normalise) == (0.2, 0.28, 0.0, False)
    released = read_recipe(FOLDER / "released_10b.toml", "grpo", GrpoRecipe)
    assert (released.learning_rate, released.weight_decay, released.clip) == (2e-6, 0.01, 1.0)


def test_files_that_are_no_recipe_are_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"no table \[expert\]; it has sft"):
        read_recipe(written(tmp_path), "expert", ExpertRecipe)
    (tmp_path / "recipe.toml").write_text("steps:")
    with pytest.raises(TrainingError, match="is no TOML"):
        read_recipe(tmp_path / "recipe.toml", "sft", SftRecipe)
    with pytest.raises(TrainingError, match="No such file"):
        read_recipe(tmp_path / "none.toml", "sft", SftRecipe)


def test_the_learning_rate_rises_and_falls(tmp_path):
    recipe = read_recipe(written(tmp_path), "sft", SftRecipe)
    rates = [learning_rate(recipe, step) for step in range(11)]
    assert rates[:3] == [5e-4, 1e-3, 1e-3]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[10] == pytest.approx(1e-5)
