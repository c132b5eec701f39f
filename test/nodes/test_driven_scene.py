"""A drive of the demo in words: what went wrong is said, traffic rules included."""

from alpamayo_ros.evaluation.closed_loop import drive_policy
from alpamayo_ros.evaluation.drivers import make_driver
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.nodes.driven_scene import DrivenScene
from alpamayo_ros.simulation.episode import drive_expert
from alpamayo_ros.simulation.world import Variant


def driven_by(policy: str) -> DrivenScene:
    scene = Scene("red_light", 1, Variant.NOMINAL)
    reference = drive_expert(scene.build(), ticks=150)
    driven, _ = drive_policy(reference, make_driver(policy, num_samples=1))
    return DrivenScene.of(scene, reference, driven, (), ())


def test_a_red_light_that_was_run_is_told() -> None:
    assert driven_by("expert").outcome() == "15.0 s without a collision, on the road"
    assert driven_by("idm-blind").outcome().startswith("past a line where it had to stop, at ")
