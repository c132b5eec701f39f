"""The planner over real topics: what each fault of the inputs leads to, and that plans come back."""

from __future__ import annotations

import numpy as np
import pytest
from car import FRONT, START, TICK, Car, coast, drive, jpeg, scenery, t0_of, wait_until
from planner_bench import SECOND, WARM


def stopped(car: Car) -> None:
    car.copies = lambda role, tick: int(role != FRONT)


def black(car: Car) -> None:
    car.picture = lambda role, tick: scenery(role, tick) * (role != FRONT)


def frozen(car: Car) -> None:
    car.picture = lambda role, tick: scenery(role, 1 if role == FRONT else tick)


def late(car: Car) -> None:
    car.stamp = lambda role, tick: car.now - (200_000_000 if role == FRONT else 0)


def truncated(car: Car) -> None:
    car.data = lambda picture: jpeg(picture)[: len(jpeg(picture)) * 2 // 3]


def resized(car: Car) -> None:
    car.picture = lambda role, tick: scenery(role, tick)[:: 1 + (role == FRONT), ::1]


def not_finite(car: Car) -> None:
    car.pose = lambda ns: (np.nan, 0, 0, 0, 0, 0, 1)


def not_running(car: Car) -> None:
    car.odometry_runs = lambda ns: False


WHOLE_HISTORY = 1.5  # s that poses must reach back once they are sound again


@pytest.mark.parametrize(
    ("fault", "reasons", "memory"),
    [
        (stopped, {"camera_late", "camera_out_of_step"}, 0.3),
        (black, {"camera_black"}, 0.3),
        (frozen, {"camera_frozen"}, 0.3),
        (late, {"camera_late", "camera_out_of_step", "camera_duplicate"}, 0.3),
        (truncated, {"camera_damaged"}, 0.3),
        (not_finite, {"ego_not_finite", "ego_late", "ego_gap", "ego_short"}, WHOLE_HISTORY),
        (not_running, {"ego_late", "ego_gap", "ego_short"}, WHOLE_HISTORY),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_refused_with_its_reason_and_plans_come_back(bench, fault, reasons, memory):
    it = bench()
    it.warm_up()
    sound = dict(vars(it.car))
    fault(it.car)
    begin = it.car.now
    during = coast(it.car, 8, pause=0.12)
    assert [t0 for t0 in during if t0 > begin + TICK] == []
    assert wait_until(lambda: set(it.car.refused()) & reasons), it.car.refused()
    assert it.car.status("planning").level != b"\x00"
    for name in ("picture", "stamp", "data", "copies", "pose", "odometry_runs"):
        setattr(it.car, name, sound[name])
    over = it.car.now
    after = coast(it.car, round(memory * 10) + 2, pause=0.12)
    after += drive(it.car, 5)
    assert after, it.car.refused()
    # The model's window over the fault has to pass: 0.3 s of frames, 1.5 s of poses. From then on at once.
    assert after[0] <= over + round(memory * SECOND) + SECOND
    assert after[-5:] == [it.car.now - i * TICK for i in (4, 3, 2, 1, 0)]
    assert set(it.car.refused()) <= reasons
    assert wait_until(lambda: it.car.status("planning").message == "planning", 4.0)


def test_frames_that_come_twice_or_in_disorder_change_nothing(bench):
    it = bench()
    it.car.copies = lambda role, tick: 2
    it.warm_up()
    assert len(drive(it.car, 5)) == 5
    assert wait_until(lambda: it.car.refused().get("camera_duplicate", 0) >= 4 * 5)
    # Two frames swap places on the wire: the one of this tick comes before that of the tick before.
    it.car.copies = lambda role, tick: 1 if role != FRONT or tick % 2 == 0 else 0
    step = it.car.step

    def swapped() -> None:
        step()
        if it.car.tick % 2 == 0:
            it.car.tick -= 1
            missed = it.car._message(FRONT)
            it.car.tick += 1
            missed.header.stamp.sec, missed.header.stamp.nanosec = divmod(it.car.now - TICK, SECOND)
            it.car._cameras[FRONT].publish(missed)

    it.car.step = swapped
    # The frame of an odd tick is missing until the next, even one brings it; then the newest t0 can be planned.
    planned = [t0 for _ in range(6) for t0 in (*drive(it.car, 1), *coast(it.car, 1))]
    assert len(planned) >= 5
    assert planned == sorted(set(planned))
    assert set(it.car.refused()) <= {"camera_duplicate", "camera_out_of_step"}


def test_another_size_in_flight_is_refused_until_it_is_settled(bench):
    it = bench()
    it.warm_up()
    resized(it.car)
    assert coast(it.car, 3, pause=0.15) == []
    assert len(drive(it.car, 5)) == 5
    assert wait_until(lambda: set(it.car.refused()) == {"camera_resized"}), it.car.refused()


def test_an_encoding_that_nobody_reads_is_named(bench):
    it = bench(raw=True)
    it.car.encoding = "32FC3"
    assert coast(it.car, WARM + 2) == []
    assert wait_until(lambda: "camera_encoding" in it.car.refused())
    assert "32FC3" in " ".join(status.message for array in it.car.diagnostics for status in array.status)


def test_a_jump_of_the_ego_pose_starts_the_history_anew(bench):
    it = bench()
    it.warm_up()
    where = it.car.pose
    it.car.pose = lambda ns: (where(ns)[0] + 50.0, *where(ns)[1:])
    jumped = it.car.now
    planned = coast(it.car, 18, pause=0.1) + drive(it.car, 2)
    assert it.car.refused()["ego_jump"] == 1
    assert planned[0] <= jumped + round((WHOLE_HISTORY + 0.2) * SECOND)
    assert planned[-1] == it.car.now
    for observation in it.policy.seen:
        assert np.abs(np.diff(observation.ego_history.positions[:, 0])).max() < 1.0


def test_poses_of_another_frame_than_the_base_are_refused(bench, capfd):
    it = bench()
    it.warm_up()
    it.car.base = "gnss_antenna"
    assert [t0 for t0 in coast(it.car, 8, pause=0.12) if t0 > START + (WARM + 1) * TICK] == []
    assert wait_until(lambda: {"ego_frame", "ego_late"} <= set(it.car.refused()))
    assert it.car.status("ego").level == b"\x01"
    assert "/odom has the poses of 'gnss_antenna' (child_frame_id)" in capfd.readouterr().err
    it.car.base = "base_link"
    coast(it.car, WARM + 2)
    assert drive(it.car, 3)[-3:] == [it.car.now - i * TICK for i in (2, 1, 0)]


def test_time_set_back_to_the_start_is_a_new_beginning(bench):
    it = bench()
    it.warm_up()
    it.car.now, it.car.tick = START - 500 * TICK, 0
    again = it.car.now
    planned = coast(it.car, WARM + 3, pause=0.1) + drive(it.car, 2)
    assert planned[-1] == it.car.now
    assert planned[0] <= again + 18 * TICK
    assert it.car.refused()["time_jump"] == 1


def test_stamps_of_another_clock_are_refused_with_a_hint(bench):
    it = bench()
    it.car._clock.publish = lambda message: None  # nobody publishes /clock, and use_sim_time is set
    assert coast(it.car, WARM + 2) == []
    assert wait_until(lambda: "nobody publishes /clock" in it.car.status("planning").message)


def test_a_source_that_fell_silent_is_an_error(bench):
    it = bench()
    it.warm_up()
    assert it.car.status("ego").level != b"\x02"
    assert wait_until(lambda: it.car.status("ego").message.startswith("nothing for 1."))
    assert it.car.status("ego").level == b"\x02"
    drive(it.car, 1)
    assert wait_until(lambda: it.car.status("ego").level != b"\x02")


def test_poses_in_another_frame_are_a_new_beginning_and_no_plan_mixes_them(bench):
    it = bench(seconds=0.3)
    it.warm_up()
    it.car.step()  # planned from poses in odom; while that lasts, the localisation changes
    assert wait_until(lambda: it.policy.seen[-1].t0_ns == it.car.now)
    before, it.car.frame = it.car.now, "map"
    coast(it.car, WARM + 2, pause=0.1)
    drive(it.car, 1)
    frames = {t0_of(plan): plan.ego_pose.header.frame_id for plan in it.car.plans}
    assert frames[before] == "odom"
    assert frames[it.car.now] == "map"
    assert all(frame == ("odom" if t0 <= before else "map") for t0, frame in frames.items())
    assert it.car.refused()["ego_jump"] == 1
