"""The short block of gold.flow_daily: shares of FINRA's own total, surprise, and what is unsaid."""

from __future__ import annotations

import math
import statistics
from datetime import date

import numpy as np
import polars as pl
import pytest

from flow.evening_market import Market, sessions_to
from tapemill.flow.daily import daily_rows
from tapemill.settings.declaration import FlowSettings

FLOW = FlowSettings()
LAST = date(2025, 10, 31)
DAYS = sessions_to(LAST, 120)
NAMES = tuple(f"A{letter}" for letter in "ABCDEFGHIJKL")


def row(market: Market, symbol: str, session: date = LAST) -> dict:
    rows = daily_rows(market.inputs([session]), FLOW)
    return rows.row(by_predicate=pl.col("symbol") == symbol, named=True)


@pytest.fixture
def market() -> Market:
    return Market.random(NAMES, DAYS)


def logits(market: Market, symbol: str) -> list[float]:
    """y of each session, by the formula, in plain Python; NaN where it is not known."""
    place = market.symbols.index(symbol)
    short, total = market.short[place], market.total[place]
    made = []
    for t in range(len(DAYS)):
        past = [d for d in total[max(t - 20, 0) : t] if d > 0]
        if len(past) < 5 or not total[t] > 0:
            made.append(math.nan)
            continue
        kappa = max(0.005 * statistics.median(past), 100)
        rest = max(total[t] - short[t], 0)
        made.append(math.log((short[t] + kappa) / (rest + kappa)))
    return made


def test_logit_and_baseline_follow_the_formula(market) -> None:
    market.total[3, 70:75] = np.nan
    market.short[3, 70:75] = np.nan
    found = row(market, NAMES[3])
    y = logits(market, NAMES[3])
    past = [value for value in y[-61:-1] if not math.isnan(value)]
    assert found["short_share_logit"] == pytest.approx(y[-1], rel=1e-12)
    assert found["baseline_days"] == len(past) == 55
    usual = 1 / (1 + math.exp(-statistics.median(past)))
    assert found["short_baseline_share"] == pytest.approx(usual, rel=1e-12)
    assert found["volume_ratio"] == pytest.approx(
        market.total[3, -1] / statistics.median(market.total[3, -21:-1]), rel=1e-12
    )


def test_z_follows_the_formula_above_the_floor(market) -> None:
    """The widest scale of the market is above any floor that the market makes."""
    market.short[5] = np.round(market.total[5] * np.random.default_rng(3).uniform(0.1, 0.9, 120))
    y = logits(market, NAMES[5])
    past = y[-61:-1]
    middle = statistics.median(past)
    mad = statistics.median(abs(value - middle) for value in past)
    scale = 1.4826 * 60 / 59.2 * mad * math.sqrt(1 + math.pi / 120)
    found = row(market, NAMES[5])
    assert found["short_z"] == pytest.approx((y[-1] - middle) / scale, rel=1e-10)
    assert found["pressure_score"] == pytest.approx(math.tanh(found["short_z"] / 2), rel=1e-12)


@pytest.mark.parametrize(
    ("total", "has_short"), [(np.nan, False), (0.0, True)], ids=["no row", "D = 0"]
)
def test_without_volume_nothing_is_inferred(market, total, has_short) -> None:
    """Defects 15 and 19: no other denominator, and missing evidence is not neutral."""
    at = market.at(NAMES[2], LAST)
    market.total[at], market.short[at] = total, 0.0 if has_short else np.nan
    found = row(market, NAMES[2])
    assert found["has_short"] is has_short
    assert found["has_price"] and found["consolidated_volume"] > 0
    assert found["status"] == "no_short"
    assert found["pressure_label"] == "insufficient"
    for name in ("short_share", "short_to_rest_ratio", "short_share_logit", "short_z"):
        assert found[name] is None, name
    assert found["pressure_score"] is None
    assert (found["short_source"] is None) is not has_short


def test_a_header_only_day_has_no_share_for_any_name(market) -> None:
    market.total[:, -1] = np.nan
    market.short[:, -1] = np.nan
    rows = daily_rows(market.inputs([LAST]), FLOW)
    assert rows.height == len(NAMES)
    assert rows["status"].unique().to_list() == ["no_short"]
    assert rows["short_share"].null_count() == rows.height
    assert rows["pressure_label"].unique().to_list() == ["insufficient"]


def test_a_missing_day_is_missing_from_the_baseline_and_not_a_zero(market) -> None:
    before = row(market, NAMES[0])["baseline_days"]
    market.total[0, 100] = market.short[0, 100] = np.nan
    assert row(market, NAMES[0])["baseline_days"] == before - 1


def test_short_above_total_leaves_no_rest_and_no_ratio(market) -> None:
    at = market.at(NAMES[1], LAST)
    market.short[at] = market.total[at] + 10
    found = row(market, NAMES[1])
    assert found["rest_volume"] == 0
    assert found["short_to_rest_ratio"] is None
    assert found["short_share"] > 1
    assert found["short_z"] is not None


def test_a_short_history_warms_and_is_not_neutral() -> None:
    """Defect 19, and 10: what counts is sessions before the evening, not rows asked for."""
    market = Market.random(NAMES, DAYS)
    market.total[4, :-20] = market.short[4, :-20] = np.nan
    found = row(market, NAMES[4])
    # 19 sessions before; y needs 5 of usual volume, so 14 count.
    assert found["baseline_days"] == 14
    assert found["status"] == "warming"
    assert found["pressure_label"] == "insufficient"
    assert found["short_share"] is not None and found["short_share_logit"] is not None
    market = Market.random(NAMES, DAYS)
    market.total[4, :-21] = market.short[4, :-21] = np.nan
    assert row(market, NAMES[4])["status"] == "ready"


def test_defect_10_one_wanted_evening_has_its_full_baseline(market) -> None:
    assert row(market, NAMES[0])["baseline_days"] == 60


def test_defect_13_a_name_that_is_always_high_is_not_buying(market) -> None:
    market.short[6] = np.round(market.total[6] * (0.63 + 0.01 * np.sin(np.arange(120) * 2.3)))
    market.short[6, -1] = np.round(market.total[6, -1] * 0.63)
    found = row(market, NAMES[6])
    assert found["short_to_rest_ratio"] > 1.25
    assert found["pressure_label"] == "neutral"


def test_defect_14_turnover_is_no_pressure(market) -> None:
    """Ten times the volume at the usual share moves the volume's z and not the share's."""
    place, _ = market.at(NAMES[7], LAST)
    usual = float(np.median(market.short[place, -61:-1] / market.total[place, -61:-1]))
    market.total[place, -1] = 10 * np.median(market.total[place])
    market.short[place, -1] = np.round(usual * market.total[place, -1])
    found = row(market, NAMES[7])
    assert abs(found["short_z"]) < 0.5
    assert found["volume_z"] > 4
    assert found["pressure_label"] == "neutral"


def test_defect_16_labels_follow_one_threshold(market) -> None:
    rows = daily_rows(market.inputs(DAYS[-40:]), FLOW).filter(pl.col("status") == "ready")
    for z, label in rows.select("short_z", "pressure_label").iter_rows():
        assert label == ("buying" if z >= 1 else "selling" if z <= -1 else "neutral")
    assert set(rows["pressure_label"]) == {"buying", "selling", "neutral"}


def test_z_is_not_bounded_by_the_length_of_its_own_window() -> None:
    """With the session in its own window |z| could not pass √(n − 1) = 4.4 of 20 sessions."""
    days = sessions_to(LAST, 30)
    market = Market.random(NAMES, days)
    at = market.at(NAMES[0], LAST)
    market.short[at] = np.round(market.total[at] * 0.995)
    found = row(market, NAMES[0])
    assert found["baseline_days"] < 30
    assert found["short_z"] > math.sqrt(found["baseline_days"] - 1)


def test_the_sum_of_facilities_is_marked(market) -> None:
    """Three facility rows arrive as one sum; it stays visible that they are no consolidated row."""
    market.sources[NAMES[8]] = "facilities"
    assert row(market, NAMES[8])["short_source"] == "facilities"
    assert row(market, NAMES[9])["short_source"] == "consolidated"


def test_defect_24_class_shares_keep_both_spellings() -> None:
    market = Market.random(("AAA", "BRK.B"), DAYS)
    assert row(market, "BRK.B")["finra_symbol"] == "BRK/B"
    market.total[1, -1] = market.short[1, -1] = np.nan
    found = row(market, "BRK.B")
    assert found["has_short"] is False
    assert found["finra_symbol"] == "BRK/B"
