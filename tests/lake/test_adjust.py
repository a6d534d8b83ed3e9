import csv
import datetime as dt
import io
import itertools
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.rows import DAILY, FACTORS, MINUTE, bars, factors, weekdays
from tapemill.clock.injected import FixedClock
from tapemill.contracts import Quality, contract
from tapemill.contracts.ratios import SplitRatio
from tapemill.errors import ContractError
from tapemill.lake.adjust import adjust, cumulative_factors

DAYS = weekdays(dt.date(2025, 1, 30), 4)
SEVEN = SplitRatio.parse("7:1")


class TestSplitRatio:
    def test_direction(self):
        assert (SEVEN.split_from, SEVEN.split_to) == (1, 7)
        assert SEVEN.price_factor == pytest.approx(1 / 7)
        assert SEVEN.volume_factor == 7
        assert not SEVEN.reverse
        assert str(SEVEN) == "7-for-1"

    @pytest.mark.parametrize("text", ["7:1", "7/1", "7-for-1", "7 for 1", " 7.0 : 1 "])
    def test_ways_to_write_it(self, text):
        assert SplitRatio.parse(text) == SEVEN

    def test_a_consolidation(self):
        ratio = SplitRatio.parse("1:8")
        assert ratio.reverse
        assert ratio.price_factor == 8
        assert SplitRatio.from_price_factor(8).price_factor == ratio.price_factor

    @pytest.mark.parametrize("text", ["7", "", "7:0", "0:1", "a:b", "1.2.3:1", "-2:1", "inf:1"])
    def test_what_is_no_ratio(self, text):
        with pytest.raises(ContractError) as caught:
            SplitRatio.parse(text)
        assert caught.value.next_step

    @pytest.mark.parametrize("sides", [(0, 1), (1, -1), (float("nan"), 1), (1, float("inf"))])
    def test_sides_are_positive_numbers(self, sides):
        with pytest.raises(ContractError):
            SplitRatio(*sides)


def brute_force(prices, events, kinds):
    """Adjusted closes and volumes, one bar and one event at a time."""
    closes, volumes = [], []
    for row in prices.iter_rows(named=True):
        close, volume = row["close"], row["volume"]
        for symbol, ex_date, kind, price, shares in events:
            if symbol == row["symbol"] and kind in kinds and ex_date > row["session"]:
                close, volume = close * price, volume * shares
        closes.append(close)
        volumes.append(volume)
    return np.array(closes), np.array(volumes)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["AAA", "BBB"]),
            st.integers(-2, 12),
            st.sampled_from(["split", "dividend"]),
            st.floats(0.05, 20),
        ),
        max_size=8,
        unique_by=lambda event: event[:3],
    ),
    st.sampled_from(["split", "total_return"]),
)
@pytest.mark.property
def test_it_equals_the_product_over_later_events(drawn, mode):
    days = weekdays(dt.date(2025, 1, 1), 8)
    prices = bars(["AAA", "BBB", "CCC"], days, minutes=2).sort("symbol", "ts_event")
    events = [
        (symbol, days[0] + dt.timedelta(days=offset), kind, factor,
         1 / factor if kind == "split" else 1.0)
        for symbol, offset, kind, factor in drawn
    ]  # fmt: skip
    kinds = ("split",) if mode == "split" else ("split", "dividend")
    adjusted = adjust(prices.reverse().lazy(), factors(events), mode).collect()
    closes, volumes = brute_force(prices, events, kinds)
    np.testing.assert_allclose(adjusted["close"].to_numpy(), closes, rtol=1e-12)
    np.testing.assert_allclose(adjusted["volume"].to_numpy(), volumes, rtol=1e-12)
    untouched = [n for n in prices.columns if n not in
                 ("open", "high", "low", "close", "vwap", "volume")]  # fmt: skip
    assert_frame_equal(adjusted.select(untouched), prices.select(untouched))


def test_the_ex_date_itself_is_not_adjusted():
    prices = bars(["AAA"], DAYS, minutes=1)
    events = factors([("AAA", DAYS[2], "split", SEVEN.price_factor, SEVEN.volume_factor)])
    adjusted = adjust(prices.lazy(), events, "split").collect()
    ratio = (adjusted["close"] / prices["close"]).round(12).to_list()
    assert ratio == [round(1 / 7, 12)] * 2 + [1.0] * 2
    assert (adjusted["volume"] / prices["volume"]).to_list() == [7, 7, 1, 1]


def test_split_and_dividend_of_one_day_multiply():
    steps = cumulative_factors(
        factors([("A", DAYS[1], "split", 0.5, 2.0), ("A", DAYS[1], "dividend", 0.9, 1.0),
                 ("A", DAYS[3], "split", 0.25, 4.0)]),
        "total_return",
    )  # fmt: skip
    assert steps.rows() == [("A", DAYS[1], 0.5 * 0.9 * 0.25, 8.0), ("A", DAYS[3], 0.25, 4.0)]


def test_a_dividend_without_factor_is_named():
    events = factors([("A", DAYS[1], "dividend", None, 1.0)])
    with pytest.raises(ContractError, match=f"A {DAYS[1]}"):
        cumulative_factors(events, "total_return")
    assert cumulative_factors(events, "split").is_empty()


class TestThroughTheLake:
    @pytest.fixture
    def filled(self, lake):
        lake.tables.append(MINUTE, bars(["AAA", "BBB"], DAYS), writer="w", sequence=1)
        return lake

    def ratios(self, lake, **question):
        plain = lake.scan(MINUTE, "AAA").collect().sort("ts_event")
        seen = lake.scan(MINUTE, "AAA", **question).collect()
        return (
            (seen["close"] / plain["close"])
            .round(9)
            .to_frame()
            .with_columns(plain["session"])
            .group_by("session")
            .agg(pl.col("close").unique().implode())
            .sort("session")["close"]
            .list.first()
            .to_list()
        )

    def test_without_events_nothing_changes(self, filled):
        filled.tables.replace(FACTORS, contract(FACTORS).empty())
        assert self.ratios(filled, adjust="split") == [1, 1, 1, 1]

    def test_rows_that_the_source_adjusted_are_not_adjusted_twice(self, filled):
        filled.tables.replace(FACTORS, factors([("AAA", DAYS[2], "split", 0.5, 2.0)]))
        done = bars(["AAA"], DAYS[:1]).with_columns(
            quality=pl.lit(int(Quality.ADJUSTED), dtype=pl.Int32)
        )
        filled.tables.replace(MINUTE, done, sessions=DAYS[:1])
        assert self.ratios(filled, adjust="split") == [1, 0.5, 1, 1]
        with pytest.raises(ContractError, match="no total return"):
            filled.scan(MINUTE, "AAA", adjust="total_return")

    def test_events_apply_from_the_moment_they_are_known(self, filled):
        filled.tables.replace(FACTORS, factors([("AAA", DAYS[2], "split", 0.5, 2.0)]))
        eve = dt.datetime.combine(DAYS[2], dt.time(8, 59), tzinfo=dt.UTC)
        morning = dt.datetime.combine(DAYS[2], dt.time(9), tzinfo=dt.UTC)
        question = {"adjust": "split", "strict_symbols": False}
        before = filled.scan(MINUTE, "AAA", as_of=eve, **question).collect()
        assert_frame_equal(
            before, filled.scan(MINUTE, "AAA", as_of=eve).collect(), check_row_order=False
        )
        after = filled.scan(MINUTE, "AAA", as_of=morning, **question).collect()
        plain = filled.scan(MINUTE, "AAA", as_of=morning).collect().sort("ts_event")
        assert (after["close"] / plain["close"]).to_list() == [0.5] * plain.height
        assert self.ratios(filled, adjust="split") == [0.5, 0.5, 1, 1]
        assert self.ratios(filled, adjust="total_return") == [0.5, 0.5, 1, 1]

    def test_an_announced_split_of_tomorrow_is_not_applied(self, tmp_path):
        from tapemill import Lake

        noon = dt.datetime.combine(DAYS[2], dt.time(17), tzinfo=dt.UTC)
        lake = Lake.open(
            tmp_path / "l", create=True, clock=FixedClock(int(noon.timestamp()) * 10**9)
        )
        lake.tables.append(MINUTE, bars(["AAA"], DAYS[:3]), writer="w", sequence=1)
        announced = factors(
            [("AAA", DAYS[2], "split", 0.5, 2.0), ("AAA", DAYS[3], "split", 0.1, 1)]
        )
        lake.tables.replace(FACTORS, announced)
        seen = lake.scan(MINUTE, "AAA", adjust="split").collect()
        plain = lake.scan(MINUTE, "AAA").collect().sort("ts_event")
        assert sorted(set((seen["close"] / plain["close"]).to_list())) == [0.5, 1.0]

    def test_a_dividend_before_the_first_bar_needs_no_factor(self, filled):
        filled.tables.replace(
            FACTORS,
            factors([("AAA", DAYS[0], "dividend", None, 1.0),
                     ("AAA", DAYS[3], "dividend", 0.99, 1.0)]),
        )  # fmt: skip
        assert self.ratios(filled, adjust="total_return") == [0.99, 0.99, 0.99, 1]
        filled.tables.replace(FACTORS, factors([("AAA", DAYS[1], "dividend", None, 1.0)]))
        with pytest.raises(ContractError, match=f"AAA {DAYS[1]}"):
            filled.scan(MINUTE, "AAA", adjust="total_return")
        assert filled.scan(MINUTE, "BBB", adjust="total_return").collect().height == 120
        assert filled.scan(MINUTE, "AAA", DAYS[1], adjust="total_return").collect().height == 90

    def test_projection_of_one_column(self, filled):
        filled.tables.replace(FACTORS, factors([("AAA", DAYS[2], "split", 0.5, 2.0)]))
        seen = filled.scan(MINUTE, "AAA", adjust="split", columns=["volume"]).collect()
        assert seen.columns == ["volume"]


@pytest.mark.real
@pytest.mark.parametrize("symbol", ["aapl", "goog", "spy"])
def test_real_corporate_actions_agree_with_lean_factor_files(lake, real_data, symbol):
    """LEAN's adjusted series: raw close x the cumulative factors of the row that covers a day."""
    folder = real_data / "lean" / "equity" / "usa"
    with zipfile.ZipFile(folder / "daily" / f"{symbol}.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    daily = pl.read_csv(io.StringIO(text), has_header=False, new_columns=list("tohlcv"))
    daily = daily.select(
        session=pl.col("t").str.slice(0, 8).str.to_date("%Y%m%d"),
        close=pl.col("c") / 10_000,
        volume=pl.col("v").cast(pl.Float64),
    )
    text = (folder / "factor_files" / f"{symbol}.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    table = [(dt.datetime.strptime(r[0], "%Y%m%d").date(), float(r[1]), float(r[2])) for r in rows]
    sessions = daily["session"].to_list()
    events = []
    # A row's factors hold up to and including its date; what changes to the next row is an event.
    for (last, price, split), (_, next_price, next_split) in itertools.pairwise(table):
        ex_date = next((day for day in sessions if day > last), None)
        if ex_date is None:
            continue
        if split != next_split:
            ratio = SplitRatio.from_price_factor(split / next_split)
            events.append((symbol, ex_date, "split", ratio.price_factor, ratio.volume_factor))
        if price != next_price:
            events.append((symbol, ex_date, "dividend", price / next_price, 1.0))
    shaped = bars([symbol], sessions, minutes=1, dataset=DAILY).with_columns(
        daily["close"], daily["volume"]
    )
    lake.tables.replace(DAILY, shaped)
    lake.tables.replace(FACTORS, factors(events))
    seen = lake.scan(DAILY, symbol, adjust="total_return").collect()
    final = (table[-1][1], table[-1][2])
    covering = [next((row for row in table if row[0] >= day), None) for day in sessions]
    expected = [
        close * row[1] * row[2] / (final[0] * final[1])
        for close, row in zip(daily["close"], covering, strict=True)
    ]
    np.testing.assert_allclose(seen["close"].to_numpy(), expected, rtol=1e-9)
    steps = seen.select("session", step=pl.col("close").log().diff().abs())
    on_splits = [day for _, day, kind, _, _ in events if kind == "split"]
    assert all(step < 0.15 for step in steps.filter(pl.col("session").is_in(on_splits))["step"])
