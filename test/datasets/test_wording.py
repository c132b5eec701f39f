import pytest

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.datasets.labels import Label, agreeing, label
from alpamayo_ros.types import Decision, LongitudinalDecision
from alpamayo_ros.types.rig import default_rig


def said(kind: str, seed: int, tick: int) -> tuple[Decision, float, str]:
    """The decision of a moment, how much speed the expert then gains, and all that may be said of it."""
    drive = Drive.by_expert(kind, seed, "nominal", default_rig(160, 96))
    made = label(drive.episode, tick, drive.rig, 0)
    assert isinstance(made, Label)
    offered = " ".join(made.sentences).lower()
    assert "resume the target speed" in offered
    assert "hold the target speed" in offered
    future = drive.path_after(tick, 64)
    kept = agreeing(made, drive.world(tick), future)
    assert isinstance(kept, Label)
    return made.decision, float(future.speeds.max() - future.speeds[0]), " ".join(kept.sentences).lower()


@pytest.mark.parametrize(
    ("kind", "seed", "tick", "right", "wrong"),
    [("red_light", 139, 120, "resume", "hold"), ("open_road", 3, 100, "hold", "resume")],
)
def test_a_speed_is_resumed_when_it_grows_and_held_when_it_is_there(
    kind: str, seed: int, tick: int, right: str, wrong: str
) -> None:
    decision, gain, words = said(kind, seed, tick)
    assert decision.longitudinal is LongitudinalDecision.SET_SPEED_TRACKING
    assert (gain > 1.0) == (right == "resume")
    assert f"{right} the target speed" in words
    assert f"{wrong} the target speed" not in words
