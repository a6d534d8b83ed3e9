"""Plan of ``silver.tape_5m``: a session is made of its prints and of its minutes and those before.

A session's minutes are judged by the sessions before it, so its fingerprint holds theirs too.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import polars as pl

from tapemill.clock import calendar
from tapemill.refine.inputs import content, sessions_of
from tapemill.refine.recipe import Kitchen, Plan, Product, digest_of
from tapemill.refine.tape import MINUTE_COLUMNS, minute_tape, tick_tape, warm_up

__all__ = ["TAPE_INPUTS", "plan_tape"]

_TICKS = "bronze.massive_tape_5m"
_MINUTES = "silver.equity_bars_1m"
TAPE_INPUTS = (_TICKS, _MINUTES)
_TOGETHER = 10
"""Sessions made at once: bounds the minutes in memory, the ones before included."""


def plan_tape(kitchen: Kitchen, version: str) -> Plan:
    """Units are sessions; see :class:`tapemill.refine.recipe.Recipe`."""
    lake, delay = kitchen.lake, kitchen.settings.massive.feed_delay_minutes
    known = calendar("XNYS")
    ticks = content(lake, [_TICKS])
    # What silver was made of, not what bronze holds by now: another process may have landed more.
    made = lake.control.builds.fingerprints(_MINUTES)
    minutes = {datetime.date.fromisoformat(unit): print_ for unit, print_ in made.items()}
    first, last = known.coverage
    days = [
        day
        for day in sorted({*ticks, *minutes})
        if first <= day <= last and known.is_session(day)  # others are in quarantine
    ]
    fingerprints = {}
    for day in days:
        behind = [
            (before, minutes[before])
            for before in known.session_dates(warm_up([day]), day)
            if before in minutes
        ]
        fingerprints[day.isoformat()] = digest_of(
            version, delay, ticks.get(day, ""), *(part for pair in behind for part in pair)
        )

    def make(units: Sequence[str]) -> Product:
        wanted = sorted(datetime.date.fromisoformat(unit) for unit in units)
        parts = [
            _made(kitchen, wanted[place : place + _TOGETHER], delay)
            for place in range(0, len(wanted), _TOGETHER)
        ]
        return Product(pl.concat(parts))

    return Plan(fingerprints, make)


def _made(kitchen: Kitchen, sessions: Sequence[datetime.date], delay: int) -> pl.DataFrame:
    tables = kitchen.lake.tables
    prints = sessions_of(kitchen.lake, _TICKS, sessions).collect()
    bars = (
        tables.scan(_MINUTES, start=warm_up(sessions), end=sessions[-1])
        .filter(pl.col("segment") == "rth")
        .select(MINUTE_COLUMNS)
        .collect()
    )
    return pl.concat(
        [
            tick_tape(prints, feed_delay_minutes=delay),
            minute_tape(bars, sessions, feed_delay_minutes=delay),
        ]
    )
