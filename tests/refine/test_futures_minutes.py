"""Minutes and profiles of contracts: which source counts, which sessions, what goes aside."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from refine.futures_orders import MINUTE, QUARTER, SECOND, at, land, records, trades
from tapemill.clock.injected import FixedClock
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.refine.futures_minutes import session_bars
from tapemill.refine.futures_sources import order_sources, plan_feed, plan_trades, session_window
from tapemill.settings import load_settings

NOW = FixedClock(int(datetime(2026, 7, 2, tzinfo=UTC).timestamp()) * 10**9)
DAY, NEXT = date(2024, 3, 7), date(2024, 3, 8)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True, clock=NOW)


def run(lake: Lake, target: str = "silver.futures_profile") -> dict[str, tuple[int, int]]:
    report = build(lake, load_settings(env={}), NOW, ["silver.futures_minutes", target])
    return {line.target: (line.built, line.skipped) for line in report.targets}


def minutes(lake: Lake) -> pl.DataFrame:
    return lake.tables.scan("silver.futures_minutes").sort("symbol", "ts_event").collect()


def walk(symbol: str, start: int, count: int, seed: int, *, every: int = SECOND) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    moments = start + np.arange(count) * every
    return trades(
        symbol,
        moments.tolist(),
        (19_000 + np.cumsum(rng.integers(-2, 3, count))).tolist(),
        rng.integers(1, 9, count).tolist(),
        "BAN",
    )


def test_minutes_equal_a_group_by_and_know_their_hours(lake: Lake) -> None:
    rows = walk("ESH4", at(DAY, 9, 20), 4_000, 1)
    land(lake, "a", rows, batch=700)
    assert run(lake)["silver.futures_minutes"] == (1, 0)
    made = minutes(lake)
    size = pl.col("size").cast(pl.Int64)
    expected = rows.group_by(
        ts_event=pl.col("ts_event") // MINUTE * MINUTE, maintain_order=True
    ).agg(
        open_ticks=pl.col("price_ticks").first(),
        high_ticks=pl.col("price_ticks").max(),
        low_ticks=pl.col("price_ticks").min(),
        close_ticks=pl.col("price_ticks").last(),
        volume=size.sum(),
        buy_volume=size.filter(pl.col("side") == ord("B")).sum(),
        sell_volume=size.filter(pl.col("side") == ord("A")).sum(),
        trades=pl.len().cast(pl.Int64),
        price_volume=(pl.col("price_ticks").cast(pl.Int64) * size).sum(),
    )
    assert made.select(expected.columns).equals(expected)
    assert made["regular"].to_list() == [
        at(DAY, 9, 30) <= start < at(DAY, 16) for start in made["ts_event"]
    ]
    profile = lake.tables.scan("silver.futures_profile").collect()
    by_price = rows.group_by("price_ticks").agg(volume=size.sum()).sort("price_ticks")
    found = profile.group_by("price_ticks").agg(pl.col("volume").sum()).sort("price_ticks")
    assert found.equals(by_price)


def test_a_minute_is_known_when_the_gateway_had_its_last_trade(lake: Lake) -> None:
    start = at(DAY, 10)
    late = trades("ESH4", [start + MINUTE - 1], [19_000]).with_columns(
        ts_gateway=pl.lit(start + MINUTE + 2_500)
    )
    land(lake, "a", pl.concat([trades("ESH4", [start - MINUTE], [19_000]), late]))
    run(lake)
    known = minutes(lake)["known_at"].dt.timestamp("us").to_list()
    assert known == [start // 1000, (start + MINUTE) // 1000 + 3]


def test_the_trade_date_begins_in_the_evening_also_across_a_change_of_clocks(lake: Lake) -> None:
    friday, monday = date(2024, 3, 8), date(2024, 3, 11)
    moments = [
        at(friday, 16, 59, 59),
        at(date(2024, 3, 10), 18, 0),  # Sunday, clocks went forward that night
        at(monday, 9, 29, 59),
        at(monday, 9, 30),
        at(monday, 15, 59, 59),
        at(monday, 16, 0),
    ]
    land(lake, "a", trades("ESH4", moments, [1] * 6))
    run(lake)
    made = minutes(lake)
    assert made["session"].to_list() == [friday, *[monday] * 5]
    assert made["regular"].to_list() == [False, False, False, True, True, False]


def test_half_days_and_holidays_have_their_own_regular_hours(lake: Lake) -> None:
    half, holiday = date(2024, 7, 3), date(2024, 7, 4)
    moments = [at(half, 12, 59), at(half, 13, 0), at(holiday, 10, 0)]
    land(lake, "a", trades("ESU4", moments, [1] * 3))
    run(lake)
    assert minutes(lake)["regular"].to_list() == [True, False, False]


def test_snapshots_do_not_count_and_unpriced_or_late_trades_are_set_aside(lake: Lake) -> None:
    start = at(DAY, 10)
    rows = records(
        trades("ESH4", [start, start + 1, start + 2, start + MINUTE, start + 3], [5, None, 7, 8, 9])
    ).with_columns(
        flags=pl.Series([128, 128, 168, 128, 128], dtype=pl.Int16),
        ts_gateway=start + 1_000_000 + pl.int_range(pl.len()) * 10**6,
    )
    land(lake, "a", rows)
    run(lake)
    assert minutes(lake)["volume"].to_list() == [1, 1]
    aside = lake.tables.scan("ops.quarantine").sort("ordinal").collect()
    assert aside.select("dataset", "reasons", "ordinal", "session").rows() == [
        ("silver.futures_minutes", "no_price", 1, DAY),
        ("silver.futures_minutes", "after_its_minute", 4, DAY),
    ]


def test_a_day_without_trades_has_no_minutes_and_is_not_built_again(lake: Lake) -> None:
    rows = records(trades("ESH4", [at(DAY, 10)], [5]), action=ord("A"))
    land(lake, "a", rows, schema="mbo")
    assert run(lake)["silver.futures_minutes"] == (1, 0)
    assert minutes(lake).is_empty()
    assert run(lake)["silver.futures_minutes"] == (0, 1)


def test_only_sessions_that_a_new_file_reaches_are_built_again(lake: Lake) -> None:
    land(lake, "a", walk("ESH4", at(DAY, 10), 100, 1))
    land(lake, "b", walk("ESH4", at(NEXT, 10), 100, 2))
    assert run(lake)["silver.futures_minutes"] == (2, 0)
    land(lake, "c", walk("ESH4", at(NEXT, 11), 100, 3))
    assert run(lake)["silver.futures_minutes"] == (1, 1)
    assert run(lake)["silver.futures_minutes"] == (0, 2)


def test_nothing_counts_twice_whatever_overlaps(lake: Lake) -> None:
    """Every order, ten levels, a torn file, its copy, and trades alone of the same hour."""
    rows = walk("ESH4", at(DAY, 10), 3_600, 4)
    land(lake, "torn", rows[:2_000], schema="mbo", fault="truncated at record 2000")
    land(lake, "ladder", rows[600:], schema="mbp-10")
    land(lake, "trades", rows)
    land(lake, "first", rows[1_000:1_800], schema="mbo")
    land(lake, "second", rows[1_500:2_500], schema="mbo")
    sources = order_sources(lake)
    made = session_bars(lake, sources, DAY)
    assert made.minutes["volume"].sum() == rows["size"].sum()
    assert made.minutes["trades"].sum() == rows.height
    chosen = [part["name"] for part in plan_trades(sources, "ESH4", DAY).provenance()]
    assert chosen == ["torn", "ladder", "first", "second", "ladder"]
    feed = plan_feed(sources, "ESH4", DAY).segments
    assert all(a.end_ns <= b.start_ns for a, b in pairwise(feed))
    alone = plan_trades([s for s in sources if s.schema == "trades"], "ESH4", DAY)
    assert [part["name"] for part in alone.provenance()] == ["trades"]


def test_contracts_and_spreads_of_one_file_stay_apart(lake: Lake) -> None:
    parts = [
        walk("ESH4", at(DAY, 10), 300, 5),
        walk("ESM4", at(DAY, 10), 200, 6),
        trades("ESH4-ESM4", [at(DAY, 10, 1)], [210]),
    ]
    mixed = pl.concat(parts).sort("ts_event", maintain_order=True)
    land(lake, "a", mixed, ticks={"ESH4-ESM4": (50_000_000, "definition: its own")})
    run(lake)
    found = (
        minutes(lake).group_by("symbol").agg(pl.col("volume").sum(), pl.col("tick_size").first())
    )
    assert dict(found.select("symbol", "tick_size").rows()) == {
        "ESH4": 0.25,
        "ESM4": 0.25,
        "ESH4-ESM4": 0.05,
    }
    sums = {part["symbol"][0]: part["size"].sum() for part in parts}
    assert dict(found.select("symbol", "volume").rows()) == sums


def test_sources_counted_in_other_steps_are_brought_to_one(lake: Lake) -> None:
    land(lake, "a", trades("ESH4", [at(DAY, 10)], [19_001]))
    coarse = {"ESH4": (2 * QUARTER, "prices: greatest step")}
    land(lake, "b", trades("ESH4", [at(DAY, 11)], [9_501]), ticks=coarse)
    run(lake)
    assert minutes(lake)["close_ticks"].to_list() == [19_001, 19_002]
    assert minutes(lake)["tick_size"].unique().to_list() == [0.25]


def test_a_trade_date_reaches_over_closed_days() -> None:
    low, high = session_window(date(2023, 12, 26))
    assert low == at(date(2023, 12, 22), 18)
    assert high == at(date(2023, 12, 26), 18)
