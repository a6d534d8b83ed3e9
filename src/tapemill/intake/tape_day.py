"""One symbol's session of prints: read, classified, summed to five minutes, forgotten."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Final

import polars as pl

from tapemill.clock import Clock, Session
from tapemill.intake.pages import PageChain, UnitMemory
from tapemill.intake.run import off_loop
from tapemill.intake.tape_streams import Ask, DayFailed, PageNote, TickStream
from tapemill.tape import (
    OpenBucket,
    Quotes,
    Rules,
    TapeState,
    Trades,
    classify,
    close_bucket,
    correction_stands,
    massive_flags,
    running_sums,
    trf_print,
)
from tapemill.vendors import Outcome, Request
from tapemill.vendors.massive import TICK_LIMIT, quotes, trades
from tapemill.vendors.rows import REJECTED

__all__ = ["DayReading", "TapeDay", "TapeSums", "read_day"]

_MINUTE_NS: Final = 60_000_000_000
_PRINT = ("sip_timestamp", "sequence_number", "exchange", "id")
_FORBIDDEN: Final = 403


@dataclasses.dataclass(frozen=True)
class DayReading:
    """How a day is read; what comes out does not depend on it.

    Parameters
    ----------
    window_minutes : int
        Length of the stretches asked for; 0 asks for the whole session at once, which costs the
        fewest calls.
    limit : int
        Rows of a page.
    """

    window_minutes: int = 0
    limit: int = TICK_LIMIT

    def requests(self, symbol: str, session: Session) -> tuple[list[Request], list[Request]]:
        """First pages of the trades and of the quotes, extended hours included."""
        start, end = session.pre_open_ns, session.post_close_ns
        step = self.window_minutes * _MINUTE_NS or end - start
        stretches = [(at, min(at + step, end)) for at in range(start, end, step)]
        day = session.session
        return (
            [trades(symbol, day, at, to, limit=self.limit) for at, to in stretches],
            [quotes(symbol, day, at, to, limit=self.limit) for at, to in stretches],
        )


@dataclasses.dataclass(frozen=True)
class TapeDay:
    """What stays of a day.

    Attributes
    ----------
    symbol : str
    session : date
    source : str
        Lane, with ``.synthetic`` for made-up ticks.
    sums : pl.DataFrame
        ``ts_event`` and the columns of ``TAPE_SUMS``, one row per five minutes with a print.
    prints, quotes, repeated : int
        Ticks read, and prints delivered twice and counted once.
    pages : list of PageNote
    rejected : pl.DataFrame
        Ticks that could not be read, in the shape of the vendor room.
    notes : list of str
    received_ns : int
        When the last page had come.
    """

    symbol: str
    session: date
    source: str
    sums: pl.DataFrame
    prints: int
    quotes: int
    repeated: int
    pages: list[PageNote]
    rejected: pl.DataFrame
    notes: list[str]
    received_ns: int


class TapeSums:
    """Classifier and sums that are fed stretch by stretch.

    Parameters
    ----------
    session : Session
        The chain of prices and the prevailing quote begin with its pre-market.
    rules : Rules
    """

    def __init__(self, session: Session, rules: Rules) -> None:
        self._starts = (session.pre_open_ns,)
        self._rules = rules
        self._state: TapeState | None = None
        self._bucket: OpenBucket | None = None
        self._closed: list[pl.DataFrame] = []
        self.repeated = 0

    def add(self, prints: pl.DataFrame | None, best: pl.DataFrame | None) -> None:
        """Classify and sum the ticks of a stretch; both frames in the vendor's columns."""
        if prints is None and best is None:
            return
        tape = self._trades(prints)
        classified = classify(
            tape,
            _quotes(best),
            rules=self._rules,
            session_starts=self._starts,
            state=self._state,
        )
        self._state = classified.state
        closed, self._bucket = running_sums(tape, classified, self._bucket)
        if closed.height:
            self._closed.append(closed)

    def finish(self) -> pl.DataFrame:
        """Every five minutes that hold a print."""
        return pl.concat([*self._closed, close_bucket(self._bucket)])

    def _trades(self, prints: pl.DataFrame | None) -> Trades:
        if prints is None:
            return Trades.of([], [], [])
        once = prints.unique(subset=_PRINT, keep="first", maintain_order=True)
        self.repeated += prints.height - once.height
        eligible, auction = massive_flags(once["conditions"])
        return Trades.of(
            once["sip_timestamp"].to_numpy(),
            once["price"].to_numpy(),
            once["size"].to_numpy(),
            trf=trf_print(once["exchange"], once["trf_id"]),
            eligible=eligible & correction_stands(once["correction"]),
            auction=auction,
        )


def _quotes(best: pl.DataFrame | None) -> Quotes:
    if best is None:
        return Quotes.none()
    sides = ("bid_price", "ask_price", "bid_size", "ask_size")
    bid, ask, bid_size, ask_size = (best[name].fill_null(0.0).to_numpy() for name in sides)
    stamps = best["sip_timestamp"].to_numpy()
    return Quotes.of(stamps, bid, ask, bid_size=bid_size, ask_size=ask_size)


async def read_day(
    symbol: str,
    session: Session,
    ask: Ask,
    units: UnitMemory,
    clock: Clock,
    *,
    rules: Rules,
    reading: DayReading,
) -> TapeDay:
    """Read a symbol's session to its end.

    Where the plan has trades but no quotes, the tick rule alone tells sides; the sums show it, and
    so does a note.

    Raises
    ------
    DayFailed
        A page brought neither ticks nor a confirmed nothing: nothing of the day is kept.
    """
    firsts = reading.requests(symbol, session)
    prints, best = (
        TickStream(requests, ask, PageChain(units), limit=reading.limit) for requests in firsts
    )
    sums = TapeSums(session, rules)
    await prints.read_page()
    await _first_quotes(best)
    while True:
        frontier = min(prints.frontier, best.frontier)
        await off_loop(clock, sums.add, prints.take(frontier), best.take(frontier))
        if prints.done and best.done:
            break
        # The stream that lags behind decides how far both can go.
        lagging = best if prints.done or (not best.done and best.frontier <= frontier) else prints
        await lagging.read_page()
    rejected = pl.concat([*prints.rejected, *best.rejected, pl.DataFrame(schema=REJECTED)])
    return TapeDay(
        symbol,
        session.session,
        prints.source,
        sums.finish(),
        prints.rows,
        best.rows,
        sums.repeated,
        [*prints.pages, *best.pages],
        rejected.with_columns(ordinal=pl.int_range(pl.len(), dtype=pl.Int64)),
        [*prints.notes, *best.notes],
        clock.now_ns(),
    )


async def _first_quotes(best: TickStream) -> None:
    """Read the first quotes; a plan without quotes is no reason to give up the trades."""
    try:
        await best.read_page()
    except DayFailed as failed:
        answer, status = failed.asked.answer, failed.asked.wire.status
        if answer.outcome is not Outcome.NOT_ENTITLED or status != _FORBIDDEN:
            raise
        best.end(f"the plan has no quotes, sides are told by prices alone: {answer.reason}")
