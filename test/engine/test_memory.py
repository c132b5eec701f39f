"""What a memory takes over from the last plan, and what it never does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ticks import PERIOD, SIZE, Tick, check_same, invented, model, plainly, quickly

from alpamayo_ros.engine.engine import Engine
from alpamayo_ros.engine.memory import Memory
from alpamayo_ros.engine.native.tower import NativeTower
from alpamayo_ros.engine.sight import Sight
from alpamayo_ros.engine.switches import Switches

TICKS = invented(4)


@pytest.fixture
def engine() -> Engine:
    return Engine(model("r1"), Switches())


@pytest.fixture
def work(monkeypatch) -> dict[str, int]:
    """Frames that were resized and pictures that were encoded."""
    done = {"resized": 0, "encoded": 0}
    resize, encode = Sight._resize, NativeTower.__call__

    def counted_resize(self, pixels):
        done["resized"] += 1
        return resize(self, pixels)

    def counted_encode(self, frames, grids, tables):
        done["encoded"] += len(grids)
        return encode(self, frames, grids, tables)

    monkeypatch.setattr(Sight, "_resize", counted_resize)
    monkeypatch.setattr(NativeTower, "__call__", counted_encode)
    return done


def at(tick: Tick, *, images=None, role: int | None = None, shift: int = 0) -> Tick:
    """The tick with other pixels or another role of its second camera, or at another time."""
    first, second = (
        dataclasses.replace(camera, stamps_ns=tuple(stamp + shift for stamp in camera.stamps_ns))
        for camera in tick.cameras
    )
    second = dataclasses.replace(
        second, images=second.images if images is None else images, role=second.role if role is None else role
    )
    return dataclasses.replace(tick, cameras=(first, second))


def told(engine: Engine, tick: Tick, memory: Memory, work: dict[str, int]) -> dict[str, int]:
    """The work that a plan takes; what comes of it is what plain `vla` says."""
    work.update(resized=0, encoded=0)
    made = quickly(engine, tick, memory)
    check_same(made, plainly(engine.model, tick))
    return dict(work)


def test_only_new_frames_are_resized_and_encoded(engine, work):
    memory = Memory()
    assert told(engine, TICKS[0], memory, work) == {"resized": 4, "encoded": 4}
    assert told(engine, TICKS[1], memory, work) == {"resized": 2, "encoded": 2}
    assert told(engine, TICKS[1], memory, work) == {"resized": 0, "encoded": 0}
    assert told(engine, TICKS[3], memory, work) == {"resized": 4, "encoded": 4}


def test_same_stamps_with_other_pixels(engine, work):
    memory = Memory()
    told(engine, TICKS[0], memory, work)
    other = TICKS[0].cameras[1].images.copy()
    other[1, -1, -1, -1] ^= 1
    # The group of the changed frame: its own and the other camera's.
    assert told(engine, at(TICKS[0], images=other), memory, work) == {"resized": 1, "encoded": 2}


def test_pictures_that_are_written_over_in_place(engine, work):
    memory, images = Memory(), TICKS[0].cameras[1].images.copy()
    tick = at(TICKS[0], images=images)
    told(engine, tick, memory, work)
    images[:] = 255 - images
    assert told(engine, tick, memory, work) == {"resized": 2, "encoded": 4}


def test_time_that_goes_back_begins_anew(engine, work):
    memory = Memory()
    told(engine, TICKS[1], memory, work)
    assert told(engine, TICKS[0], memory, work) == {"resized": 4, "encoded": 4}
    assert told(engine, at(TICKS[2], shift=-PERIOD * 100), memory, work) == {"resized": 4, "encoded": 4}


def test_another_role_begins_anew(engine, work):
    memory = Memory()
    told(engine, TICKS[0], memory, work)
    assert told(engine, at(TICKS[0], role=2), memory, work) == {"resized": 4, "encoded": 4}


def test_another_size(engine, work):
    memory = Memory()
    told(engine, TICKS[0], memory, work)
    smaller = TICKS[0].cameras[1].images[:, :, :96]
    assert told(engine, at(TICKS[0], images=smaller), memory, work) == {"resized": 2, "encoded": 4}


def test_another_model_begins_anew(engine, work):
    memory, other = Memory(), Engine(model("15"), Switches())
    told(engine, TICKS[0], memory, work)
    assert told(other, TICKS[0], memory, work) == {"resized": 4, "encoded": 4}


def test_what_is_cleared_is_gone(engine, work):
    memory = Memory()
    told(engine, TICKS[0], memory, work)
    assert memory.reasoning
    memory.clear()
    assert memory == Memory()
    assert told(engine, TICKS[0], memory, work) == {"resized": 4, "encoded": 4}


def test_a_memory_is_no_larger_than_its_last_observation(engine):
    memory = Memory()
    for tick in TICKS:
        quickly(engine, tick, memory)
    assert len(memory.features) == 2
    assert len(memory._frames) == 4
    height, width = SIZE
    assert all(frame.pixels.shape == (height, width, 3) for frame in memory._frames.values())
    assert not any(np.shares_memory(frame.pixels, TICKS[-1].cameras[0].images) for frame in memory._frames.values())


def test_two_drives_at_once(engine, work):
    """Same stamps, other pictures: each has its own memory."""
    one, two = Memory(), Memory()
    other = [at(tick, images=tick.cameras[1].images[:, ::-1].copy()) for tick in TICKS]
    for mine, theirs in zip(TICKS, other, strict=True):
        assert told(engine, mine, one, work) == told(engine, theirs, two, work)


def test_switched_off_nothing_is_kept(work):
    engine, memory = Engine(model("r1"), Switches(vision_cache=False, speculation=False)), Memory()
    for tick in TICKS[:2]:
        assert told(engine, tick, memory, work) == {"resized": 4, "encoded": 4}
    assert memory == Memory()
