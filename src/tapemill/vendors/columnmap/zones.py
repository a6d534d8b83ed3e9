"""Is the clock of a file right? Bars pile up where the exchange trades; a wrong zone moves them."""

from __future__ import annotations

import polars as pl

from tapemill.clock.eastern import eastern_wall
from tapemill.errors import FileFormatError
from tapemill.vendors.columnmap.mapping import ColumnMap

__all__ = ["check_zone", "fitting_zone", "share_in_hours"]

_CANDIDATES = ("America/New_York", "UTC", "America/Chicago", "Europe/London")
_LEAST_SHARE = {"regular": 0.50, "extended": 0.90}
_MOST_IN_BREAK = 0.01
_REGULAR = (570, 960)
_EXTENDED = (240, 1200)


def check_zone(mapped: ColumnMap, ts_event: pl.Series, wall: pl.Series, name: str) -> None:
    """Refuse minutes that lie outside the hours their file claims.

    Parameters
    ----------
    mapped : ColumnMap
    ts_event : pl.Series
        Bar starts as mapped, Int64 ns UTC.
    wall : pl.Series
        Stamps as the file writes them, naive ``Datetime``, moved to bar starts.
    name : str
        File, for the message.

    Raises
    ------
    FileFormatError
        Fewer than half of regular bars lie in 09:30-16:00 New York (nine in ten of extended
        stock hours in 04:00-20:00; for Globex, more than 1 % lie in its daily break).
    """
    if ts_event.is_empty() or mapped.bar != "1m":
        return
    minutes = _minute_of_day(ts_event)
    share = _share(mapped, minutes)
    if _fits(mapped, share):
        return
    fitting = fitting_zone(mapped, wall)
    advice = (
        f"the stamps fit {fitting}: set zone={fitting} (relabel_zone={fitting} if the file labels "
        "them otherwise)"
        if fitting
        else "no usual zone fits: check hours=, calendar= and stamp="
    )
    low, high = int(minutes.min() or 0), int(minutes.max() or 0)  # type: ignore[arg-type]
    raise FileFormatError(
        f"only {share:.0%} of the bars lie in {mapped.hours} hours: they run from "
        f"{_clock(low)} to {_clock(high)} New York, a mix-up of UTC and New York time",
        where=name,
        next_step=advice,
    )


def fitting_zone(mapped: ColumnMap, wall: pl.Series) -> str:
    """The zone under which naive stamps lie best in the claimed hours; empty if none fits."""
    shares = {zone: share_in_hours(mapped, wall, zone) for zone in _CANDIDATES}
    best = max(shares, key=lambda zone: shares[zone])
    return best if _fits(mapped, shares[best]) else ""


def share_in_hours(mapped: ColumnMap, wall: pl.Series, zone: str) -> float:
    """Share of naive stamps that lie in the claimed hours if they were written in `zone`."""
    aware = wall.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").drop_nulls()
    return _share(mapped, _minute_of_day(aware.dt.epoch("ns"))) if aware.len() else 0.0


def _fits(mapped: ColumnMap, share: float) -> bool:
    if mapped.calendar == "CMES" and mapped.hours == "extended":
        return share >= 1 - _MOST_IN_BREAK
    return share >= _LEAST_SHARE[mapped.hours]


def _minute_of_day(ts_event: pl.Series) -> pl.Series:
    wall = eastern_wall(pl.col("ts_event"))
    minutes = wall.dt.hour().cast(pl.Int32) * 60 + wall.dt.minute()
    return ts_event.alias("ts_event").to_frame().select(minutes.alias("minute")).to_series()


def _share(mapped: ColumnMap, minutes: pl.Series) -> float:
    if mapped.calendar == "CMES" and mapped.hours == "extended":
        inside = (minutes < 1020) | (minutes >= 1080)
    else:
        low, high = _REGULAR if mapped.hours == "regular" else _EXTENDED
        # The closing print of a session is often stamped at the close itself.
        inside = (minutes >= low) & (minutes <= high)
    return float(inside.sum()) / minutes.len()


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
