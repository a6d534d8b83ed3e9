"""Proposing a column map from a file's names and stamps."""

from __future__ import annotations

import dataclasses
import re
from datetime import time
from pathlib import Path

import polars as pl

from tapemill.errors import FileFormatError, UsageError
from tapemill.vendors.columnmap.mapping import ColumnMap
from tapemill.vendors.columnmap.reading import read_table
from tapemill.vendors.columnmap.stamps import wall_stamps
from tapemill.vendors.columnmap.zones import fitting_zone, share_in_hours

__all__ = ["suggest"]

_NAMES = {
    "symbol_column": ("symbol", "ticker", "sym"),
    "time": ("timestamp", "datetime", "ts", "time", "timestamp_utc", "date", "__index_level_0__"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "vwap": ("vwap", "average", "vw"),
    "trades": ("trades", "transactions", "n", "barcount"),
}
_INDICES = frozenset({"VIX", "SPX", "NDX", "RUT", "DJI", "DJX"})
_LEAST_LEAD = 0.10
_EVENING = 0.90


def suggest(path: Path) -> list[str]:
    """A column map for `path` as ``key=value`` lines.

    Raises
    ------
    UsageError
        A column or the time zone cannot be told; the message says which, and the candidates.
    FileFormatError
        The file is neither CSV nor Parquet.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", next_step="check the path and its permissions"
        ) from error
    head = content[:4000].splitlines()[:1]
    separator = ";" if head and head[0].count(b";") > head[0].count(b",") else ","
    table = read_table(content, name=path.name, separator=separator)
    options = _columns(table, path)
    if separator != ",":
        options["separator"] = separator
    draft = ColumnMap(**{"symbol": "?", **options, "zone": "UTC"})  # type: ignore[arg-type]
    if "symbol_column" in options:
        draft = dataclasses.replace(draft, symbol="")
    sample = table.with_row_index("ordinal")
    wall, _ = wall_stamps(sample, draft, path.name)
    options |= _clock(wall, table.get_column(options["time"]), draft, path)
    return [f"{key}={value}" for key, value in options.items()]


def _columns(table: pl.DataFrame, path: Path) -> dict[str, str]:
    lowered = {name.lower().strip(): name for name in table.columns}
    found: dict[str, str] = {}
    for key, names in _NAMES.items():
        name = next((lowered[n] for n in names if n in lowered), None)
        if name is not None:
            found[key] = name
    missing = [key for key in ("time", "open", "high", "low", "close") if key not in found]
    if missing:
        raise UsageError(
            f"cannot tell which column is {missing[0]}; the file has {', '.join(table.columns)}",
            where=path.name,
            next_step=f"say so: --map {missing[0]}=COLUMN",
        )
    if "symbol_column" not in found:
        ticker = re.match(r"(?=\d*[A-Za-z])[A-Za-z0-9]+", path.name)
        if ticker is None:
            raise UsageError(
                "neither a column nor the file name tells the symbol",
                where=path.name,
                next_step="add --map symbol=TICKER",
            )
        found = {"symbol": ticker.group(0).upper(), **found}
        if found["symbol"] in _INDICES:
            found["asset_class"] = "index"
    if table.schema[found["time"]].is_integer():
        largest = int(table.get_column(found["time"]).max() or 0)  # type: ignore[arg-type]
        digits = len(str(largest))
        found["unit"] = (
            "s" if digits < 12 else "ms" if digits < 15 else "us" if digits < 18 else "ns"
        )
    return found


def _clock(wall: pl.Series, stamps: pl.Series, draft: ColumnMap, path: Path) -> dict[str, str]:
    wall = wall.drop_nulls()
    days = wall.dt.date().n_unique()
    if days == 0:
        raise FileFormatError("the file holds no bars", where=path.name)
    rows_a_day = wall.len() / days / max(1, _symbols(wall))
    if rows_a_day <= 1.5:
        evening = wall.dt.hour().is_between(17, 23).sum() > _EVENING * wall.len()
        return {"bar": "1d", "asset_class": "future"} if evening else {"bar": "1d"}
    extended = dataclasses.replace(draft, hours="extended")
    labelled = isinstance(stamps.dtype, pl.Datetime) and stamps.dtype.time_zone is not None
    own = str(stamps.dtype.time_zone) if isinstance(stamps.dtype, pl.Datetime) else ""
    if labelled and share_in_hours(draft, wall, own) >= 0.5:
        return _stamp(wall, own)
    shares = {zone: share_in_hours(draft, wall, zone) for zone in ("America/New_York", "UTC")}
    best, other = sorted(shares, key=lambda zone: -shares[zone])
    key = "relabel_zone" if labelled else "zone"
    if shares[best] >= 0.5 and shares[best] - shares[other] >= _LEAST_LEAD:
        return {key: best, **_stamp(wall, best)}
    if fitting := fitting_zone(extended, wall):
        lead = share_in_hours(extended, wall, fitting) - min(
            share_in_hours(extended, wall, zone) for zone in shares
        )
        if lead >= _LEAST_LEAD:
            return {key: fitting, "hours": "extended"}
    globex = dataclasses.replace(extended, asset_class="future", calendar="CMES")
    nights = {zone: share_in_hours(globex, wall, zone) for zone in shares}
    quiet, busy = sorted(nights, key=lambda zone: -nights[zone])
    if nights[quiet] >= 0.99 and nights[quiet] - nights[busy] >= 0.01:
        return {key: quiet, "hours": "extended", "asset_class": "future"}
    raise UsageError(
        "cannot tell the time zone: the bars fit "
        + " and ".join(f"{zone} to {share:.0%}" for zone, share in shares.items()),
        where=path.name,
        next_step="add --map zone=UTC or --map zone=America/New_York; for futures also "
        "asset_class=future and hours=extended",
    )


def _symbols(wall: pl.Series) -> int:
    """Bars of several symbols repeat each stamp."""
    return round(wall.len() / wall.n_unique())


def _stamp(wall: pl.Series, zone: str) -> dict[str, str]:
    aware = wall.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").drop_nulls()
    eastern = aware.dt.convert_time_zone("America/New_York").dt.time()
    return {"stamp": "end"} if time(16) in eastern and time(9, 30) not in eastern else {}
