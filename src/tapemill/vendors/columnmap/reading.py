"""Reading a bar file through its map."""

from __future__ import annotations

import dataclasses
import io

import polars as pl

from tapemill.clock import calendar, eastern_datetime, exchange_date
from tapemill.contracts import contract
from tapemill.errors import FileFormatError, UsageError, did_you_mean
from tapemill.vendors.columnmap.mapping import PRICES, ColumnMap
from tapemill.vendors.columnmap.stamps import wall_stamps
from tapemill.vendors.columnmap.zones import check_zone
from tapemill.vendors.rows import rejected_rows
from tapemill.vendors.shape import (
    breaks_contract,
    in_column_order,
    partitioned,
    without_conflicts,
)

__all__ = ["BarFile", "read_bar_file", "read_table"]

_DIGITS = 15
"""Decimal digits that a double surely holds."""


@dataclasses.dataclass(frozen=True)
class BarFile:
    """Bars of one file: `frame` in bronze columns without provenance, `rejected` for quarantine."""

    frame: pl.DataFrame
    rejected: pl.DataFrame
    notes: tuple[str, ...]


def read_table(content: bytes, *, name: str, separator: str = ",") -> pl.DataFrame:
    """A CSV (plain or gzip, every column as text) or Parquet file as a frame.

    Raises
    ------
    FileFormatError
        The bytes are neither, or the file is empty or cut.
    """
    try:
        if content[:4] == b"PAR1":
            return pl.read_parquet(io.BytesIO(content))
        return pl.read_csv(
            io.BytesIO(content),
            separator=separator,
            infer_schema=False,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileFormatError(
            f"neither CSV nor Parquet: {str(error).splitlines()[0]}",
            where=name,
            next_step="check the file; CSV needs a header line (separator=; for semicolons)",
        ) from error


def read_bar_file(content: bytes, mapped: ColumnMap, *, name: str = "") -> BarFile:
    """Read bars.

    Parameters
    ----------
    content : bytes
        CSV, gzipped CSV or Parquet.
    mapped : ColumnMap
    name : str
        File, for messages.

    Raises
    ------
    UsageError
        The map names a column that the file lacks, or gives no zone for naive minutes.
    FileFormatError
        The file cannot be read, or its stamps lie outside the hours it claims (wrong zone).
    """
    table = read_table(content, name=name, separator=mapped.separator)
    _require(table, mapped, name)
    table = table.select(mapped.columns).with_row_index("ordinal").cast({"ordinal": pl.Int64()})
    wall, aware = wall_stamps(table, mapped, name)
    if mapped.stamp == "end" and mapped.bar == "1m":
        wall, aware = wall.dt.offset_by("-1m"), aware.dt.offset_by("-1m")
    frame = _bars(table, mapped, aware)
    if mapped.bar == "1m":
        check_zone(mapped, frame.get_column("ts_event").drop_nulls(), wall.drop_nulls(), name)
    frame, misread = _set_apart(frame)
    frame, conflicting = without_conflicts(frame)
    frame = frame.with_columns(_session(frame, mapped))
    if mapped.bar == "1d":
        frame = frame.with_columns(_daily_start(mapped))
    stamp = pl.from_epoch("ts_event", time_unit="ns").cast(pl.Datetime("us"))
    frame = frame.with_columns(ts=stamp.dt.replace_time_zone("UTC"))
    dataset = contract(mapped.dataset)
    good, bad = breaks_contract(dataset, partitioned(frame, dataset))
    rejected = rejected_rows(pl.concat([misread, conflicting, bad], how="diagonal"), table)
    good = good.sort("symbol", "ts_event", maintain_order=True)
    notes = ("prices are split-adjusted by the source",) if mapped.adjusted == "split" else ()
    return BarFile(in_column_order(dataset, good), rejected.sort("ordinal"), notes)


def _require(table: pl.DataFrame, mapped: ColumnMap, name: str) -> None:
    if mapped.symbol and mapped.symbol in table.columns:
        raise UsageError(
            f"symbol={mapped.symbol} would name every row {mapped.symbol!r}, and the file has a "
            "column of that name",
            where=name,
            next_step=f"say symbol_column={mapped.symbol} if the column holds the tickers",
        )
    for column in mapped.columns:
        if column not in table.columns:
            raise UsageError(
                f"the file has no column {column!r}; it has {', '.join(table.columns)}",
                where=name,
                next_step=did_you_mean(column, table.columns)
                or "correct the column map; `tapemill import bars FILE --suggest` proposes one",
            )


def _bars(table: pl.DataFrame, mapped: ColumnMap, aware: pl.Series) -> pl.DataFrame:
    numbers = {price: getattr(mapped, price) for price in PRICES}
    numbers |= {name: getattr(mapped, name) for name in ("volume", "vwap", "trades")}
    values, reasons = [], []
    for name, column in numbers.items():
        dtype = pl.Int64() if name == "trades" else pl.Float64()
        if not column:
            values.append(pl.lit(None, dtype=dtype).alias(name))
            continue
        given = _given(table.schema[column], column)
        value = given.cast(pl.Float64, strict=False)
        reasons.append(
            pl.when(given.is_not_null() & value.is_null()).then(pl.lit(f"{name}_not_a_number"))
        )
        if name not in PRICES:
            value = value.fill_nan(None)  # pandas writes "not given" so
        if name == "trades":
            whole = value.cast(dtype, strict=False).cast(pl.Float64)
            reasons.append(pl.when(whole.ne_missing(value)).then(pl.lit("trades_not_whole")))
        if name in (*PRICES, "vwap"):
            # Rounded: 2900 x 0.0001 is not the number nearest to 0.29.
            scaled = (value * mapped.price_scale).round_sig_figs(_DIGITS)
            value = scaled if mapped.price_scale != 1.0 else value
        values.append(value.cast(dtype, strict=False).alias(name))
    unread = pl.lit(aware.is_null())
    reasons.append(pl.when(unread).then(pl.lit("timestamp_unreadable")))
    return table.select(
        "ordinal",
        (pl.col(mapped.symbol_column) if mapped.symbol_column else pl.lit(mapped.symbol))
        .cast(pl.String)
        .alias("symbol"),
        aware.dt.epoch("ns").alias("ts_event"),
        *values,
        asset_class=pl.lit(mapped.asset_class),
        calendar=pl.lit(mapped.calendar),
        hours=pl.lit(mapped.hours),
        reasons=pl.concat_str(*reasons, separator=";", ignore_nulls=True),
    )


def _given(dtype: pl.DataType, column: str) -> pl.Expr:
    """The column, blank text as null."""
    if dtype != pl.String():
        return pl.col(column)
    text = pl.col(column).str.strip_chars()
    return pl.when(text != "").then(text)


def _set_apart(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    misread = frame.filter(pl.col("reasons") != "")
    return frame.filter(pl.col("reasons") == "").drop("reasons"), misread


def _session(frame: pl.DataFrame, mapped: ColumnMap) -> pl.Series:
    stamps = frame.get_column("ts_event")
    if mapped.calendar == "CMES" and not stamps.is_empty():
        return calendar("CMES").trade_dates(stamps).alias("session")
    return frame.select(exchange_date(pl.col("ts_event")).alias("session")).to_series()


def _daily_start(mapped: ColumnMap) -> pl.Expr:
    """Midnight New York of the session; for Globex 18:00 of the evening before."""
    if mapped.calendar == "CMES":
        evening = eastern_datetime(pl.col("session").dt.offset_by("-1d"), 18)
        return evening.dt.epoch("ns").alias("ts_event")
    return eastern_datetime(pl.col("session"), 0).dt.epoch("ns").alias("ts_event")
