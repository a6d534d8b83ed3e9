"""As-of reads: from a question about a dataset to a lazy frame over the fewest files."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.clock.eastern import EASTERN
from tapemill.clock.injected import Clock
from tapemill.contracts import Dataset, Quality, contract
from tapemill.errors import ContractError, LakeError, UnknownNameError, UsageError, did_you_mean
from tapemill.lake.adjust import Adjustment, adjust, kinds_of
from tapemill.lake.asof import AsOf, Day, as_of_moment, read_range, visible
from tapemill.lake.pruning import day_column
from tapemill.lake.tables import TableStore

__all__ = ["Reader"]

_FACTORS = "reference.adjustments"


class Reader:
    """Answers :meth:`tapemill.lake.Lake.scan`.

    Parameters
    ----------
    tables : TableStore
    clock : Clock
        Decides which announced corporate actions lie in the future.
    """

    def __init__(self, tables: TableStore, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock
        self._seen: dict[str, set[str]] = {}

    def forget(self, dataset: str) -> None:
        """Look symbols up anew: rows were taken out."""
        self._seen.pop(dataset, None)

    def scan(
        self,
        name: str,
        symbols: str | Sequence[str] | None,
        start: Day | None,
        end: Day | None,
        as_of: AsOf | None,
        mode: Adjustment | None,
        columns: Sequence[str] | None,
        *,
        strict_symbols: bool,
    ) -> pl.LazyFrame:
        """See :meth:`tapemill.lake.Lake.scan`."""
        dataset = contract(name)
        first, last = read_range(start, end)
        wanted = [symbols] if isinstance(symbols, str) else symbols
        self._check_question(dataset, wanted, mode, columns)
        self._tables.table(name).require()
        if wanted is not None and strict_symbols:
            self._check_symbols(dataset, wanted)
        rows = self._tables.scan(name, symbols=wanted, start=first, end=last)
        day = pl.col(day_column(dataset))
        if first is not None:
            rows = rows.filter(day >= first)
        if last is not None:
            rows = rows.filter(day <= last)
        if wanted is not None:
            rows = rows.filter(_among("symbol", wanted))
        rows = visible(rows, dataset, as_of)
        if mode == "total_return":
            self._refuse_adjusted(rows, dataset)
        if mode is not None:
            rows = adjust(rows, self._events(dataset, wanted, first, as_of, mode), mode)
        return rows.select(columns) if columns is not None else rows

    def _refuse_adjusted(self, rows: pl.LazyFrame, dataset: Dataset) -> None:
        """Dividend factors belong to prices as they traded."""
        if "quality" not in dataset.schema:
            return
        adjusted = rows.filter(pl.col("quality") & int(Quality.ADJUSTED) != 0)
        names = adjusted.select(pl.col("symbol").unique().sort()).head(5).collect()
        if names.height:
            raise ContractError(
                "rows whose source had adjusted them for splits have no total return",
                where=f"{dataset.name}: {', '.join(names['symbol'])}",
                next_step="import the prices as they traded, or use adjust='split'",
            )

    def _check_question(
        self,
        dataset: Dataset,
        symbols: Sequence[str] | None,
        mode: Adjustment | None,
        columns: Sequence[str] | None,
    ) -> None:
        if symbols is not None and "symbol" not in dataset.schema:
            raise UsageError(
                f"{dataset.name} has no symbols", next_step="leave symbols out and filter the frame"
            )
        if mode is not None:
            kinds_of(mode)
        if mode is not None and not {"symbol", "session", "close"} <= set(dataset.schema):
            raise UsageError(
                f"{dataset.name} holds no prices to adjust", next_step="leave adjust out"
            )
        for column in columns or ():
            if column not in dataset.schema:
                known = dataset.schema.names()
                raise UnknownNameError(
                    f"{dataset.name} has no column {column!r}",
                    next_step=did_you_mean(column, known) or f"it has {', '.join(known)}",
                )

    def _check_symbols(self, dataset: Dataset, symbols: Sequence[str]) -> None:
        seen = self._seen.setdefault(dataset.name, set())
        missing = sorted(set(symbols) - seen)
        if missing:
            table = self._tables.table(dataset.name)
            paths = table.files().sort("path", descending=True)["path"].to_list()
            # Nearly always the newest partition knows them all; the others are asked if need be.
            for some in (paths[:1], paths[1:]):
                if missing and some:
                    found = table.scan(some).filter(_among("symbol", missing))
                    seen |= set(found.select(pl.col("symbol").unique()).collect()["symbol"])
                    missing = sorted(set(missing) - seen)
        if missing:
            known = self._tables.scan(dataset.name).select(pl.col("symbol").unique()).collect()
            hints = [did_you_mean(symbol, known["symbol"].to_list()) for symbol in missing[:1]]
            raise UnknownNameError(
                f"{dataset.name} holds no row of {', '.join(missing[:10])}",
                where=f"{known.height:,} symbols are there",
                next_step=hints[0] or "fetch or import it first; symbols are case-sensitive",
            )

    def _events(
        self,
        dataset: Dataset,
        symbols: Sequence[str] | None,
        first: datetime.date | None,
        as_of: AsOf | None,
        mode: Adjustment,
    ) -> pl.DataFrame:
        """Corporate actions that were known and in force at the moment of the read."""
        if not self._tables.exists(_FACTORS):
            # Factors of 1 would pass raw prices off as adjusted ones.
            raise LakeError(
                f"cannot adjust for {mode}: no corporate actions were ever looked up",
                where=f"{_FACTORS} is not there",
                next_step="`tapemill fetch splits`, `tapemill fetch dividends`, then "
                "`tapemill build reference.adjustments`; or leave adjust out",
            )
        if as_of is None:
            today = datetime.datetime.fromtimestamp(self._clock.now_ns() / 1e9, EASTERN).date()
        else:
            today = as_of_moment(as_of).astimezone(EASTERN).date()
        factors = contract(_FACTORS)
        events = visible(self._tables.scan(_FACTORS), factors, as_of)
        events = events.filter(pl.col("ex_date") <= today)
        if first is not None:
            events = events.filter(pl.col("ex_date") > first)
        if symbols is not None:
            events = events.filter(pl.col("symbol").is_in(list(symbols)))
        found = events.collect()
        holed = found.filter(pl.col("price_factor_frac").is_null())
        if mode == "split" or holed.is_empty():
            return found
        # A dividend from before the first stored bar needs no factor: nothing is adjusted by it.
        names = holed["symbol"].unique().to_list()
        oldest = (
            self._tables.scan(dataset.name, symbols=names, start=first)
            .filter(_among("symbol", names), *([pl.col("session") >= first] if first else []))
            .group_by("symbol")
            .agg(oldest=pl.col("session").min())
            .collect()
        )
        idle = pl.col("price_factor_frac").is_null() & (
            pl.col("oldest").is_null() | (pl.col("oldest") >= pl.col("ex_date"))
        )
        return found.join(oldest, on="symbol", how="left").filter(~idle).drop("oldest")


def _among(column: str, values: Sequence[str]) -> pl.Expr:
    # Equality prunes row groups by their statistics more surely than set membership.
    if len(values) == 1:
        return pl.col(column) == values[0]
    return pl.col(column).is_in(list(values))
