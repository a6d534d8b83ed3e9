"""Which cells an answer settles, and how. Pure: the same answer settles the same cells again.

A session inside the range asked for counts as answered only when paging has reached past it. What
came later than the last bar of a page that names a next one is not known yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from tapemill.clock import Calendar
from tapemill.intake.dates import exchange_today
from tapemill.lake.control import CellState
from tapemill.vendors import Answer, Request

__all__ = ["Settled", "is_listing", "rows_by_date", "settle", "snapshot_session"]

LISTING_DATES = {
    "bronze.massive_splits": "ex_date",
    "bronze.massive_dividends": "ex_date",
    "bronze.massive_tickers": "session",
    "bronze.massive_market_status": "session",
    "bronze.finra_otc_weekly": "week_start",
    "bronze.finra_short_interest": "settlement_date",
    "bronze.imported_memberships": "valid_from",
}
SNAPSHOTS = frozenset({"bronze.massive_tickers", "bronze.massive_market_status"})
_BARS = frozenset({"bronze.massive_bars_1m", "bronze.massive_bars_1d"})
_FRESH = timedelta(days=4)


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """One finding about cells of one symbol: `rows` runs in step with `sessions`."""

    symbol: str
    sessions: tuple[date, ...]
    state: CellState
    rows: tuple[int, ...]
    reason: str = ""


def is_listing(request: Request) -> bool:
    """Whether the cells are settled only once the last page is here."""
    return request.dataset in LISTING_DATES or request.base == "finra_api"


def snapshot_session(calendar: Calendar, now_ns: int) -> date:
    """The session that a listing "as of now" belongs to: the newest one that has begun."""
    today = exchange_today(now_ns)
    return today if calendar.is_session(today) else calendar.previous(today)


def rows_by_date(dataset: str, frame: pl.DataFrame | None) -> dict[date, int]:
    """Rows of each date."""
    if frame is None or frame.is_empty():
        return {}
    column = LISTING_DATES.get(dataset, "session")
    counted = frame.group_by(column).len().sort(column)
    return dict(counted.iter_rows())


def settle(
    request: Request,
    answer: Answer,
    calendar: Calendar,
    received_ns: int,
    *,
    earlier: Mapping[date, int] | None = None,
    rows_before: int = 0,
) -> list[Settled]:
    """Cells that `answer` settles.

    Parameters
    ----------
    request : Request
    answer : Answer
        With outcome DATA or CONFIRMED_EMPTY.
    calendar : Calendar
    received_ns : int
        Nanoseconds UTC.
    earlier : Mapping[date, int], optional
        Rows that earlier pages brought for sessions they did not settle.
    rows_before : int
        Rows known of the session before the first one asked for.
    """
    rows = dict(earlier or {})
    for day, count in rows_by_date(request.dataset, answer.frame).items():
        rows[day] = rows.get(day, 0) + count
    if request.dataset in SNAPSHOTS:
        if answer.next is not None:
            return []
        session = request.start or snapshot_session(calendar, received_ns)
        state = CellState.DATA if rows else CellState.EMPTY
        return [Settled(request.symbol, (session,), state, (sum(rows.values()),), answer.reason)]
    if request.start is None or request.end is None:
        return []
    if request.symbol == "*" and not is_listing(request):
        return _whole_market(request, request.start, answer, sum(rows.values()), received_ns)
    sessions = calendar.session_dates(_resumed_at(request) or request.start, request.end)
    if is_listing(request):
        return [] if answer.next else _by_state(request.symbol, sessions, rows, answer.reason)
    return _range(request, answer, sessions, rows, received_ns, rows_before)


def _range(
    request: Request,
    answer: Answer,
    sessions: Sequence[date],
    rows: Mapping[date, int],
    received_ns: int,
    rows_before: int,
) -> list[Settled]:
    reached = list(sessions)
    partial: list[Settled] = []
    if answer.next is not None:
        last = max(rows, default=None)
        reached = [] if last is None else [day for day in sessions if day < last]
        if last is not None:
            reason = "the page ends inside the session"
            partial = [Settled(request.symbol, (last,), CellState.PARTIAL, (rows[last],), reason)]
    spoilt = _only_rejected(answer, rows)
    waiting = _suspiciously_empty(reached, rows, received_ns, rows_before)
    plain = [day for day in reached if day not in spoilt and day not in waiting]
    found = _by_state(request.symbol, plain, rows, answer.reason)
    if bad := tuple(day for day in reached if day in spoilt):
        reason = "every row of it broke the contract; see ops.quarantine"
        found.append(Settled(request.symbol, bad, CellState.BAD_ANSWER, (0,) * len(bad), reason))
    if late := tuple(day for day in reached if day in waiting):
        reason = "nothing yet for a young session, though the one before has rows"
        found.append(Settled(request.symbol, late, CellState.PARTIAL, (0,) * len(late), reason))
    return [*found, *partial]


def _resumed_at(request: Request) -> date | None:
    """The session in which the page before ended."""
    promised = request.promised("last_ts_event")
    return None if promised is None else exchange_today(int(promised))


def _whole_market(
    request: Request, day: date, answer: Answer, rows: int, received_ns: int
) -> list[Settled]:
    session = (day,)
    if rows:
        return [Settled("*", session, CellState.DATA, (rows,), answer.reason)]
    if answer.rejected is not None and answer.rejected.height:
        reason = "every row of it broke the contract; see ops.quarantine"
        return [Settled("*", session, CellState.BAD_ANSWER, (0,), reason)]
    # The market is never silent for a whole session: it is late, or the vendor lost it.
    if _age(day, received_ns) <= _FRESH:
        reason = "nothing yet for the whole market: not published"
        return [Settled("*", session, CellState.TRANSIENT, (0,), reason)]
    if request.dataset in _BARS:
        reason = "no bar of any symbol for a whole session: an absence that cannot be believed"
        return [Settled("*", session, CellState.BAD_ANSWER, (0,), reason)]
    return [Settled("*", session, CellState.EMPTY, (0,), answer.reason)]


def _by_state(
    symbol: str, sessions: Sequence[date], rows: Mapping[date, int], reason: str
) -> list[Settled]:
    full = tuple(day for day in sessions if rows.get(day, 0))
    bare = tuple(day for day in sessions if not rows.get(day, 0))
    found: list[Settled] = []
    if full:
        counts = tuple(rows[day] for day in full)
        found.append(Settled(symbol, full, CellState.DATA, counts, reason))
    if bare:
        why = reason or "the answer covers the session and has no row of it"
        found.append(Settled(symbol, bare, CellState.EMPTY, (0,) * len(bare), why))
    return found


def _only_rejected(answer: Answer, rows: Mapping[date, int]) -> frozenset[date]:
    if answer.rejected is None or answer.rejected.is_empty():
        return frozenset()
    dates = answer.rejected.get_column("session").drop_nulls().unique().to_list()
    return frozenset(day for day in dates if not rows.get(day, 0))


def _suspiciously_empty(
    sessions: Sequence[date], rows: Mapping[date, int], received_ns: int, rows_before: int
) -> frozenset[date]:
    """Young sessions at the end of the range without a row, though the symbol traded before."""
    late: list[date] = []
    for day in reversed(sessions):
        if rows.get(day, 0):
            return frozenset(late)
        if _age(day, received_ns) > _FRESH:
            return frozenset()
        late.append(day)
    return frozenset(late) if rows_before else frozenset()


def _age(session: date, now_ns: int) -> timedelta:
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).date()
    return now - session
