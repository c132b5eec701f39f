"""What a navigation device says along a route."""

import numpy as np
import pytest

from alpamayo_ros.simulation.path import Path
from alpamayo_ros.simulation.route import Route, Stage


@pytest.mark.parametrize(
    ("s", "said"),
    [
        (0.0, None),  # 300 m away: too far to be said
        (60.0, "Turn left in 240 m"),
        (297.0, "Turn left in 10 m"),
        (300.0, "Turn left in 0 m"),
        (315.0, "Turn left in 0 m"),  # the turn is not done yet
        (320.0, "Pull over on the right in 80 m"),
        (400.0, None),
    ],
)
def test_the_next_stage_is_said_with_its_distance_until_it_is_done(s, said):
    route = Route(Path(np.array([[0.0, 0.0], [500.0, 0.0]])), 10.0)
    route.stages = [Stage("Turn left", 300.0, 320.0), Stage("Pull over on the right", 400.0, 400.0)]
    assert route.navigation_at(s) == said
