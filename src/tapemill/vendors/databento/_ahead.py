"""Work ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

__all__ = ["blocks_ahead"]

T = TypeVar("T")

_POLL_SECONDS = 0.05


class _Ended:
    """Last thing in the queue: the source is exhausted, or failed with `error`."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def blocks_ahead(blocks: Iterator[T], depth: int = 1) -> Iterator[T]:
    """The same blocks in the same order, the next ones made while the caller works.

    Parameters
    ----------
    blocks : iterator
        Runs in a thread of its own, so what it does must let go of the interpreter lock to gain
        anything (decompression and reading do). Closed when the caller stops early.
    depth : int
        Blocks that may wait to be taken.

    Raises
    ------
    Exception
        Whatever `blocks` raised, after the blocks it gave before.
    """
    ready: queue.Queue[T | _Ended] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(
        target=_pump, args=(blocks, ready, stop), name="blocks-ahead", daemon=True
    )
    thread.start()
    try:
        while True:
            block = ready.get()
            if isinstance(block, _Ended):
                if block.error is not None:
                    raise block.error
                return
            yield block
            del block  # so that its buffer can be used again
    finally:
        stop.set()
        thread.join()


def _pump(blocks: Iterator[T], ready: queue.Queue[T | _Ended], stop: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for block in blocks:
            if not _put(ready, block, stop):
                break
            del block
    except BaseException as failure:  # noqa: BLE001 - carried over to the caller, every one
        error = failure
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            close()
    _put(ready, _Ended(error), stop)


def _put(ready: queue.Queue[T | _Ended], item: T | _Ended, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            ready.put(item, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False
