"""Candles and volume."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from report.cells import weekdays
from tapemill.errors import ContractError, UsageError
from tapemill.report import daily_bars, session_bars


def prices(count: int, seed: int = 5) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.001, count)))
    opened = np.concatenate([[100.0], close[:-1]])
    return {
        "open": opened,
        "high": np.maximum(opened, close) + 0.05,
        "low": np.minimum(opened, close) - 0.05,
        "close": close,
        "volume": random.lognormal(8, 1, count),
    }


@pytest.fixture
def minutes():
    frame = pl.DataFrame({"minute_of_session": np.arange(-30, 400, dtype=np.int16), **prices(430)})
    segment = (
        pl.when(pl.col("minute_of_session") < 0)
        .then(pl.lit("pre"))
        .when(pl.col("minute_of_session") >= 390)
        .then(pl.lit("post"))
        .otherwise(pl.lit("rth"))
    )
    hole = pl.col("minute_of_session").is_between(100, 114)
    return frame.with_columns(segment=segment, symbol=pl.lit("SPY")).filter(~hole)


@pytest.fixture
def days():
    sessions = weekdays(date(2024, 6, 3), 60)
    adjusted = pl.DataFrame({"session": sessions, **prices(60)})
    factor = pl.when(pl.col("session") < sessions[30]).then(4.0).otherwise(1.0)
    raw = adjusted.with_columns(pl.col("open", "high", "low", "close") * factor)
    return sessions, raw, adjusted


def test_a_session_draws_regular_minutes_at_their_minute(minutes):
    figure = session_bars(minutes.sample(fraction=1.0, shuffle=True, seed=1), title="SPY").figure()
    candles, volume = figure.data
    assert candles.type == "candlestick"
    assert list(candles.x) == [m for m in range(390) if not 100 <= m <= 114]
    rth = minutes.filter(pl.col("segment") == "rth")
    np.testing.assert_array_equal(candles.close, rth["close"].to_numpy())
    np.testing.assert_array_equal(volume.y, rth["volume"].to_numpy())
    assert candles.customdata[0][0] == "09:30"
    assert candles.customdata[-1][0] == "15:59"
    assert figure.layout.xaxis.ticktext[:2] == ("09:30", "10:00")


def test_minutes_without_bars_are_named(minutes):
    drawn = session_bars(minutes, title="SPY")
    assert drawn.bands == ((99.5, 114.5, "15 min without a bar"),)
    assert any("15 min" in note.text for note in drawn.figure().layout.annotations)


def test_daily_history_shows_raw_and_adjusted_with_the_split(days):
    sessions, raw, adjusted = days
    drawn = daily_bars(raw, adjusted, title="XYZ", splits=[(sessions[30], "4:1 split")])
    figure = drawn.figure()
    closes = [trace.close for trace in figure.data if trace.type == "candlestick"]
    np.testing.assert_array_equal(closes[0], raw["close"].to_numpy())
    np.testing.assert_array_equal(closes[1], adjusted["close"].to_numpy())
    assert drawn.events == ((29.5, "4:1 split"),)
    words = [note.text for note in figure.layout.annotations]
    assert words.count("4:1 split") == 2
    assert "<b>as traded</b>" in words
    assert "<b>split-adjusted</b>" in words


def test_a_split_outside_the_span_is_not_drawn(days):
    sessions, raw, _ = days
    assert daily_bars(raw, title="X", splits=[(date(2030, 1, 2), "2:1")]).events == ()
    assert len(daily_bars(raw, title="X").panels) == 1
    assert sessions[0] == raw["session"][0]


@pytest.mark.parametrize("write", ["write_html", "write_png"])
def test_same_input_gives_the_same_bytes(days, minutes, tmp_path, write):
    _, raw, adjusted = days
    for draw in (
        lambda: daily_bars(raw, adjusted, title="X & <Y>", subtitle="$a$ <i>"),
        lambda: session_bars(minutes, title="X & <Y>"),
    ):
        first = getattr(draw(), write)(tmp_path / "a").read_bytes()
        assert first == getattr(draw(), write)(tmp_path / "b").read_bytes()
        assert b"<Y>" not in first


def test_one_bar_and_unknown_volume_are_drawn(tmp_path):
    one = pl.DataFrame(
        {"minute_of_session": [0], "open": [5.0], "high": [5.0], "low": [5.0], "close": [5.0]}
    ).with_columns(volume=pl.lit(None, dtype=pl.Float64))
    drawn = session_bars(one, title="one")
    drawn.write_png(tmp_path / "one.png")
    drawn.write_html(tmp_path / "one.html")


def test_wrong_frames_are_refused(minutes, days):
    _, raw, _ = days
    with pytest.raises(ContractError, match="volume"):
        session_bars(minutes.drop("volume"), title="x")
    with pytest.raises(UsageError, match="one symbol"):
        session_bars(minutes.filter(pl.col("segment") == "none"), title="x")
    two = pl.concat([minutes, minutes.with_columns(symbol=pl.lit("QQQ"))])
    with pytest.raises(UsageError, match="one symbol"):
        session_bars(two, title="x")
    with pytest.raises(UsageError, match="one bar a session"):
        daily_bars(pl.concat([raw, raw]), title="x")
