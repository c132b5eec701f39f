"""Training goes on after any end, and does not depend on the number of processes."""

import json
import shutil

import pytest
import torch
from command import alpamayo, refusal
from recipes import expert, sft, vision
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import kill_after_first_state, run, train_command

from alpamayo_ros.datasets.staging import locked
from alpamayo_ros.policy import DrivingPolicy
from alpamayo_ros.simulation.scenarios import HELD_OUT
from alpamayo_ros.training.corpus import Corpus, find_shards, order
from alpamayo_ros.training.errors import TrainingError
from alpamayo_ros.training.expert_stage import ExpertStage
from alpamayo_ros.training.optimiser import optimisers
from alpamayo_ros.training.parallel import Processes, Spread
from alpamayo_ros.training.sft_stage import SftStage
from alpamayo_ros.training.trainer import _step, prefetched, train
from alpamayo_ros.training.vision_stage import VisionStage
from alpamayo_ros.vla.checkpoint import load_model

pytestmark = pytest.mark.slow  # each trains a model, some in several processes

ALONE = Processes(0, 1, torch.device("cpu"))
RECIPE = """
[sft]
steps = 8
batch_size = 4
micro_batch = 1
learning_rate = 3e-3
final_learning_rate = 1e-3
warmup_steps = 2
save_every = 2
validate_every = 0
trajectory_share = 0.5
phrasing = "drawn"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def stages(model, corpus):
    yield VisionStage(model, vision(steps=30)), "dense"
    yield SftStage(model, sft(steps=60, trajectory_share=1.0, phrasing="first", learning_rate=1e-2)), "reasoning"
    yield ExpertStage(model, expert(steps=60, times_per_sample=8, learning_rate=1e-2)), "flow"


def test_every_stage_learns_its_lesson_and_nothing_else(model, corpus, tmp_path):
    for stage, name in stages(model, corpus):
        numbers = list(range(4))
        works = [stage.prepare(corpus.batch(numbers, dense=stage.dense), step) for step in (0, 1, 2)]

        def loss(stage=stage, works=works, name=name):
            with torch.no_grad():
                return sum(float(stage(stage.act(work))[name]) / work.counts[name] for work in works)

        before = loss()
        frozen = {n: p.clone() for n, p in stage.named_parameters() if not p.requires_grad}
        run = train(stage, corpus, None, tmp_path / stage.name, ALONE)
        assert run.finished
        assert loss() < 0.9 * before, stage.name
        for n, parameter in stage.named_parameters():
            if n in frozen:
                assert torch.equal(parameter, frozen[n]), f"{stage.name} changed {n}"
        assert load_model(tmp_path / stage.name).config == model.config


def test_validation_speaks_freely_and_knows_its_baselines(model, corpus, tmp_path):
    stage = SftStage(model, sft(steps=1, validate_every=1, validation_samples=6))
    figures = train(stage, corpus, corpus, tmp_path / "out", ALONE).figures
    assert figures["both"] <= min(figures["longitudinal"], figures["lateral"]) <= 1
    assert 0 < figures["always_longitudinal"] <= 1
    assert figures["ade"] > 0
    kept = json.loads((tmp_path / "out/training/figures.jsonl").read_text())
    assert kept["step"] == 1
    assert kept["ade"] == pytest.approx(figures["ade"], abs=1e-3)


def test_a_validation_that_was_cut_off_is_made_up_for(model, corpus, tmp_path, monkeypatch):
    def stage():
        return SftStage(model, sft(steps=2, validate_every=1, validation_samples=2, save_every=1, log_every=1))

    monkeypatch.setattr(SftStage, "validate", lambda self, corpus: {"ade": 1.0})
    train(stage(), corpus, corpus, tmp_path, ALONE, minutes=0)

    def killed(self, corpus):
        raise KeyboardInterrupt

    monkeypatch.setattr(SftStage, "validate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(stage(), corpus, corpus, tmp_path, ALONE)
    assert (tmp_path / "training/step-00000002").is_dir()
    with (tmp_path / "training/figures.jsonl").open("a") as file:
        file.write('{"step": 2, "ade')
    monkeypatch.setattr(SftStage, "validate", lambda self, corpus: {"ade": 2.0})
    assert train(stage(), corpus, corpus, tmp_path, ALONE).figures == {"ade": 2.0}
    monkeypatch.setattr(SftStage, "validate", killed)
    assert train(stage(), corpus, corpus, tmp_path, ALONE).figures == {"ade": 2.0}, "they are told again"
    rows = [json.loads(line) for line in (tmp_path / "training/figures.jsonl").read_text().splitlines()]
    assert rows == [{"step": 1, "ade": 1.0}, {"step": 2, "ade": 2.0}]
    events = EventAccumulator(str(tmp_path / "training/events")).Reload()
    assert [event.step for event in events.Scalars("train/reasoning")] == [1, 2]


def test_a_run_is_written_by_one_call_at_a_time(recipe, begun, data, tmp_path):
    arguments = command(recipe, begun, data, tmp_path / "out")
    with locked(tmp_path / "out/training"):
        assert "another run is writing to" in refusal(alpamayo(*arguments))


def test_all_that_begins_at_random_comes_from_the_seed(model):
    heads = [VisionStage(model, vision(seed=seed)).head.out.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def command(recipe, begun, data, output):
    return train_command("sft", recipe, begun, data, output)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, begun, data):
    """The weights after all steps in one process."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "recipe.toml").write_text(RECIPE)
    assert run(command(folder / "recipe.toml", begun, data, folder / "out")) == 0
    return load_file(folder / "out/model.safetensors")


def test_a_killed_run_that_goes_on_ends_in_the_same_bits(recipe, begun, data, tmp_path, uninterrupted):
    output = tmp_path / "out"
    kill_after_first_state(command(recipe, begun, data, output), output)
    assert not (output / "training/step-00000008").exists(), "killed before its end"
    assert run(command(recipe, begun, data, output)) == 0
    weights = load_file(output / "model.safetensors")
    assert [name for name in weights if not torch.equal(weights[name], uninterrupted[name])] == []


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_learn_what_one_learns(recipe, begun, data, tmp_path, uninterrupted, sharding):
    """Sums are taken in another order, so to float32 rounding, which eight steps of Adam enlarge."""
    recipe.write_text(f'{RECIPE}sharding = "{sharding}"\n')
    arguments = command(recipe, begun, data, tmp_path / "out")
    assert run([*arguments, "--minutes", "0"], processes=2) == 0
    assert run(arguments, processes=2) == 0, "goes on after its first step"
    weights = load_file(tmp_path / "out/model.safetensors")
    begun_weights = load_file(begun / "model.safetensors")
    moved = max(float((uninterrupted[name] - begun_weights[name]).abs().max()) for name in weights)
    apart = max(float((uninterrupted[name] - weights[name]).abs().max()) for name in weights)
    assert moved > 5e-3
    assert apart < 0.02 * moved, (apart, moved)


def test_a_run_may_be_cut_in_parts(recipe, begun, data, tmp_path, uninterrupted):
    arguments = command(recipe, begun, data, tmp_path / "out")
    result = alpamayo(*arguments, "--minutes", "0", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["step"] == 1
    assert json.loads(alpamayo(*arguments, "--json").stdout)["finished"]
    weights = load_file(tmp_path / "out/model.safetensors")
    assert all(torch.equal(weights[name], uninterrupted[name]) for name in weights)
    policy = DrivingPolicy.from_pretrained(tmp_path / "out")
    assert policy.model.config.vision.tubelets


def test_what_does_not_fit_is_refused_in_one_line(recipe, begun, data, tmp_path):
    def refused(*more, **changes):
        options = {"data": data, "recipe": recipe, "begun": begun, "output": tmp_path / "out", **changes}
        return refusal(alpamayo(*command(**options), *more))

    assert "holds no dataset" in refused(data=tmp_path)
    assert "choose two folders" in refused(output=begun)
    (tmp_path / "other.toml").write_text(RECIPE + "dense = 0.5\n")
    assert "begin with `alpamayo train vision`" in refused(recipe=tmp_path / "other.toml")
    (tmp_path / "many.toml").write_text(RECIPE.replace("batch_size = 4", "batch_size = 4000"))
    assert "batch_size is 4000, but the data hold" in refused(recipe=tmp_path / "many.toml")
    assert "data and validation both have the drive" in refused("--validation", data)
    assert alpamayo(*command(recipe, begun, data, tmp_path / "out"), "--minutes", "0").exit_code == 0
    shutil.copytree(tmp_path / "out", tmp_path / "trained")
    assert "holds a run that began with another model" in refused(begun=tmp_path / "trained")
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("warmup_steps = 2", "warmup_steps = 3"))
    assert "a run of another recipe (warmup_steps is 2, asked for is 3)" in refused()


def test_muon_takes_the_matrices_of_the_blocks_and_goes_on_in_the_same_bits(model, corpus, tmp_path):
    begun = {name: part.clone() for name, part in model.state_dict().items()}
    recipe = sft(optimiser="muon", steps=4, learning_rate=3e-3)

    def trained(folder, minutes):
        model.load_state_dict(begun)
        for allowed in minutes:
            run = train(SftStage(model, recipe), corpus, None, tmp_path / folder, ALONE, minutes=allowed)
        assert run.finished
        return load_file(tmp_path / folder / "model.safetensors")

    whole, cut = trained("whole", [9]), trained("cut", [0, 0, 9])
    assert [name for name in whole if not torch.equal(whole[name], cut[name])] == []

    adamw, muon = optimisers(SftStage(model, recipe))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of_muon = {names[id(parameter)] for group in muon.param_groups for parameter in group["params"]}
    of_adamw = {names[id(parameter)] for group in adamw.param_groups for parameter in group["params"]}
    assert of_muon | of_adamw == {name for name in names.values() if name.startswith("vlm.")}
    assert not of_muon & of_adamw
    assert all(".layers." in name or ".blocks." in name for name in of_muon)
    assert {"vlm.lm_head.weight", "vlm.model.language_model.embed_tokens.weight"} <= of_adamw
    # An orthogonal step of AdamW's size: all of a matrix' singular values move alike, none by more than its share.
    name = "vlm.model.language_model.layers.0.mlp.up_proj.weight"
    step = torch.linalg.svdvals(whole[name] - begun[name])
    assert step.min() > 0.1 * step.max()


@pytest.mark.parametrize("name", ["run.pt", "weights.safetensors"])
def test_a_damaged_state_is_refused(model, corpus, tmp_path, name):
    train(VisionStage(model, vision()), corpus, None, tmp_path, ALONE, minutes=0)
    [state] = tmp_path.glob("training/step-*")
    for content in (b"", b"no weights", (state / name).read_bytes()[:-40]):
        (state / name).write_bytes(content)
        with pytest.raises(TrainingError, match=f"{state.name} is damaged") as error:
            train(VisionStage(model, vision()), corpus, None, tmp_path, ALONE)
        assert "\n" not in str(error.value)


def test_a_batch_is_divided_evenly_over_processes(model, corpus, tmp_path):
    with pytest.raises(TrainingError, match="batch_size is 4; it must be a multiple of the 3 processes"):
        train(VisionStage(model, vision()), corpus, None, tmp_path, Processes(0, 3, torch.device("cpu")))


def test_mixed_precision_differs_by_its_rounding(model, corpus, tmp_path):
    before = {name: part.clone() for name, part in model.state_dict().items()}
    losses = {}
    for precision in ("float32", "bfloat16"):
        model.load_state_dict(before)
        stage = SftStage(model, sft(precision=precision, trajectory_share=1.0))
        works = [stage.prepare(corpus.batch(range(4), dense=False), 0)]
        losses[precision] = _step(Spread(stage, ALONE), optimisers(stage), works, 0, ALONE)
    assert losses["bfloat16"] != losses["float32"]
    for name, value in losses["float32"].items():
        assert losses["bfloat16"][name] == pytest.approx(value, rel=0.05), name
    assert all(part.dtype == torch.float32 for part in model.state_dict().values())


def test_unfinished_data_are_read_when_that_is_said_and_a_run_may_grow(model, data, tmp_path):
    folder = tmp_path / "growing"
    folder.mkdir()
    shards = find_shards([data], unfinished=False)
    for file in (data / "plan.json", shards[0], shards[0].with_suffix(".json")):
        (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match="not complete"):
        find_shards([folder], unfinished=False)
    one = Corpus(find_shards([folder], unfinished=True), (0, 1, 2, 6))
    recipe = vision(batch_size=2, steps=4)
    train(VisionStage(model, recipe), one, None, tmp_path / "out", ALONE, minutes=0)
    for file in (shards[1], shards[1].with_suffix(".json")):
        (folder / file.name).write_bytes(file.read_bytes())
    two = Corpus(find_shards([folder], unfinished=True), (0, 1, 2, 6))
    assert len(two) > len(one)
    with pytest.raises(TrainingError, match="began with 1 shards, now there are 2"):
        train(VisionStage(model, recipe), two, None, tmp_path / "out", ALONE)
    assert train(VisionStage(model, recipe), two, None, tmp_path / "out", ALONE, grow=True).finished


def test_judging_seeds_are_refused(data, monkeypatch):
    monkeypatch.setattr("alpamayo_ros.training.corpus.HELD_OUT", 3)
    with pytest.raises(TrainingError, match="seeds from 3 on are for judging"):
        Corpus(find_shards([data], unfinished=False), (0, 1, 2, 6))
    assert HELD_OUT == 1_000_000


def test_an_epoch_takes_every_sample_and_keyframes_more_often(corpus):
    taken = order(corpus, seed=0, epoch=0, keyframe_repeats=3).tolist()
    keyframes = [number for number, moment in enumerate(corpus.moments) if moment.keyframe]
    assert keyframes
    assert sorted(taken) == sorted([*range(len(corpus)), *keyframes, *keyframes])
    assert taken != order(corpus, seed=0, epoch=1, keyframe_repeats=3).tolist()


def test_what_is_made_ahead_keeps_its_order_and_its_errors():
    assert list(prefetched(range(5))) == [0, 1, 2, 3, 4]

    def broken():
        yield 1
        raise OSError("gone")

    items = prefetched(broken())
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)
    endless = prefetched(iter(int, 1))
    next(endless)
    endless.close()
