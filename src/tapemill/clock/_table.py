"""The committed session table, read into arrays: one place that knows its format."""

from __future__ import annotations

import csv
import functools
import hashlib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import polars as pl

from tapemill.clock.eastern import EASTERN
from tapemill.errors import CorruptError

__all__ = ["RULES", "HoursRule", "SessionTable", "session_table"]

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HoursRule:
    """Regular and extended hours of a calendar, minutes of the New York day.

    `opens` may be negative: CME trade dates begin on the evening before.
    """

    opens: int
    closes: int
    pre_opens: int | None = None
    post_closes: int | None = None
    short_post_minutes: int = 0


# Extended trading of US stocks: 04:00 to 20:00; after an early close the post session lasts four
# hours as well (Nasdaq and NYSE Arca notices of every short day).
RULES = {
    "XNYS": HoursRule(570, 960, pre_opens=240, post_closes=1200, short_post_minutes=240),
    "CMES": HoursRule(-360, 1020),
    "CBOE": HoursRule(570, 975),
}


@dataclass(frozen=True)
class SessionTable:
    """Sessions of one calendar in date order; times are nanoseconds UTC."""

    first: date
    last: date
    days: npt.NDArray[np.datetime64]
    open_ns: Int64Array
    close_ns: Int64Array
    pre_open_ns: Int64Array
    post_close_ns: Int64Array
    early_close: npt.NDArray[np.bool_]
    reasons: dict[date, str]
    version: str


def _read(name: str) -> str:
    return files("tapemill.clock").joinpath("data", name).read_text(encoding="utf-8")


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@functools.cache
def _sources() -> tuple[list[dict[str, str]], list[dict[str, str]], date, date, str]:
    table, overrides = _read("sessions.csv"), _read("overrides.csv")
    covers = next((line for line in table.splitlines() if line.startswith("# covers ")), None)
    if covers is None:
        raise CorruptError(
            "the session table has no '# covers' line",
            where="tapemill/clock/data/sessions.csv",
            next_step="reinstall the package or run scripts/make_sessions.py",
        )
    first, last = (date.fromisoformat(word) for word in covers.split()[2:])
    version = hashlib.sha256((table + "\0" + overrides).encode()).hexdigest()[:16]
    return _rows(table), _rows(overrides), first, last, version


def _minutes(clock_time: str) -> int:
    hour, minute = clock_time.split(":")
    return int(hour) * 60 + int(minute)


def _hours(cell: str, rule: HoursRule) -> tuple[int, int]:
    """Opening and closing minute of a cell, ``HH:MM`` or ``HH:MM-HH:MM``."""
    if "-" not in cell:
        return rule.opens, _minutes(cell)
    opens, closes = (_minutes(part) for part in cell.split("-"))
    return (opens - 1440 if opens > closes else opens), closes


def _to_ns(days: Int64Array, minutes: Int64Array) -> Int64Array:
    """UTC nanoseconds of `minutes` after New York midnight of `days` (wall time)."""
    wall = pl.Series(days * 1440 + minutes) * 60_000_000
    moment = wall.cast(pl.Datetime("us")).dt.replace_time_zone(EASTERN.key)
    return moment.dt.timestamp("ns").to_numpy().astype(np.int64)


def session_table(calendar: str) -> SessionTable:
    """Read the table of one calendar (a key of `RULES`), overrides applied."""
    rows, overrides, first, last, version = _sources()
    rule = RULES[calendar]
    cells = {date.fromisoformat(row["session"]): (row[calendar], row["reason"]) for row in rows}
    for row in overrides:
        if row["calendar"] == calendar:
            cells[date.fromisoformat(row["session"])] = (row["hours"], row["reason"])

    open_days = sorted(day for day, (cell, _) in cells.items() if cell != "closed")
    hours = np.array([_hours(cells[day][0], rule) for day in open_days], dtype=np.int64)
    opens, closes = hours[:, 0], hours[:, 1]
    early = closes < rule.closes
    pre = opens if rule.pre_opens is None else np.full_like(opens, rule.pre_opens)
    post = closes
    if rule.post_closes is not None:
        post = np.where(early, closes + rule.short_post_minutes, rule.post_closes)

    days = np.array(open_days, dtype="datetime64[D]")
    number = days.astype(np.int64)
    unusual = {
        day: reason
        for day, (cell, reason) in cells.items()
        if reason and (cell == "closed" or _hours(cell, rule) != (rule.opens, rule.closes))
    }
    return SessionTable(
        first=first,
        last=last,
        days=days,
        open_ns=_to_ns(number, opens),
        close_ns=_to_ns(number, closes),
        pre_open_ns=_to_ns(number, pre),
        post_close_ns=_to_ns(number, post),
        early_close=early,
        reasons=unusual,
        version=version,
    )
