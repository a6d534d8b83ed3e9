"""The column map: what each column of a bar file is."""

from __future__ import annotations

import dataclasses
import tomllib
import zoneinfo
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tapemill.errors import ConfigError, UnknownNameError, UsageError, did_you_mean

__all__ = ["PRICES", "ColumnMap", "column_map", "load_options", "parse_options"]

PRICES = ("open", "high", "low", "close")
_CHOICES = {
    "stamp": ("start", "end"),
    "unit": ("", "s", "ms", "us", "ns"),
    "asset_class": ("equity", "future", "index"),
    "calendar": ("XNYS", "CMES"),
    "hours": ("regular", "extended"),
    "bar": ("1m", "1d"),
    "adjusted": ("no", "split", "total"),
}
_ALIASES = {
    "timestamp": "time",
    "timezone": "zone",
    "tz": "zone",
    "relabel_timezone": "relabel_zone",
    "class": "asset_class",
    "length": "bar",
}


@dataclasses.dataclass(frozen=True)
class ColumnMap:
    """Which column is what, and what the numbers mean.

    Parameters
    ----------
    symbol, symbol_column : str
        A constant ticker, or the column that holds it: exactly one of the two.
    time : str
        Column of the stamp. With `date` given, the time of day only.
    date : str
        Column of the date, where date and time are apart.
    zone : str
        Zone of stamps that carry none (``UTC``, ``America/New_York``). Needed for naive minutes.
    relabel_zone : str
        Zone that stamps truly are in although the file labels them otherwise (Eastern wall time
        labelled UTC, for one).
    stamp : {"start", "end"}
        Whether a stamp marks the start or the end of its bar.
    unit : {"", "s", "ms", "us", "ns"}
        Unit of integer stamps since 1970.
    format : str
        strptime pattern of text stamps; empty tries ISO.
    open, high, low, close : str
        Price columns; one column may serve several.
    volume, vwap, trades : str
        Columns, or empty where the file has none.
    asset_class : {"equity", "future", "index"}
    calendar : {"XNYS", "CMES"}
        Session calendar. Futures default to CMES.
    hours : {"regular", "extended"}
        What the file claims to cover.
    bar : {"1m", "1d"}
    price_scale : float
        Prices are multiplied by it (0.0001 for prices in 1/10,000).
    adjusted : {"no", "split", "total"}
        What was done to the prices. ``split`` is taken with a notice, ``total`` is refused.
    separator : str
        Of CSV files.
    """

    symbol: str = ""
    symbol_column: str = ""
    time: str = "timestamp"
    date: str = ""
    zone: str = ""
    relabel_zone: str = ""
    stamp: str = "start"
    unit: str = ""
    format: str = ""
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str = ""
    vwap: str = ""
    trades: str = ""
    asset_class: str = "equity"
    calendar: str = "XNYS"
    hours: str = "regular"
    bar: str = "1m"
    price_scale: float = 1.0
    adjusted: str = "no"
    separator: str = ","

    @property
    def dataset(self) -> str:
        """Bronze dataset that the bars land in."""
        return f"bronze.imported_bars_{self.bar}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the file that the map names, each once."""
        named = (
            self.symbol_column,
            self.time,
            self.date,
            *(getattr(self, price) for price in PRICES),
            self.volume,
            self.vwap,
            self.trades,
        )
        return tuple(dict.fromkeys(name for name in named if name))


def parse_options(pairs: Iterable[str]) -> dict[str, str]:
    """``["symbol=SPY", "zone=UTC"]`` as a mapping.

    Raises
    ------
    UsageError
        A pair without ``=``, or a key given twice.
    """
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key or key in options:
            raise UsageError(
                f"cannot read the option {pair!r}",
                where="column map",
                next_step="write each as key=value, once, for example symbol=SPY",
            )
        options[key] = value.strip() if key != "separator" else value
    return options


def load_options(path: Path) -> dict[str, str]:
    """Options from a TOML file of plain ``key = value`` lines.

    Raises
    ------
    ConfigError
        The file is missing, no TOML, or holds tables or lists.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"cannot read the column map: {error}",
            where=str(path),
            next_step='write lines such as symbol = "SPY" and zone = "UTC"',
        ) from error
    nested = [key for key, value in content.items() if isinstance(value, dict | list)]
    if nested:
        raise ConfigError(
            f"{nested[0]!r} is a table or list; a column map has plain values",
            where=str(path),
            next_step="put every key at the top of the file",
        )
    return {key: str(value) for key, value in content.items()}


def column_map(options: Mapping[str, str]) -> ColumnMap:
    """A checked :class:`ColumnMap` from options as people write them.

    Raises
    ------
    UnknownNameError
        A key that no map has, with the nearest one.
    UsageError
        A value that is not accepted, or symbol and symbol_column both or neither given.
    """
    known = {field.name for field in dataclasses.fields(ColumnMap)}
    values: dict[str, Any] = {}
    for given, value in options.items():
        key = _ALIASES.get(given, given)
        if key not in known:
            raise UnknownNameError(
                f"a column map has no key {given!r}",
                next_step=did_you_mean(given, known | set(_ALIASES))
                or f"keys: {', '.join(sorted(known))}",
            )
        values[key] = _number(key, value) if key == "price_scale" else value
        if key in _CHOICES and value not in _CHOICES[key]:
            raise UsageError(
                f"{key}={value} is not accepted",
                where="column map",
                next_step=f"accepted: {', '.join(choice or '(empty)' for choice in _CHOICES[key])}",
            )
    if values.get("asset_class") == "future":
        values.setdefault("calendar", "CMES")
    mapped = ColumnMap(**values)
    _check(mapped)
    return mapped


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise UsageError(
            f"{key}={value} is not a positive number",
            where="column map",
            next_step="for prices in 1/10,000 write price_scale=0.0001",
        )
    return number


def _check(mapped: ColumnMap) -> None:
    if bool(mapped.symbol) == bool(mapped.symbol_column):
        raise UsageError(
            "a column map needs symbol=TICKER or symbol_column=COLUMN, and not both",
            where="column map",
            next_step="add --map symbol=SPY, or --map symbol_column=ticker",
        )
    if mapped.adjusted == "total":
        raise UsageError(
            "prices adjusted for dividends cannot be undone and are not taken as prices",
            where="adjusted=total",
            next_step="map the raw columns (Close, not Adj Close) and import the dividends apart",
        )
    for zone in filter(None, (mapped.zone, mapped.relabel_zone)):
        if zone not in zoneinfo.available_timezones():
            raise UnknownNameError(
                f"there is no time zone {zone!r}",
                where="column map",
                next_step=did_you_mean(zone, zoneinfo.available_timezones())
                or "for example UTC or America/New_York",
            )
