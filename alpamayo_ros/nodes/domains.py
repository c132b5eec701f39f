"""ROS for one program alone: a domain that nobody else has, and no traffic that leaves the machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

DOMAINS = range(1, 102)
"""ROS domains that are safe on every platform."""


class DomainError(RuntimeError):
    """No ROS domain is free: the message says what to do."""


@contextmanager
def own_domain(domains: Iterable[int] = DOMAINS) -> Iterator[int]:
    """The first of these ROS domains that no other holder on this machine has, until the block ends. Meanwhile, for all
    that this process starts in it, too, ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST. Raises DomainError where all are
    taken.

    A name in the kernel stands for each; it is free again when its holder is gone, however it went (Linux).
    """
    with socket.socket(socket.AF_UNIX) as holder:
        domain = _take(holder, domains)
        before = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        try:
            yield domain
        finally:
            del os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
            if before is not None:
                os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = before


def _take(holder: socket.socket, domains: Iterable[int]) -> int:
    for domain in domains:
        try:
            holder.bind(f"\0alpamayo_ros-domain-{domain}")
        except OSError:
            continue
        return domain
    raise DomainError("no ROS domain is free on this machine; wait for a demo, a benchmark or a test to end")
