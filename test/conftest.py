"""What every test shares: ROS traffic stays on this machine, no test hears another, and none waits for its threads."""

import itertools
import os
from collections.abc import Iterator

import hypothesis
import pytest

from alpamayo_ros.nodes.domains import DOMAINS, own_domain

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Before torch is imported, and for all processes that are started. Threads that wait for each other over tiny tensors
# do nothing else: on two busy cores a plan of the shipped model takes twenty times the processor time with them.
os.environ["OMP_NUM_THREADS"] = "1"

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# In turn, as what a test leaves behind may still be heard for a moment; and processes beside each other far apart.
_domains = itertools.cycle(DOMAINS)
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
for _ in range((os.getpid() + _worker * len(DOMAINS) // 2) % len(DOMAINS)):
    next(_domains)


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain of this test alone, set in the environment for the processes that it starts."""
    with own_domain(itertools.islice(_domains, len(DOMAINS))) as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain
