"""The planner's thread by itself: what it drops, what it counts as passed over, and what ends it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from car import wait_until

from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.nodes.health import Health
from alpamayo_ros.nodes.planning_loop import Planned, PlanningLoop
from alpamayo_ros.timeline import FRAME_PERIOD_NS as PERIOD
from alpamayo_ros.timeline import Refusal, RefusalReason


@dataclass(frozen=True)
class APlan:
    t0_ns: int
    latencies_ms: dict[str, float] = field(default_factory=dict)


class Stage:
    """Timeline, policy and host of a loop. A plan takes as long as `may_plan` is unset; refused: t0s without one."""

    def __init__(self) -> None:
        self.newest_t0_ns: int | None = None
        self.refused: set[int] = set()
        self.may_plan, self.up = threading.Event(), True
        self.may_plan.set()
        self.begun: list[int] = []
        self.memories: list[Memory] = []
        self.planned: list[Planned] = []
        self.refusals: list[Refusal] = []
        self.fault: Exception | None = None
        self.loop = PlanningLoop(self, self, self)  # type: ignore[arg-type]

    def offer(self, period: int) -> None:
        self.newest_t0_ns = period * PERIOD
        self.loop.notify()

    def found(self) -> list[tuple[int, int]]:
        """Period and skipped of each plan."""
        return [(planned.plan.t0_ns // PERIOD, planned.skipped) for planned in self.planned]

    def step(self, period: int) -> None:
        """Offer a t0 and wait until it is dealt with."""
        before = len(self.planned) + len(self.refusals)
        self.offer(period)
        assert wait_until(lambda: len(self.planned) + len(self.refusals) > before)

    def begin(self, period: int) -> None:
        """Offer a t0 and return in the middle of its planning."""
        self.may_plan.clear()
        before = len(self.begun)
        self.offer(period)
        assert wait_until(lambda: len(self.begun) > before)

    def lagging(self) -> None: ...

    def moment(self, t0_ns: int) -> SimpleNamespace:
        if t0_ns // PERIOD in self.refused:
            raise Refusal(RefusalReason.EGO_GAP, "ego", "a gap")
        return SimpleNamespace(observe=lambda navigation: t0_ns)

    def plan(self, t0_ns: int, memory: Memory) -> APlan:
        self.begun.append(t0_ns)
        self.memories.append(memory)
        assert self.may_plan.wait(10)
        return APlan(t0_ns)

    def is_up(self) -> bool:
        return self.up

    def check_time(self, t0_ns: int) -> None: ...

    def plan_options(self) -> dict:
        return {}

    def navigation(self) -> None: ...

    def take_plan(self, planned: Planned) -> None:
        if self.fault is not None:
            raise self.fault
        self.planned.append(planned)

    def take_refusal(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)


@pytest.fixture
def stage():
    it = Stage()
    it.loop.start()
    yield it
    it.may_plan.set()
    it.loop.stop()


def test_what_came_while_a_plan_was_made_is_skipped_but_for_the_newest(stage):
    stage.step(1)
    stage.begin(2)
    for period in (3, 4, 5):
        stage.offer(period)
    stage.may_plan.set()
    assert wait_until(lambda: stage.found() == [(1, 0), (2, 0), (5, 2)])


def test_a_plan_that_takes_long_is_told_as_such_and_no_fault_of_the_sensors(stage):
    health = Health("/planner", "a_rig", ["ego"])

    def told() -> str:
        health.received("ego")
        return health.statuses(stage.loop.planning_since)[0].message

    stage.step(1)
    assert wait_until(lambda: told() == "no plan yet: nothing new from cameras and ego")
    stage.begin(2)
    assert wait_until(lambda: told().startswith("no plan yet: the plan in progress has taken "))
    stage.may_plan.set()
    assert wait_until(lambda: told() == "no plan yet: nothing new from cameras and ego")


def test_plans_of_one_drive_have_one_memory_and_time_set_back_begins_another(stage):
    stage.step(2)
    stage.step(3)
    stage.loop.restart()
    stage.step(1)
    assert stage.memories[0] is stage.memories[1]
    assert stage.memories[2] is not stage.memories[1]


def test_t0s_that_the_sources_left_out_are_not_skipped(stage):
    stage.step(1)
    stage.step(50)
    stage.begin(51)
    stage.offer(100)
    stage.may_plan.set()
    assert wait_until(lambda: stage.found() == [(1, 0), (50, 0), (51, 0), (100, 0)])


def test_skipped_adds_up_over_refused_t0s_until_a_plan(stage):
    stage.refused = {5, 6}
    stage.begin(1)
    for period in (2, 3, 4, 5):
        stage.offer(period)
    stage.may_plan.set()
    assert wait_until(lambda: stage.refusals)
    stage.step(6)
    stage.step(7)
    stage.step(8)
    assert stage.found() == [(1, 0), (7, 3), (8, 0)]


def test_a_plan_in_progress_is_dropped_when_time_is_set_back(stage):
    stage.step(100)
    stage.begin(101)
    stage.newest_t0_ns = None
    stage.loop.restart()
    stage.may_plan.set()
    stage.step(3)
    stage.step(4)
    assert stage.found() == [(100, 0), (3, 0), (4, 0)]


def test_the_first_t0_read_just_before_time_is_set_back_does_not_hold_up_the_new(stage):
    stage.begin(101)  # the first of all
    stage.newest_t0_ns = None
    stage.loop.restart()
    stage.may_plan.set()
    stage.step(3)
    assert stage.found() == [(3, 0)]


def test_a_plan_in_progress_is_dropped_at_the_end(stage):
    stage.step(1)
    stage.begin(2)
    stopping = threading.Thread(target=stage.loop.stop)
    stopping.start()
    assert wait_until(lambda: stage.loop._stopping)
    stage.may_plan.set()
    stopping.join(10)
    assert stage.found() == [(1, 0)]
    assert stage.loop.fault is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("up", [True, False])
def test_what_ends_the_thread_is_a_fault_unless_ros_was_shut_down_meanwhile(stage, up):
    stage.fault, stage.up = RuntimeError("context is not valid"), up
    stage.offer(1)
    assert wait_until(lambda: not stage.loop._thread.is_alive())
    assert stage.loop.fault is (stage.fault if up else None)
