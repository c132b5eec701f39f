"""What every test shares: ROS traffic stays on this machine, and no test hears another."""

import itertools
import os

import pytest

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

# Domains 1 to 101 are safe on every platform. Starting at the process id keeps two test runs at once apart.
_domains = itertools.cycle(range(1, 102))
for _ in range(os.getpid() % 101):
    next(_domains)


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> int:
    """A ROS domain of this test alone, set in the environment for the processes that it starts."""
    domain = next(_domains)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    return domain
