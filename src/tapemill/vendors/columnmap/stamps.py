"""Stamps of a file: text, integers, naive or labelled times, dates."""

from __future__ import annotations

import polars as pl

from tapemill.errors import FileFormatError, UsageError
from tapemill.vendors.columnmap.mapping import ColumnMap

__all__ = ["wall_stamps"]

_NEW_YORK = "America/New_York"
_MOST_UNREADABLE = 0.1
"""Of stamps under an explicit format: day and month swapped still read a third of all dates."""


def wall_stamps(table: pl.DataFrame, mapped: ColumnMap, name: str) -> tuple[pl.Series, pl.Series]:
    """Stamps as written and as meant.

    Returns
    -------
    wall : pl.Series
        Naive ``Datetime("ns")``, what the file writes.
    aware : pl.Series
        ``Datetime("ns", "UTC")``; null where a stamp is unreadable or falls into the hour that a
        clock change repeats or skips.

    Raises
    ------
    UsageError
        Naive minutes and no `zone`, or integers and no `unit`.
    FileFormatError
        Not one stamp can be read, or the given format misses more than a tenth of them.
    """
    stamps = _parsed(table, mapped, name)
    if stamps.len() and stamps.null_count() == stamps.len():
        first = table.get_column(mapped.time)[0]
        raise FileFormatError(
            f"no stamp of column {mapped.time!r} can be read; the first is {first!r}",
            where=name,
            next_step="give format=%m/%d/%Y (strptime), or unit=ms for numbers",
        )
    if mapped.format and stamps.null_count() > _MOST_UNREADABLE * stamps.len():
        first = table.get_column(mapped.time).filter(stamps.is_null())[0]
        raise FileFormatError(
            f"format={mapped.format} cannot read {stamps.null_count()} of {stamps.len()} stamps, "
            f"the first is {first!r}",
            where=name,
            next_step="check the format; day and month may be swapped (%d/%m, %m/%d)",
        )
    dtype = stamps.dtype
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        if not mapped.relabel_zone:
            utc = stamps.dt.convert_time_zone("UTC").cast(pl.Datetime("ns", "UTC"))
            return stamps.dt.replace_time_zone(None).cast(pl.Datetime("ns")), utc
        stamps = stamps.dt.replace_time_zone(None)
    wall = stamps.cast(pl.Datetime("ns"))
    zone = mapped.relabel_zone or mapped.zone or _zone_of_dates(mapped, wall)
    if not zone:
        raise UsageError(
            f"the stamps of {mapped.time!r} carry no time zone, and the map gives none",
            where=name,
            next_step="add --map zone=UTC or --map zone=America/New_York",
        )
    aware = wall.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return wall, aware.dt.convert_time_zone("UTC")


def _zone_of_dates(mapped: ColumnMap, wall: pl.Series) -> str:
    """Plain dates of daily bars are exchange dates."""
    plain = wall.dt.truncate("1d").equals(wall)
    return _NEW_YORK if mapped.bar == "1d" and plain else ""


def _parsed(table: pl.DataFrame, mapped: ColumnMap, name: str) -> pl.Series:
    stamps = table.get_column(mapped.time)
    if mapped.date:
        day = table.get_column(mapped.date).cast(pl.String).str.strip_chars()
        stamps = (day + " " + stamps.cast(pl.String).str.strip_chars()).alias(mapped.time)
    if stamps.dtype == pl.String():
        stamps = stamps.str.strip_chars()
        if not mapped.unit:
            return _text(stamps, mapped.format)
        stamps = stamps.cast(pl.Int64, strict=False)
    if stamps.dtype == pl.Date() or isinstance(stamps.dtype, pl.Datetime):
        return stamps
    if stamps.dtype.is_numeric() and mapped.unit:
        factor = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[mapped.unit]
        whole = stamps.cast(pl.Int64, strict=False)
        limit = 2**63 // factor - 1
        kept = whole.to_frame("t").select(
            pl.when(pl.col("t").is_between(-limit, limit)).then(pl.col("t") * factor)
        )
        return kept.to_series().cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    raise UsageError(
        f"column {mapped.time!r} holds {stamps.dtype}, and the map gives no unit",
        where=name,
        next_step="add --map unit=ms (or s, us, ns) for numbers since 1970",
    )


def _text(stamps: pl.Series, pattern: str) -> pl.Series:
    if pattern:
        timed = any(token in pattern for token in ("%H", "%I", "%T", "%R", "%X", "%c", "%s"))
        if not timed:
            return stamps.str.to_date(pattern, strict=False).cast(pl.Datetime("ns"))
        return stamps.str.to_datetime(pattern, time_unit="ns", strict=False)
    offset = stamps.str.contains(r"\d(Z|[+-]\d\d:?\d\d)$").fill_null(value=False)
    if offset.any():
        aware = stamps.str.replace(r"Z$", "+0000").str.replace(r"([+-]\d\d):(\d\d)$", "$1$2")
        iso = aware.str.replace("T", " ", literal=True)
        parsed = iso.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%z", time_unit="ns", strict=False)
        return parsed.dt.convert_time_zone("UTC")
    iso = stamps.str.replace("T", " ", literal=True)
    with_time = iso.str.contains(":", literal=True).fill_null(value=False)
    if not with_time.any():
        dates = iso.str.to_date("%Y-%m-%d", strict=False)
        if dates.null_count() > stamps.null_count():
            compact = iso.str.to_date("%Y%m%d", strict=False)
            dates = compact if compact.null_count() < dates.null_count() else dates
        return dates.cast(pl.Datetime("ns"))
    seconds = iso.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False)
    if seconds.null_count() == seconds.len():
        return iso.str.to_datetime("%Y-%m-%d %H:%M", time_unit="ns", strict=False)
    return seconds
