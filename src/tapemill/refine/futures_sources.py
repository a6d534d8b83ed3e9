"""Which raw object speaks for a contract at which moment of a trade date.

Several files may hold the same moments: every order and ten levels, a torn file and its whole copy,
requests that overlap. Each moment of ``ts_gateway`` belongs to exactly one of them, so that no
record counts twice. Whole files go before torn ones, deeper feeds before shallow ones, and within
a kind the file that begins first; then the one imported first. A trade date is the time from
18:00 of the trade date before to its own 18:00, New York, whatever happened on closed dates in
between; a snapshot belongs where the gateway sent it, not where its orders were once entered.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import math
from collections.abc import Iterable, Sequence

import polars as pl

from tapemill.clock import calendar, eastern_ns
from tapemill.lake import Lake

__all__ = [
    "EVENTS",
    "TRADES",
    "FeedPlan",
    "OrderSource",
    "Segment",
    "order_sources",
    "plan_feed",
    "plan_trades",
    "session_window",
    "sessions_of_source",
    "symbols_of",
]

EVENTS = "silver.futures_events"
TRADES = "silver.futures_trades"
_FILES = "bronze.databento_files"
_LEVELS = {"mbo": 0, "mbp-10": 10, "mbp-1": 1}
_TRADE_SCHEMAS = ("trades", "tbbo")
_MIXED = "mixed"
_DEPTH_RANK = {0: 0, 10: 1, 1: 2}
_EVENING = 18


@dataclasses.dataclass(frozen=True, slots=True)
class OrderSource:
    """Order records of one kind in one raw object.

    Attributes
    ----------
    dataset : str
        Where its rows are: ``silver.futures_events`` or ``silver.futures_trades``.
    book_levels : int
        0 every order, else levels a side; -1 for feeds of trades alone.
    first_ns, last_ns : int
        Earliest and latest ``ts_gateway``.
    ticks : mapping
        Symbol → least price step its rows are counted in, 1e-9 points.
    fault : str
        Why reading of the file stopped early; empty if it did not.
    received_us : int
        When it was imported, µs since 1970.
    """

    raw_key: int
    raw_sha256: str
    name: str
    schema: str
    dataset: str
    book_levels: int
    first_ns: int
    last_ns: int
    ticks: dict[str, int]
    fault: str
    source: str
    received_us: int

    @property
    def mixed(self) -> bool:
        """Whether its raw object holds records of other kinds too."""
        return self.schema == _MIXED

    @property
    def rank(self) -> tuple[bool, bool, int, int, int, int]:
        """Its place among sources of the same moment; the least goes first."""
        trades_only = self.dataset == TRADES
        depth = _DEPTH_RANK.get(self.book_levels, len(_DEPTH_RANK))
        torn = bool(self.fault)
        return trades_only, torn, depth, self.first_ns, self.received_us, self.raw_key


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a trade date that one source speaks for: ``start_ns <= ts_gateway < end_ns``.

    `scale` turns its ticks into those of the plan: price of the plan = `scale` · price of the row.
    """

    source: OrderSource
    start_ns: int
    end_ns: int
    scale: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class FeedPlan:
    """What a contract's trade date is read from.

    Attributes
    ----------
    start_ns, end_ns : int
        The trade date, half open, on the clock of the gateway.
    tick_nano : int
        Price step of the plan, 1e-9 points: the greatest that divides those of its sources; 0 if
        there is none.
    segments : tuple of Segment
        In order of time; they do not overlap.
    """

    symbol: str
    session: datetime.date
    start_ns: int
    end_ns: int
    tick_nano: int
    segments: tuple[Segment, ...]

    def provenance(self) -> list[dict[str, object]]:
        """What was chosen for when, for the record of a day."""
        return [
            {
                "raw_sha256": part.source.raw_sha256,
                "name": part.source.name,
                "schema": part.source.schema,
                "book_levels": part.source.book_levels,
                "start_ns": part.start_ns,
                "end_ns": part.end_ns,
                "fault": part.source.fault,
            }
            for part in self.segments
        ]


def session_window(session: datetime.date) -> tuple[int, int]:
    """The trade date as half-open nanoseconds UTC: 18:00 to 18:00 New York.

    Raises
    ------
    DateError
        `session` is no trade date of the CMES calendar, or beyond it.
    """
    known = calendar("CMES")
    known.ordinal(session)
    before = known.previous(session) if session > _first_session() else session - _ONE_DAY
    return eastern_ns(before, _EVENING), eastern_ns(session, _EVENING)


_ONE_DAY = datetime.timedelta(days=1)


@functools.cache
def _first_session() -> datetime.date:
    return calendar("CMES").date_of(0)


def order_sources(lake: Lake) -> list[OrderSource]:
    """Everything that was imported of order data, by completed imports; sorted by rank."""
    files = (
        lake.tables.scan(_FILES)
        .filter(pl.col("schema").is_in([*_LEVELS, *_TRADE_SCHEMAS, _MIXED]))
        .filter(pl.col("first_gateway_ns").is_not_null())
        .sort("ts_recv")
        .unique("raw_sha256", keep="last", maintain_order=True)
        .collect()
    )
    found: list[OrderSource] = []
    for row in files.iter_rows(named=True):
        found += _mixed(lake, row) if row["schema"] == _MIXED else [_plain(row)]
    return sorted(found, key=lambda source: source.rank)


def _plain(row: dict[str, object]) -> OrderSource:
    schema = str(row["schema"])
    dataset = EVENTS if schema in _LEVELS else TRADES
    return _source(row, dataset, _LEVELS.get(schema, -1))


def _mixed(lake: Lake, row: dict[str, object]) -> list[OrderSource]:
    """Sources in the capture of a live session, one a kind of record."""
    found = []
    for dataset, level in ((EVENTS, pl.col("book_levels")), (TRADES, pl.lit(-1, pl.Int16))):
        kinds = (
            lake.tables.scan(dataset)
            .filter(pl.col("raw_key") == row["raw_key"])
            .group_by(level=level)
            .agg(first=pl.col("ts_gateway").min(), last=pl.col("ts_gateway").max())
            .sort("level")
            .collect()
        )
        for book_levels, first, last in kinds.iter_rows():
            times = {"first_gateway_ns": first, "last_gateway_ns": last}
            found.append(_source({**row, **times}, dataset, book_levels))
    return found


def _source(row: dict[str, object], dataset: str, book_levels: int) -> OrderSource:
    ticks = json.loads(str(row["ticks"]) or "{}")
    received = row["ts_recv"]
    assert isinstance(received, datetime.datetime)
    return OrderSource(
        raw_key=_whole(row["raw_key"]),
        raw_sha256=str(row["raw_sha256"]),
        name=str(row["name"]),
        schema=str(row["schema"]),
        dataset=dataset,
        book_levels=book_levels,
        first_ns=_whole(row["first_gateway_ns"]),
        last_ns=_whole(row["last_gateway_ns"]),
        ticks={
            symbol: int(ticks[symbol][0]) if symbol in ticks else 0
            for symbol in str(row["symbols"]).split(",")
            if symbol
        },
        fault=str(row["fault"]),
        source=str(row["source"]),
        received_us=(received - _EPOCH) // _MICROSECOND,
    )


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def sessions_of_source(source: OrderSource) -> list[datetime.date]:
    """Trade dates that its records lie in, from the first to the last."""
    ends = pl.Series([source.first_ns, source.last_ns], dtype=pl.Int64)
    first, last = calendar("CMES").trade_dates(ends)
    return calendar("CMES").session_dates(first, last)


def symbols_of(sources: Iterable[OrderSource], session: datetime.date) -> list[str]:
    """Symbols that sources may have records of on a trade date, sorted."""
    low, high = session_window(session)
    inside = [one for one in sources if one.first_ns < high and one.last_ns >= low]
    return sorted({symbol for source in inside for symbol in source.ticks})


def plan_feed(sources: Sequence[OrderSource], symbol: str, session: datetime.date) -> FeedPlan:
    """Divide a trade date among the order feeds (mbo, mbp-10, mbp-1) of a symbol.

    They go before feeds of trades alone, so its stretches are those of :func:`plan_trades`.

    Parameters
    ----------
    sources : sequence of OrderSource
        From :func:`order_sources`.

    Returns
    -------
    FeedPlan
        Without segments where no order feed covers the date.
    """
    whole = _plan(sources, symbol, session)
    # Counted as its trades are, of which some may come from elsewhere and in finer steps.
    segments = tuple(part for part in whole.segments if part.source.dataset == EVENTS)
    return dataclasses.replace(whole, segments=segments)


def plan_trades(sources: Sequence[OrderSource], symbol: str, session: datetime.date) -> FeedPlan:
    """The same with feeds of trades alone where no order feed covers: what bars are made of."""
    return _plan(sources, symbol, session)


def _plan(sources: Sequence[OrderSource], symbol: str, session: datetime.date) -> FeedPlan:
    low, high = session_window(session)
    free = [(low, high)]
    taken: list[Segment] = []
    for source in sorted(sources, key=lambda one: one.rank):
        if symbol in source.ticks:
            own, free = _cut(free, source.first_ns, source.last_ns + 1)
            taken += [Segment(source, start, end) for start, end in own]
    tick = math.gcd(*(part.source.ticks[symbol] for part in taken)) if taken else 0
    scaled = tuple(
        dataclasses.replace(part, scale=part.source.ticks[symbol] // tick if tick else 1)
        for part in sorted(taken, key=lambda part: part.start_ns)
    )
    return FeedPlan(symbol, session, low, high, tick, scaled)


def _cut(
    free: list[tuple[int, int]], start: int, end: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Parts of the free stretches inside ``[start, end)``, and what remains of them."""
    inside, rest = [], []
    for low, high in free:
        first, last = max(low, start), min(high, end)
        if first >= last:
            rest.append((low, high))
            continue
        inside.append((first, last))
        rest += [part for part in ((low, first), (last, high)) if part[0] < part[1]]
    return inside, rest
