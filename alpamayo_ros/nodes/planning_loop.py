"""The planner's own thread: the newest t0 that the sources cover becomes a plan, or a refusal with its reason."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any, Protocol

from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.policy import INPUT_ERRORS, DrivingPolicy
from alpamayo_ros.timeline import FRAME_PERIOD_NS, Moment, Refusal, Timeline
from alpamayo_ros.types import Plan

STALL_S = 0.1
"""With nothing new for so long it is asked why, and asked again as often: the period of plans."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan and what it was made from.

    skipped: t0s since the plan before that were passed over for lack of time: something newer was there before the loop
    came to them. A t0 that was refused is none of them, nor one that the sources left out.
    """

    plan: Plan
    moment: Moment
    skipped: int


class Host(Protocol):
    """Who runs the loop. All of it is called from the loop's thread."""

    def is_up(self) -> bool:
        """False once plans can no longer be told to anybody: ROS is shut down."""

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
        self._memory = Memory()  # of the drive up to now
        self._wake = Condition()
        self._news = self._stalled = self._stopping = False
        self._epoch = 0  # how often time was set back
        self._last_ns: int | None = None
        self._offered_ns = 0  # the newest t0 that ever was there to be planned
        self._waiting: list[int] = []  # t0s that were offered, and not yet taken or passed over
        self._skipped = 0
        self._refused_ns: int | None = None
        self._late_messages = 0
        self.planning_since: float | None = None
        """When the plan in progress was begun, on the monotonic clock; None where there is none."""
        self._thread = Thread(target=self._run, name="planning", daemon=True)
        self._fault: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns once the plan in progress is done; it is dropped."""
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
        t0_ns = self._timeline.newest_t0_ns
        with self._wake:
            if t0_ns is not None and t0_ns > self._offered_ns:
                self._offered_ns = t0_ns
                self._waiting.append(t0_ns)
            self._news = True
            self._wake.notify()

    def restart(self) -> None:
        """Time was set back: any t0 is new again, and the plan in progress is dropped."""
        with self._wake:
            self._epoch += 1
            self._memory = Memory()
            self._last_ns = self._refused_ns = None
            self._offered_ns = self._skipped = 0
            self._waiting.clear()

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
            if not self._host.is_up():
                return  # ROS was shut down in the middle of a call
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
            epoch, last = self._epoch, self._last_ns
        t0_ns = self._timeline.newest_t0_ns
        if t0_ns is None or (last is not None and t0_ns <= last):
            refusal = self._timeline.lagging() if self._stalled else None
            if refusal is not None:
                self._host.take_refusal(refusal)
            return
        with self._wake:
            if self._epoch != epoch:
                return  # t0 may be of the time before; what set it back wakes the loop again
            late_messages = self._late_messages
            self._take(t0_ns)
        try:
            self._host.check_time(t0_ns)
            refusal = self._timeline.lagging()
            if refusal is not None:
                raise refusal
            plan, moment = self._plan(t0_ns)
        except Refusal as refused:
            with self._wake:
                if not self._is_current(epoch):
                    return
                self._refused_ns = t0_ns
                if self._late_messages != late_messages:  # it came while this was looking
                    self._try_again()
            self._host.take_refusal(refused)
        except INPUT_ERRORS as error:
            with self._wake:
                if not self._is_current(epoch):
                    return
            self._host.take_failure(error)
        else:
            with self._wake:
                if not self._is_current(epoch):
                    return
                skipped, self._skipped = self._skipped, 0
            self._host.take_plan(Planned(plan, moment, skipped))

    def _take(self, t0_ns: int) -> None:
        self._last_ns = t0_ns
        self._offered_ns = max(self._offered_ns, t0_ns)
        self._skipped += sum(waiting < t0_ns for waiting in self._waiting)
        self._waiting = [waiting for waiting in self._waiting if waiting > t0_ns]

    def _is_current(self, epoch: int) -> bool:
        """Whether what was found out since is of use: time was not set back, and nobody waits for the end."""
        return self._epoch == epoch and not self._stopping

    def _plan(self, t0_ns: int) -> tuple[Plan, Moment]:
        begin = time.perf_counter()
        moment = self._timeline.moment(t0_ns)
        observation = moment.observe(self._host.navigation())
        observing = (time.perf_counter() - begin) * 1e3
        self.planning_since = time.monotonic()
        try:
            plan = self._policy.plan(observation, memory=self._memory, **self._host.plan_options())
        finally:
            self.planning_since = None
        return dataclasses.replace(plan, latencies_ms={"observing": observing, **plan.latencies_ms}), moment
