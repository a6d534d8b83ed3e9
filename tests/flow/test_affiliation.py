"""Sectors and tiers of evenings, by what was known on each."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from flow.market_files import sessions
from tapemill.flow.affiliation import tiers_of
from tapemill.flow.evening import evening_of

MONDAY = dt.date(2022, 1, 3)
DAYS = sessions(MONDAY, 400)


def week(number: int, known: dt.date, tier: str = "T1") -> dict:
    start = MONDAY + dt.timedelta(weeks=number)
    return {"symbol": "SPY", "week_start": start, "tier": tier, "known_at": evening_of(known)}


def told(rows: list[dict], days: list[dt.date]) -> list[str]:
    codes, names = tiers_of(pl.DataFrame(rows), ["SPY"], days)
    return ["" if code < 0 else names[code] for code in codes[:, 0]]


def test_a_week_that_comes_very_late_says_nothing_of_the_evenings_before() -> None:
    rows = [week(0, dt.date(2022, 1, 24)), week(15, dt.date(2022, 10, 3)), week(39, DAYS[390])]
    all_at_once = told(rows, DAYS)
    for place, day in enumerate(DAYS):
        known = [row for row in rows if row["known_at"] <= evening_of(day)]
        assert all_at_once[place] == (told(known, [day])[0] if known else ""), day
    assert np.unique(all_at_once).tolist() == ["", "T1"]
