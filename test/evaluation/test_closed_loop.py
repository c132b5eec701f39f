"""Closed loop over a few scenes: the expert passes, who does not see fails, and what is kept can be seen again."""

import pytest

from alpamayo_ros.evaluation.closed_loop import WARM_UP, actions_of, drive_policy, replay, run_scene
from alpamayo_ros.evaluation.drivers import make_driver
from alpamayo_ros.evaluation.scene import Outcome, Scene
from alpamayo_ros.evaluation.stop_lines import missed_stops
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.world import Variant

NOMINAL = Variant.NOMINAL


def test_the_expert_drives_in_closed_loop_as_it_does_alone() -> None:
    reference = drive_expert(Scene("slow_lead", 4, NOMINAL).build())
    driven, consistent = drive_policy(reference, make_driver("expert", num_samples=1))
    assert [world.ego.speed for world in driven] == [world.ego.speed for world in reference.worlds]
    assert consistent == []


@pytest.mark.parametrize("kind", ["jaywalker", "red_light", "double_parked"])
def test_blind_drivers_fail_where_sight_is_needed_and_the_expert_does_not(kind: str) -> None:
    scene = Scene(kind, 0, NOMINAL)
    seeing = run_scene(scene, make_driver("expert", num_samples=1))
    assert seeing.failure is None
    assert seeing.tallies["scene_score"] == (1.0, 1.0)
    for policy in ("idm-blind", "constant-velocity"):
        blind = run_scene(scene, make_driver(policy, num_samples=1))
        assert blind.failure is not None
        assert blind.tallies["scene_score"][0] == 0.0 or blind.tallies["missed_stop_rate"] == (1.0, 1.0)


def test_the_blind_follower_drives_well_where_nothing_is_in_the_way() -> None:
    outcome = run_scene(Scene("sharp_curve", 0, NOMINAL), make_driver("idm-blind", num_samples=1))
    assert outcome.failure is None
    assert outcome.tallies["progress"][0] > 0.95
    assert outcome.tallies["comfort"] == (1.0, 1.0)


def test_a_run_ends_at_its_first_collision_and_can_be_seen_again() -> None:
    scene = Scene("jaywalker", 0, NOMINAL)
    reference = drive_expert(scene.build())
    driven, _ = drive_policy(reference, make_driver("idm-blind", num_samples=1))
    assert WARM_UP < len(driven) - 1 < 200
    again = replay(scene, actions_of(driven))
    assert [world.ego for world in again] == [world.ego for world in driven]
    assert [[(a.id, a.x, a.y) for a in w.actors] for w in again] == [
        [(a.id, a.x, a.y) for a in w.actors] for w in driven
    ]


def test_an_outcome_comes_back_from_disk_as_it_was() -> None:
    outcome = run_scene(Scene("debris", 0, NOMINAL), make_driver("idm-blind", num_samples=1))
    assert outcome.failure is not None
    assert Outcome.from_json(outcome.as_json()) == outcome


def test_policies_that_say_nothing_have_no_rate_of_agreement() -> None:
    outcome = run_scene(Scene("open_road", 0, NOMINAL), make_driver("constant-velocity", num_samples=1))
    assert "consistency_rate" not in outcome.tallies
    assert "missed_stop_rate" not in outcome.tallies


def test_what_nobody_could_ignore_counts_for_nothing() -> None:
    red, green = (drive_expert(Scene(kind, 3, NOMINAL).build()).worlds for kind in ("red_light", "green_light"))
    assert missed_stops(red) == []
    assert missed_stops(green) is None, "green all along"
    assert missed_stops(red[:30]) is None, "the drive ended long before the line"
