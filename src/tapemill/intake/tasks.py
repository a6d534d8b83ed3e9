"""Tasks: the requests that fill given cells. The only module that builds requests.

Every session that reaches this module has passed the entitlement window, and every request spans
no further than the sessions given, so nothing outside the window is ever asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from tapemill.clock import Calendar, Session
from tapemill.clock.reporting import settlement_before
from tapemill.intake.routes import SESSIONS_PER_PAGE, Block, cover, spans
from tapemill.vendors import Request
from tapemill.vendors.finra import (
    FIRM_TYPES,
    SYMBOL_TYPES,
    reg_sho_daily,
    short_interest,
    short_volume_file,
    weekly_summary,
)
from tapemill.vendors.massive import (
    daily_bars,
    dividends,
    grouped_daily,
    market_status,
    minute_bars,
    splits,
    tickers,
    trades,
)

__all__ = ["BUILDERS", "BoolMatrix", "Task"]

BoolMatrix = npt.NDArray[np.bool_]

_LISTING_PAGE = 1_000
_API_PAGE = 5_000
# Averages of 2024-2025, for estimates only.
_SPLITS_A_SESSION = 8
_DIVIDENDS_A_SESSION = 120
_TICKERS = 12_000 + 15_000  # listed and delisted
_API_ROWS_A_SESSION = 30_000
_TOTALS_A_WEEK = 35_000
_FIRM_ROWS_A_WEEK = 250_000
_FIRM_ROWS_A_SYMBOL = 60
_POSITIONS_A_SETTLEMENT = 20_000
_QUERY_ROW_BYTES = 500
_BAR_BYTES = 100
_USUAL_MINUTES = 600
_MARKET_BARS = 11_000
_LISTING_ROW_BYTES = 250
_FILE_BYTES = 400_000
_TICK_BYTES = 220
_USUAL_TICKS = 60_000


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One request, with its pages, and the cells it is to fill.

    Parameters
    ----------
    first : Request
    sessions : tuple of date
        Pending cells of ``first.symbol`` that it fills.
    calls : int
        Pages expected.
    bytes : int
        Size expected.
    again : bool
        Ask even if the cells are complete: revisions are wanted.
    """

    first: Request
    sessions: tuple[date, ...]
    calls: int = 1
    bytes: int = 0
    again: bool = False

    @property
    def key(self) -> str:
        """Identity of the question: SHA-256 of the canonical request."""
        return self.first.key


Builder = Callable[[Sequence[str], Sequence[date], BoolMatrix, Calendar], tuple[str, list[Task]]]


def _minutes(
    symbols: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, _: Calendar
) -> tuple[str, list[Task]]:
    size = _USUAL_MINUTES * _BAR_BYTES
    tasks = [
        Task(minute_bars(symbol, held[0], held[-1]), held, 1, size * len(held))
        for row, symbol in enumerate(symbols)
        for held in spans(pending[row], sessions, SESSIONS_PER_PAGE)
    ]
    return f"one symbol, up to {SESSIONS_PER_PAGE} sessions a call", tasks


def _days(
    symbols: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, _: Calendar
) -> tuple[str, list[Task]]:
    if list(symbols) == ["*"]:
        ranges: list[Block] = []
        grouped = [sessions[place] for place in np.flatnonzero(pending[0]).tolist()]
    else:
        grouped, ranges = cover(pending, symbols, sessions)
    tasks = [Task(grouped_daily(day), (day,), 1, _MARKET_BARS * _BAR_BYTES) for day in grouped]
    tasks += [
        Task(
            daily_bars(block.symbol, block.sessions[0], block.sessions[-1]),
            block.sessions,
            1,
            _BAR_BYTES * len(block.sessions),
        )
        for block in ranges
    ]
    parts = [f"{len(grouped)} grouped sessions"] * bool(grouped)
    parts += [f"{len(ranges)} ranges of one symbol"] * bool(ranges)
    return " and ".join(parts) or "nothing to ask", tasks


def _listing(build: Callable[[date, date, str], Request], rows_a_session: int) -> Builder:
    def of(symbol: str, held: tuple[date, ...]) -> Task:
        rows = rows_a_session * len(held) if symbol == "*" else 1
        pages = -(-rows // _LISTING_PAGE)
        return Task(build(held[0], held[-1], symbol), held, pages, rows * _LISTING_ROW_BYTES)

    def tasks(
        symbols: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, _: Calendar
    ) -> tuple[str, list[Task]]:
        found = [
            of(symbol, held)
            for row, symbol in enumerate(symbols)
            for held in spans(pending[row], sessions, len(sessions))
        ]
        whole = [of("*", held) for held in spans(_any_symbol(pending), sessions, len(sessions))]
        if sum(task.calls for task in whole) < len(found):
            return "the market's listing of the missing dates", whole
        return "the listing of the missing dates", found

    return tasks


def _ticks(
    symbols: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, calendar: Calendar
) -> tuple[str, list[Task]]:
    tasks = [
        Task(_day_of_ticks(symbol, calendar.session(held[0])), held, 2, _USUAL_TICKS * _TICK_BYTES)
        for row, symbol in enumerate(symbols)
        for held in spans(pending[row], sessions, 1)
    ]
    return "every print and quote of a symbol's session, two calls and one more a full page", tasks


def _day_of_ticks(symbol: str, session: Session) -> Request:
    return trades(symbol, session.session, session.pre_open_ns, session.post_close_ns)


def _any_symbol(pending: BoolMatrix) -> BoolMatrix:
    found: BoolMatrix = np.logical_or.reduce(pending, axis=0)
    return found


def _tickers(
    _: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, __: Calendar
) -> tuple[str, list[Task]]:
    asked = [sessions[place] for place in np.flatnonzero(pending[0]).tolist()]
    size = _TICKERS * _LISTING_ROW_BYTES
    tasks = [Task(tickers(day), (day,), -(-_TICKERS // _LISTING_PAGE), size) for day in asked]
    return "today's listing, the delisted included", tasks


def _status(
    _: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, __: Calendar
) -> tuple[str, list[Task]]:
    asked = [sessions[place] for place in np.flatnonzero(pending[0]).tolist()]
    return "today's announcements", [Task(market_status(), (day,), 1, 4_000) for day in asked]


def _short_files(
    _: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, __: Calendar
) -> tuple[str, list[Task]]:
    asked = [sessions[place] for place in np.flatnonzero(pending[0]).tolist()]
    tasks = [Task(short_volume_file(day), (day,), 1, _FILE_BYTES) for day in asked]
    return "one consolidated file a session", tasks


def _short_api(
    _: Sequence[str], sessions: Sequence[date], pending: BoolMatrix, __: Calendar
) -> tuple[str, list[Task]]:
    asked = [sessions[place] for place in np.flatnonzero(pending[0]).tolist()]
    tasks = [
        Task(
            reg_sho_daily(day, day),
            (day,),
            -(-_API_ROWS_A_SESSION // _API_PAGE),
            _API_ROWS_A_SESSION * _LISTING_ROW_BYTES,
        )
        for day in asked
    ]
    return "the Query API, 5,000 rows a page", tasks


def _weeks(
    symbols: Sequence[str], weeks: Sequence[date], pending: BoolMatrix, _: Calendar
) -> tuple[str, list[Task]]:
    if list(symbols) == ["*"]:
        asked = [weeks[place] for place in np.flatnonzero(pending[0]).tolist()]
        whole = [_query(weekly_summary(week, week), (week,), _TOTALS_A_WEEK) for week in asked]
        return "the market's totals, a week at a time, 5,000 rows a page", whole
    longest = _API_PAGE // len(SYMBOL_TYPES)
    tasks = [
        _query(weekly_summary(held[0], held[-1], symbol=symbol), held, 2 * len(held))
        for row, symbol in enumerate(symbols)
        for held in spans(pending[row], weeks, longest)
    ]
    return "the totals of one symbol, all weeks at once", tasks


def _firms(
    names: Sequence[str], weeks: Sequence[date], pending: BoolMatrix, _: Calendar
) -> tuple[str, list[Task]]:
    tasks = []
    for row, name in enumerate(names):
        symbol = name.removeprefix("*firms") or "*"
        longest = 1 if symbol == "*" else _API_PAGE // _FIRM_ROWS_A_SYMBOL
        rows = _FIRM_ROWS_A_WEEK if symbol == "*" else _FIRM_ROWS_A_SYMBOL
        tasks += [
            _query(
                weekly_summary(held[0], held[-1], FIRM_TYPES, symbol=symbol),
                held,
                rows * len(held),
            )
            for held in spans(pending[row], weeks, longest)
        ]
    return "volumes per venue and firm, 5,000 rows a page", tasks


def _interest(
    symbols: Sequence[str], settled: Sequence[date], pending: BoolMatrix, calendar: Calendar
) -> tuple[str, list[Task]]:
    tasks = []
    for row, symbol in enumerate(symbols):
        longest = 1 if symbol == "*" else _API_PAGE // 2
        rows = _POSITIONS_A_SETTLEMENT if symbol == "*" else 1
        for held in spans(pending[row], settled, longest):
            # From the settlement before on: a date that FINRA moved by a day is found all the same.
            begin = settlement_before(calendar, held[0]) + timedelta(days=1)
            request = short_interest(begin, held[-1], symbol=symbol)
            tasks.append(_query(request, held, rows * len(held)))
    return "short interest by settlement date, 5,000 rows a page", tasks


def _query(request: Request, held: tuple[date, ...], rows: int) -> Task:
    return Task(request, held, max(1, -(-rows // _API_PAGE)), rows * _QUERY_ROW_BYTES)


BUILDERS: dict[str, Builder] = {
    "minutes": _minutes,
    "ticks": _ticks,
    "days": _days,
    "splits": _listing(splits, _SPLITS_A_SESSION),
    "dividends": _listing(dividends, _DIVIDENDS_A_SESSION),
    "tickers": _tickers,
    "status": _status,
    "short_files": _short_files,
    "short_api": _short_api,
    "weeks": _weeks,
    "firms": _firms,
    "interest": _interest,
}
