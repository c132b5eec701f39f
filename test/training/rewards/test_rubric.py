"""Better text is worth more: the whole point of the reward, and where a public recipe has its sign wrong."""

import itertools

import pytest

from alpamayo_ros.reasoning.parser import parse
from alpamayo_ros.training.rewards.reasoning import BEST, ReasoningReward
from alpamayo_ros.training.rewards.reward import Attempt
from alpamayo_ros.training.rewards.rubric import RubricCritic
from alpamayo_ros.types import PlanSample

CRITIC = RubricCritic()
LADDER = (
    "Keep lane and yield to the pedestrian in the crosswalk.",
    "Turn left and yield to the pedestrian in the crosswalk.",
    "Keep lane and yield to the pedestrian in the crosswalk, then drive on.",
    "Keep lane and follow the bus stopped on the right.",
    "Mumble.",
)
"""From flawless to unreadable: a wrong path; a chain; a wrong decision and an innocent bus."""


def test_the_true_sentences_of_a_dataset_are_flawless(by_expert):
    for attempt in by_expert:
        for sentence in attempt.situation.label.sentences:
            assert CRITIC.grade(sentence, attempt.situation) == BEST, sentence


def test_every_step_down_is_worth_less(crossing):
    grades = [CRITIC.grade(text, crossing) for text in LADDER]
    assert grades[0] == BEST
    assert grades[-1] == 0.0
    assert all(better > worse for better, worse in itertools.pairwise(grades)), grades
    attempts = [Attempt(crossing, PlanSample(None, text, complete=True)) for text in LADDER]
    assert ReasoningReward(CRITIC).score(attempts) == [grade / BEST for grade in grades]


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        # No cause is named, and without one the trace reads partly and is too short; half, as it is no whole sentence.
        ("Keep lane and yield.", 1.0),
        # One more, who is there and proved innocent: F1 is 2/3, and it drives no decision, so no sentence names it.
        ("Keep lane and yield to the pedestrian in the crosswalk and the bus stopped on the right.", 5 / 3),
        # One more, who is not there at all, and not told in full.
        ("Keep lane and yield to the pedestrian in the crosswalk and the cyclist on the right.", 17 / 12),
        # Who is there, described wrongly, is not invented.
        ("Keep lane and yield to the pedestrian crossing from the left.", 3.0),
        # Words that only seem to say something are not read.
        ("Be cautious and not too fast.", 0.0),
        ("", 0.0),
    ],
)
def test_what_is_named_counts_as_the_rubric_says(crossing, text, grade):
    assert CRITIC.grade(text, crossing) == pytest.approx(grade)


@pytest.mark.parametrize(
    "salad",
    [
        "Pedestrian lane the keep yield because.",
        "Pedestrian in the crosswalk keep lane yield because.",
        "Keep keep lane and and yield to the the pedestrian in the crosswalk.",
        "Yield to the pedestrian in the crosswalk pedestrian crosswalk because keep lane.",
        # No salad, but no state is said: it would be right of any pedestrian.
        "Keep lane and yield to the pedestrian.",
    ],
)
def test_words_that_make_no_whole_sentence_are_worth_half_at_most(crossing, salad):
    """The parser forgives them, and a policy that is rewarded for them would find them."""
    assert parse(salad).decision is not None
    assert 0.0 < CRITIC.grade(salad, crossing) <= BEST / 2


def test_two_causes_of_one_name_are_named_once(by_expert):
    """A left turn is why the car turns and why it slows."""
    twice = [one for one in by_expert if len(set(map(str, one.situation.label.components))) < 2]
    twice = [one for one in twice if len(one.situation.label.components) == 2]
    assert twice
    assert all(CRITIC.grade(one.sample.reasoning, one.situation) == BEST for one in twice)
