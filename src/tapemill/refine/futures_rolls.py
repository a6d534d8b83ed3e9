"""The dominant outright of each product and trade date, and what a roll does to the price.

Dominant is the outright with the most contracts traded in US regular hours (09:30 to the close of
New York on that date, in exchange time: half days and changes of clocks are the calendar's). Where
nothing traded in them, all hours of the trade date decide, and the row says so. A roll only ever
goes to a later delivery: once a product has rolled, an earlier contract that trades more for a
day does not come back, and a date on which only earlier contracts traded has no row. Nothing is
deleted: all contracts stay in silver, and continuous series are views.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.clock import known_at_expr
from tapemill.contracts import contract
from tapemill.refine.futures_contracts import rows_by_unit
from tapemill.refine.futures_symbols import maturity
from tapemill.refine.recipe import Kitchen, Plan

__all__ = ["ROLL_INPUTS", "futures_rolls", "plan_rolls"]

_TARGET = "reference.futures_rolls"
_MINUTES = "silver.futures_minutes"
_CONTRACTS = "reference.futures_contracts"
ROLL_INPUTS = (_MINUTES, _CONTRACTS)
_FEWEST_MINUTES = 5
"""Fewer common minutes of regular hours than this: those of the whole trade date count."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Gap:
    ticks: float | None
    ratio: float | None
    evidence: str


def futures_rolls(minutes: pl.LazyFrame, contracts: pl.DataFrame) -> pl.DataFrame:
    """One row a product and trade date.

    Parameters
    ----------
    minutes : pl.LazyFrame
        Rows of ``silver.futures_minutes``, never held at once; of its columns ``symbol``,
        ``session``, ``ts_event``, ``close_ticks``, ``volume``, ``regular``, ``tick_size`` are read.
    contracts : pl.DataFrame
        Rows of ``reference.futures_contracts``.

    Returns
    -------
    pl.DataFrame
        Rows of ``reference.futures_rolls``, by root and session.

    Notes
    -----
    The gap of a roll is the median difference (ratio) of closes over the minutes in which both
    contracts traded: those of regular hours on the date of the roll, else of all its hours, else
    of the trade date before. Counted in different steps, or with no such minute, it is null.
    """
    outrights = contracts.filter(pl.col("kind") == "outright").select(
        "symbol", "root", "expiration_ns"
    )
    traded = minutes.filter(
        (pl.col("volume") > 0) & pl.col("symbol").is_in(outrights["symbol"].to_list())
    )
    rows: list[dict[str, object]] = []
    for (root,), own in _volumes(traded, outrights).group_by("root", maintain_order=True):
        rows += _of_root(str(root), own, traded)
    target = contract(_TARGET)
    known = pl.DataFrame(
        rows, schema={k: v for k, v in target.schema.items() if k != "known_at"}
    ).with_columns(known_at_expr("trade_date_end"))
    return target.conform(known.sort("root", "session"))


def _volumes(traded: pl.LazyFrame, outrights: pl.DataFrame) -> pl.DataFrame:
    """Per root, session and symbol: volume in the hours that decide, and which those are."""
    by_contract = traded.group_by("session", "symbol").agg(
        regular=pl.col("volume").filter(pl.col("regular")).sum(), all=pl.col("volume").sum()
    )
    sums = by_contract.collect(engine="streaming").join(outrights, on="symbol")
    by_regular = pl.col("regular").sum().over("root", "session") > 0
    return (
        sums.with_columns(
            volume=pl.when(by_regular).then("regular").otherwise("all"),
            hours=pl.when(by_regular).then(pl.lit("regular")).otherwise(pl.lit("all")),
        )
        .filter(pl.col("volume") > 0)
        .sort("root", "session", "symbol")
    )


def _of_root(root: str, volumes: pl.DataFrame, traded: pl.LazyFrame) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    current: tuple[str, tuple[int, ...]] | None = None
    before: datetime.date | None = None
    for (session,), day in volumes.group_by("session", maintain_order=True):
        assert isinstance(session, datetime.date)
        order = _deliveries(day, session)
        ranked = sorted(day.to_dicts(), key=lambda row: (-row["volume"], order[row["symbol"]]))
        standing = [row for row in ranked if current is None or order[row["symbol"]] >= current[1]]
        if not standing:
            continue
        chosen = standing[0]
        others = [row for row in ranked if row["symbol"] != chosen["symbol"]]
        rolled = current is not None and chosen["symbol"] != current[0]
        gap = _Gap(None, None, "")
        if rolled and current is not None:
            gap = _gap(traded, current[0], chosen["symbol"], session, before)
        rows.append(
            {
                "root": root,
                "session": session,
                "symbol": chosen["symbol"],
                "volume": chosen["volume"],
                "share_frac": chosen["volume"] / day["volume"].sum(),
                "runner_up": others[0]["symbol"] if others else None,
                "runner_up_volume": others[0]["volume"] if others else None,
                "hours": chosen["hours"],
                "rolled_from": current[0] if rolled and current is not None else None,
                "gap_ticks": gap.ticks,
                "price_ratio": gap.ratio,
                "gap_evidence": gap.evidence or None,
            }
        )
        current, before = (chosen["symbol"], order[chosen["symbol"]]), session
    return rows


def _deliveries(day: pl.DataFrame, session: datetime.date) -> dict[str, tuple[int, ...]]:
    """Symbol → what orders its delivery among those of its product.

    The month in the symbol, read on that date; where one of them names none, the last trading
    moments of the definitions.
    """
    months = {symbol: maturity(symbol, session) for symbol in day["symbol"]}
    if all(month is not None for month in months.values()):
        return {symbol: month for symbol, month in months.items() if month is not None}
    return {
        symbol: (expiration or 0,)
        for symbol, expiration in day.select("symbol", "expiration_ns").iter_rows()
    }


def _gap(
    traded: pl.LazyFrame,
    old: str,
    new: str,
    session: datetime.date,
    before: datetime.date | None,
) -> _Gap:
    """New over old price, by the minutes in which both traded."""
    dates = [session, *([before] if before else [])]
    closes = ("session", "ts_event", "regular", "close_ticks", "tick_size")
    pair = (
        traded.filter(pl.col("symbol").is_in([old, new]) & pl.col("session").is_in(dates))
        .select("symbol", *closes)
        .collect()
    )
    both = (
        pair.filter(pl.col("symbol") == new)
        .select(closes)
        .join(pair.filter(pl.col("symbol") == old).select(closes), on="ts_event", suffix="_old")
    )
    for day in dates:
        common = both.filter(pl.col("session") == day)
        regular = common.filter(pl.col("regular"))
        if regular.height >= _FEWEST_MINUTES:
            return _median(regular, f"minutes of regular hours of {day} in which both traded")
        if common.height:
            return _median(common, f"minutes of {day} in which both traded")
    return _Gap(None, None, f"no minute of {_named(dates)} in which both {old} and {new} traded")


def _named(dates: Sequence[datetime.date]) -> str:
    return " or ".join(str(day) for day in dates)


def _median(common: pl.DataFrame, what: str) -> _Gap:
    evidence = f"{common.height} {what}"
    if common.filter(pl.col("tick_size") != pl.col("tick_size_old")).height:
        return _Gap(None, None, f"{evidence}, but they are counted in different steps")
    new, old = pl.col("close_ticks"), pl.col("close_ticks_old")
    difference = common.select((new - old).median()).item()
    if common.select((pl.min_horizontal(new, old) <= 0).any()).item():
        return _Gap(difference, None, f"{evidence}; no ratio of prices that are not above zero")
    return _Gap(difference, common.select((new / old).median()).item(), evidence)


def plan_rolls(kitchen: Kitchen, version: str) -> Plan:
    """Units are roots; see :class:`tapemill.refine.recipe.Recipe`."""
    tables = kitchen.lake.tables
    rows = futures_rolls(tables.scan(_MINUTES), tables.scan(_CONTRACTS).collect())
    return rows_by_unit(rows, version, "root")
