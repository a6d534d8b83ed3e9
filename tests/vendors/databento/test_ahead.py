"""Work ahead in a thread: order, errors, early ends."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from tapemill.vendors.databento._ahead import blocks_ahead


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "blocks-ahead"]


def test_blocks_keep_their_order_and_the_thread_ends() -> None:
    assert list(blocks_ahead(iter(range(1000)))) == list(range(1000))
    assert running() == []


def test_an_error_comes_after_the_blocks_before_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    seen = []
    with pytest.raises(OSError, match="gone"):
        for block in blocks_ahead(failing()):
            seen.append(block)
    assert seen == [1, 2]
    assert running() == []


def test_a_caller_that_stops_early_closes_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    blocks = blocks_ahead(endless())
    assert next(blocks) == 0
    blocks.close()
    assert closed.is_set()
    assert running() == []


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made = []

    def counting() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    for block in blocks_ahead(counting(), depth=2):
        # One with the caller, two waiting, one in the hands of the thread.
        assert len(made) <= block + 4
