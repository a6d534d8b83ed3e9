"""Massive's flat files: the whole market's minutes or days of one date, as csv.gz."""

from __future__ import annotations

import dataclasses
import gzip
import io
import re
import zlib
from datetime import date
from typing import Literal

import polars as pl

from tapemill.clock import eastern_datetime, exchange_date
from tapemill.contracts import contract
from tapemill.errors import FileFormatError
from tapemill.vendors.rows import rejected_rows
from tapemill.vendors.shape import (
    breaks_contract,
    in_column_order,
    partitioned,
    without_conflicts,
)

__all__ = ["FlatFile", "read_flat_file"]

_COLUMNS = ("ticker", "volume", "open", "close", "high", "low", "window_start", "transactions")
# 1990 to 2100 in nanoseconds: any other unit falls outside.
_PLAUSIBLE_NS = (631_152_000_000_000_000, 4_102_444_800_000_000_000)
_DATE_IN_NAME = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_NUMBERS = ("open", "high", "low", "close", "volume")
_SENT_AS = {"trades": "transactions"}


@dataclasses.dataclass(frozen=True)
class FlatFile:
    """Bars of one flat file: `frame` in bronze columns without provenance, `rejected` rows."""

    frame: pl.DataFrame
    rejected: pl.DataFrame
    notes: tuple[str, ...]


def read_flat_file(content: bytes, bar: Literal["minute", "day"], *, name: str = "") -> FlatFile:
    """Read a stocks aggregate file, gzipped or plain.

    Parameters
    ----------
    content : bytes
    bar : {"minute", "day"}
    name : str
        File name; a date in it (``2025-04-16.csv.gz``) is held against the rows.

    Raises
    ------
    FileFormatError
        The file is cut, or its header is not that of stock aggregates.

    Notes
    -----
    `window_start` is nanoseconds UTC. Rows where it cannot be (the vendor's own documentation has a
    sample with two digits missing) are set aside as ``window_start_not_ns``.
    """
    text = _table(_plain(content, name), name)
    dataset = contract("bronze.massive_bars_1m" if bar == "minute" else "bronze.massive_bars_1d")
    frame = _typed(text, bar)
    bad = frame.filter(pl.col("reasons") != "")
    frame = frame.filter(pl.col("reasons") == "").drop("reasons")
    frame, elsewhere = _other_dates(frame, name)
    frame, conflicting = without_conflicts(frame)
    good, broken = breaks_contract(dataset, partitioned(frame, dataset))
    bad = pl.concat([bad, elsewhere, conflicting, broken], how="diagonal")
    extra = [column for column in text.columns if column not in (*_COLUMNS, "ordinal")]
    notes = (f"new columns, kept in the raw file alone: {', '.join(extra)}",) if extra else ()
    rejected = rejected_rows(bad, text).sort("ordinal")
    return FlatFile(in_column_order(dataset, good), rejected, notes)


def _plain(content: bytes, name: str) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(
            f"the gzip stream is cut or broken: {error}",
            where=name,
            next_step="download the file again",
        ) from error


def _table(plain: bytes, name: str) -> pl.DataFrame:
    header = plain[:1000].split(b"\n", 1)[0].decode("utf-8", errors="replace").strip().split(",")
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise FileFormatError(
            f"not a stock aggregates file: no column {', '.join(missing)} in {','.join(header)!r}",
            where=name,
            next_step=f"its header is {','.join(_COLUMNS)}; import other bars with kind bars",
        )
    if not plain.endswith(b"\n") and plain.count(b"\n"):
        last = plain.rsplit(b"\n", 1)[1]
        if last.count(b",") != len(header) - 1:
            raise FileFormatError(
                "truncated: the last row is cut", where=name, next_step="download the file again"
            )
    try:
        table = pl.read_csv(io.BytesIO(plain), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise FileFormatError(
            f"no valid CSV: {str(error).splitlines()[0]}",
            where=name,
            next_step="download the file again",
        ) from error
    return table.with_row_index("ordinal").cast({"ordinal": pl.Int64()})


def _typed(text: pl.DataFrame, bar: Literal["minute", "day"]) -> pl.DataFrame:
    numbers = {column: pl.col(column).cast(pl.Float64, strict=False) for column in _NUMBERS}
    numbers["trades"] = pl.col("transactions").cast(pl.Int64, strict=False)
    start = pl.col("window_start").cast(pl.Int64, strict=False)
    timed = start.is_between(*_PLAUSIBLE_NS)
    reasons = [
        pl.when(pl.col(_SENT_AS.get(name, name)).is_not_null() & value.is_null()).then(
            pl.lit(f"{name}_not_a_number")
        )
        for name, value in numbers.items()
    ]
    reasons.append(pl.when(~timed.fill_null(value=False)).then(pl.lit("window_start_not_ns")))
    fraction = pl.col("volume").str.contains(".", literal=True)
    frame = text.select(
        "ordinal",
        symbol="ticker",
        ts_event=pl.when(timed).then(start),
        **numbers,
        vwap=pl.lit(None, dtype=pl.Float64),
        decimal_volume=pl.when(fraction).then(pl.col("volume")),
        adjusted=pl.lit(value=False),
        reasons=pl.concat_str(*reasons, separator=";", ignore_nulls=True),
    ).with_columns(session=exchange_date(pl.col("ts_event")))
    if bar == "day":
        midnight = eastern_datetime(pl.col("session"), 0).dt.epoch("ns")
        frame = frame.with_columns(ts_event=midnight)
    stamp = pl.from_epoch("ts_event", time_unit="ns").cast(pl.Datetime("us"))
    return frame.with_columns(ts=stamp.dt.replace_time_zone("UTC"))


def _other_dates(frame: pl.DataFrame, name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set aside rows of another date than the one in the file's name."""
    found = _DATE_IN_NAME.search(name)
    nothing = frame.clear().with_columns(reasons=pl.lit("", dtype=pl.String))
    if found is None:
        return frame, nothing
    try:
        named = date(*map(int, found.groups()))
    except ValueError:
        return frame, nothing
    elsewhere = pl.col("session") != named
    bad = frame.filter(elsewhere).with_columns(reasons=pl.lit("not_of_the_named_date"))
    return frame.filter(~elsewhere), bad
