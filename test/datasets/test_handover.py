"""The expert takes over where a model drove, in the states that the model had brought about."""

import json
from dataclasses import replace

import pytest

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.handover import ModelDrive, read_drives
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.production import write_dataset
from alpamayo_ros.datasets.staging import DatasetError
from alpamayo_ros.evaluation.closed_loop import replay
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.surroundings import look_around
from alpamayo_ros.simulation.world import Variant
from alpamayo_ros.types import LateralDecision
from alpamayo_ros.types.rig import DEFAULT_ROLES, default_rig

RIG = default_rig()
SCENE = Scene("open_road", 3, Variant.NOMINAL)
DRIFT = tuple((0.0, 0.0015) for _ in range(90))
"""Speed kept, a little too much to the left: after nine seconds a car is in the lane beside."""


def row(**changes):
    scene = {"kind": SCENE.kind, "seed": SCENE.seed, "variant": "nominal"}
    return {"loop": "closed_loop", **scene, "tallies": {}, "actions": [list(pair) for pair in DRIFT], **changes}


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_expert_goes_on_from_where_the_model_had_come():
    watched = ModelDrive(SCENE.kind, SCENE.seed, "nominal", DRIFT).watched()
    model = replay(SCENE, DRIFT)
    assert [world.ego for world in watched.worlds] == [world.ego for world in model]
    expected = foreseen(watched, 60, 64, RIG)
    assert [world.ego for world in expected.worlds[:61]] == [world.ego for world in model[:61]]
    path = SCENE.build().route.path

    def offset(tick):
        ego, start = expected.worlds[tick].ego, expected.worlds[0].ego
        return abs(path.project(ego.x, ego.y)[1] - path.project(start.x, start.y)[1])

    assert offset(60) > 0.5
    assert offset(60 + 64) < 0.2 * offset(60)


def test_a_lane_change_that_the_model_did_not_make_is_still_to_be_made():
    scene = Scene("route_lane_change", 3, Variant.NOMINAL).build()
    keeping = drive_expert(replace(scene.begin(), removed=frozenset({"goal-lane"})), ticks=90)
    egos = [world.ego for world in keeping.worlds[1:]]
    actions = tuple((ego.acceleration, ego.curvature) for ego in egos)
    watched = ModelDrive("route_lane_change", 3, "nominal", actions).watched()
    assert abs(look_around(watched.worlds[80]).d) < 0.1, "it kept its lane"
    expected = foreseen(watched, 80, 64, RIG)
    assert expected.intents[80].lateral is LateralDecision.LANE_CHANGE_RIGHT
    assert look_around(expected.worlds[-1]).d == pytest.approx(scene.route.goals[0].offset, abs=0.1)
    aside = [world.ego.curvature * world.ego.speed**2 for world in expected.worlds[80:]]
    assert max(map(abs, aside)) < 2.0, "as calmly as any lane change"


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
    assert len(ticks) > 10
    assert ticks <= set(range(15, len(DRIFT))), "in every state of the model itself, to the last"
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
