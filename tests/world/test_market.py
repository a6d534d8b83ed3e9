"""The market's truth: exact aggregation, planted events, reproducibility, a pure martingale."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from tapemill.errors import DateError, UnknownNameError, UsageError
from tapemill.world import Market

START, END = date(2025, 10, 1), date(2026, 3, 20)


def regular(bars: pl.DataFrame, session) -> pl.DataFrame:
    inside = pl.col("t").is_between(
        session.open_ns // 10**6, session.close_ns // 10**6, closed="left"
    )
    return bars.filter(inside)


def interesting(market: Market) -> list[date]:
    """Ordinary, half, halted, split and fractional days."""
    days = {date(2025, 10, 15), date(2025, 11, 28), date(2025, 12, 24), date(2026, 3, 4)}
    days |= set(market.halts()["session"]) | set(market.splits()["execution_date"])
    return sorted(days)


def test_minutes_aggregate_exactly_to_the_daily_bar(market):
    for day in interesting(market):
        session = market.session(day)
        for symbol in market.listings:
            daily = market.daily_bar(symbol, day)
            bars = market.minute_bars(symbol, day)
            if daily.is_empty():
                assert bars.is_empty()
                continue
            rth = regular(bars, session)
            truth = daily.row(0, named=True)
            assert rth["o"][0] == truth["o"], (symbol, day)
            assert rth["h"].max() == truth["h"]
            assert rth["l"].min() == truth["l"]
            assert rth["c"][-1] == truth["c"]
            assert bars["n"].sum() == truth["n"]
            shares = (bars["v"] * 1e6).round().cast(pl.Int64).sum()
            assert shares == round(truth["v"] * 1e6)


def test_bars_are_consistent_on_grid_and_in_cents(market):
    for symbol in market.symbols:
        for day in interesting(market):
            session = market.session(day)
            bars = market.minute_bars(symbol, day)
            if bars.is_empty():
                assert market.daily_bar(symbol, day).is_empty()
                continue
            assert bars["t"].is_sorted() and bars["t"].n_unique() == bars.height
            assert (bars["t"] % 60_000 == 0).all()
            assert bars["t"].min() >= session.pre_open_ns // 10**6
            assert bars["t"].max() < session.post_close_ns // 10**6
            top, bottom = pl.max_horizontal("o", "c", "vw"), pl.min_horizontal("o", "c", "vw")
            broken = (pl.col("h") < top) | (pl.col("l") > bottom) | (pl.col("l") <= 0)
            assert bars.filter(broken | (pl.col("v") <= 0) | (pl.col("n") < 1)).is_empty()
            for name in "ohlc":
                assert (bars[name] == bars[name].round(2)).all()


def test_same_arguments_same_data_in_any_order(market):
    other = Market(11, symbols=8, start=START, end=END)
    days = market.session_dates()[::-7]
    backwards = {(s, d): other.minute_bars(s, d) for d in days for s in reversed(other.symbols)}
    for (symbol, day), bars in backwards.items():
        assert bars.equals(market.minute_bars(symbol, day))
    assert other.grouped(days[0]).equals(market.grouped(days[0]))
    assert other.short_volume(days[0]).equals(market.short_volume(days[0]))
    changed = Market(12, symbols=8, start=START, end=END)
    assert not changed.minute_bars("SPY", days[0]).equals(market.minute_bars("SPY", days[0]))


def test_a_company_does_not_depend_on_its_neighbours(market):
    alone = Market(11, symbols=["KO"], start=START, end=END)
    day = market.session_dates()[40]
    assert alone.minute_bars("KO", day).equals(market.minute_bars("KO", day))


def test_liquidity_tiers(market):
    days = market.session_dates()[20:40]
    share, trades = {}, {}
    for spec in market.specs:
        rth = [regular(market.minute_bars(spec.symbol, d), market.session(d)) for d in days]
        full = sum(market.session(d).minutes for d in days)
        if all(frame.height for frame in rth):
            share.setdefault(spec.tier, []).append(sum(f.height for f in rth) / full)
            trades.setdefault(spec.tier, []).append(pl.concat(rth)["n"].median())
    assert all(s == 1.0 for s in share["mega"])
    assert all(0.97 < s < 1.0 for s in share["mid"])
    assert all(0.15 < s < 0.4 for s in share["illiquid"])
    assert min(trades["mega"]) >= 50 > max(trades["mid"])


def test_volume_and_volatility_are_u_shaped(market):
    days = market.session_dates()[:60]
    frames = [regular(market.minute_bars("SPY", d), market.session(d)) for d in days]
    full = [f for f in frames if f.height == 390]
    volume = np.mean([f["v"].to_numpy() for f in full], axis=0)
    moves = np.std([np.log(f["c"] / f["o"]).to_numpy() for f in full], axis=0)
    for curve in (volume, moves):
        assert curve[:15].mean() > 1.5 * curve[180:210].mean()
        assert curve[-10:].mean() > 1.15 * curve[180:210].mean()


def test_no_bar_stands_out_because_of_the_construction(market):
    for symbol in ("SPY", "AAPL", "KO"):
        for day in market.session_dates()[30:50]:
            rth = regular(market.minute_bars(symbol, day), market.session(day))
            moves = np.diff(np.log(rth["c"].to_numpy()))
            spread = np.median(np.abs(moves - np.median(moves)))
            assert np.abs(moves).max() < 14 * spread, (symbol, day)


def test_extended_hours_are_sparse_and_close_to_the_market(market):
    day = market.session_dates()[50]
    session = market.session(day)
    bars = market.minute_bars("SPY", day)
    before = bars.filter(pl.col("t") < session.open_ns // 10**6)
    after = bars.filter(pl.col("t") >= session.close_ns // 10**6)
    assert 20 < before.height < 250 and 10 < after.height < 150
    daily = market.daily_bar("SPY", day).row(0, named=True)
    assert abs(before["c"][-1] / daily["o"] - 1) < 0.01
    assert abs(after["o"][0] / daily["c"] - 1) < 0.01
    assert (before["v"].sum() + after["v"].sum()) / daily["v"] < 0.1


def test_half_day_ends_at_one(market):
    bars = market.minute_bars("SPY", date(2025, 11, 28))
    session = market.session(date(2025, 11, 28))
    assert regular(bars, session).height == 210 == session.minutes
    assert bars["t"].max() < session.post_close_ns // 10**6


def test_splits_change_price_and_share_count(market):
    splits = {row["ticker"]: row for row in market.splits().iter_rows(named=True)}
    assert (splits["NVDA"]["split_from"], splits["NVDA"]["split_to"]) == (1, 10)
    assert (splits["GNUS"]["split_from"], splits["GNUS"]["split_to"]) == (10, 1)
    for ticker, split in splits.items():
        days = market.session_dates()
        at = days.index(split["execution_date"])
        bars = market.daily_bars(ticker, days[at - 1], days[at])
        ratio = split["split_to"] / split["split_from"]
        assert bars["o"][1] * ratio == pytest.approx(bars["c"][0], rel=0.25)
        before = market.daily_bars(ticker, days[at - 15], days[at - 1])["v"].median()
        after = market.daily_bars(ticker, days[at], days[at + 10])["v"].median()
        assert after / before == pytest.approx(ratio, rel=0.6)


def test_dividends_have_their_dates_and_size(market):
    dividends = market.dividends()
    assert {"KO", "SPY", "BACpL"} <= set(dividends["ticker"])
    known = dividends.drop_nulls()
    assert (known["declaration_date"] < known["ex_dividend_date"]).all()
    assert (known["pay_date"] > known["ex_dividend_date"]).all()
    assert dividends["declaration_date"].null_count() > 0
    for row in dividends.filter(pl.col("ticker") == "KO").iter_rows(named=True):
        days = market.session_dates(None, row["ex_dividend_date"])
        if len(days) > 1:
            close = market.daily_bar("KO", days[-2])["c"].item()
            assert row["cash_amount"] == pytest.approx(close * 0.031 / 4, abs=0.006)


def test_symbol_change_hands_over_without_overlap(market):
    change = market.symbol_changes().row(0, named=True)
    assert (change["old_ticker"], change["new_ticker"]) == ("FB", "META")
    day = change["effective_date"]
    before = market.session_dates(None, day)[-2]
    assert market.daily_bar("META", before).is_empty()
    assert market.daily_bar("FB", day).is_empty()
    assert market.minute_bars("FB", before).height > 300
    close = market.daily_bar("FB", before)["c"].item()
    assert market.daily_bar("META", day)["o"].item() == pytest.approx(close, rel=0.15)
    names = market.tickers().filter(pl.col("ticker").is_in(["FB", "META"]))
    assert names["composite_figi"].n_unique() == 1
    assert "FB" in set(market.grouped(before)["T"]) and "META" not in set(
        market.grouped(before)["T"]
    )


def test_a_halted_symbol_does_not_trade(market):
    halts = market.halts()
    assert set(halts["reason"]) == {"LUDP", "T1"}
    for halt in halts.iter_rows(named=True):
        bars = market.minute_bars(halt["symbol"], halt["session"])
        inside = pl.col("t").is_between(halt["start_ns"] // 10**6, halt["end_ns"] // 10**6 - 1)
        assert bars.filter(inside).is_empty()
        other = market.minute_bars("SPY", halt["session"]).filter(inside)
        assert other.height == (halt["end_ns"] - halt["start_ns"]) // 60_000_000_000


def test_circuit_breaker_stops_everybody():
    day = date(2026, 3, 9)
    market = Market(
        3, symbols=4, start=date(2026, 3, 2), end=date(2026, 3, 13), circuit_breaker=day
    )
    first = market.session(day).open_ns // 10**6 + 4 * 60_000
    for symbol in market.symbols:
        bars = regular(market.minute_bars(symbol, day), market.session(day))
        paused = pl.col("t").is_between(first, first + 15 * 60_000, closed="left")
        assert bars.filter(paused).is_empty() and bars.height >= 360
    assert market.halts().filter(pl.col("reason") == "MWC1")["symbol"].n_unique() == 4


def test_volumes_are_whole_until_fractions_are_reported(market):
    last_whole, first_fraction = date(2026, 2, 20), date(2026, 2, 23)
    whole = market.minute_bars("SPY", last_whole)["v"]
    assert (whole % 1 == 0).all()
    assert (market.minute_bars("SPY", first_fraction)["v"] % 1 != 0).mean() > 0.9
    assert (market.short_volume(last_whole)["total"] % 10**6 == 0).all()
    assert (market.short_volume(first_fraction)["total"] % 10**6 != 0).any()


def test_short_volume_nests_and_sums(market):
    for day in market.session_dates()[::9]:
        rows = market.short_volume(day)
        assert (rows["exempt"] <= rows["short"]).all() and (rows["short"] <= rows["total"]).all()
        total = market.consolidated_short_volume(day)
        by_hand = rows.group_by("symbol").agg(pl.col("short", "exempt", "total").sum())
        joined = total.join(by_hand, on="symbol", suffix="_sum")
        assert joined.height == total.height
        for name in ("short", "exempt", "total"):
            assert (joined[name] == joined[f"{name}_sum"]).all()
        volume = market.grouped(day).select("T", consolidated=pl.col("v") * 1e6)
        joined = total.join(volume, left_on="symbol", right_on="T")
        assert joined.height == total.height
        assert (joined["total"] < 0.6 * joined["consolidated"]).all()
    assert set(total["facility"]) >= {"B,Q,N"}


def test_null_mode_is_a_martingale():
    """E[(close' * split + dividend) / close] = 1, and night and day each on their own."""
    steps, nights, days = [], [], []
    for seed in range(200):
        market = Market(seed, symbols=8, start=START, end=date(2026, 1, 9), null=True)
        first, last = market.sessions[0].session, market.sessions[-1].session
        ratio = dict(
            market.splits().select("ticker", pl.col("split_to") / pl.col("split_from")).rows()
        )
        split_day = dict(market.splits().select("ticker", "execution_date").rows())
        paid = {
            (t, d): c
            for t, d, c in market.dividends()
            .select("ticker", "ex_dividend_date", "cash_amount")
            .rows()
        }
        for symbol in ("SPY", "NVDA", "AAPL", "KO", "MSTR", "BACpL"):
            bars = market.daily_bars(symbol, first, last)
            close, open_ = bars["c"].to_numpy(), bars["o"].to_numpy()
            factor, cash = np.ones(close.size), np.zeros(close.size)
            for index, session in enumerate(market.sessions):
                if session.session == split_day.get(symbol):
                    factor[index] = ratio[symbol]
                cash[index] = paid.get((symbol, session.session), 0.0)
            steps.append((close[1:] * factor[1:] + cash[1:]) / close[:-1])
            nights.append((open_[1:] * factor[1:] + cash[1:]) / close[:-1])
            days.append(close / open_)
    # One number a seed and step for independence across symbols that share the market's shock.
    for sample in (steps, nights, days):
        per_seed = np.array([row.mean() for row in sample]).reshape(200, -1).mean(axis=1) - 1
        error = per_seed.std(ddof=1) / np.sqrt(per_seed.size)
        assert abs(per_seed.mean()) < 4 * error
        assert error < 2e-4


def test_each_step_of_a_wild_name_is_a_martingale():
    """Where volatility is high enough that a forgotten half-variance shows."""
    nights, days = [], []
    for seed in range(800):
        market = Market(seed, symbols=["MSTR"], start=date(2024, 11, 1), end=END, null=True)
        bars = market.daily_bars("MSTR", date(2024, 11, 1), END)
        nights.append((bars["o"][1:] / bars["c"][:-1]).to_numpy())
        days.append((bars["c"] / bars["o"]).to_numpy())
    # A forgotten half-variance would show as 4e-4 overnight and 9e-4 by day.
    for sample, sharpness in ((np.concatenate(nights), 2.5e-4), (np.concatenate(days), 4e-4)):
        error = sample.std(ddof=1) / np.sqrt(sample.size)
        assert abs(sample.mean() - 1) < 3.5 * error < sharpness


def test_price_falls_by_the_dividend_overnight():
    drops = []
    for seed in range(150):
        market = Market(seed, symbols=["KO"], start=date(2024, 11, 1), end=END, null=True)
        bars = market.daily_bars("KO", date(2024, 11, 1), END)
        days = market.session_dates()
        for ex_date in market.dividends()["ex_dividend_date"]:
            at = days.index(ex_date)
            drops.append(bars["o"][at] / bars["c"][at - 1])
    error = np.std(drops, ddof=1) / np.sqrt(len(drops))
    assert abs(np.mean(drops) - (1 - 0.031 / 4)) < 4 * error < 1e-3


def test_drift_is_there_unless_null():
    def growth(null: bool) -> float:
        total = 0.0
        for seed in range(40):
            market = Market(seed, symbols=["NVDA"], start=date(2024, 11, 1), end=END, null=null)
            bars = market.daily_bars("NVDA", date(2024, 11, 1), END)
            total += np.log(bars["c"][-1] * 10 / bars["o"][0])
        return total / 40

    assert growth(False) - growth(True) == pytest.approx(0.20 * 346 / 252, abs=0.02)


def test_long_daily_history_needs_no_minutes():
    market = Market(2, symbols=40, start=date(2024, 3, 18), end=END)
    rows = sum(market.grouped(day).height for day in market.session_dates())
    assert rows == sum(listing.last - listing.first + 1 for listing in market.listings.values())
    assert market._minutes.cache_info().currsize == 0


def test_errors_name_the_problem(market):
    with pytest.raises(UnknownNameError, match="no ticker 'spy'"):
        market.minute_bars("spy", market.session_dates()[0])
    with pytest.raises(UsageError, match="no ticker twice"):
        Market(1, symbols=["A", "A"], start=START, end=END)
    with pytest.raises(DateError, match="no exchange session"):
        Market(1, start=date(2026, 3, 7), end=date(2026, 3, 8))
    with pytest.raises(DateError, match="no session on 2026-03-08"):
        market.session(date(2026, 3, 8))
    assert market.minute_bars("SPY", date(2026, 3, 8)).is_empty()
