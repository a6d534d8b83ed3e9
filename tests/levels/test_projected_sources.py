"""Levels of other instruments from a lake: whose minutes, what makes a date stale, what is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.rows import bars
from refine.futures_orders import MINUTE, at, land, trades
from tapemill.clock.injected import FixedClock
from tapemill.lake import Lake
from tapemill.levels.projected_notes import projection_notes
from tapemill.levels.projected_sources import other_minutes
from tapemill.levels.recipes import LEVEL_RECIPES
from tapemill.levels.subject import level_inputs, subjects_of
from tapemill.refine import RECIPES, build
from tapemill.refine.futures_sources import order_sources
from tapemill.settings import Settings, load_settings

NOW = FixedClock(1_790_000_000 * 10**9)
DAYS = [date(2024, 3, day) for day in (11, 12, 13, 14)]
MINUTES = 40
BASE = {"ESH4": 20_000, "ESM4": 20_200, "NQM4": 72_000}
SPY = "silver.equity_bars_1m"
HEADER = "symbol,price,name,valid_from,valid_to\n"


def prices(day: int) -> np.ndarray:
    return np.round(15 * np.sin(np.arange(MINUTES) / 6 + day)).astype(int)


def fund(day: date, price: np.ndarray, seed: int = 0) -> pl.DataFrame:
    """Minutes of SPY from 10:00 New York on."""
    start = pl.Series([at(day, 10) + i * MINUTE for i in range(len(price))])
    ts = pl.from_epoch(start // 1000, time_unit="us").dt.replace_time_zone("UTC")
    made = bars(["SPY"], [day], minutes=len(price), seed=seed)
    columns = {name: pl.Series(price.astype(float)) for name in ("open", "high", "low", "close")}
    return made.with_columns(
        **columns, ts_event=start, ts=ts, known_at=ts + pl.duration(minutes=16)
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """ESH4, from the third date on ESM4, and NQM4 trade; SPY on the last two dates."""
    made = Lake.open(tmp_path / "lake", create=True, clock=NOW)
    shares = {"ESH4": (9, 9, 1, 1), "ESM4": (1, 1, 9, 9), "NQM4": (5, 5, 5, 5)}
    for number, day in enumerate(DAYS):
        moments = [at(day, 10) + i * MINUTE for i in range(MINUTES)]
        rows = pl.concat(
            trades(name, moments, (base + prices(number)).tolist(), shares[name][number])
            for name, base in BASE.items()
        )
        land(made, f"day{number}", rows.sort("ts_event", maintain_order=True), schema="mbo")
    for number in (2, 3):
        tell(made, number, (20_200 + prices(number)) / 40)
    return made


def tell(lake: Lake, number: int, price: np.ndarray, seed: int = 0) -> None:
    """Minutes of SPY of one date, as a build would leave them."""
    rows = fund(DAYS[number], price, seed)
    lake.tables.replace(SPY, rows, sessions=[DAYS[number]], writer="test")
    lake.control.builds.record(SPY, DAYS[number].isoformat(), f"print {seed}", rows.height)


def built(lake: Lake, settings: Settings) -> int:
    """Dates of `gold.levels` that were made anew."""
    report = build(lake, settings, NOW, ["gold.levels"], recipes={**RECIPES, **LEVEL_RECIPES})
    return next(one.built for one in report.targets if one.target == "gold.levels")


def with_file(tmp_path: Path, *rows: str) -> Settings:
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + "".join(f"{row},2024-03-01,\n" for row in rows))
    return load_settings(env={"TAPEMILL_LEVELS_USER_FILE": str(path)})


def test_minutes_are_those_of_the_contract_the_product_or_the_fund(lake: Lake) -> None:
    build(lake, load_settings(env={}), NOW, ["reference.futures_rolls"])
    found = other_minutes(lake, ["ES", "ESH4", "NQ", "SPY", "XYZ"], DAYS[0], DAYS[3])
    of = {str(name): rows for (name,), rows in found.group_by("symbol", maintain_order=True)}
    assert {name: len(rows) for name, rows in of.items()} == {
        "ES": 3 * MINUTES,  # who led before the first date is not known
        "ESH4": 4 * MINUTES,
        "NQ": 4 * MINUTES,  # it has one contract only
        "SPY": 2 * MINUTES,
    }
    last = at(DAYS[3], 10)
    first = {name: rows.filter(pl.col("ts_event") == last).row(0) for name, rows in of.items()}
    step = 0.25 * float(prices(3)[0])
    assert first["ES"] == ("ES", last, 5050.0 + step, last + MINUTE)
    assert first["ESH4"] == ("ESH4", last, 5000.0 + step, last + MINUTE)
    assert first["SPY"] == ("SPY", last, 505.0 + step / 10, last + 16 * MINUTE)
    # The minutes of the contract before are brought over by the gap of the roll.
    assert of["ES"]["price"].min() > 5050 - 5
    assert other_minutes(lake, [], DAYS[0], DAYS[3]).is_empty()


def test_a_level_of_a_fund_reaches_gold_and_its_minutes_make_the_date_stale(
    lake: Lake, tmp_path: Path
) -> None:
    settings = with_file(tmp_path, "SPY,505,pin", "NQ,18000,far", "ESH4,5000,old", "SPX,5050,wall")
    assert built(lake, settings) == 4
    gold = lake.tables.scan("gold.levels").filter(pl.col("kind") == "PROJECTED_USER")
    rows = gold.filter(pl.col("family") == "real", pl.col("session") == DAYS[3]).collect()
    own = rows.filter(pl.col("symbol") == "ESM4")
    assert set(own["level_id"]) == {
        "PROJECTED_USER_SPY_pin",
        "PROJECTED_USER_NQ_far",
        "PROJECTED_USER_ESH4_old",
    }
    closing = own.group_by("native_symbol").agg(pl.col("price").sort_by("valid_from_ns").last())
    ends = dict(closing.iter_rows())
    # By closes up to ten points apart: where the instruments themselves stand to each other.
    assert ends["SPY"] == pytest.approx(5050.0, abs=1)
    assert ends["ESH4"] == pytest.approx(5050.0, abs=1)
    assert ends["NQ"] == pytest.approx(5050.0, abs=15)
    begin = own.group_by("native_symbol").agg(pl.col("valid_from_ns").min()).rows()
    # Of the fund's forty minutes of the day before, and this day's from a quarter past on.
    assert dict(begin)["SPY"] == at(DAYS[2], 18)
    assert built(lake, settings) == 0
    tell(lake, 3, (20_200 + prices(3)) / 50, seed=1)
    assert built(lake, settings) == 1
    tell(lake, 2, (20_200 + prices(2)) / 50, seed=1)
    assert built(lake, settings) == 2


def test_minutes_of_a_fund_without_a_level_change_nothing(lake: Lake, tmp_path: Path) -> None:
    settings = with_file(tmp_path, "SPY,,anchor")
    assert built(lake, settings) == 4
    tell(lake, 3, (20_200 + prices(3)) / 50, seed=1)
    assert built(lake, settings) == 0


def test_notes_tell_what_could_not_be_brought_over(lake: Lake, tmp_path: Path) -> None:
    settings = with_file(tmp_path, "SPY,505,pin", "SPX,5050,wall", "ES,5050,own")
    built(lake, settings)
    subjects = subjects_of(lake, order_sources(lake))
    by_name = {one.symbol: one for one in subjects[DAYS[1]]}
    told = projection_notes(lake, by_name["ESH4"], settings.levels)
    assert [(one.name, one.reason) for one in told] == [
        ("pin", "there are no minutes of SPY around this trade date"),
        ("wall", "there are no minutes of SPX around this trade date"),
    ]
    last = next(one for one in subjects[DAYS[3]] if one.symbol == "ESM4")
    assert [one.name for one in projection_notes(lake, last, settings.levels)] == ["wall"]
    assert level_inputs(lake, last, settings.levels).others["symbol"].unique().to_list() == ["SPY"]
    assert projection_notes(lake, last, load_settings(env={}).levels) == ()
