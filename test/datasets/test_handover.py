"""The expert takes over where a model drove, in the states that the model had brought about."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.handover import BEHIND, BETWEEN, ModelDrive, read_drives
from alpamayo_ros.datasets.harvest import FIRST, LAST
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.production import write_dataset
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.evaluation.closed_loop import replay
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.world import Variant
from alpamayo_ros.types.rig import DEFAULT_ROLES

SCENE = Scene("open_road", 3, Variant.NOMINAL)
DRIFT = tuple((0.0, 0.0015) for _ in range(90))
"""Speed kept, a little too much to the left: after nine seconds a car is in the lane beside."""


def row(**changes):
    scene = {"kind": SCENE.kind, "seed": SCENE.seed, "variant": "nominal"}
    return {"loop": "closed_loop", **scene, "tallies": {}, "actions": [list(pair) for pair in DRIFT], **changes}


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@given(st.integers(1, 300))
def test_every_tick_is_sampled_from_one_drive_at_most(length):
    spans = ModelDrive("open_road", 0, "nominal", ((0.0, 0.0),) * length).spans(FIRST, LAST)
    ticks = [tick for span in spans for tick in span]
    assert ticks == sorted(set(ticks))
    assert all(span.start >= FIRST for span in spans)
    assert all((length - span.start) % BETWEEN == 0 for span in spans)
    assert all(span.start <= LAST for span in spans)
    assert bool(spans) == (length >= FIRST + BETWEEN)
    if spans:
        assert spans[0].start < FIRST + BETWEEN
        end = length - BETWEEN + BEHIND if length - BETWEEN <= LAST else spans[-1].start + BETWEEN
        assert ticks == list(range(spans[0].start, end))
        assert length - BETWEEN <= LAST or spans[-1].start > LAST - BETWEEN


def test_the_expert_goes_on_from_where_the_model_had_come():
    driven = ModelDrive(SCENE.kind, SCENE.seed, "nominal", DRIFT)
    episode = driven.taken_over(60)
    model = replay(SCENE, DRIFT[:60])
    assert [world.ego for world in episode.worlds[:61]] == [world.ego for world in model]
    mind = episode.minds[60]
    again = drive_expert(episode.worlds[60], Expert(mind.steering.copy(), mind.memory.copy()), ticks=64)
    assert [world.ego for world in again.worlds] == [world.ego for world in episode.worlds[60:125]]
    path = SCENE.build().route.path

    def offset(tick):
        ego = episode.worlds[tick].ego
        return abs(path.project(ego.x, ego.y)[1] - path.project(*at(0))[1])

    def at(tick):
        return episode.worlds[tick].ego.x, episode.worlds[tick].ego.y

    assert offset(60) > 0.5
    assert offset(60 + 64) < 0.2 * offset(60)


def test_a_dataset_of_driven_ways_is_made_of_these_drives_alone(tmp_path):
    driven = read_drives(written(tmp_path / "x.scenes.jsonl", row(), row(loop="open_loop", seed=4)))
    assert [drive.seed for drive in driven] == [3]
    plan = DatasetPlan(
        (0, 9), ("open_road", "red_light"), ("nominal",), DEFAULT_ROLES, (64, 32), every=5, driven=driven
    )
    assert plan.drives == [("open_road", 3, "nominal")]
    for name in ("one", "two"):
        list(write_dataset(plan, tmp_path / name))
    one, two = ((tmp_path / name / "shard-000000.tar").read_bytes() for name in ("one", "two"))
    assert one == two
    dataset = Dataset.open(tmp_path / "one")
    ticks = {sample.tick for sample in dataset}
    assert ticks
    assert ticks <= {tick for span in driven[0].spans(FIRST, LAST) for tick in span}
    other = DatasetPlan(plan.seeds, plan.kinds, plan.variants, plan.roles, plan.size, every=5)
    assert dataset.summary["plan"]["driven"]
    with pytest.raises(DatasetError, match="holds a dataset of another plan"):
        list(write_dataset(other, tmp_path / "one"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(seed=1_000_000)], "has seed 1000000: seeds from 1,000,000 on are for judging"),
        ([{"a": 1}], r"is no list of scenes \(KeyError\('loop'\)\); give the .scenes.jsonl of"),
        ([row(actions=[1.0])], "is no list of scenes"),
        ([row(loop="open_loop")], "has no drive in closed loop"),
        ([], "has no drive in closed loop"),
        ([row(revision="a"), row(revision="b")], "has drives of 2 models, settings or versions of the code"),
    ],
)
def test_what_is_no_list_of_drives_is_refused(tmp_path, rows, message):
    with pytest.raises(DatasetError, match=message) as error:
        read_drives(written(tmp_path / "x.scenes.jsonl", *rows))
    assert "\n" not in str(error.value)


def test_a_missing_list_and_two_ways_at_once_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        read_drives(tmp_path / "none.jsonl")
    driven = read_drives(written(tmp_path / "x.scenes.jsonl", row()))
    with pytest.raises(DatasetError, match="either disturbed or one of a model"):
        DatasetPlan((0, 9), ("open_road",), ("nominal",), DEFAULT_ROLES, disturbance=1.0, driven=driven)
