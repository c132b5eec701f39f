"""A short drive that several tests share."""

import pytest

from alpamayo_ros.datasets.drive import Drive
from alpamayo_ros.types.rig import default_rig


@pytest.fixture(scope="session")
def drive() -> Drive:
    """26 states of a drive, seen by four small cameras."""
    return Drive.by_expert("red_light", 3, "nominal", default_rig(64, 48), ticks=25)
