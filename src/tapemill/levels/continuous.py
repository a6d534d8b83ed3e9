"""Continuous series of a product: views over the minutes of its contracts, nothing copied.

A trade date shows the outright that was dominant on the last trade date before it for which that
was known: who will be dominant today is known tonight. Prices before a roll can be brought to
those after it by the gap that was measured at the roll; the last date of the view keeps its own.
"""

from __future__ import annotations

import datetime
from typing import Literal

import polars as pl

from tapemill.clock import calendar
from tapemill.errors import ContractError, UsageError, did_you_mean
from tapemill.lake import Lake
from tapemill.lake.asof import AsOf, as_of_moment

__all__ = ["Adjustment", "continuous", "dominant_contracts"]

Adjustment = Literal["raw", "difference", "ratio"]

_MINUTES = "silver.futures_minutes"
_ROLLS = "reference.futures_rolls"
_PRICES = ("open_ticks", "high_ticks", "low_ticks", "close_ticks")
_STALE = 5
"""Trade dates after which a date's dominant contract says nothing about today's."""
_NEUTRAL = {"raw": 0.0, "difference": 0.0, "ratio": 1.0}
_GAP = {"difference": "gap_ticks", "ratio": "price_ratio"}


def dominant_contracts(
    lake: Lake,
    root: str,
    start: datetime.date,
    end: datetime.date,
    *,
    as_of: AsOf | None = None,
) -> pl.DataFrame:
    """The contract to look at on each trade date, as known when the date began.

    Parameters
    ----------
    lake : Lake
    root : str
        Product, e.g. ``ES``.
    start, end : date
        First and last trade date.
    as_of : date, datetime, str or int, optional
        Only what was known then.

    Returns
    -------
    pl.DataFrame
        ``session``, ``symbol``, ``decided`` (Date of the roll row behind it), by session. A date
        is missing where none of the five trade dates before it has a row, unless only one
        outright traded on the date itself, which leaves nothing to choose.

    Raises
    ------
    DateError
        The dates lie beyond the calendar, or run backwards.
    """
    return _chosen(_rolls(lake, root, as_of), start, end)


def _rolls(lake: Lake, root: str, as_of: AsOf | None) -> pl.DataFrame:
    rows = lake.tables.scan(_ROLLS).filter(pl.col("root") == root)
    if as_of is not None:
        rows = rows.filter(pl.col("known_at") <= as_of_moment(as_of))
    return rows.sort("session").collect()


def _chosen(rolls: pl.DataFrame, start: datetime.date, end: datetime.date) -> pl.DataFrame:
    known = calendar("CMES")
    dates = known.session_dates(start, end)
    rows = rolls.select("session", "symbol", "runner_up").rows()
    found: list[tuple[datetime.date, str, datetime.date]] = []
    place = 0
    for day in dates:
        while place < len(rows) and rows[place][0] < day:
            place += 1
        decided, symbol = rows[place - 1][:2] if place else (None, "")
        if decided is not None and decided >= known.previous(day, _STALE):
            found.append((day, symbol, decided))
        elif place < len(rows) and rows[place][0] == day and rows[place][2] is None:
            found.append((day, rows[place][1], day))
    schema = {"session": pl.Date, "symbol": pl.String, "decided": pl.Date}
    return pl.DataFrame(found, schema=schema, orient="row")


def continuous(
    lake: Lake,
    root: str,
    start: datetime.date,
    end: datetime.date,
    adjust: Adjustment = "raw",
    as_of: AsOf | None = None,
) -> pl.LazyFrame:
    """Minutes of a product's dominant contract, one contract a trade date.

    Parameters
    ----------
    lake : Lake
    root : str
        Product, e.g. ``ES``.
    start, end : date
        First and last trade date.
    adjust : {"raw", "difference", "ratio"}
        ``raw``: prices as traded. Else those before a roll are moved by its gap, or multiplied by
        its ratio, so that the series has no jump there; the view's last contract keeps its own.
    as_of : date, datetime, str or int, optional
        Only minutes and rolls that were known then.

    Returns
    -------
    pl.LazyFrame
        Columns of ``silver.futures_minutes``, ``root`` and ``adjustment`` (ticks added to, or
        factor of, the traded prices), by time. Prices and ``price_volume`` are Float64 if adjusted.

    Raises
    ------
    UsageError
        `adjust` is none of the three.
    ContractError
        A gap within the view was never measured: no minute had both contracts.
    DateError
        The dates lie beyond the calendar, or run backwards.
    """
    if adjust not in _NEUTRAL:
        raise UsageError(
            f"adjust={adjust!r} is no adjustment",
            next_step=did_you_mean(adjust, _NEUTRAL) or f"choose from {', '.join(_NEUTRAL)}",
        )
    rolls = _rolls(lake, root, as_of)
    chosen = _chosen(rolls, start, end)
    if as_of is not None:
        # Dates that had not begun have no minutes: they must not decide what keeps its price.
        chosen = chosen.filter(pl.col("session") <= _trade_date(as_of))
    placed = _with_adjustment(chosen, rolls, root, adjust)
    rows = lake.tables.scan(
        _MINUTES, symbols=placed["symbol"].unique().sort().to_list(), start=start, end=end
    )
    if as_of is not None:
        rows = rows.filter(pl.col("known_at") <= as_of_moment(as_of))
    joined = rows.join(placed.lazy(), on=["symbol", "session"]).with_columns(root=pl.lit(root))
    return _moved(joined, adjust).sort("ts_event")


def _trade_date(as_of: AsOf) -> datetime.date:
    moment = as_of_moment(as_of)
    day: datetime.date = calendar("CMES").trade_dates(pl.Series([moment]).dt.timestamp("ns"))[0]
    return day


def _with_adjustment(
    chosen: pl.DataFrame, rolls: pl.DataFrame, root: str, adjust: Adjustment
) -> pl.DataFrame:
    """``symbol``, ``session`` and what the prices of each date are moved by."""
    amounts = []
    gaps = rolls.filter(pl.col("rolled_from").is_not_null()).rows(named=True)
    last = chosen["decided"][-1] if chosen.height else None
    for decided in chosen["decided"]:
        amount = _NEUTRAL[adjust]
        for row in gaps if adjust != "raw" else ():
            if last is not None and decided < row["session"] <= last:
                gap = _measured(row, root, _GAP[adjust])
                amount = amount + gap if adjust == "difference" else amount * gap
        amounts.append(amount)
    return chosen.select("symbol", "session", adjustment=pl.Series(amounts, dtype=pl.Float64))


def _measured(row: dict[str, object], root: str, column: str) -> float:
    gap = row[column]
    if not isinstance(gap, float):
        raise ContractError(
            f"the gap of {root} from {row['rolled_from']} to {row['symbol']} was never measured",
            where=f"{_ROLLS} of {row['session']}: {row['gap_evidence']}",
            next_step="import a trade date on which both traded, or ask for adjust='raw'",
        )
    return gap


def _moved(rows: pl.LazyFrame, adjust: Adjustment) -> pl.LazyFrame:
    by = pl.col("adjustment")
    if adjust == "difference":
        return rows.with_columns(
            *(pl.col(name) + by for name in _PRICES),
            price_volume=pl.col("price_volume") + by * pl.col("volume"),
        )
    if adjust == "ratio":
        return rows.with_columns(*(pl.col(name) * by for name in (*_PRICES, "price_volume")))
    return rows
