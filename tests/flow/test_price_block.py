"""The price block of gold.flow_daily: the newest close an evening knows, and nothing later."""

from __future__ import annotations

import math
import statistics
from datetime import date

import numpy as np
import polars as pl
import pytest

from flow.evening_market import Market, sessions_to
from tapemill.flow.daily import daily_rows
from tapemill.flow.price_block import newest_close, prior_z
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings()
LAST = date(2025, 10, 31)
DAYS = sessions_to(LAST, 120)
PRICES = (
    *("price_session", "close", "return_1d_frac", "return_z", "range_frac"),
    *("consolidated_volume", "dollar_volume_median"),
)


def row(market: Market, symbol: str = "AAA", *, bars_to: date | None = None) -> dict:
    rows = daily_rows(market.inputs([LAST], bars_to=bars_to), FLOW)
    return rows.row(by_predicate=pl.col("symbol") == symbol, named=True)


@pytest.fixture
def market() -> Market:
    return Market.random(("AAA", "BBB", "CCC"), DAYS)


def returns(market: Market) -> list[float]:
    """By the formula, in plain Python, of the first symbol."""
    close, factor = market.close[0], market.factor[0]
    made = [math.nan]
    for t in range(1, len(close)):
        made.append(close[t] * factor[t] / close[t - 1] - 1)
    return made


def test_the_close_is_that_of_the_session_before(market) -> None:
    found = row(market)
    assert found["price_session"] == DAYS[-2]
    assert found["close"] == market.close[0, -2]
    assert found["consolidated_volume"] == market.volume[0, -2]
    spread = (market.high[0, -2] - market.low[0, -2]) / market.close[0, -2]
    assert found["range_frac"] == pytest.approx(spread, rel=1e-12)
    assert found["return_1d_frac"] == pytest.approx(returns(market)[-2], rel=1e-12)
    dollars = [
        c * v for c, v in zip(market.close[0, -21:-1], market.volume[0, -21:-1], strict=True)
    ]
    assert found["dollar_volume_median"] == pytest.approx(statistics.median(dollars), rel=1e-12)


def test_a_bar_of_the_evening_itself_changes_nothing(market) -> None:
    known = row(market)
    late = Market.random(("AAA", "BBB", "CCC"), DAYS)
    late.close[:, -1] *= 3
    late.volume[:, -1] *= 100
    seen = row(late, bars_to=date(2025, 12, 1))
    assert {name: seen[name] for name in PRICES} == {name: known[name] for name in PRICES}


def test_return_z_is_against_the_prior_sessions_only(market) -> None:
    found = row(market)
    made = returns(market)
    past = made[-62:-2]
    middle = statistics.median(past)
    mad = statistics.median(abs(value - middle) for value in past)
    scale = 1.4826 * 60 / 59.2 * mad * math.sqrt(1 + math.pi / 120)
    assert found["return_z"] == pytest.approx((made[-2] - middle) / scale, rel=1e-10)


def test_a_split_is_no_return(market) -> None:
    plain = row(market)
    market.factor[0, -2] = 10.0
    for prices in (market.close, market.high, market.low):
        prices[0, -2:] /= 10
    split = row(market)
    assert split["close"] == pytest.approx(plain["close"] / 10)
    assert split["return_1d_frac"] == pytest.approx(plain["return_1d_frac"], rel=1e-9)
    assert split["return_z"] == pytest.approx(plain["return_z"], rel=1e-9)


def test_no_return_without_a_bar_of_the_session_before(market) -> None:
    """The previous close is that of the previous session, not of the previous stored bar."""
    market.close[0, -3] = np.nan
    found = row(market)
    assert found["close"] == market.close[0, -2]
    assert found["return_1d_frac"] is None
    assert found["return_z"] is None


def test_an_older_close_says_its_session_and_then_ends(market) -> None:
    market.close[0, -6:] = np.nan
    found = row(market)
    assert found["price_session"] == DAYS[-7]
    assert found["close"] == market.close[0, -7]
    assert found["return_1d_frac"] == pytest.approx(returns(market)[-7], rel=1e-12)
    market.close[0, -21:] = np.nan
    found = row(market)
    assert found["has_price"] is False
    assert all(found[name] is None for name in PRICES if name != "dollar_volume_median")


def test_a_price_without_a_row_of_finra_makes_a_row_and_nothing_does_not(market) -> None:
    market.total[:2] = market.short[:2] = np.nan
    market.close[1, -30:] = np.nan
    rows = daily_rows(market.inputs([LAST]), FLOW)
    assert rows["symbol"].to_list() == ["AAA", "CCC"]
    assert rows["status"].to_list() == ["no_short", "ready"]


def test_without_any_price_the_block_is_null() -> None:
    market = Market.random(("AAA", "BBB"), DAYS, priced=False)
    rows = daily_rows(market.inputs([LAST]), FLOW)
    assert rows["has_price"].to_list() == [False, False]
    assert all(rows[name].null_count() == 2 for name in PRICES)


def test_newest_close_against_a_plain_search() -> None:
    rng = np.random.default_rng(4)
    market = Market.random(("AAA", "BBB", "CCC"), DAYS)
    market.close[rng.random(market.close.shape) < 0.8] = np.nan
    panel = market.inputs([LAST]).panel
    found = newest_close(panel, 5)
    for symbol in range(3):
        for t in range(len(DAYS)):
            known = [s for s in range(max(t - 5, 0), t) if np.isfinite(panel.close[symbol, s])]
            assert found[symbol, t] == (known[-1] if known else -1)


def test_a_past_without_variation_has_no_z() -> None:
    values = np.full((1, 30), 0.5)
    values[0, -1] = 2.0
    assert np.isnan(prior_z(values, 20, 15)).all()
