"""The tape block of gold.flow_daily: best mode, floors, rungs, and z of the same mode only."""

from __future__ import annotations

import math
import statistics
from datetime import date

import numpy as np
import polars as pl
import pytest

from flow.evening_market import Market, sessions_to, tape_row
from tapemill.flow.daily import daily_rows
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings()
LAST = date(2025, 10, 31)
DAYS = sessions_to(LAST, 100)


def row(market: Market, symbol: str = "AAA", session: date = LAST) -> dict:
    rows = daily_rows(market.inputs([session]), FLOW)
    return rows.row(by_predicate=pl.col("symbol") == symbol, named=True)


@pytest.fixture
def market() -> Market:
    return Market.random(("AAA", "BBB"), DAYS)


def minute(session: date, imbalance: float, volume: float = 1e6) -> dict:
    buy = volume * (1 + imbalance) / 2
    sides = {"buy_volume": buy, "sell_volume": volume - buy, "bulk_volume": volume}
    return tape_row("AAA", session, "minute", **sides)


def tick(session: date, lit: float, trf: float, volume: float = 1e6, **sums: float) -> dict:
    """Equal volumes on exchanges and at the TRF with these imbalances."""
    parts = {
        "lit_buy_volume": volume * (1 + lit) / 4,
        "lit_sell_volume": volume * (1 - lit) / 4,
        "trf_buy_volume": volume * (1 + trf) / 4,
        "trf_sell_volume": volume * (1 - trf) / 4,
    }
    parts["buy_volume"] = parts["lit_buy_volume"] + parts["trf_buy_volume"]
    parts["sell_volume"] = parts["lit_sell_volume"] + parts["trf_sell_volume"]
    return tape_row("AAA", session, "tick", **parts, **sums)


def test_no_tape_is_none_and_null(market) -> None:
    market.tape = [minute(LAST, 0.1)]
    found = row(market, "BBB")
    assert found["tape_mode"] == "none"
    assert found["has_tape"] is False
    assert found["tape_imbalance"] is None and found["tape_buy_volume"] is None


def test_ticks_come_before_minutes(market) -> None:
    market.tape = [minute(LAST, 0.5), tick(LAST, 0.2, -0.1)]
    found = row(market)
    assert found["tape_mode"] == "tick"
    assert found["tape_imbalance"] == pytest.approx(0.05)
    market.tape = [minute(LAST, 0.5), tick(DAYS[-2], 0.2, -0.1)]
    found = row(market)
    assert found["tape_mode"] == "minute"
    assert found["tape_imbalance"] == pytest.approx(0.5)


def test_defect_1_exchanges_and_off_exchange_prints_stay_apart(market) -> None:
    market.tape = [tick(LAST, 0.4, -0.2)]
    found = row(market)
    assert found["lit_imbalance"] == pytest.approx(0.4)
    assert found["trf_imbalance"] == pytest.approx(-0.2)
    assert found["lit_buy_volume"] == pytest.approx(350_000)
    assert found["trf_sell_volume"] == pytest.approx(300_000)


def test_minutes_never_tell_venues_apart(market) -> None:
    row_ = minute(LAST, 0.4) | {"lit_buy_volume": 1e6, "lit_sell_volume": 1e5}
    market.tape = [row_]
    found = row(market)
    for name in ("lit_buy_volume", "lit_imbalance", "lit_z", "trf_imbalance", "retail_imbalance"):
        assert found[name] is None, name
    assert found["bulk_frac"] == 1.0


def test_under_the_floor_there_is_no_imbalance_and_no_direction(market) -> None:
    market.tape = [minute(LAST, 0.4, volume=9_999)]
    found = row(market)
    assert found["tape_mode"] == "minute"
    assert found["tape_imbalance"] is None
    assert found["has_tape"] is False
    assert found["tape_buy_volume"] == pytest.approx(9_999 * 0.7)
    market.tape = [minute(LAST, 0.4, volume=10_000)]
    assert row(market)["tape_imbalance"] == pytest.approx(0.4)


def test_each_venue_has_its_own_floor(market) -> None:
    market.tape = [tick(LAST, 0.4, -0.2, volume=15_000)]
    found = row(market)
    assert found["tape_imbalance"] is not None
    assert found["lit_imbalance"] is None and found["trf_imbalance"] is None


def test_rungs_are_parts_of_all_volume_unclassified_included(market) -> None:
    """Defect 4's kind: coverage is of volume, and what was not classified counts in it."""
    rungs = {"quote_rule_volume": 6e5, "midpoint_volume": 3e5, "tick_rule_volume": 1e5}
    market.tape = [tick(LAST, 0.1, 0.1, **rungs, unclassified_volume=1e6)]
    found = row(market)
    assert found["quote_rule_frac"] == pytest.approx(0.3)
    assert found["midpoint_frac"] == pytest.approx(0.15)
    assert found["tick_rule_frac"] == pytest.approx(0.05)
    assert found["tape_unclassified_volume"] == 1e6


def test_retail_imbalance(market) -> None:
    sums = {"retail_buy_volume": 30_000.0, "retail_sell_volume": 10_000.0}
    market.tape = [tick(LAST, 0.1, 0.1, **sums)]
    assert row(market)["retail_imbalance"] == pytest.approx(0.5)


def test_z_compares_with_prior_sessions_of_the_same_mode(market) -> None:
    rng = np.random.default_rng(2)
    minutes = dict(zip(DAYS[:-1], rng.normal(0.3, 0.05, 99), strict=True))
    ticks = dict(zip(DAYS[-41:-1], rng.normal(-0.2, 0.1, 40), strict=True))
    market.tape = [minute(day, value) for day, value in minutes.items()]
    market.tape += [tick(day, value, 0.0) for day, value in ticks.items()]
    market.tape += [tick(LAST, 0.1, 0.0)]
    past = list(ticks.values())
    middle = statistics.median(past)
    mad = statistics.median(abs(value - middle) for value in past)
    scale = 1.4826 * 40 / 39.2 * mad * math.sqrt(1 + math.pi / 80)
    assert row(market)["lit_z"] == pytest.approx((0.1 - middle) / scale, rel=1e-9)
    market.tape[-1] = minute(LAST, 0.3)
    past = list(minutes.values())[-60:]
    middle = statistics.median(past)
    mad = statistics.median(abs(value - middle) for value in past)
    scale = 1.4826 * 60 / 59.2 * mad * math.sqrt(1 + math.pi / 120)
    assert row(market)["tape_z"] == pytest.approx((0.3 - middle) / scale, rel=1e-9)


def test_z_needs_fifteen_sessions(market) -> None:
    rng = np.random.default_rng(2)
    market.tape = [
        minute(day, value) for day, value in zip(DAYS[-15:], rng.normal(0, 0.1, 15), strict=True)
    ]
    assert row(market)["tape_z"] is None
    market.tape.append(minute(DAYS[-16], 0.05))
    assert row(market)["tape_z"] is not None


def test_a_symbol_that_only_the_tape_has_gets_a_row(market) -> None:
    market.tape = [minute(LAST, 0.2) | {"symbol": "AZZ"}]
    rows = daily_rows(market.inputs([LAST]), FLOW)
    assert rows["symbol"].to_list() == ["AAA", "AZZ", "BBB"]
    found = rows.row(1, named=True)
    assert found["tape_imbalance"] == pytest.approx(0.2)
    assert found["status"] == "no_short" and found["has_price"] is False
    plain = daily_rows(Market.random(("AAA", "BBB"), DAYS).inputs([LAST]), FLOW)
    assert rows.filter(pl.col("symbol") != "AZZ").equals(plain)
