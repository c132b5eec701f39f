"""Words against the truth by intervention, with drivers whose words and deeds are known."""

from collections.abc import Sequence

import pytest

from alpamayo_ros.evaluation.drivers import Proposal
from alpamayo_ros.evaluation.open_loop import STEPS
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.evaluation.words import component_tallies, word_tallies
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.expert import Expert
from alpamayo_ros.simulation.explanation import Cause, Explanation
from alpamayo_ros.simulation.keyframe import Rule, find_keyframes
from alpamayo_ros.simulation.motion import trajectory_of
from alpamayo_ros.simulation.naming import count_matches, means, removable_things
from alpamayo_ros.simulation.road import Lamp
from alpamayo_ros.simulation.world import Variant, World, drive
from alpamayo_ros.types import ComponentCategory, CriticalComponent, Decision, LateralDecision, PlanSample
from alpamayo_ros.types.rig import default_rig

RIG = default_rig()
RED = "Come to a stop because the traffic light ahead is red."


class Talker:
    """Says one sentence always. Plans as the expert, or straight on at the same speed."""

    name, revision, explains, ticks_per_plan = "talker", "", True, 1

    def __init__(self, words: str, sees: bool) -> None:
        self.words, self.sees, self.mind = words, sees, Expert()

    def take_over(self, mind: Expert) -> None:
        self.mind = mind.copy()

    def propose(self, driven: Sequence[World], steps: int) -> Proposal:
        egos = [driven[-1].ego]
        if self.sees:
            egos += [world.ego for world in drive_expert(driven[-1], self.mind, ticks=steps).worlds[1:]]
        while len(egos) <= steps:
            egos.append(drive(egos[-1], 0.0, 0.0))
        return Proposal((PlanSample(trajectory_of(egos[0], egos[1:]), self.words, complete=True),))


@pytest.fixture(scope="module")
def stop_at_red() -> tuple[Episode, int]:
    """A drive towards a red light and the keyframe at which the stop is decided."""
    for seed in range(20):
        episode = drive_expert(Scene("red_light", seed, Variant.NOMINAL).build())
        for keyframe in find_keyframes(episode):
            world = episode.worlds[keyframe.tick]
            lights = [t.kind for t in removable_things(world, RIG).values() if t.kind == "red_light"]
            if keyframe.rule is Rule.STOP and lights:
                return episode, keyframe.tick
    raise AssertionError("no red light was stopped at")


def test_who_sees_the_light_and_says_so_is_right_and_faithful(stop_at_red: tuple[Episode, int]) -> None:
    episode, tick = stop_at_red
    found = word_tallies(Talker(RED, sees=True), episode, tick, STEPS, RIG)
    assert found["decision_accuracy_longitudinal"] == (1.0, 1.0)
    for name in ("component_precision", "component_recall"):
        assert found[name][0] == found[name][1] == 1.0
    trials = found["causal_faithfulness"]
    assert trials[0] == trials[1] >= 1.0


def test_a_green_light_matters_if_a_red_one_would() -> None:
    episode = drive_expert(Scene("red_light", 8, Variant.NOMINAL).build())
    tick = next(frame.tick for frame in find_keyframes(episode) if frame.rule is Rule.RESUME)
    words = "Resume the target speed because the traffic light ahead is green."
    found = word_tallies(Talker(words, sees=True), episode, tick, STEPS, RIG)
    assert found["component_precision"] == (1.0, 1.0)
    passed, trials = found["causal_faithfulness"]
    assert passed == trials >= 1.0
    passed, trials = word_tallies(Talker(words, sees=False), episode, tick, STEPS, RIG)["causal_faithfulness"]
    assert passed == trials - 1.0


def test_a_light_that_has_just_changed_is_seen_to_have_been_the_other_all_along() -> None:
    """Frames of red, red, red and green are no world without the yellow light, but one with a light that changes."""
    episode = drive_expert(Scene("red_light", 3, Variant.NOMINAL).build())
    tick, seen = 48, []
    light = next(rule.light for rule in episode.worlds[0].scenario.route.stops if rule.light is not None)
    assert [world.lamp(light) for world in episode.worlds[tick - 1 : tick + 1]] == [Lamp.GREEN, Lamp.YELLOW]
    talker = Talker("Come to a stop because the traffic light ahead is yellow.", sees=True)
    propose = talker.propose

    def watched(driven: Sequence[World], steps: int) -> Proposal:
        seen.append([world.lamp(light) for world in driven[-4:]])
        return propose(driven, steps)

    talker.propose = watched  # type: ignore[method-assign]
    word_tallies(talker, episode, tick, STEPS, RIG)
    assert seen[0] == [Lamp.GREEN] * 3 + [Lamp.YELLOW]
    assert [Lamp.GREEN] * 4 in seen[1:]
    assert all(len(set(lamps)) == 1 for lamps in seen[1:] if lamps != seen[0])


def test_where_no_trace_can_be_told_components_are_not_judged() -> None:
    """A lead that changes nothing is ahead: neither is it a cause, nor is the lane clear."""
    episode = drive_expert(Scene("braking_lead", 3, Variant.NOMINAL).build())
    found = word_tallies(Talker("Keep lane and follow the lead car.", sees=True), episode, 60, STEPS, RIG)
    assert set(found) == {"decision_accuracy_longitudinal", "decision_accuracy_lateral"}


def test_who_only_says_so_is_right_but_not_faithful(stop_at_red: tuple[Episode, int]) -> None:
    episode, tick = stop_at_red
    found = word_tallies(Talker(RED, sees=False), episode, tick, STEPS, RIG)
    assert found["decision_accuracy_longitudinal"] == (1.0, 1.0)
    passed, trials = found["causal_faithfulness"]
    # The plan does not change without the light it names; it does not change without anything else either.
    assert passed == trials - 1.0


def test_who_names_something_else_is_wrong(stop_at_red: tuple[Episode, int]) -> None:
    episode, tick = stop_at_red
    words = "Yield because a pedestrian is crossing at the crosswalk ahead."
    found = word_tallies(Talker(words, sees=True), episode, tick, STEPS, RIG)
    assert found["decision_accuracy_longitudinal"] == (0.0, 1.0)
    assert found["component_precision"] == (0.0, 1.0)
    assert found["component_recall"] == (0.0, 1.0)


def test_words_that_cannot_be_read_are_wrong_and_claim_nothing(stop_at_red: tuple[Episode, int]) -> None:
    episode, tick = stop_at_red
    found = word_tallies(Talker("Glorp.", sees=True), episode, tick, STEPS, RIG)
    assert found["decision_accuracy_longitudinal"] == (0.0, 1.0)
    assert found["component_precision"] == (0.0, 0.0)
    assert found["causal_faithfulness"] == (0.0, 0.0)


def test_what_two_causes_are_called_alike_is_named_once() -> None:
    """A left turn is why the car turns and why it slows: a sentence says it once, and has said all."""
    turn = CriticalComponent(ComponentCategory.ROUTING_INTENT, "turn", {"direction": "left"})
    causes = tuple(Cause(name, turn, True, True, True, False, True, None) for name in ("goal-turn-left", "curve-0"))
    truth = Explanation(0, Decision(lateral=LateralDecision.TURN_LEFT), causes, ())
    assert component_tallies((turn,), truth) == {
        "component_precision": (1.0, 1.0),
        "component_recall": (1.0, 1.0),
        "component_f1": (2.0, 2.0),
    }
    assert component_tallies((), truth)["component_recall"] == (0.0, 1.0)


def test_a_name_means_what_it_does_not_contradict() -> None:
    def vehicle(kind: str, **attributes: str) -> CriticalComponent:
        return CriticalComponent(ComponentCategory.CRITICAL_OBJECT, kind, attributes)

    truck = vehicle("truck", relative_pose="in_path", motion="stopped")
    assert means(truck, truck)
    assert means(vehicle("vehicle", relative_pose="in_path", motion="stopped"), truck)
    assert not means(vehicle("bus", relative_pose="in_path", motion="stopped"), truck)
    assert not means(vehicle("truck", relative_pose="left", motion="stopped"), truck)
    assert count_matches([truck, truck], [truck]) == 1
