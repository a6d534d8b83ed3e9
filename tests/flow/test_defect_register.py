"""The register of the earlier systems' defects, each with the test that would turn red.

Defects whose test lives beside its module carry the number there; the others are tried here. The
table is checked: every file and test it names exists.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flow.market_files import sessions
from tapemill.clock import FixedClock, eastern_ns
from tapemill.contracts import contract
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.flow.visible import evening_inputs
from tapemill.lake import Lake
from tapemill.tape import Quotes, Rung, Trades, bulk_buy_share, classify

TESTS = Path(__file__).parents[1]

REGISTER = {
    "1 lit contains dark prints": "flow/test_tape_block.py::defect_1",
    "2 the quote branch is dead": "flow/test_defect_register.py::defect_2",
    "3 the minute proxy is degenerate": "tape/test_bulk.py::a_bar_of_one_price_is_split_once",
    "4 zero ticks dropped": "tape/test_classify.py::zero_ticks_carry",
    "5 look-ahead in OTC": "flow/test_otc_block.py::defect_5",
    "6 and 7 participation denominators": "flow/test_otc_block.py::defects_6_and_7",
    "8 Tier 2 blanked": "flow/test_otc_block.py::defect_8",
    "9 stale recompute": "flow/test_gold_builds.py::a_backfilled_past",
    "10 warm-up ineffective": "flow/test_short_block.py::defect_10",
    "11 cached partial days": "intake/test_tape.py::an_unfinished_session",
    "12 silent truncation by the API": "vendors/test_finra_periods.py::5001_rows_are_two_pages",
    "12 silent truncation of ticks": "intake/test_tape.py::every_page_is_followed",
    "13 fixed thresholds": "flow/test_short_block.py::defect_13",
    "14 volume posing as direction": "flow/test_short_block.py::defect_14",
    "15 denominators mixed": "flow/test_groups.py::a_baseline_never_mixes",
    "16 thresholds that disagree": "flow/test_short_block.py::defect_16",
    "17 facility files doubled": "flow/test_visible.py::never_added_to_its_facilities",
    "18 index aggregation cannot run": "flow/test_groups.py::share_breadth_and_surprise",
    "19 missing is neutral": "flow/test_short_block.py::warms_and_is_not_neutral",
    "20 help drifted from formulas": "report/test_docs.py::the_page_of_metrics",
    "21 interpolated curves": "report/test_flow_style.py::a_spark_steps",
    "23 auction and late prints": "flow/test_defect_register.py::defect_23",
    "24 symbol spellings": "flow/test_visible.py::symbols_come_out_in_house_style",
    "25 raw ticks kept": "intake/test_tape.py::no_tick_is_stored",
}
"""22, no tests at all, is this folder."""


@pytest.mark.parametrize("defect", REGISTER)
def test_the_register_names_tests_that_exist(defect: str) -> None:
    file, _, name = REGISTER[defect].partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    assert any(name in line for line in text.splitlines() if line.lstrip().startswith("def test"))


def test_defect_2_without_quotes_every_side_says_tick_rule() -> None:
    """A year of tick-rule sides was labelled as if it came from quotes."""
    ts = np.arange(1, 7, dtype=np.int64) * 10**9
    price = np.array([10.0, 10.01, 10.01, 10.0, 10.02, 10.02])
    trades = Trades.of(ts, price, np.full(6, 100.0))
    blind = classify(trades, Quotes.none())
    assert int(blind.rung[0]) == int(Rung.UNKNOWN)
    assert set(blind.rung[1:]) == {int(Rung.TICK_NO_QUOTE)}
    quotes = Quotes.of(ts - 1, price - 0.01, price)
    assert set(classify(trades, quotes).rung) == {int(Rung.QUOTE)}


def test_defect_3_a_bar_is_bought_or_sold_once() -> None:
    close = np.array([10.0, 10.0, 10.1, 10.0] * 20)
    share, _ = bulk_buy_share(np.r_[10.0, close[:-1]], close, np.full(80, 1e4))
    known = share[np.isfinite(share)]
    assert known.size
    assert ((known >= 0) & (known <= 1)).all()


@pytest.fixture
def lake(tmp_path):
    opened = Lake.open(tmp_path / "lake", create=True, clock=FixedClock(1_713_600_000 * 10**9))
    yield opened
    opened.close()


def test_defect_23_prints_after_the_close_are_no_part_of_the_evening(lake) -> None:
    """16:15 was the session's end: the closing auction and late reports were 'regular' flow."""
    day = sessions(dt.date(2024, 3, 4), 1)[0]
    rows = []
    for hour, minute, bought in ((9, 25, 7.0), (9, 30, 100.0), (15, 55, 10.0), (16, 0, 5000.0)):
        ns = eastern_ns(day, hour, minute)
        sums = {column.name: 0 for column in TAPE_SUMS}
        rows.append(
            {
                "symbol": "SPY",
                "ts_event": ns,
                "ts": dt.datetime.fromtimestamp(ns / 1e9, dt.UTC),
                "session": day,
                "month": f"{day:%Y-%m}",
                "mode": "tick",
                **sums,
                "lit_buy_volume": bought,
                "buy_volume": bought,
                "sell_volume": 0.0,
                "unclassified_volume": 0.0,
                "bulk_volume": 0.0,
                "source": "massive.tape",
                "raw_sha256": "0" * 64,
                "ordinal": 0,
                "version": 1,
                "known_at": dt.datetime.fromtimestamp(ns / 1e9 + 1200, dt.UTC),
            }
        )
    utc = pl.Datetime("us", "UTC")
    frame = pl.DataFrame(rows, schema_overrides={"ts": utc, "known_at": utc})
    lake.tables.replace("silver.tape_5m", contract("silver.tape_5m").conform(frame))
    (inputs,) = evening_inputs(lake, [day], lookback=20)
    assert inputs.tape.select("lit_buy_volume", "buy_volume").row(0) == (110.0, 110.0)
