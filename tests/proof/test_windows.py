"""Entry, exit and market by plain loops; regimes without a look ahead."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from proof.worlds import World
from tapemill.clock import calendar
from tapemill.errors import UsageError
from tapemill.proof.windows import board_of, market_regime, place_events, windows


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * 10**9


@pytest.mark.parametrize("horizon", [1, 3, 20])
def test_abnormal_returns_equal_a_plain_loop(horizon):
    world = World(1, names=16, sessions=40)
    prices = world.prices().filter(
        ~((pl.col("symbol") == "W003") & (pl.col("session") > world.sessions[20])),
        ~((pl.col("symbol") == "W005") & (pl.col("session") == world.sessions[9])),
    )
    found = windows(board_of(prices), horizon, min_names=10)
    rows = {(r["symbol"], r["session"]): r for r in prices.to_dicts()}
    for entry in range(40):
        returns, early = {}, {}
        for name in world.symbols:
            first = rows.get((name, world.sessions[entry]))
            if first is None or entry + horizon > 40:
                continue
            held = [rows.get((name, day)) for day in world.sessions[entry : entry + horizon]]
            last = [bar for bar in held if bar is not None][-1]
            returns[name] = last["close"] / first["open"] - 1
            early[name] = held[-1] is None
        for place, name in enumerate(world.symbols):
            if name in returns:
                expected = returns[name] - sum(returns.values()) / len(returns)
                assert found.abnormal[place, entry] == pytest.approx(expected, abs=1e-12)
                assert found.early[place, entry] == early[name]
            else:
                assert np.isnan(found.abnormal[place, entry])


def test_few_names_make_no_market():
    board = board_of(World(1, names=8, sessions=30).prices())
    assert np.isnan(windows(board, 1, min_names=10).abnormal).all()


def test_the_entry_is_the_first_open_strictly_after_the_event_was_known():
    world = World(1, names=8, sessions=30)
    board = board_of(world.prices())
    monday, friday = world.sessions.index(date(2022, 1, 10)), world.sessions.index(date(2022, 1, 7))
    known = [
        moment("2022-01-07T18:00:00-05:00"),  # Friday evening
        moment("2022-01-09T12:00:00-05:00"),  # Sunday
        moment("2022-01-10T09:29:59-05:00"),
        moment("2022-01-10T09:30:00-05:00"),  # at the open is too late for it
        moment("2022-01-07T09:00:00-05:00"),
        moment("2021-12-01T18:00:00-05:00"),  # long before the prices begin
        moment("2030-01-01T18:00:00-05:00"),
    ]
    row, column = place_events(board, ["W001"] * 6 + ["???"], np.array(known))
    assert column.tolist() == [monday, monday, monday, monday + 1, friday, -1, 30]
    assert row.tolist() == [1] * 6 + [-1]


def test_a_regime_is_known_before_the_open():
    world = World(4, names=8, sessions=120)
    prices = world.prices()
    said = market_regime(board_of(prices), 50)
    assert said[:50] == ["unknown"] * 50 and set(said[50:]) <= {"above its mean", "below its mean"}
    wide = prices.pivot(on="symbol", index="session", values="close").drop("session").to_numpy()
    index = np.cumprod(np.concatenate([[1.0], (wide[1:] / wide[:-1]).mean(axis=1)]))
    for entry in range(50, 120):
        above = index[entry - 1] > index[entry - 50 : entry].mean()
        assert said[entry] == ("above its mean" if above else "below its mean")
    spoiled = prices.with_columns(
        close=pl.when(pl.col("session") >= world.sessions[80]).then(1.0).otherwise("close")
    )
    assert market_regime(board_of(spoiled), 50)[:81] == said[:81]


def test_two_prices_of_one_session_are_refused():
    prices = World(1, names=8, sessions=30).prices()
    with pytest.raises(UsageError, match="two prices"):
        board_of(pl.concat([prices, prices.head(1)]))


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), 0.0, -3.0])
def test_a_price_that_is_none_moves_no_market(bad):
    days = calendar("XNYS").session_dates(date(2024, 1, 2), date(2024, 1, 31))
    rows = [(name, day, 10.0, 11.0) for name in "ABC" for day in days]
    prices = pl.DataFrame(rows, schema=["symbol", "session", "open", "close"], orient="row")
    spoilt = pl.when(pl.col("symbol") == "C").then(pl.lit(bad)).otherwise("open").alias("open")
    found = windows(board_of(prices.with_columns(spoilt)), 1, min_names=2)
    assert np.isnan(found.abnormal[2]).all()
    np.testing.assert_allclose(found.abnormal[:2], 0.0, atol=1e-12)
