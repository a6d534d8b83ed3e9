"""The scan on made markets: planted answers, null markets, the future scrambled, chunks."""

from __future__ import annotations

import dataclasses
import datetime
import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from flow.scan_inputs import inputs_of, panel_of
from tapemill.contracts import contract
from tapemill.flow.eligibility import eligibility
from tapemill.flow.evening import evening_of
from tapemill.flow.panel import Panel
from tapemill.flow.scan import scan_lookback, scan_rows
from tapemill.flow.surprise import median_volume
from tapemill.settings.declaration import FlowSettings
from tapemill.world.flow import FlowMarket, flow_market

FLOW = FlowSettings(min_off_exchange_volume=20_000.0, min_dollar_volume=100_000.0)
ANY_VOLUME = FlowSettings(min_off_exchange_volume=0.0)
FIRST = date(2019, 6, 3)
NEEDED = scan_lookback(FLOW)


def lively(seed: int = 1, names: int = 160, sessions: int = NEEDED + 12) -> FlowMarket:
    return flow_market(names, FIRST, sessions, seed=seed)


def cut(panel: Panel, first: int, last: int) -> Panel:
    """Sessions first … last of a panel."""
    fields = {
        field.name: getattr(panel, field.name)[:, first : last + 1]
        for field in dataclasses.fields(panel)
        if field.name not in ("symbols", "sessions")
    }
    return dataclasses.replace(panel, sessions=panel.sessions[first : last + 1], **fields)


def weeks_of(market: FlowMarket) -> pl.DataFrame:
    """OTC weeks: T1 names after 3 weeks, T2 after 5; one name changes its tier."""
    rows = []
    for k, symbol in enumerate(market.symbols[::3]):
        monday = market.sessions[0] - datetime.timedelta(days=market.sessions[0].weekday() + 70)
        while monday < market.sessions[-1]:
            tier = "T1" if (k + (k == 4 and monday > date(2019, 9, 1))) % 2 else "T2"
            out = monday + datetime.timedelta(days=21 if tier == "T1" else 35)
            rows.append((symbol, monday, tier, evening_of(out)))
            monday += datetime.timedelta(days=7)
    return pl.DataFrame(rows, ["symbol", "week_start", "tier", "known_at"], orient="row")


@pytest.mark.parametrize("priced", [False, True])
def test_evenings_one_by_one_equal_all_at_once_to_the_last_bit(priced: bool) -> None:
    market = lively()
    days, otc = market.sessions[NEEDED:], weeks_of(market)
    whole = scan_rows(inputs_of(market, days, priced=priced, sectors=True, otc=otc), FLOW)
    panel = panel_of(market, priced=priced)
    parts = []
    for t in range(NEEDED, len(market.sessions)):
        seen = cut(panel, t - NEEDED, t)
        day = (market.sessions[t],)
        known = otc.filter(pl.col("known_at") <= evening_of(day[0]))
        parts.append(scan_rows(inputs_of(market, day, sectors=True, otc=known, panel=seen), FLOW))
    assert_frame_equal(whole, pl.concat(parts), check_exact=True)
    assert whole["sector"].null_count() < whole.height
    assert whole["otc_tier"].n_unique() == 3
    assert whole.filter("eligible").height > 0.3 * whole.height


def test_rows_follow_the_contract() -> None:
    market = lively()
    days = market.sessions[-4:]
    rows = scan_rows(inputs_of(market, days, priced=True), FLOW)
    made = contract("gold.flow_scan")
    assert rows.schema == made.schema
    assert_frame_equal(rows, rows.sort(*made.order))
    facts = market.rows().filter(pl.col("session").is_in(list(days)))
    assert rows.select("symbol", "session").equals(facts.select("symbol", "session"))
    for column in made.columns:
        if not column.nullable:
            assert rows[column.name].null_count() == 0
    assert (rows["as_of"] == rows["known_at"]).all()
    assert rows["as_of"].to_list() == [evening_of(day) for day in rows["session"]]
    assert rows["short_share"].is_between(0, 1).all()
    listed = rows.filter(pl.col("rank").is_not_null())
    assert listed["eligible"].all()
    assert rows.filter("eligible")["q_value"].null_count() == 0
    for (_, direction), part in listed.group_by("session", "direction"):
        ordered = part.sort("rank")
        assert ordered["rank"].to_list() == list(range(1, part.height + 1))
        assert (ordered["score"].abs().diff().drop_nulls() <= 0).all()
        assert ((ordered["score"] > 0) == (direction == "buying")).all()


def test_no_evening_no_rows() -> None:
    market = lively(sessions=30)
    assert scan_rows(inputs_of(market, ()), FLOW).equals(contract("gold.flow_scan").empty())


def test_rows_equal_plain_python() -> None:
    """z of share and volume, p, q and score of one evening from the definitions."""
    market = lively(3, names=60, sessions=NEEDED + 1)
    panel = panel_of(market, priced=True)
    end = NEEDED
    usual = median_volume(panel, FLOW)
    members = eligibility(panel, FLOW, market.symbol_table(), usual).members

    def z_of(t: int, volume: bool) -> np.ndarray:
        names = range(len(market.symbols))
        y = np.full((len(market.symbols), 61), np.nan)
        for i in names:
            for k, s in enumerate(range(t - 60, t + 1)):
                b, d, u = panel.short_volume[i, s], panel.total_volume[i, s], usual[i, s]
                if not d > 0:
                    continue
                if volume:
                    y[i, k] = math.log(d * np.prod(panel.share_factor[i, s + 1 : t + 1]))
                elif u > 0:
                    kappa = max(0.005 * u, 100)
                    y[i, k] = math.log((b + kappa) / (d - b + kappa))
        past = [row[:-1][~np.isnan(row[:-1])] for row in y]
        n = np.array([len(x) for x in past])
        enough = n >= 15
        middle = np.array([np.median(x) if len(x) >= 15 else np.nan for x in past])
        mad = np.array([stats.median_abs_deviation(x) if len(x) >= 15 else np.nan for x in past])
        scale = 1.4826 * mad * n / (n - 0.8)
        floor = np.quantile(scale[enough & members[:, t] & (scale > 0)], 0.1)
        scale = np.maximum(scale, floor) * np.sqrt(1 + np.pi / (2 * np.maximum(n, 1)))
        deviation = y[:, -1] - middle
        common = np.nanmedian(deviation[members[:, t]])
        return (deviation - common) / scale

    found = scan_rows(inputs_of(market, (market.sessions[end],), priced=True), FLOW)
    there = np.isfinite(panel.total_volume[:, end])
    z, volume_z = z_of(end, volume=False), z_of(end, volume=True)
    assert found["z"].to_numpy() == pytest.approx(z[there], abs=1e-10, nan_ok=True)
    assert found["volume_z"].to_numpy() == pytest.approx(volume_z[there], abs=1e-10, nan_ok=True)
    pool, high = [], []
    for t in range(end - 60, end):
        before, before_volume = z_of(t, volume=False), z_of(t, volume=True)
        counted = members[:, t] & ~np.isnan(before)
        pool.extend(np.abs(before[counted]))
        high.extend(before_volume[counted])
    counted = members[:, end] & ~np.isnan(z)
    p = np.array([(1 + np.sum(np.array(pool) >= abs(x))) / (1 + len(pool)) for x in z])
    up = np.array([(1 + np.sum(np.array(high) >= x)) / (1 + len(high)) for x in volume_z])
    assert found["eligible"].to_list() == counted[there].tolist()
    among = found.filter("eligible")
    assert among["p_value"].to_numpy() == pytest.approx(p[counted], abs=1e-12)
    q = stats.false_discovery_control(p[counted])
    assert among["q_value"].to_numpy() == pytest.approx(q, abs=1e-12)
    q = stats.false_discovery_control(up[counted])
    assert among["volume_q_value"].to_numpy() == pytest.approx(q, abs=1e-12)
    calm = np.minimum(1, np.sqrt(panel.total_volume[:, end] / usual[:, end]))
    assert among["score"].to_numpy() == pytest.approx((z * calm)[counted], abs=1e-10)


@pytest.mark.parametrize("seed", range(24))
def test_an_injected_four_sigma_shift_ranks_in_the_top_ten(seed: int) -> None:
    names = 400
    market = flow_market(names, FIRST, NEEDED + 1, seed=seed, mode="null")
    end = market.sessions[-1]
    plain = scan_rows(inputs_of(market, (end,)), ANY_VOLUME)
    # a name that was where it usually is and traded as usual: the shift itself is 4 sigma
    quiet = plain.filter(pl.col("z").abs() < 0.5, pl.col("volume_ratio") > 1)
    symbol = quiet["symbol"][seed % quiet.height]
    side = 1 if seed % 2 else -1
    shown = scan_rows(inputs_of(market.plant(symbol, end, 4.0 * side), (end,)), ANY_VOLUME)
    row = shown.row(by_predicate=pl.col("symbol") == symbol, named=True)
    assert row["rank"] <= 10
    assert row["direction"] == ("buying" if side > 0 else "selling")
    assert row["novelty"] in ("sudden", "ordinary", "persistent")
    scale = market.sigma[market.symbols.index(symbol)]
    before = plain.row(by_predicate=pl.col("symbol") == symbol, named=True)
    assert row["share_move"] - before["share_move"] == pytest.approx(4 * side * scale, abs=1e-9)


def test_the_same_shift_of_the_whole_market_changes_no_rank() -> None:
    market = flow_market(300, FIRST, NEEDED + 1, seed=5, mode="null")
    end = market.sessions[-1]
    delta = 4 * float(np.median(market.sigma))
    plain = scan_rows(inputs_of(market, (end,)), ANY_VOLUME)
    moved = scan_rows(inputs_of(market.market_shift(end, delta), (end,)), ANY_VOLUME)
    assert (plain["z"] - moved["z"]).abs().max() < 1e-9
    assert plain["rank"].equals(moved["rank"])
    assert plain["direction"].equals(moved["direction"])
    assert (moved["peer_shift"] - plain["peer_shift"]).to_numpy() == pytest.approx(delta)


@pytest.mark.parametrize("seed", range(5))
def test_excluded_classes_are_never_listed_whatever_they_do(seed: int) -> None:
    market = lively(seed, names=300, sessions=NEEDED + 1)
    end = market.sessions[-1]
    short = market.short_volume.copy()
    odd = ~np.isin(market.security_class, ["common", "class_share"])
    short[odd, -1] = np.where(np.arange(odd.sum()) % 2, 1.0, 0.0) * market.total_volume[odd, -1]
    loud = dataclasses.replace(market, short_volume=short)
    rows = scan_rows(inputs_of(loud, (end,)), ANY_VOLUME)
    excluded = rows.filter(~pl.col("security_class").is_in(["common", "class_share"]))
    assert excluded.height > 30
    assert excluded["z"].abs().max() > 3
    for name in ("rank", "volume_rank", "score", "direction", "q_value", "p_value"):
        assert excluded[name].null_count() == excluded.height
    assert set(excluded["ineligible_reason"]) == {"class"}
    # and they move nobody else
    calm = scan_rows(inputs_of(market, (end,)), ANY_VOLUME)
    assert_frame_equal(rows.filter("eligible"), calm.filter("eligible"), check_exact=True)


def test_a_row_shows_the_class_its_fifth_letter_tells() -> None:
    market = lively(12)
    pair = [k for k, kind in enumerate(market.security_class) if kind == "common"][3:5]
    names = list(market.symbols)
    names[pair[0]], names[pair[1]] = "AACQ", "AACQW"
    order = np.argsort(names)
    total, short = market.total_volume.copy(), market.short_volume.copy()
    total[pair[0]] = short[pair[0]] = np.nan
    total[pair[0], NEEDED + 6], short[pair[0], NEEDED + 6] = 1e6, 5e5  # the root's first row
    panel = panel_of(dataclasses.replace(market, total_volume=total, short_volume=short))
    fields = {f.name: getattr(panel, f.name) for f in dataclasses.fields(panel)}
    moved = {k: v[order] for k, v in fields.items() if k not in ("symbols", "sessions")}
    panel = Panel(tuple(sorted(names)), panel.sessions, **moved)
    table = market.symbol_table().with_columns(symbol=pl.Series(names))
    days = market.sessions[NEEDED:]
    inputs = dataclasses.replace(inputs_of(market, days, panel=panel), symbols=table)
    rows = scan_rows(inputs, ANY_VOLUME).filter(pl.col("symbol") == "AACQW")
    assert rows.height > 9
    before = rows.filter(pl.col("session") < days[6])
    after = rows.filter(pl.col("session") >= days[6])
    assert set(before["security_class"]) == {"common"}
    assert "class" not in before["ineligible_reason"].to_list()
    assert set(after["security_class"]) == {"warrant"}
    assert set(after["ineligible_reason"]) == {"class"}


def test_on_null_markets_discoveries_come_as_often_as_promised() -> None:
    seeds, level = 200, 0.10
    found = 0
    for seed in range(seeds):
        market = flow_market(50, FIRST, NEEDED + 1, seed=10_000 + seed, mode="null")
        rows = scan_rows(inputs_of(market, (market.sessions[-1],)), ANY_VOLUME)
        assert rows["eligible"].all()
        found += bool((rows["q_value"] < level).any())
    low, high = stats.binom.ppf([0.005, 0.995], seeds, level)
    assert low <= found <= high


def test_planted_surprises_are_discovered() -> None:
    hits = 0
    for seed in range(10):
        market = flow_market(200, FIRST, NEEDED + 1, seed=500 + seed, mode="null")
        end = market.sessions[-1]
        names = market.symbols[10:13]
        for symbol in names:
            market = market.plant(symbol, end, 9.0)
        rows = scan_rows(inputs_of(market, (end,)), ANY_VOLUME)
        hits += rows.filter(pl.col("symbol").is_in(names), pl.col("q_value") < 0.1).height
    assert hits >= 25


def test_a_short_history_is_less_sure() -> None:
    """The same past values and the same deviation, once seen for 60 days and once for 15."""
    market = flow_market(120, FIRST, NEEDED + 1, seed=9, mode="null")
    short, total = market.short_volume.copy(), market.total_volume.copy()
    pattern = np.tile([0.0, 0.3, -0.3, 0.15, -0.15], total.shape[1])[: total.shape[1]]
    pattern[-1] = 1.4
    total[0] = 2e6
    short[0] = (2e6 + 2e4) / (1 + np.exp(-pattern)) - 1e4
    told = {}
    for days in (60, 15):
        first = total.shape[1] - 1 - days - 5  # 5 days to a usual volume
        short[0, :first] = total[0, :first] = np.nan
        made = dataclasses.replace(market, short_volume=short, total_volume=total)
        rows = scan_rows(inputs_of(made, (market.sessions[-1],)), ANY_VOLUME)
        row = rows.row(by_predicate=pl.col("symbol") == market.symbols[0], named=True)
        assert row["eligible"]
        assert row["baseline_days"] == days
        told[days] = row
    assert told[60]["share_move"] == pytest.approx(told[15]["share_move"])
    assert told[15]["z"] < told[60]["z"]
    assert told[15]["p_value"] > told[60]["p_value"]
    assert told[15]["q_value"] > told[60]["q_value"]


def test_the_future_scrambled_changes_nothing() -> None:
    market = lively(11)
    panel = panel_of(market, priced=True)
    t = NEEDED + 3
    evenings = market.sessions[t - 2 : t + 1]
    plain = scan_rows(inputs_of(market, evenings, sectors=True, panel=panel), FLOW)
    draw = np.random.default_rng(0)
    for deleted in (False, True):
        fields = {}
        for field in dataclasses.fields(panel):
            if field.name in ("symbols", "sessions"):
                continue
            matrix = getattr(panel, field.name).copy()
            # prices of the last evening's own session come after it
            since = t if field.name in ("close", "high", "low", "volume") else t + 1
            matrix[:, since:] = np.nan if deleted else draw.permuted(matrix[:, since:] * 7.0)
            fields[field.name] = matrix
        if deleted:
            fields["share_factor"][:, t + 1 :] = 1.0
        other = dataclasses.replace(panel, **fields)
        found = scan_rows(inputs_of(market, evenings, sectors=True, panel=other), FLOW)
        assert_frame_equal(plain, found, check_exact=True)


def test_the_first_evenings_say_that_they_stand_on_themselves() -> None:
    market = flow_market(80, FIRST, 40, seed=2, mode="null")
    rows = scan_rows(inputs_of(market, market.sessions), ANY_VOLUME)
    by_day = rows.group_by("session", maintain_order=True).agg(
        "eligible", pl.col("p_source").first(), "ineligible_reason"
    )
    sources = by_day["p_source"].to_list()
    assert sources[:20] == [None] * 20
    assert sources[20:25] == ["own_evening"] * 5
    assert sources[25:] == ["prior_evenings"] * 15
    assert set(rows.filter(pl.col("session") < market.sessions[20])["ineligible_reason"]) == {
        "history"
    }


def test_a_sectors_own_move_is_taken_away_too() -> None:
    market = lively(21, names=200, sessions=NEEDED + 1)
    end = market.sessions[-1]
    y, kappa = market.logits(end), market._kappa(NEEDED)
    total = market.total_volume[:, -1]
    inside = np.array(market.sector) == "Energy"
    short = market.short_volume.copy()
    moved = (total + 2 * kappa) / (1 + np.exp(-(y + 0.2 * inside))) - kappa
    short[inside, -1] = np.clip(moved, 0, total)[inside]
    other = dataclasses.replace(market, short_volume=short)
    before, after = (
        scan_rows(inputs_of(m, (end,), sectors=True), FLOW).filter(
            pl.col("sector") == "Energy", pl.col("z").is_not_null()
        )
        for m in (market, other)
    )
    assert before.height > 10
    assert (before["z"] - after["z"]).abs().median() < 1e-9  # a few sit at the edge of the range
    assert (after["peer_shift"] - before["peer_shift"]).median() == pytest.approx(0.2, abs=1e-9)


def test_ties_go_to_dollars_then_shares_then_the_alphabet() -> None:
    from tapemill.flow.scan import _rank

    key = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 1.0])
    dollars = np.array([5.0, 9.0, 5.0, 5.0, 1.0, 9.0])
    shares = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    rank = np.zeros(6, dtype=np.int32)
    _rank(key, np.ones(6, dtype=bool), dollars, shares, rank)
    assert rank.tolist() == [5, 2, 4, 6, 1, 3]


def test_the_weeks_truth_is_due_by_tier() -> None:
    market = lively()
    end = market.sessions[-1]
    rows = scan_rows(inputs_of(market, (end,), otc=weeks_of(market)), FLOW)
    monday = end - datetime.timedelta(days=end.weekday())
    for row in rows.select("otc_tier", "otc_next_publication").unique().to_dicts():
        days = 21 if row["otc_tier"] == "T1" else 35
        assert row["otc_next_publication"] == monday + datetime.timedelta(days=days)
    # what is published after the evening is not known on it
    late = weeks_of(market).with_columns(known_at=pl.lit(evening_of(end)).dt.offset_by("1s"))
    unknown = scan_rows(inputs_of(market, (end,), otc=late), FLOW)
    assert unknown["otc_tier"].null_count() == unknown.height
