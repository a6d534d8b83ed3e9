"""From kept answers to bronze: micro-batches, each landed exactly once.

A batch is one append with a (writer, sequence) pair that the table remembers, then one transaction
of the control state that marks answers landed and cells settled. A crash in between repeats the
append with the same pair, which the table takes for done.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import polars as pl

from tapemill.clock import Calendar, Clock
from tapemill.intake.coverage import Settled, is_listing, rows_by_date, settle
from tapemill.intake.evidence import Receipt, read_back
from tapemill.intake.periods import PERIODS, settle_periods
from tapemill.intake.run import off_loop
from tapemill.lake import Lake
from tapemill.lake.control import (
    MARKET,
    Batch,
    CellRecord,
    CellState,
    ContentRecord,
    Effects,
    StoredAnswer,
)
from tapemill.settings import Settings

__all__ = ["Landed", "Lander", "land"]


@dataclasses.dataclass(frozen=True, slots=True)
class Landed:
    """What one or more batches brought."""

    rows: int = 0
    quarantined: int = 0
    cells: int = 0

    def __add__(self, other: Landed) -> Landed:
        return Landed(
            self.rows + other.rows,
            self.quarantined + other.quarantined,
            self.cells + other.cells,
        )


def land(
    lake: Lake,
    settings: Settings,
    calendar: Calendar,
    receipts: Sequence[Receipt],
    *,
    batch: Batch | None = None,
) -> Landed:
    """Land receipts of one dataset in one batch.

    Parameters
    ----------
    receipts : sequence of Receipt
        At least one, all of one dataset.
    batch : Batch, optional
        The adopted batch that these receipts were in when a process died.

    Raises
    ------
    ConflictError
        The batch was taken over by another process.
    """
    dataset = receipts[0].dataset
    if batch is None:
        batch = lake.control.batches.begin(dataset, [r.answer_id for r in receipts])
    frame = pl.concat([receipt.frame for receipt in receipts])
    rejected = pl.concat([receipt.rejected for receipt in receipts])
    version = None
    if frame.height:
        version = lake.tables.append(dataset, frame, writer=batch.writer, sequence=batch.sequence)
    if rejected.height:
        lake.quarantine(dataset, rejected, writer=batch.writer, sequence=batch.sequence)
    cells: list[CellRecord] = []
    contents: list[ContentRecord] = []
    unsettled: dict[tuple[str, date], int] = {}
    for receipt in receipts:
        settled = _settle(lake, settings, calendar, receipt, unsettled)
        unsettled |= {
            (one.symbol, day): rows
            for one in settled
            if one.state is CellState.PARTIAL
            for day, rows in zip(one.sessions, one.rows, strict=True)
        }
        cells += [_record(receipt, one) for one in settled]
        contents += _page_contents(receipt)
    lake.control.batches.finish(
        batch,
        Effects(cells=cells, contents=contents),
        table_version=version,
        rows=frame.height,
        quarantined=rejected.height,
    )
    closed = (CellState.DATA, CellState.EMPTY)
    settled_cells = sum(len(record.sessions) for record in cells if record.state in closed)
    return Landed(frame.height, rejected.height, settled_cells)


class Lander:
    """Collects receipts and lands them in batches, with bounded memory.

    Parameters
    ----------
    lake, settings, clock, calendar
        Where and when.
    landed : callable
        Told of every batch.

    Notes
    -----
    A batch closes at ``landing.batch_rows`` rows or after ``landing.batch_seconds``; what has
    queued up by then goes along, up to `BATCH_ROWS`. Producers wait while more than `QUEUED_ROWS`
    rows are queued.
    """

    BATCH_ROWS = 100_000
    QUEUED_ROWS = 20_000
    QUEUED_RECEIPTS = 64

    def __init__(
        self,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        calendar: Calendar,
        landed: Callable[[Landed], None],
    ) -> None:
        self._lake = lake
        self._settings = settings
        self._clock = clock
        self._calendar = calendar
        self._landed = landed
        self._queue: asyncio.Queue[tuple[Receipt, asyncio.Future[None]] | None] = asyncio.Queue(
            self.QUEUED_RECEIPTS
        )
        self._queued_rows = 0
        self._room = asyncio.Condition()

    async def put(self, receipt: Receipt) -> asyncio.Future[None]:
        """Hand over a receipt; the future is done once it has landed, or holds why it has not."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        async with self._room:
            await self._room.wait_for(lambda: self._queued_rows < self.QUEUED_ROWS)
            self._queued_rows += receipt.frame.height
        await self._queue.put((receipt, done))
        return done

    async def close(self) -> None:
        """Say that nothing more comes."""
        await self._queue.put(None)

    async def run(self) -> None:
        """Land until closed."""
        waiting: list[tuple[Receipt, asyncio.Future[None]]] = []
        deadline = 0.0
        closed = False
        while not closed or waiting:
            entry = await self._next(deadline if waiting else None)
            if entry is None:
                closed = True
            elif not isinstance(entry, str):
                if not waiting:
                    deadline = self._clock.monotonic() + self._settings.landing.batch_seconds
                waiting.append(entry)
                async with self._room:
                    self._queued_rows -= entry[0].frame.height
                    self._room.notify_all()
            rows = sum(receipt.frame.height for receipt, _ in waiting)
            full = rows >= self._settings.landing.batch_rows
            if full and rows < self.BATCH_ROWS and not self._queue.empty():
                continue  # long pages that arrived during the last commit share the next one
            if waiting and (closed or entry == "late" or full):
                await self._land(waiting)
                waiting = []

    async def _next(
        self, deadline: float | None
    ) -> tuple[Receipt, asyncio.Future[None]] | str | None:
        if deadline is None:
            return await self._queue.get()
        getting = asyncio.ensure_future(self._queue.get())
        timer = asyncio.ensure_future(
            self._clock.sleep(max(deadline - self._clock.monotonic(), 0.0))
        )
        done, _ = await asyncio.wait({getting, timer}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        if getting in done:
            return getting.result()
        getting.cancel()
        return "late"

    async def _land(self, waiting: Sequence[tuple[Receipt, asyncio.Future[None]]]) -> None:
        by_dataset: dict[str, list[tuple[Receipt, asyncio.Future[None]]]] = {}
        for entry in waiting:
            by_dataset.setdefault(entry[0].dataset, []).append(entry)
        for entries in by_dataset.values():
            receipts = [receipt for receipt, _ in entries]
            landed = await off_loop(
                self._clock, land, self._lake, self._settings, self._calendar, receipts
            )
            self._landed(landed)
            for _, done in entries:
                if not done.done():
                    done.set_result(None)


def _settle(
    lake: Lake,
    settings: Settings,
    calendar: Calendar,
    receipt: Receipt,
    unsettled: Mapping[tuple[str, date], int],
) -> list[Settled]:
    if receipt.asked is None:
        return list(receipt.cells)
    request, answer = receipt.asked
    if not answer.outcome.completes:
        return []
    if request.dataset in PERIODS:
        return _settle_periods(lake, settings, calendar, receipt) if answer.next is None else []
    earlier: dict[date, int] = {}
    rows_before = 0
    if is_listing(request) and answer.next is None:
        earlier = _rows_of_earlier_pages(lake, settings, receipt.task_key, request.page)
    elif request.symbol != "*" and request.start is not None and request.end is not None:
        sessions = calendar.session_dates(request.start, request.end)
        before = calendar.previous(request.start)
        known = lake.control.ledger.matrix(request.dataset, [request.symbol], [before, *sessions])
        rows_before = int(known.rows[0, 0])
        partial = known.states[0, 1:] == CellState.PARTIAL
        counts = known.rows[0, 1:]
        if request.page > 1:
            earlier = {
                day: int(counts[place])
                for place, day in enumerate(sessions)
                if partial[place] and counts[place]
            }
            # Pages of the same batch are not in the ledger yet.
            earlier |= {
                day: rows for (symbol, day), rows in unsettled.items() if symbol == request.symbol
            }
    return settle(
        request,
        answer,
        calendar,
        receipt.received_ns,
        earlier=earlier,
        rows_before=rows_before,
    )


def _rows_of_earlier_pages(
    lake: Lake, settings: Settings, task_key: str, last_page: int
) -> dict[date, int]:
    """Rows by date of the pages before the last one of a listing, read back from raw."""
    total: dict[date, int] = {}
    for receipt in _earlier_pages(lake, settings, task_key, last_page):
        for day, count in rows_by_date(receipt.dataset, receipt.frame).items():
            total[day] = total.get(day, 0) + count
    return total


def _earlier_pages(lake: Lake, settings: Settings, task_key: str, last_page: int) -> list[Receipt]:
    """The newest answer of each page before the last one, in the order of pages."""
    # Bytes that came before are stored under the key with a number: see `keep`.
    key, times = task_key.partition("@")[0], 1
    newest: dict[int, StoredAnswer] = {}
    while found := lake.control.answers.of_task(key if times == 1 else f"{key}@{times}"):
        for stored in found:
            known = newest.get(stored.page)
            newer = known is None or stored.answer_id > known.answer_id
            if newer and stored.stage != "kept" and stored.page < last_page:
                newest[stored.page] = stored
        times += 1
    return [read_back(lake, settings, newest[page]) for page in sorted(newest)]


def _settle_periods(
    lake: Lake, settings: Settings, calendar: Calendar, receipt: Receipt
) -> list[Settled]:
    assert receipt.asked is not None  # files settle their own cells
    request = receipt.asked[0]
    pages = [*_earlier_pages(lake, settings, receipt.task_key, request.page), receipt]
    rejected = sum(page.rejected.height for page in pages)
    frames = [page.frame for page in pages]
    return settle_periods(request, frames, rejected, calendar, receipt.received_ns)


def _record(receipt: Receipt, settled: Settled) -> CellRecord:
    return CellRecord(
        receipt.dataset,
        settled.symbol,
        settled.sessions,
        settled.state,
        settled.reason,
        settled.rows,
        answer_id=receipt.answer_id,
    )


def _page_contents(receipt: Receipt) -> list[ContentRecord]:
    """What a receipt adds to dates whose cells it does not settle: a listing's page, a part."""
    request = receipt.asked[0] if receipt.asked else None
    if request is not None and not is_listing(request):
        return []
    if request is None and receipt.cells:
        return []
    rows = rows_by_date(receipt.dataset, receipt.frame)
    if not rows:
        return []
    symbol = request.symbol if request else MARKET
    counts = list(rows.values())
    return [ContentRecord(receipt.dataset, tuple(rows), receipt.raw_sha256, counts, symbol)]
