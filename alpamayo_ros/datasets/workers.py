"""Worker processes that neither outlive their parent nor talk when it is interrupted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import cv2


@contextmanager
def worker_pool(
    workers: int, prepare: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each. prepare: called first in each of them, with `arguments`.

    When the block is left by an exception, an interruption for example, what still runs is ended at once.
    """
    others = set(multiprocessing.active_children())
    # Spawned, not forked: a forked copy of a process that has used torch or OpenCV may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (prepare, arguments)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise


def _begin(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    cv2.setNumThreads(1)  # as there are as many workers as wanted
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers itself

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)  # a parent that was killed cannot tell its workers to stop

    threading.Thread(target=end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)
