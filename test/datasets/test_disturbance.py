"""A push before t0 that is real in history and pictures, and gone from everything behind t0."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.datasets.dataset import Dataset
from alpamayo_ros.datasets.disturbance import FIRST_STOP, LAST_STOP, RECOVERY, Disturbance, drive_disturbed
from alpamayo_ros.datasets.drive import FUTURE, Drive
from alpamayo_ros.datasets.harvest import harvest
from alpamayo_ros.datasets.plan import DatasetPlan
from alpamayo_ros.datasets.production import write_dataset
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.motion import seen_from
from alpamayo_ros.simulation.scenarios import build
from alpamayo_ros.types.rig import DEFAULT_ROLES, default_rig

KIND = "open_road"


def plan(**changes):
    settings = {"seeds": (3, 3), "kinds": (KIND,), "variants": ("nominal",), "roles": DEFAULT_ROLES, "size": (64, 32)}
    return DatasetPlan(**{**settings, "every": 15, "disturbance": 2.0, **changes})


@given(st.integers(0, 10**6), st.sampled_from(["nominal", "challenging"]), st.floats(0.0, 3.0))
def test_a_disturbance_has_bounds_and_an_end(seed, variant, strength):
    drawn = Disturbance.drawn(KIND, seed, variant, strength)
    assert drawn == Disturbance.drawn(KIND, seed, variant, strength)
    assert 0 <= drawn.start < drawn.stop
    assert FIRST_STOP <= drawn.stop <= LAST_STOP
    pushes = np.array([drawn.push(tick, 10.0) for tick in range(-5, 200)])
    assert np.abs(pushes[:, 0]).max() <= strength + 1e-9
    assert np.abs(pushes[:, 1] * 100.0).max() <= 2.5 * strength + 1e-9
    assert np.abs(np.diff(pushes[:, 0])).max(initial=0.0) <= 0.5 * strength + 1e-9, "smooth"
    assert not pushes[5 + drawn.stop :].any()
    assert not pushes[: 5 + drawn.start].any()
    assert drawn.push(drawn.start + 3, 0.0) == (0.0, 0.0), "a car that stands is not pushed"


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 999))
def test_behind_it_the_expert_drives_undisturbed(seed):
    disturbance = Disturbance(40, 60, 1.5, 3.0)
    pushed = drive_disturbed(KIND, seed, "nominal", disturbance)
    free = drive_expert(build(KIND, seed, "nominal"))
    path = free.worlds[0].scenario.route.path

    def offset(episode, tick):
        return path.project(episode.worlds[tick].ego.x, episode.worlds[tick].ego.y)[1]

    assert all(pushed.worlds[tick].ego == free.worlds[tick].ego for tick in range(41))
    assert offset(pushed, 60) - offset(free, 60) > 0.15
    assert pushed.worlds[60].ego.speed > free.worlds[60].ego.speed + 0.2
    # The same mind in the same state, without anything that pushes, drives the same.
    mind = pushed.minds[60]
    plain = Expert(mind.steering.copy(), mind.memory.copy())
    again = drive_expert(pushed.worlds[60], plain, ticks=FUTURE)
    assert [world.ego for world in again.worlds] == [world.ego for world in pushed.worlds[60 : 61 + FUTURE]]
    assert abs(offset(pushed, 60 + RECOVERY) - offset(free, 60 + RECOVERY)) < 0.1


def test_samples_lie_behind_the_latest_push_too(monkeypatch):
    monkeypatch.setattr(Disturbance, "drawn", lambda *_: Disturbance(LAST_STOP - 20, LAST_STOP, 0.5, 1.0))
    ticks = sorted(int(key.rsplit("-", 1)[1]) for key, _ in harvest(plan(), KIND, 3, "nominal").samples)
    assert LAST_STOP <= ticks[0] < ticks[-1]
    assert ticks[-1] > LAST_STOP + RECOVERY - 15


def test_samples_begin_where_the_push_ends():
    made = harvest(plan(), KIND, 3, "nominal")
    stop = Disturbance.drawn(KIND, 3, "nominal", 2.0).stop
    ticks = sorted(int(key.rsplit("-", 1)[1]) for key, _ in made.samples)
    assert ticks
    assert ticks[0] >= stop
    assert ticks[-1] <= stop + RECOVERY
    assert harvest(plan(disturbance=0.0), KIND, 3, "nominal").samples != made.samples


def test_the_same_plan_gives_the_same_bytes_and_says_that_it_disturbs(tmp_path):
    for name in ("one", "two"):
        list(write_dataset(plan(), tmp_path / name))
    one, two = ((tmp_path / name / "shard-000000.tar").read_bytes() for name in ("one", "two"))
    assert one == two
    dataset = Dataset.open(tmp_path / "one")
    assert dataset.summary["plan"]["disturbance"] == 2.0
    sample = next(iter(dataset))
    drive = Drive(drive_disturbed(KIND, 3, "nominal", Disturbance.drawn(KIND, 3, "nominal", 2.0)), default_rig(64, 32))
    np.testing.assert_array_equal(sample.observation.ego_history.positions, drive.history(sample.tick).positions)
    egos = [world.ego for world in drive.episode.worlds[sample.tick + 1 : sample.tick + 1 + FUTURE]]
    positions, _ = seen_from(drive.world(sample.tick).ego, egos)
    assert sample.future.positions == pytest.approx(positions, abs=1e-4)
