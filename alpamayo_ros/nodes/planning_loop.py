"""The planner's own thread: the newest t0 that the sources cover becomes a plan, or a refusal with its reason."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any, Protocol

from alpamayo_ros.policy import INPUT_ERRORS, DrivingPolicy
from alpamayo_ros.timeline import FRAME_PERIOD_NS, Moment, Refusal, Timeline
from alpamayo_ros.types import Plan

STALL_S = 0.1
"""With nothing new for so long it is asked why, and asked again as often: the period of plans."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan and what it was made from. skipped: t0s since the one before that were passed over for lack of time."""

    plan: Plan
    moment: Moment
    skipped: int


class Host(Protocol):
    """Who runs the loop. All of it is called from the loop's thread."""

    def check_time(self, t0_ns: int) -> None:
        """Raises Refusal where t0 has nothing to do with the host's clock."""

    def plan_options(self) -> dict[str, Any]:
        """Keyword arguments of `DrivingPolicy.plan` for the next plan."""

    def navigation(self) -> str | None:
        """The driving instruction of the next plan."""

    def take_plan(self, planned: Planned) -> None: ...

    def take_refusal(self, refusal: Refusal) -> None:
        """There is no plan for a t0, or no t0 to plan for."""

    def take_failure(self, error: Exception) -> None:
        """The model refused its input, or gave what is no plan."""


class PlanningLoop:
    """Plans one t0 after the other, each at most once; when it falls behind, the newest wins."""

    def __init__(self, policy: DrivingPolicy, timeline: Timeline, host: Host) -> None:
        self._policy, self._timeline, self._host = policy, timeline, host
        self._wake = Condition()
        self._news = self._stalled = self._stopping = False
        self._last_ns: int | None = None
        self._refused_ns: int | None = None
        self._late_messages = 0
        self._thread = Thread(target=self._run, name="planning", daemon=True)
        self._fault: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once the plan in progress is done."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    @property
    def fault(self) -> BaseException | None:
        """What ended the thread, if it was not `stop`: a mistake of ours."""
        return self._fault

    def notify(self) -> None:
        """Something new is in the timeline. Cheap: called for every message."""
        with self._wake:
            self._news = True
            self._wake.notify()

    def restart(self) -> None:
        """Time was set back: any t0 is new again."""
        with self._wake:
            self._last_ns = None

    def reconsider(self) -> None:
        """A message came after newer ones of its source: a t0 that was refused without it gets another chance."""
        with self._wake:
            self._late_messages += 1
            self._try_again()

    def _try_again(self) -> None:
        if self._refused_ns is not None and self._refused_ns == self._last_ns:
            self._last_ns = self._refused_ns - FRAME_PERIOD_NS
            self._news = True

    def _run(self) -> None:
        try:
            while self._wait():
                self._step()
        except BaseException as error:
            self._fault = error
            raise

    def _wait(self) -> bool:
        """Until there is news or time to ask why there is none; False at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._news or self._stopping, STALL_S)
            self._stalled = not self._news
            self._news = False
            return not self._stopping

    def _step(self) -> None:
        with self._wake:
            last = self._last_ns
        t0_ns = self._timeline.newest_t0_ns
        if t0_ns is None or (last is not None and t0_ns <= last):
            refusal = self._timeline.lagging() if self._stalled else None
            if refusal is not None:
                self._host.take_refusal(refusal)
            return
        with self._wake:
            if self._last_ns == last:  # else time was set back meanwhile
                self._last_ns = t0_ns
            late_messages = self._late_messages
        try:
            self._host.check_time(t0_ns)
            refusal = self._timeline.lagging()
            if refusal is not None:
                raise refusal
            planned = self._plan(t0_ns, last)
        except Refusal as refused:
            with self._wake:
                self._refused_ns = t0_ns
                if self._late_messages != late_messages:  # it came while this was looking
                    self._try_again()
            self._host.take_refusal(refused)
        except INPUT_ERRORS as error:
            self._host.take_failure(error)
        else:
            self._host.take_plan(planned)

    def _plan(self, t0_ns: int, last_ns: int | None) -> Planned:
        begin = time.perf_counter()
        moment = self._timeline.moment(t0_ns)
        observation = moment.observe(self._host.navigation())
        observing = (time.perf_counter() - begin) * 1e3
        plan = self._policy.plan(observation, **self._host.plan_options())
        plan = dataclasses.replace(plan, latencies_ms={"observing": observing, **plan.latencies_ms})
        skipped = 0 if last_ns is None else (t0_ns - last_ns) // FRAME_PERIOD_NS - 1
        return Planned(plan, moment, skipped)
