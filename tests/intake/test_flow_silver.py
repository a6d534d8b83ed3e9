"""What was fetched of weeks and settlement dates, built into silver beside the market's truth."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from intake.bench import Bench
from tapemill.clock import eastern_ns
from tapemill.refine import build
from tapemill.world import Market

WEEK, FINAL = date(2026, 1, 5), date(2026, 2, 12)
FACT = ["symbol", "venue_class"]


@pytest.fixture
def place(tmp_path):
    market = Market(7, symbols=8, start=date(2025, 11, 3), end=date(2026, 3, 27))
    made = Bench(tmp_path, market)
    made.clock.advance((eastern_ns(FINAL, 19) - made.clock.now_ns()) / 1e9)
    made.sandbox.now_ns = eastern_ns(FINAL, 19)
    yield made, market
    made.lake.control.close()


def test_fetched_totals_and_firms_make_one_fact_each(place) -> None:
    bench, market = place
    bench.run("otc_weekly", None, WEEK, WEEK)
    bench.run("otc_firms", None, WEEK, WEEK)
    bench.run("short_interest", None, date(2026, 1, 1), date(2026, 1, 31))
    targets = ["silver.otc_weekly", "silver.short_interest"]
    build(bench.lake, bench.settings, bench.clock, targets)
    truth = market.otc_week(WEEK).with_columns(
        venue_class=pl.when(pl.col("summary_type").str.starts_with("ATS"))
        .then(pl.lit("ats"))
        .otherwise(pl.lit("non_ats"))
    )
    truth = truth.filter(pl.col("published") <= FINAL)
    totals = truth.filter(pl.col("mpid").is_null()).group_by(FACT).agg(total=pl.col("shares").sum())
    firms = truth.filter(pl.col("mpid").is_not_null()).group_by(FACT).agg(pl.col("mpid").n_unique())
    found = bench.lake.tables.scan("silver.otc_weekly").filter(pl.col("superseded_at").is_null())
    beside = found.collect().join(totals, on=FACT, how="full").join(firms, on=FACT, how="left")
    assert beside.height == totals.height > 0
    assert (beside["shares"].cast(pl.Float64) == beside["total"].cast(pl.Float64)).all()
    assert (beside["firms"] == beside["mpid"]).all()
    assert not beside["from_firm_rows"].any()
    interest = bench.lake.tables.scan("silver.short_interest").collect()
    assert interest.group_by("settlement_date").len()["len"].to_list() == [8, 8]
    assert "BACpL" in set(interest["symbol"])
    assert build(bench.lake, bench.settings, bench.clock, targets).builds == 0
