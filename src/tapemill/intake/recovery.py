"""After a crash: finish what a killed process left between receiving and landing."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from tapemill.clock import Calendar
from tapemill.errors import ConflictError
from tapemill.intake.evidence import Receipt, read_back
from tapemill.intake.file_parts import FILE_VENDOR, read_back_part
from tapemill.intake.landing import Landed, land
from tapemill.intake.tape_evidence import TAPE_VENDOR, read_back_day
from tapemill.lake import Lake
from tapemill.lake.control import StoredAnswer
from tapemill.settings import Settings

__all__ = ["at_work", "recover"]

_AT_WORK: Counter[str] = Counter()


@contextlib.contextmanager
def at_work(lake: Lake) -> Iterator[None]:
    """Note that this process lands answers of its own: nobody in it may take them for leftovers."""
    _AT_WORK[lake.location] += 1
    try:
        yield
    finally:
        _AT_WORK[lake.location] -= 1


def recover(lake: Lake, settings: Settings, calendar: Calendar) -> Landed:
    """Finish half-way batches, then land answers that are in no batch.

    Every verb that writes calls this at its start; it costs two queries when there is nothing.

    Raises
    ------
    CorruptError
        A kept answer differs from its hash.
    """
    mine = not _AT_WORK[lake.location]
    control = lake.control
    total = Landed()
    for left in control.batches.unfinished(mine=mine):
        try:
            batch = control.batches.adopt(left)
        except ConflictError:
            continue  # another process recovers it
        stored = [control.answers.get(answer_id) for answer_id in batch.answer_ids]
        if stored:
            receipts = [_read_back(lake, settings, answer) for answer in stored]
            total += land(lake, settings, calendar, receipts, batch=batch)
        else:
            control.batches.finish(batch)
    for answer in control.answers.unlanded():
        if answer.owner == control.owner and not mine:
            continue
        try:
            total += land(lake, settings, calendar, [_read_back(lake, settings, answer)])
        except ConflictError:
            continue  # another process was faster
    return total


def _read_back(lake: Lake, settings: Settings, stored: StoredAnswer) -> Receipt:
    if stored.vendor == FILE_VENDOR:
        return read_back_part(lake, settings, stored)
    if stored.vendor == TAPE_VENDOR:
        return read_back_day(lake, stored)
    return read_back(lake, settings, stored)
