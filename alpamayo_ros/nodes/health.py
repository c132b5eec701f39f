"""What the planner tells /diagnostics: whether it plans, how fast, and what it refuses."""

from __future__ import annotations

import time
from collections import Counter, deque
from threading import Lock
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from alpamayo_ros.nodes.planning_loop import Planned
from alpamayo_ros.timeline import Refusal

RECENT_S = 1.0
"""What was refused within this time makes a warning; no plan for so long, or nothing from a source, is an error."""

_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Health:
    """Counts what happens; any thread may tell it."""

    def __init__(self, node_name: str, rig: str, sources: list[str]) -> None:
        self._prefix, self._rig = node_name, rig
        self._lock = Lock()
        self._begin = time.monotonic()
        self._received: Counter[str] = Counter(dict.fromkeys(sources, 0))
        self._last_received: dict[str, float] = {}
        self._rates = dict.fromkeys(sources, 0.0)
        self._counted = dict.fromkeys(sources, 0)
        self._counted_at = time.monotonic()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._last_refusal: dict[str, tuple[float, Refusal]] = {}
        self._problem: tuple[float, str] | None = None
        self._fault = ""
        self._counts: Counter[str] = Counter(dict.fromkeys(("plans", "flagged", "held_back", "skipped", "errors"), 0))
        self._last_plan: float | None = None
        self._concern = ""
        self._stages: dict[str, float] = {}
        self._totals: deque[float] = deque(maxlen=200)
        self._navigation = "none given"

    def received(self, source: str) -> None:
        with self._lock:
            self._received[source] += 1
            self._last_received[source] = time.monotonic()

    def refused(self, refusal: Refusal) -> None:
        with self._lock:
            now = time.monotonic()
            self._refused[refusal.source, refusal.reason.value] += 1
            self._last_refusal[refusal.source] = now, refusal

    def failed(self) -> None:
        with self._lock:
            self._counts["errors"] += 1

    def stopped_by(self, problem: str) -> None:
        """There was no plan, and this is why."""
        with self._lock:
            self._problem = time.monotonic(), problem

    def ended_by(self, fault: str) -> None:
        """There will be no plan any more, and this is why."""
        with self._lock:
            self._fault = fault

    def planned(self, planned: Planned, held_back: bool) -> None:
        with self._lock:
            failures = planned.plan.judgement.gate.failures
            self._counts.update(plans=1, flagged=bool(failures), held_back=held_back, skipped=planned.skipped)
            self._last_plan = time.monotonic()
            self._concern = "; ".join(f"{each.check.value}: {each.reason}" for each in failures)
            self._concern = f"held back: {self._concern}" if held_back else self._concern
            self._stages = dict(planned.plan.latencies_ms)
            self._totals.append(sum(self._stages.values()))

    def navigation(self, text: str) -> None:
        """What became of the last instruction, in words."""
        with self._lock:
            self._navigation = text

    def statuses(self, planning_since: float | None) -> list[DiagnosticStatus]:
        """One for planning, one for each source. planning_since: when the plan in progress was begun, on the monotonic
        clock; None where there is none."""
        with self._lock:
            now = time.monotonic()
            self._measure_rates(now)
            return [self._planning(now, planning_since), *(self._source(source, now) for source in self._received)]

    def _measure_rates(self, now: float) -> None:
        """Over the time since they were last measured, at least half a second."""
        elapsed = now - self._counted_at
        if elapsed < 0.5:
            return
        self._rates = {source: (n - self._counted[source]) / elapsed for source, n in self._received.items()}
        self._counted, self._counted_at = dict(self._received), now

    def _planning(self, now: float, planning_since: float | None) -> DiagnosticStatus:
        since_plan = self._last_plan if self._last_plan is not None else self._begin
        problem = self._problem[1] if self._problem and self._problem[0] > since_plan else ""
        silent = now - since_plan
        if self._fault:
            level, message = _ERROR, f"planning has ended: {self._fault}"
        elif silent > RECENT_S:
            since = f"no plan for {silent:.1f} s" if self._last_plan is not None else "no plan yet"
            if not problem:
                problem = "nothing new from cameras and ego"
                if planning_since is not None:
                    problem = f"the plan in progress has taken {now - planning_since:.1f} s"
            level, message = _ERROR, f"{since}: {problem}"
        elif problem:
            level, message = _WARN, f"no plan for the newest t0: {problem}"
        elif self._concern:
            level, message = _WARN, f"planning, but the gate says: {self._concern}"
        else:
            level, message = _OK, "planning"
        values: dict[str, Any] = dict(self._counts)
        if self._totals:
            p50, p99 = np.percentile(self._totals, [50, 99])
            values |= {"latency_p50_ms": f"{p50:.1f}", "latency_p99_ms": f"{p99:.1f}"}
        values |= {f"{stage}_ms": f"{ms:.1f}" for stage, ms in self._stages.items()}
        values["navigation"] = self._navigation
        return self._status("planning", level, message, values)

    def _source(self, source: str, now: float) -> DiagnosticStatus:
        count = self._received[source]
        at, refusal = self._last_refusal.get(source, (-np.inf, None))
        if count == 0:
            level, message = _ERROR, "nothing received"
        elif (silent := now - self._last_received[source]) > RECENT_S:
            level, message = _ERROR, f"nothing for {silent:.1f} s"
        elif refusal is not None and now - at < 2 * RECENT_S:
            level, message = _WARN, refusal.text
        else:
            level, message = _OK, "receiving"
        refused = {reason: number for (of, reason), number in self._refused.items() if of == source}
        return self._status(
            source, level, message, {"received": count, "rate_hz": f"{self._rates[source]:.1f}", **refused}
        )

    def _status(self, name: str, level: bytes, message: str, values: dict[str, Any]) -> DiagnosticStatus:
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(
            level=level, name=f"{self._prefix}: {name}", message=message, hardware_id=self._rig, values=pairs
        )
