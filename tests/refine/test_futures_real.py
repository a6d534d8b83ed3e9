"""The real hour through import, contracts, minutes, rolls, feed and checks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tapemill.book.depth import DepthState
from tapemill.clock import calendar
from tapemill.clock.injected import FixedClock
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.levels.feed import open_feed, read_trades
from tapemill.levels.trades import trades_of
from tapemill.refine import build
from tapemill.refine.futures_checks import check_futures
from tapemill.refine.futures_minutes import session_bars
from tapemill.refine.futures_sources import order_sources
from tapemill.settings import load_settings

pytestmark = pytest.mark.real
NOW = FixedClock(1_790_000_000 * 10**9)
DAY = date(2023, 12, 26)


@pytest.fixture(scope="module")
def lake(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = Lake.open(tmp_path_factory.mktemp("real") / "lake", create=True, clock=NOW)
    folder = real_data / "databento"
    parts = ("es-real", "es-derived", "definitions")
    files = [path for part in parts for path in sorted((folder / part).glob("*.dbn.zst"))]
    settings = load_settings(env={})
    import_orders(made, settings, NOW, files)
    build(made, settings, NOW, ["reference.futures_rolls", "silver.futures_profile"])
    yield made
    made.close()


def test_contracts_have_the_value_that_the_exchange_lists(lake: Lake) -> None:
    rows = lake.tables.scan("reference.futures_contracts").collect()
    terms = {row["symbol"]: row for row in rows.iter_rows(named=True)}
    listed = {"ESM3": (50, 12.5), "ESU4": (50, 12.5), "NQU4": (20, 5), "ESH4": (50, 12.5)}
    for symbol, (multiplier, tick_value) in listed.items():
        assert (terms[symbol]["multiplier"], terms[symbol]["tick_value"]) == (
            multiplier,
            tick_value,
        )
    assert terms["ESM4-ESU4"]["kind"] == "spread"
    assert terms["ESM4-ESU4"]["tick_size"] == 0.05
    assert not [symbol for symbol in terms if symbol.startswith(("SPY", "#"))]


def test_each_source_of_the_hour_makes_the_same_minutes(lake: Lake) -> None:
    sources = order_sources(lake)
    made = {
        source.schema: session_bars(lake, [source], DAY).minutes
        for source in sources
        if source.schema in ("mbo", "mbp-10", "trades") and "ESH4" in source.ticks
        if source.last_ns > source.first_ns
    }
    assert set(made) == {"mbo", "mbp-10", "trades"}
    stored = lake.tables.scan("silver.futures_minutes").filter(pl.col("symbol") == "ESH4")
    expected = stored.collect().sort("ts_event")
    assert expected["volume"].sum() == 5_598
    assert expected["trades"].sum() == 1_865
    for rows in made.values():
        assert rows.equals(expected)


def test_the_feed_of_the_hour_is_read_once_and_its_book_stands(lake: Lake) -> None:
    feed = open_feed(lake, "ESH4", DAY)
    assert [part["schema"] for part in feed.plan.provenance()] == ["mbo", "mbo"]
    state, crossed, gathered, real = DepthState(), 0, 0, 0
    opens = calendar("CMES").session(DAY).open_ns
    traded = []
    for events, changes in feed.chunks(4_096):
        real += int((events.action != ord("N")).sum())
        traded.append(trades_of(events))
        reached = 0
        for i in np.flatnonzero(events.flags & 128):
            end = int(events.first_change[i + 1])
            state.apply(changes, reached, end)
            reached = end
            bid, ask = state.best()
            if bid >= ask > 0:
                crossed += int(events.ts_event[i] >= opens)
                gathered += int(events.ts_event[i] < opens)
        state.apply(changes, reached)
    assert real == 44_371 + 8_725
    assert crossed == 0
    assert gathered == 891  # orders of the opening auction, before 18:00: no defect
    whole = read_trades(lake, "ESH4", DAY)
    for name, column in zip(whole._fields, whole, strict=True):
        np.testing.assert_array_equal(
            column, np.concatenate([getattr(part, name) for part in traded])
        )


def test_the_real_hour_is_sound_but_not_a_whole_day(lake: Lake) -> None:
    found = check_futures(lake)
    kinds = {(one.kind, one.severity) for one in found}
    assert kinds == {("hour_missing", "warning"), ("records_equal", "info")}
    assert {one.session for one in found} == {DAY, date(2024, 7, 2)}
