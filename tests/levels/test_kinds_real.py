"""Levels of a real day of ES, against the exchange's words for them on plain bars."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from tapemill.clock.sessions import calendar
from tapemill.levels.inputs import LevelInputs
from tapemill.levels.registry import build_levels
from tapemill.levels.volatility import volatility
from tapemill.levels.zones import zone_rows
from tapemill.settings.declaration import LevelsSettings

pytestmark = pytest.mark.real
SESSION = date(2025, 8, 14)
SETTINGS = LevelsSettings()


@pytest.fixture(scope="module")
def bars(real_data) -> pl.DataFrame:
    """One-minute bars, New York wall time beside; the file has no volume: each minute weighs 1."""
    path = real_data / "bars" / "es" / "ES_1m_ohlc_2025-07_2025-12.parquet"
    frame = pl.read_parquet(path).sort("datetime").unique("datetime", maintain_order=True)
    ticks = [
        (pl.col(name) / 0.25).round().cast(pl.Int32).alias(f"{name}_ticks")
        for name in ("open", "high", "low", "close")
    ]
    frame = frame.select(pl.col("datetime").cast(pl.Int64).alias("ts_event"), *ticks)
    wall = pl.from_epoch("ts_event", "ns").dt.replace_time_zone("UTC")
    wall = wall.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    return frame.with_columns(
        volume=pl.lit(1, pl.Int64),
        price_volume=pl.col("close_ticks").cast(pl.Int64),
        session=calendar("CMES").trade_dates(frame["ts_event"]),
        wall=wall,
        regular=wall.dt.time().is_between(time(9, 30), time(16), closed="left"),
    )


@pytest.fixture(scope="module")
def inputs(bars) -> LevelInputs:
    history = bars.filter((pl.col("session") < SESSION) & (pl.col("session") >= date(2025, 7, 30)))
    today = bars.filter(pl.col("session") == SESSION)
    sigma = volatility(pl.concat([history, today]), SETTINGS.sigma_minutes)
    return LevelInputs.for_session("ESU5", "ES", SESSION, 0.25, today, history, volatility=sigma)


def _between(bars: pl.DataFrame, begin: datetime, end: datetime) -> pl.DataFrame:
    return bars.filter((pl.col("wall") >= begin) & (pl.col("wall") < end))


def test_prices_of_the_day_are_those_of_the_bars(bars, inputs):
    levels = build_levels(inputs, SETTINGS).sort("valid_from_ns")
    last = {row["level_id"]: row["price_ticks"] for row in levels.to_dicts()}
    day = _between(bars, datetime(2025, 8, 13, 9, 30), datetime(2025, 8, 13, 16))
    week = pl.concat(
        [_between(bars, datetime(2025, 8, d, 9, 30), datetime(2025, 8, d, 16)) for d in range(4, 9)]
    )
    night = _between(bars, datetime(2025, 8, 13, 18), datetime(2025, 8, 14, 9, 30))
    early = _between(bars, datetime(2025, 8, 14, 4), datetime(2025, 8, 14, 9, 30))
    first = _between(bars, datetime(2025, 8, 14, 9, 30), datetime(2025, 8, 14, 10, 30))
    wanted = {
        "PRIOR_DAY_HIGH": day["high_ticks"].max(),
        "PRIOR_DAY_CLOSE": day["close_ticks"][-1],
        "PRIOR_WEEK_LOW": week["low_ticks"].min(),
        "OVERNIGHT_HIGH": night["high_ticks"].max(),
        "PREMARKET_LOW": early["low_ticks"].min(),
        "INITIAL_BALANCE_HIGH": first["high_ticks"].max(),
    }
    assert {name: last[name] for name in wanted} == wanted
    stamp = datetime(2025, 8, 14, 10, 30, tzinfo=ZoneInfo("America/New_York")).timestamp()
    balance = levels.filter(pl.col("level_id") == "INITIAL_BALANCE_HIGH")
    assert balance["valid_from_ns"].min() == int(stamp) * 10**9


def test_a_day_after_weeks_without_data_has_no_prior_week(bars):
    """The file misses most of autumn 2025: 10 November is its first day again."""
    session = date(2025, 11, 13)
    today = bars.filter(pl.col("session") == session)
    history = bars.filter(pl.col("session") < session)
    inputs = LevelInputs.for_session("ESZ5", "ES", session, 0.25, today, history)
    kinds = set(build_levels(inputs, SETTINGS)["kind"])
    assert "PRIOR_DAY_HIGH" in kinds and "SMA_400" in kinds and "ANCHORED_VWAP" in kinds
    assert not {kind for kind in kinds if kind.startswith("PRIOR_WEEK")}


def test_a_real_day_cut_anywhere_keeps_its_levels(inputs):
    whole = build_levels(inputs, SETTINGS)
    open_rows = pl.col("valid_to_ns")
    for hours in (0.0, 3.21, 15.52, 16.0, 21.7):
        moment = inputs.globex_open_ns + int(hours * 3600) * 10**9
        cut, full = (
            each.filter(pl.col("valid_from_ns") <= moment).with_columns(
                valid_to_ns=pl.when(open_rows <= moment).then(open_rows)
            )
            for each in (build_levels(inputs.known_by(moment), SETTINGS), whole)
        )
        assert cut.equals(full)


def test_price_meets_placebos_of_still_levels_about_as_often(inputs):
    """Averages follow price nearer than any offset that is clear of them: they are left out."""
    levels = build_levels(inputs, SETTINGS)
    still = levels.filter(~pl.col("kind").str.contains("SMA|EMA|VWAP"))
    close = inputs.minutes.filter(pl.col("regular"))["close_ticks"].to_list()
    far = still.with_columns(
        far=pl.col("price_ticks").map_elements(
            lambda ticks: min(abs(ticks - each) for each in close), pl.Float64
        )
    )
    met = far.group_by("family", "level_id").agg((pl.col("far").min() <= 4).alias("met"))
    share = dict(met.group_by("family").agg(pl.col("met").mean()).iter_rows())
    for family in ("placebo_random", "placebo_shifted"):
        assert 0.5 < share[family] / share["real"] < 1.5


def test_zones_of_a_real_day_stay_narrow(inputs):
    rows = zone_rows(build_levels(inputs, SETTINGS))
    width = (rows.high - rows.low)[np.isfinite(rows.low)]
    assert width.max() < 40
    assert np.median(width[width > 0]) < 10
