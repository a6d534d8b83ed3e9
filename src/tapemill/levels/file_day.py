"""A trade date straight from one DBN file, without a lake: what a research run over files needs.

The file is read twice. The first pass takes only its trades, for levels are made of the minutes of
the whole date; the second one reads books in a thread of its own, a chunk ahead of the walk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from tapemill.book import Changes, Events, LadderBook, OrderBook
from tapemill.book.records import UNDEFINED
from tapemill.errors import ContractError, FileFormatError
from tapemill.intake.order_sorting import by_instrument
from tapemill.levels._resting import Resting, opening_changes, state_record
from tapemill.levels._trade_places import trade_places
from tapemill.levels.day import cut, whole_day
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.rows import DayTables
from tapemill.levels.trades import NO_TRADES, Trades
from tapemill.refine.futures_sources import session_window
from tapemill.settings import LevelsSettings
from tapemill.vendors.databento import DbnFile

__all__ = ["file_day", "file_feed", "file_trades"]

Array = Any

_LEVELS = {"mbo": 0, "mbp-10": 10, "mbp-1": 1}
_NANO = 10**9
_CHUNK = 65_536
_AHEAD = 2
_BUYER, _SELLER = ord("B"), ord("A")


def file_day(path: Path, inputs: LevelInputs, settings: LevelsSettings) -> DayTables:
    """Levels, episodes and features of a trade date from a file of order data.

    Parameters
    ----------
    path : Path
        DBN of schema mbo, mbp-10 or mbp-1, plain (faster) or zstd; other contracts and dates in
        it are passed over.
    inputs : LevelInputs
        Contract, date and tick; its minutes are made of the file's trades.
    settings : LevelsSettings

    Returns
    -------
    DayTables
        The same as from a lake that has imported the file.

    Raises
    ------
    ContractError
        A price is no whole number of ticks, or the file tells the book twice.
    FileFormatError
        It is no DBN file, or torn.
    """
    return whole_day(inputs, settings, file_trades(path, inputs), file_feed(path, inputs))


def file_trades(path: Path, inputs: LevelInputs) -> Trades:
    """Trades of the contract and date in a file; as for :func:`file_day`."""
    nano = _tick_nano(inputs)
    start, end = session_window(inputs.session)
    parts = [NO_TRADES]
    with _Own(path, inputs.symbol) as own:
        for records, ordinals in own.chunks(ahead=True):
            at = trade_places(records["action"], records["price"], records["flags"], UNDEFINED)
            received = records["ts_recv"][at]
            at = at[(received >= start) & (received < end)]
            price, side = records["price"][at], records["side"][at]
            ticks = price // nano
            if (ticks * nano != price).any():
                raise _off_tick(path, nano)
            parts.append(
                Trades(
                    records["ts_recv"][at],
                    ordinals[at],
                    ticks.astype(np.int32),
                    records["size"][at].astype(np.int32),
                    (side == _BUYER).astype(np.int8) - (side == _SELLER).astype(np.int8),
                )
            )
    return Trades(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def file_feed(path: Path, inputs: LevelInputs) -> Iterator[tuple[Events, Changes]]:
    """Book of the contract and date in a file, as :func:`tapemill.levels.feed.read_feed` gives it.

    Where the date begins in the middle of the file, a record of state goes before the first one.
    """
    with _Own(path, inputs.symbol) as own, ThreadPoolExecutor(1, "file-feed") as reader:
        books = _dated(own.books(_tick_nano(inputs)), *session_window(inputs.session))
        coming = deque(reader.submit(next, books, None) for _ in range(_AHEAD))
        while (found := coming.popleft().result()) is not None:
            coming.append(reader.submit(next, books, None))
            yield found


def _dated(
    books: Iterator[tuple[Events, Changes]], start_ns: int, end_ns: int
) -> Iterator[tuple[Events, Changes]]:
    """Records received in ``[start_ns, end_ns)``; what rested before them comes first."""
    resting: Resting | None = Resting()
    for events, changes in books:
        times = events.ts_gateway
        if resting is None and times[0] >= start_ns and times[-1] < end_ns:
            yield events, changes
            continue
        bounds = np.array([start_ns, end_ns])
        for part, done in cut(events, changes, bounds):
            if part.ts_gateway[0] >= end_ns:
                return
            if part.ts_gateway[0] < start_ns:
                assert resting is not None
                resting.fold(done)
                continue
            if resting is not None and len(resting.key):
                opening = opening_changes(Resting(), resting)
                yield state_record(part, len(opening.side)), opening
            resting = None
            yield part, done


class _Own:
    """A file's order records of one contract. Use it as a context."""

    def __init__(self, path: Path, symbol: str) -> None:
        self._file = DbnFile.open(path)
        self._symbol = symbol
        self._kind = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def books(self, tick_nano: int) -> Iterator[tuple[Events, Changes]]:
        """What each record did to the contract's book."""
        book: LadderBook | OrderBook | None = None
        for records, ordinals in self.chunks():
            if book is None:
                depth = _LEVELS[self._kind]
                book = LadderBook(tick_nano, depth) if depth else OrderBook(tick_nano)
            yield book.apply(records, ordinals)

    def chunks(self, *, ahead: bool | None = None) -> Iterator[tuple[Array, Array]]:
        """Records and ordinals of the contract; `ahead` as for :meth:`DbnFile.chunks`."""
        for chunk in self._file.chunks(_CHUNK, ahead=ahead):
            if chunk.kind not in _LEVELS:
                continue
            records: Any = chunk.records
            for number, rows in by_instrument(records):
                if self._file.symbol_of(number, int(records["ts_recv"][0])) != self._symbol:
                    continue
                self._require_one(chunk.kind)
                yield (
                    (records, chunk.ordinals)
                    if rows is None
                    else (records[rows], chunk.ordinals[rows])
                )
        if self._file.fault is not None:
            raise FileFormatError(
                f"the file is torn: {self._file.fault}",
                where=self._file.name,
                next_step="fetch it again, or import what is sound of it into a lake",
            )

    def _require_one(self, kind: str) -> None:
        if self._kind not in ("", kind):
            raise ContractError(
                f"the file tells the book of {self._symbol} twice, as {self._kind} and {kind}",
                where=self._file.name,
                next_step="import it into a lake, which chooses one of them",
            )
        self._kind = kind


def _tick_nano(inputs: LevelInputs) -> int:
    return round(inputs.tick_size * _NANO)


def _off_tick(path: Path, nano: int) -> ContractError:
    return ContractError(
        f"a trade's price is no multiple of the tick {nano} (1e-9)",
        where=path.name,
        next_step="take the tick size from the contract's definition",
    )
