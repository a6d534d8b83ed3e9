"""What a fetch of order data would ask for: one request a schema, symbol and day.

Most schemas are asked for by trade date, from 18:00 of the trade date before to its own 18:00 New
York, as the feed reads them: nothing is bought twice, and settlements of the evening are in. Orders
(`mbo`) and definitions go by UTC day, because the vendor sends them so: its history of a day begins
at 00:00 UTC with a snapshot of the book, and with all definitions. A trade date needs the two UTC
days that it lies in; cut at 18:00 its first hours would have no book, and cut with the day before
in front each day would be bought twice.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from tapemill.clock import Clock, calendar, eastern_ns
from tapemill.errors import UsageError, did_you_mean
from tapemill.lake import Lake
from tapemill.lake.control import COMPLETE, CellState
from tapemill.vendors.databento.client import FuturesRequest

__all__ = [
    "DEFAULT_SCHEMAS",
    "GLOBEX",
    "SCHEMAS",
    "FuturesCell",
    "FuturesPlan",
    "plan_futures",
]

GLOBEX = "GLBX.MDP3"
DEFAULT_SCHEMAS = ("definition", "statistics", "mbp-10")
"""What levels need: ticks and expiries, settlements, ten levels of the book."""

SCHEMAS = (
    "definition",
    "statistics",
    "status",
    "mbo",
    "mbp-10",
    "mbp-1",
    "tbbo",
    "trades",
    "ohlcv-1s",
    "ohlcv-1m",
    "ohlcv-1h",
    "ohlcv-1d",
)
"""In the order in which a day's files are imported: definitions say how to read the others."""

_BY_UTC_DAY = ("definition", "mbo")
_STYPES = ("raw_symbol", "parent")
_EVENING = 18
_ONE_DAY = dt.timedelta(days=1)
_EPOCH = dt.date(1970, 1, 1)
_DAY_NS = 86_400 * 10**9


@dataclasses.dataclass(frozen=True, slots=True)
class FuturesCell:
    """One request, and the cell of the ledger that it settles.

    Attributes
    ----------
    dataset : str
        The vendor's, such as ``"GLBX.MDP3"``.
    day : date
        Trade date, or for `mbo` and `definition` the UTC day.
    start_ns, end_ns : int
        Half-open range of receipt, ns UTC.
    """

    dataset: str
    schema: str
    symbol: str
    stype_in: str
    day: dt.date
    start_ns: int
    end_ns: int

    @property
    def ledger_name(self) -> str:
        """Dataset of its cell, such as ``"databento.mbp-10"``."""
        return ledger_name(self.dataset, self.schema)

    @property
    def file_name(self) -> str:
        """Of its download: one request, one name."""
        first, last = (
            dt.datetime.fromtimestamp(ns // 10**9, dt.UTC).strftime("%Y%m%dT%H%M")
            for ns in (self.start_ns, self.end_ns)
        )
        dataset = self.dataset.lower().replace(".", "-")
        symbol = quote(self.symbol, safe="")
        return f"{dataset}.{symbol}.{self.schema}.{first}-{last}.dbn.zst"

    @property
    def request(self) -> FuturesRequest:
        """For the vendor's client."""
        return FuturesRequest(
            self.dataset, self.schema, (self.symbol,), self.start_ns, self.end_ns, self.stype_in
        )


@dataclasses.dataclass(frozen=True)
class FuturesPlan:
    """What is complete, what would be asked, what cannot be there yet.

    Attributes
    ----------
    sessions : tuple of date
        Trade dates that were meant.
    runs : tuple of tuples of FuturesCell
        Pending cells; a run has those of one schema and symbol with no other cell between them.
    not_yet : tuple of FuturesCell
        Their range has not ended.
    """

    dataset: str
    stype_in: str
    symbols: tuple[str, ...]
    schemas: tuple[str, ...]
    sessions: tuple[dt.date, ...]
    again: bool
    complete: int
    runs: tuple[tuple[FuturesCell, ...], ...]
    not_yet: tuple[FuturesCell, ...]

    @property
    def pending(self) -> list[FuturesCell]:
        """Cells to ask for, day by day, definitions first."""
        return sorted((cell for run in self.runs for cell in run), key=_in_order_of_need)

    def summary(self) -> dict[str, Any]:
        """The plan in plain values."""
        return {
            "vendor": "databento",
            "dataset": self.dataset,
            "stype_in": self.stype_in,
            "symbols": list(self.symbols),
            "schemas": list(self.schemas),
            "sessions": [day.isoformat() for day in self.sessions],
            "complete": self.complete,
            "pending": len(self.pending),
            "not_yet": len(self.not_yet),
            "requests": [
                {
                    "schema": cell.schema,
                    "symbol": cell.symbol,
                    "day": cell.day.isoformat(),
                    "start": _iso(cell.start_ns),
                    "end": _iso(cell.end_ns),
                }
                for cell in self.pending
            ],
        }


def plan_futures(
    lake: Lake,
    clock: Clock,
    symbols: Sequence[str],
    schemas: Sequence[str],
    start: dt.date | None,
    end: dt.date | None,
    *,
    dataset: str = GLOBEX,
    stype_in: str = "raw_symbol",
    again: bool = False,
) -> FuturesPlan:
    """What a fetch would ask for. Nothing is called.

    Parameters
    ----------
    symbols : sequence of str
        Contracts (``ESH4``), or with `stype_in` ``"parent"`` products (``ES.FUT``).
    schemas : sequence of str
        Of :data:`SCHEMAS`; none for :data:`DEFAULT_SCHEMAS`.
    start, end : date or None
        First and last trade date; without `start` it is `end`, without `end` the newest that is
        over.
    again : bool
        Ask for complete cells too. It costs again.

    Raises
    ------
    UsageError
        No symbol, a schema or kind of symbol that there is not.
    DateError
        The range holds no trade date, or lies outside the calendar.
    """
    _check(symbols, schemas, stype_in)
    days = calendar("CMES")
    last = end or _newest_over(clock.now_ns())
    first = start or last
    sessions = days.session_dates(first, last)
    if not sessions:
        days.session(first)  # raises, with the reason and the nearest sessions
    names = tuple(schema for schema in SCHEMAS if schema in (schemas or DEFAULT_SCHEMAS))
    complete, runs, not_yet = 0, [], []
    for schema in names:
        spans = _utc_days(sessions) if schema in _BY_UTC_DAY else _trade_dates(sessions)
        for symbol in dict.fromkeys(symbols):
            cells = [FuturesCell(dataset, schema, symbol, stype_in, *span) for span in spans]
            done = _completed(lake, cells)
            run: list[FuturesCell] = []
            for cell, is_done in zip(cells, done, strict=True):
                complete += is_done
                if cell.end_ns > clock.now_ns():
                    not_yet.append(cell)
                elif again or not is_done:
                    run.append(cell)
                    continue
                runs.append(tuple(run))
                run = []
            runs.append(tuple(run))
    return FuturesPlan(
        dataset,
        stype_in,
        tuple(dict.fromkeys(symbols)),
        names,
        tuple(sessions),
        again,
        complete,
        tuple(run for run in runs if run),
        tuple(not_yet),
    )


def ledger_name(dataset: str, schema: str) -> str:
    """Dataset of the ledger for a schema of a dataset of the vendor."""
    return f"databento.{schema}" if dataset == GLOBEX else f"databento.{dataset}.{schema}"


def is_complete(lake: Lake, cell: FuturesCell) -> bool:
    """Whether the ledger has the cell closed by now."""
    return _completed(lake, [cell])[0]


def _check(symbols: Sequence[str], schemas: Sequence[str], stype_in: str) -> None:
    if not symbols:
        raise UsageError(
            "futures are fetched contract by contract, and none is given",
            where="fetch futures",
            next_step="name them, for example: tapemill fetch futures ESH4, or a product: "
            "tapemill fetch futures ES.FUT --stype parent",
        )
    for schema in schemas:
        if schema not in SCHEMAS:
            raise UsageError(
                f"there is no schema {schema!r} to fetch",
                where="--schema",
                next_step=did_you_mean(schema, SCHEMAS) or f"schemas: {', '.join(SCHEMAS)}",
            )
    if stype_in == "continuous":
        # Their files name records by the series, so a roll inside looks like one contract's jump.
        raise UsageError(
            "continuous series are made in the lake, out of contracts",
            where="--stype continuous",
            next_step="fetch the contracts, or all of a product: ES.FUT --stype parent",
        )
    if stype_in not in _STYPES:
        raise UsageError(
            f"there is no kind of symbol {stype_in!r}",
            where="--stype",
            next_step=f"write one of {', '.join(_STYPES)}",
        )


def _newest_over(now_ns: int) -> dt.date:
    days = calendar("CMES")
    today = _EPOCH + dt.timedelta(days=now_ns // _DAY_NS)
    back = days.session_dates(today - 10 * _ONE_DAY, today)
    return next(day for day in reversed(back) if eastern_ns(day, _EVENING) <= now_ns)


def _trade_dates(sessions: Iterable[dt.date]) -> list[tuple[dt.date, int, int]]:
    """Each from 18:00 of the trade date before, whatever was closed between, to its own 18:00."""
    days = calendar("CMES")
    return [
        (day, eastern_ns(days.previous(day), _EVENING), eastern_ns(day, _EVENING))
        for day in sessions
    ]


def _utc_days(sessions: Iterable[dt.date]) -> list[tuple[dt.date, int, int]]:
    """Every UTC day in which one of the sessions is open."""
    days = calendar("CMES")
    numbers: set[int] = set()
    for day in sessions:
        hours = days.session(day)
        first, last = hours.pre_open_ns // _DAY_NS, (hours.post_close_ns - 1) // _DAY_NS
        numbers.update(range(first, last + 1))
    return [
        (_EPOCH + dt.timedelta(days=number), number * _DAY_NS, (number + 1) * _DAY_NS)
        for number in sorted(numbers)
    ]


def _completed(lake: Lake, cells: Sequence[FuturesCell]) -> list[bool]:
    name, symbol = cells[0].ledger_name, cells[0].symbol
    states = lake.control.ledger.matrix(name, [symbol], [cell.day for cell in cells]).states[0]
    return [CellState(int(state)) in COMPLETE for state in states]


def _in_order_of_need(cell: FuturesCell) -> tuple[dt.date, int, str]:
    return cell.day, SCHEMAS.index(cell.schema), cell.symbol


def _iso(ns: int) -> str:
    return dt.datetime.fromtimestamp(ns // 10**9, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
