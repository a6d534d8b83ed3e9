"""The market's figures against plain Python, and evening by evening."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from flow.scan_inputs import inputs_of
from tapemill.clock import calendar
from tapemill.contracts import contract
from tapemill.flow.evening import evening_of
from tapemill.flow.macro import macro_rows
from tapemill.flow.scan import scan_lookback, scan_rows
from tapemill.settings.declaration import FlowSettings
from tapemill.world.flow import flow_market

FLOW = FlowSettings(min_off_exchange_volume=20_000.0, min_dollar_volume=100_000.0)
FIRST = date(2019, 1, 2)


@pytest.fixture(scope="module")
def scan() -> pl.DataFrame:
    """Unpriced evenings, then priced ones."""
    needed = scan_lookback(FLOW)
    market = flow_market(150, FIRST, needed + 60, seed=3)
    days = market.sessions[needed:]
    first, second = days[:28], days[28:]
    return pl.concat(
        [
            scan_rows(inputs_of(market, first, sectors=True), FLOW),
            scan_rows(inputs_of(market, second, priced=True, sectors=True), FLOW),
        ]
    )


def days_of(scan: pl.DataFrame) -> list[date]:
    return scan["session"].unique().sort().to_list()


def test_figures_of_every_evening_and_scope(scan: pl.DataFrame) -> None:
    days = days_of(scan)
    found = macro_rows(scan.lazy(), days, FLOW)
    made = contract("gold.flow_macro")
    assert found.schema == made.schema
    assert_frame_equal(found, found.sort(*made.order))
    assert found.height == len(days) * 6  # the market and five sectors
    for row in found.to_dicts():
        part = scan.filter(pl.col("session") == row["session"])
        if row["scope"] != "market":
            part = part.filter(pl.col("sector") == row["scope"].removeprefix("sector:"))
        names = part.filter("eligible")
        close = names["last_close"].to_numpy()
        short, total = names["short_volume"].to_numpy(), names["total_volume"].to_numpy()
        priced = np.isfinite(close)
        assert (row["rows"], row["names"]) == (part.height, names.height)
        assert row["priced_frac"] == pytest.approx(priced.mean())
        dollar = priced.mean() >= 0.9
        assert row["weighting"] == ("dollar" if dollar else "share")
        weight = np.where(priced, close, 0) if dollar else np.ones(len(close))
        wanted = np.sum(weight * short) / np.sum(weight * total)
        assert row["short_share"] == pytest.approx(wanted, rel=1e-12)
        assert row["equal_weight_share"] == pytest.approx(np.mean(short / total))
        z = names["z"].to_numpy()
        assert row["breadth"] == pytest.approx(np.mean(z > 1) - np.mean(z < -1))
        assert row["dispersion"] == pytest.approx(1.4826 * stats.median_abs_deviation(z))
        assert row["peer_shift"] == pytest.approx(np.median(names["share_move"]))
        assert row["as_of"] == evening_of(row["session"])


def test_percentiles_are_mid_ranks_among_the_evenings_before(scan: pl.DataFrame) -> None:
    days = days_of(scan)
    found = macro_rows(scan.lazy(), days, FLOW).filter(pl.col("scope") == "market")
    for k, row in enumerate(found.to_dicts()):
        for name, column in (("breadth", "breadth"), ("dispersion", "dispersion")):
            past, value = found[column].to_list()[:k], row[column]
            wanted = None
            if k >= 20:
                wanted = stats.percentileofscore(past, value, kind="mean") / 100
            assert row[f"{name}_percentile"] == pytest.approx(wanted)
        like = found.head(k).filter(pl.col("weighting") == row["weighting"])["short_share"]
        assert row["percentile_days"] == len(like)
        wanted = None
        if len(like) >= 20:
            wanted = stats.percentileofscore(like, row["short_share"], kind="mean") / 100
        assert row["share_percentile"] == pytest.approx(wanted)
    assert found["weighting"].n_unique() == 2
    assert found["share_percentile"].null_count() == 40  # both weightings begin anew


def test_one_by_one_equals_all_at_once(scan: pl.DataFrame) -> None:
    days = days_of(scan)[-12:]
    whole = macro_rows(scan.lazy(), days, FLOW)
    parts = [macro_rows(scan.lazy().filter(pl.col("session") <= day), [day], FLOW) for day in days]
    assert_frame_equal(whole, pl.concat(parts), check_exact=True)


def test_a_year_and_no_more_stands_behind_a_percentile() -> None:
    days = calendar("XNYS").session_dates(date(2019, 1, 2), date(2020, 6, 1))[:300]
    draw = np.random.default_rng(1)
    rows = contract("gold.flow_scan").empty()
    share = draw.uniform(0.3, 0.6, len(days))
    made = pl.DataFrame(
        {
            "symbol": "A",
            "session": days,
            "eligible": True,
            "short_volume": 1000 * share,
            "total_volume": 1000.0,
            "short_share": share,
            "share_move": 0.0,
            "z": 0.0,
        }
    )
    rows = pl.concat([rows, made], how="diagonal_relaxed")
    found = macro_rows(rows.lazy(), days[-1:], FLOW).row(0, named=True)
    assert found["percentile_days"] == 252
    wanted = stats.percentileofscore(share[-253:-1], share[-1], kind="mean") / 100
    assert found["share_percentile"] == pytest.approx(wanted)
    assert found["breadth_percentile"] == 0.5


def test_only_evenings_of_about_as_many_names_are_compared() -> None:
    days = calendar("XNYS").session_dates(date(2019, 1, 2), date(2019, 12, 31))[:100]
    draw = np.random.default_rng(2)
    # Thirty evenings of 4 names, then 9, 8 and 16 in turn: half and twice still count.
    sizes = [4] * 30 + [(9, 8, 16)[k % 3] for k in range(70)]
    made = [
        {
            "symbol": f"N{n:02d}",
            "session": day,
            "eligible": True,
            "short_volume": 1000 * share,
            "total_volume": 1000.0,
            "short_share": share,
            "share_move": 0.0,
            "z": float(draw.normal()),
        }
        for day, size in zip(days, sizes, strict=True)
        for n, share in enumerate(draw.uniform(0.3, 0.6, size))
    ]
    rows = pl.concat(
        [contract("gold.flow_scan").empty(), pl.DataFrame(made)], how="diagonal_relaxed"
    )
    found = macro_rows(rows.lazy(), days, FLOW).sort("session").to_dicts()
    for k, row in enumerate(found):
        past = [one for one, size in zip(found[:k], sizes, strict=False)
                if size <= 2 * sizes[k] and sizes[k] <= 2 * size]  # fmt: skip
        assert row["percentile_days"] == len(past)
        for name, column in (("short_share", "share"), ("breadth", "breadth")):
            wanted = None
            if len(past) >= 20:
                before = [one[name] for one in past]
                wanted = stats.percentileofscore(before, row[name], kind="mean") / 100
            assert row[f"{column}_percentile"] == pytest.approx(wanted), (k, name)
    assert {row["percentile_days"] for row in found[-3:]} != {len(found) - 1}


def test_an_evening_without_eligible_names_has_a_row_without_figures() -> None:
    market = flow_market(30, FIRST, 10, seed=1)
    rows = scan_rows(inputs_of(market, market.sessions), FLOW)
    found = macro_rows(rows.lazy(), market.sessions, FLOW)
    assert found["names"].to_list() == [0] * 10
    assert (
        found["rows"].to_list()
        == rows.group_by("session", maintain_order=True).len()["len"].to_list()
    )
    for name in ("short_share", "breadth", "dispersion", "priced_frac", "share_percentile"):
        assert found[name].null_count() == 10
    assert macro_rows(rows.lazy(), [], FLOW).is_empty()
    assert macro_rows(rows.lazy().head(0), market.sessions, FLOW).is_empty()
