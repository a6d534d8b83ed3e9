"""Formulas and times of the kinds against plain loops over the same minutes."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import polars as pl
import pytest

from levels.minutes_made import (
    SESSION,
    TICK,
    flat_minutes,
    minutes_frame,
    walk_inputs,
)
from tapemill.clock.eastern import eastern_ns
from tapemill.clock.sessions import calendar
from tapemill.errors import ConfigError
from tapemill.levels.inputs import MINUTE_NS, LevelInputs
from tapemill.levels.kinds_bars import exponential_means, simple_means, two_minute_closes
from tapemill.levels.registry import LEVEL_KINDS, build_levels
from tapemill.levels.round_numbers import round_spacing
from tapemill.settings.declaration import LevelsSettings

DEFAULTS = LevelsSettings(placebos=0, round_ticks=100)
OPEN = eastern_ns(SESSION, 9, 30)
GLOBEX = calendar("CMES").session(SESSION).open_ns


def paths_of(inputs: LevelInputs, kind: str, settings: LevelsSettings = DEFAULTS) -> dict:
    declared = next(each for each in LEVEL_KINDS if each.name == kind)
    return {path.level_id: path for path in declared.build(inputs, settings)}


def at(path, moment_ns: int) -> float:
    """Value of a path as known at a moment; NaN before its first step."""
    index = np.searchsorted(path.at_ns, moment_ns, side="right") - 1
    return path.ticks[index] if index >= 0 else np.nan


def rows(frame: pl.DataFrame, begin: int, end: int) -> list[dict]:
    return frame.filter((pl.col("ts_event") >= begin) & (pl.col("ts_event") < end)).to_dicts()


@pytest.fixture(scope="module")
def inputs() -> LevelInputs:
    return walk_inputs(3)


@pytest.mark.parametrize(
    ("kind", "begin", "end"),
    [
        ("PREMARKET", eastern_ns(SESSION, 4), OPEN),
        ("OVERNIGHT", GLOBEX, OPEN),
        ("SESSION", OPEN, eastern_ns(SESSION, 16)),
    ],
)
def test_running_extremes_know_only_finished_minutes(inputs, kind, begin, end):
    high = paths_of(inputs, f"{kind}_HIGH")[f"{kind}_HIGH"]
    low = paths_of(inputs, f"{kind}_LOW")[f"{kind}_LOW"]
    for moment in range(begin + 1, end + 3600 * 10**9, 7 * MINUTE_NS + 1):
        seen = rows(inputs.minutes, begin, min(end, moment - MINUTE_NS + 1))
        wanted = (
            (max(r["high_ticks"] for r in seen), min(r["low_ticks"] for r in seen)) if seen else ()
        )
        found = (at(high, moment), at(low, moment))
        assert found == wanted if seen else np.isnan(found).all()


def test_a_new_high_does_not_touch_itself():
    """11.1 and 4.7: the price that makes an extreme meets the one that stood before."""
    closes = [100, 101, 102, 110, 103]
    begin = calendar("CMES").session(SESSION).open_ns
    inputs = LevelInputs.for_session("ESH4", "ES", SESSION, TICK, flat_minutes(begin, closes))
    path = paths_of(inputs, "OVERNIGHT_HIGH")["OVERNIGHT_HIGH"]
    assert at(path, begin + 4 * MINUTE_NS - 1) == 102
    assert at(path, begin + 4 * MINUTE_NS) == 110


@pytest.mark.parametrize(
    ("kind", "minutes"),
    [
        ("OPENING_RANGE_5", 5),
        ("OPENING_RANGE_15", 15),
        ("OPENING_RANGE_30", 30),
        ("INITIAL_BALANCE", 60),
    ],
)
def test_opening_ranges_are_known_when_they_end(inputs, kind, minutes):
    seen = rows(inputs.minutes, OPEN, OPEN + minutes * MINUTE_NS)
    high = paths_of(inputs, f"{kind}_HIGH")[f"{kind}_HIGH"]
    low = paths_of(inputs, f"{kind}_LOW")[f"{kind}_LOW"]
    assert high.at_ns.tolist() == low.at_ns.tolist() == [OPEN + minutes * MINUTE_NS]
    assert high.ticks.tolist() == [max(r["high_ticks"] for r in seen)]
    assert low.ticks.tolist() == [min(r["low_ticks"] for r in seen)]


def test_levels_of_windows_whose_beginning_is_not_in_the_data_are_absent(inputs):
    late = dataclasses.replace(
        inputs, minutes=inputs.minutes.filter(pl.col("ts_event") >= OPEN + 10 * MINUTE_NS)
    )
    kinds = ("OVERNIGHT_HIGH", "PREMARKET_LOW", "OPENING_RANGE_15_HIGH", "SESSION_LOW", "VWAP")
    assert not any(paths_of(late, kind) for kind in (*kinds, "GLOBEX_VWAP"))
    declared = dataclasses.replace(late, feed_start_ns=GLOBEX)
    assert all(paths_of(declared, kind) for kind in ("OPENING_RANGE_15_HIGH", "VWAP"))


def test_prior_day_and_week_are_those_of_the_calendar(inputs):
    stocks = calendar("XNYS")
    day = stocks.session(stocks.previous(SESSION))
    seen = rows(inputs.history, day.open_ns, day.close_ns)
    wanted = {
        "PRIOR_DAY_HIGH": max(r["high_ticks"] for r in seen),
        "PRIOR_DAY_LOW": min(r["low_ticks"] for r in seen),
        "PRIOR_DAY_CLOSE": seen[-1]["close_ticks"],
    }
    week = [
        r
        for d in range(4, 9)
        for r in rows(
            inputs.history, *(lambda s: (s.open_ns, s.close_ns))(stocks.session(date(2023, 12, d)))
        )
    ]
    wanted |= {
        "PRIOR_WEEK_HIGH": max(r["high_ticks"] for r in week),
        "PRIOR_WEEK_LOW": min(r["low_ticks"] for r in week),
        "PRIOR_WEEK_CLOSE": week[-1]["close_ticks"],
        "PRIOR_DAY_SETTLEMENT": 4755.25 / TICK,
    }
    for kind, ticks in wanted.items():
        path = paths_of(inputs, kind)[kind]
        assert path.ticks.tolist() == [ticks]
        assert path.at_ns[0] == GLOBEX


def test_a_missing_or_half_day_of_data_is_no_prior_day(inputs):
    prior = calendar("XNYS").session(date(2023, 12, 13))
    without = inputs.history.filter(
        pl.col("ts_event") < calendar("CMES").session(date(2023, 12, 13)).open_ns
    )
    half = inputs.history.filter(pl.col("ts_event") < prior.close_ns - 60 * MINUTE_NS)
    for history in (without, half):
        changed = dataclasses.replace(inputs, history=history)
        assert not paths_of(changed, "PRIOR_DAY_HIGH")
        assert not paths_of(changed, "PRIOR_DAY_CLOSE")
    holed = inputs.history.filter(
        (pl.col("ts_event") < calendar("CMES").session(date(2023, 12, 6)).open_ns)
        | (pl.col("ts_event") >= calendar("CMES").session(date(2023, 12, 7)).open_ns)
    )
    changed = dataclasses.replace(inputs, history=holed)
    assert paths_of(changed, "PRIOR_DAY_HIGH")
    assert not paths_of(changed, "PRIOR_WEEK_HIGH")


def test_a_settlement_stands_from_when_it_was_published(inputs):
    table = pl.DataFrame(
        {
            "session": [date(2023, 12, 12), date(2023, 12, 13), date(2023, 12, 13), SESSION],
            "price": [1.0, 4700.0, 4701.0, 9.0],
            "known_ns": [0, GLOBEX - 10, GLOBEX + 10, GLOBEX - 10],
        }
    )
    changed = dataclasses.replace(inputs, settlements=table)
    levels = build_levels(changed, DEFAULTS).filter(
        (pl.col("kind") == "PRIOR_DAY_SETTLEMENT") & (pl.col("family") == "real")
    )
    # What comes within a minute is taken in at its end.
    first = levels.filter(pl.col("valid_from_ns") < GLOBEX + MINUTE_NS)
    assert first["price"].unique().to_list() == [4700.0]
    later = levels.filter(pl.col("valid_from_ns") >= GLOBEX + MINUTE_NS)
    assert later["price"].unique().to_list() == [4701.0]
    old = dataclasses.replace(inputs, settlements=table[:1])
    assert not paths_of(old, "PRIOR_DAY_SETTLEMENT")


@pytest.mark.parametrize(
    ("kind", "begin", "end", "multiple"),
    [
        ("VWAP", OPEN, eastern_ns(SESSION, 16), 0),
        ("VWAP_UPPER_2", OPEN, eastern_ns(SESSION, 16), 2),
        ("VWAP_LOWER_1", OPEN, eastern_ns(SESSION, 16), -1),
        ("GLOBEX_VWAP", GLOBEX, eastern_ns(SESSION, 17), 0),
        ("ANCHORED_VWAP_WEEK", eastern_ns(date(2023, 12, 11), 9, 30), eastern_ns(SESSION, 17), 0),
    ],
)
def test_volume_weighted_prices(inputs, kind, begin, end, multiple):
    path = paths_of(inputs, kind.replace("_WEEK", ""))[kind]
    every = pl.concat([inputs.history, inputs.minutes])
    for moment in path.at_ns[[0, 3, len(path.at_ns) // 2, -1]].tolist():
        seen = rows(every, begin, min(end, moment - MINUTE_NS + 1))
        volume = sum(r["volume"] for r in seen)
        mean = sum(r["price_volume"] for r in seen) / volume
        square = sum(r["volume"] * (r["price_volume"] / r["volume"] - mean) ** 2 for r in seen)
        wanted = mean + multiple * (square / volume) ** 0.5
        assert at(path, moment) == pytest.approx(wanted, abs=1e-6)


def test_the_users_anchor_gives_an_average_price(inputs):
    path = paths_of(inputs, "ANCHORED_VWAP")["ANCHORED_VWAP_news"]
    begin = GLOBEX + 10**13
    seen = rows(inputs.minutes, begin, int(path.at_ns[5]) - MINUTE_NS + 1)
    wanted = sum(r["price_volume"] for r in seen) / sum(r["volume"] for r in seen)
    assert path.ticks[5] == pytest.approx(wanted, abs=1e-6)


def test_the_users_levels_stand_between_the_users_times(inputs):
    begin, end = GLOBEX + 90 * 10**9, GLOBEX + 7300 * 10**9
    user = inputs.user[:1].with_columns(
        valid_from_ns=pl.lit(begin, pl.Int64), valid_to_ns=pl.lit(end, pl.Int64)
    )
    levels = build_levels(dataclasses.replace(inputs, user=user), DEFAULTS)
    rows_of = levels.filter(pl.col("level_id") == "USER_mine")
    assert rows_of["price"].unique().to_list() == [4750.5]
    assert rows_of["valid_from_ns"].min() == GLOBEX + 120 * 10**9
    assert rows_of["valid_to_ns"].max() == GLOBEX + 7320 * 10**9
    wrong = user.with_columns(symbol=pl.lit("NQ"))
    levels = build_levels(dataclasses.replace(inputs, user=wrong), DEFAULTS)
    assert "USER" not in set(levels["kind"])


def test_two_minute_bars_are_stamped_by_their_end_and_not_filled(inputs):
    ends, closes = two_minute_closes(inputs)
    every = pl.concat([inputs.history, inputs.minutes])
    wanted: dict[int, int] = {}
    for row in every.to_dicts():
        wanted[(row["ts_event"] // (2 * MINUTE_NS) + 1) * 2 * MINUTE_NS] = row["close_ticks"]
    assert dict(zip(ends.tolist(), closes.tolist(), strict=True)) == wanted
    lone = dataclasses.replace(
        walk_inputs(3, sessions=0), minutes=flat_minutes(GLOBEX, [1, 2, 3, 4, 5])
    )
    assert two_minute_closes(lone)[1].tolist() == [2, 4, 5]


def test_moving_averages(inputs):
    ends, closes = two_minute_closes(inputs)
    for bars in (20, 90, 200, 400):
        path = paths_of(inputs, f"SMA_{bars}")[f"SMA_{bars}"]
        for index in (0, 7, len(path.at_ns) - 1):
            stop = int(np.searchsorted(ends, path.at_ns[index])) + 1
            wanted = sum(closes[stop - bars : stop].tolist()) / bars
            assert path.ticks[index] == pytest.approx(wanted, abs=1e-9)
    reference = pl.Series(closes).to_list()
    value = sum(reference[:20]) / 20
    for close in reference[20:]:
        value = 2 / 21 * close + 19 / 21 * value
    assert paths_of(inputs, "EMA_20")["EMA_20"].ticks[-1] == pytest.approx(value, abs=1e-6)


def test_averages_without_enough_bars_are_unknown():
    closes = np.arange(5, dtype=float)
    assert np.isnan(simple_means(closes, 6)).all()
    assert np.isnan(exponential_means(closes, 6)).all()
    assert simple_means(closes, 5)[-1] == exponential_means(closes, 5)[-1] == 2.0
    # Warm-up ends at the first trade date without data.
    full = walk_inputs(3)
    gap = calendar("CMES").session(date(2023, 12, 13))
    holed = dataclasses.replace(
        full,
        history=full.history.filter(
            (pl.col("ts_event") < gap.open_ns) | (pl.col("ts_event") >= gap.close_ns)
        ),
    )
    assert len(two_minute_closes(holed)[0]) < 700
    assert paths_of(holed, "SMA_400")["SMA_400"].at_ns[0] > OPEN - 4 * 3600 * 10**9


def test_round_numbers_come_with_the_prices_known(inputs):
    paths = paths_of(inputs, "ROUND")
    close = inputs.history["close_ticks"][-1]
    for path in paths.values():
        ticks = path.ticks[0]
        assert ticks % 100 == 0 and len(path.ticks) == 1
        seen = rows(inputs.minutes, GLOBEX, int(path.at_ns[0]) - MINUTE_NS + 1)
        low = min([close, *(r["low_ticks"] for r in seen)])
        high = max([close, *(r["high_ticks"] for r in seen)])
        assert low - 200 <= ticks <= high + 200
        before = [r for r in seen if r["ts_event"] < path.at_ns[0] - MINUTE_NS]
        if path.at_ns[0] > GLOBEX:
            low = min([close, *(r["low_ticks"] for r in before)])
            high = max([close, *(r["high_ticks"] for r in before)])
            assert not low - 200 <= ticks <= high + 200
    low, high = inputs.minutes["low_ticks"].min(), inputs.minutes["high_ticks"].max()
    low, high = min(low, close) - 200, max(high, close) + 200
    assert len(paths) == high // 100 - -(-low // 100) + 1


def test_the_spacing_of_round_numbers_is_a_setting(inputs):
    settings = LevelsSettings(round_ticks=100, round_ticks_of={"ZN": "32", "ES": "40"})
    assert (round_spacing(settings, "ZN"), round_spacing(settings, "NQ")) == (32, 100)
    ticks = [path.ticks[0] for path in paths_of(inputs, "ROUND", settings).values()]
    assert set(np.diff(sorted(ticks)).tolist()) == {40.0}
    for text in ("0", "2.5", "many"):
        with pytest.raises(ConfigError, match="ES"):
            round_spacing(LevelsSettings(round_ticks_of={"ES": text}), "ES")


def _session_levels(session: date, minutes: pl.DataFrame) -> pl.DataFrame:
    inputs = LevelInputs.for_session("ESH4", "ES", session, TICK, minutes)
    return build_levels(inputs, DEFAULTS).filter(pl.col("family") == "real")


def _minutes_all_day(session: date) -> pl.DataFrame:
    bounds = calendar("CMES").session(session)
    count = (bounds.close_ns - bounds.open_ns) // MINUTE_NS
    return flat_minutes(bounds.open_ns, 1000 + np.arange(count))


def test_half_days_end_early():
    session = date(2023, 11, 24)
    levels = _session_levels(session, _minutes_all_day(session))
    top = levels.filter(pl.col("level_id") == "SESSION_HIGH").sort("valid_from_ns")
    assert top["valid_from_ns"][-1] == eastern_ns(session, 13)
    assert top["valid_to_ns"][-1] == calendar("CMES").session(session).close_ns


def test_days_without_stock_trading_have_no_regular_levels():
    session = date(2024, 1, 15)  # Martin Luther King Day: Globex trades, stocks do not
    levels = _session_levels(session, _minutes_all_day(session))
    kinds = set(levels["kind"])
    assert {"OVERNIGHT_HIGH", "GLOBEX_VWAP"} <= kinds
    assert not {k for k in kinds if k.startswith(("SESSION", "OPENING", "PREMARKET", "VWAP"))}


@pytest.mark.parametrize("session", [date(2024, 3, 11), date(2024, 11, 4)])
def test_after_clock_changes_the_windows_are_in_new_york_time(session):
    levels = _session_levels(session, _minutes_all_day(session))
    ranges = levels.filter(pl.col("level_id") == "OPENING_RANGE_15_LOW")
    assert ranges["valid_from_ns"].min() == eastern_ns(session, 9, 45)
    night = levels.filter(pl.col("level_id") == "PREMARKET_LOW")
    assert night["valid_from_ns"].min() == eastern_ns(session, 4, 1)


def test_minutes_without_volume_weigh_nothing():
    closes = [100, 120]
    start = GLOBEX + MINUTE_NS * np.arange(2)
    minutes = minutes_frame(start, closes, closes, closes, [5, 0], [500, 0])
    inputs = LevelInputs.for_session("ESH4", "ES", SESSION, TICK, minutes)
    path = paths_of(inputs, "GLOBEX_VWAP")["GLOBEX_VWAP"]
    assert path.ticks.tolist() == [100.0, 100.0]
