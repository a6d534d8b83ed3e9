import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.rows import BRONZE, DAILY, MINUTE, bars, weekdays
from tapemill.contracts import contract
from tapemill.errors import DateError, LakeError, UnknownNameError, UsageError
from tapemill.lake.asof import as_of_moment, read_day

DAYS = weekdays(dt.date(2025, 1, 30), 3)
UTC = dt.UTC


class TestMoments:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            (dt.date(2025, 1, 31), dt.datetime(2025, 2, 1, 4, 59, 59, 999999, UTC)),
            (dt.date(2025, 7, 1), dt.datetime(2025, 7, 2, 3, 59, 59, 999999, UTC)),
            ("2025-01-31", dt.datetime(2025, 2, 1, 4, 59, 59, 999999, UTC)),
            ("2025-01-31T16:00:00Z", dt.datetime(2025, 1, 31, 16, tzinfo=UTC)),
            ("2025-01-31T16:00:00-05:00", dt.datetime(2025, 1, 31, 21, tzinfo=UTC)),
            (
                dt.datetime(2025, 7, 1, 16, tzinfo=ZoneInfo("America/New_York")),
                dt.datetime(2025, 7, 1, 20, tzinfo=UTC),
            ),
            (1_738_339_200_123_456_789, dt.datetime(2025, 1, 31, 16, 0, 0, 123456, UTC)),
            (0, dt.datetime(1970, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_what_is_meant(self, given, meant):
        assert as_of_moment(given) == meant

    @pytest.mark.parametrize(
        "given", ["yesterday", "2025-02-30", "2025-01-31T16:00:00", dt.datetime(2025, 1, 1), 1.5,
                  True, None],
    )  # fmt: skip
    def test_what_cannot_be_meant(self, given):
        with pytest.raises(DateError) as caught:
            as_of_moment(given)
        assert caught.value.next_step

    def test_sessions_are_dates(self):
        assert read_day("2025-01-31", "start") == read_day(dt.date(2025, 1, 31), "start")
        with pytest.raises(DateError, match="end="):
            read_day(dt.datetime(2025, 1, 1, tzinfo=UTC), "end")
        with pytest.raises(DateError, match="2025-1-1"):
            read_day("2025-1-1", "start")


class TestScan:
    @pytest.fixture
    def filled(self, lake):
        lake.tables.append(MINUTE, bars(["AAA", "BBB", "CCC"], DAYS), writer="w", sequence=1)
        return lake

    def test_symbols_range_and_columns(self, filled):
        rows = filled.scan(
            MINUTE, ["CCC", "AAA"], DAYS[1], str(DAYS[2]), columns=["symbol", "session", "close"]
        ).collect()
        expected = bars(["AAA", "BBB", "CCC"], DAYS).filter(
            pl.col("symbol") != "BBB", pl.col("session") >= DAYS[1]
        )
        assert_frame_equal(rows, expected.select(rows.columns), check_row_order=False)
        assert filled.scan(MINUTE, "BBB").collect().height == 90
        assert filled.scan(MINUTE, end=DAYS[0]).collect().height == 90

    def test_only_needed_files_are_read(self, filled):
        explained = filled.scan(MINUTE, "BBB", DAYS[2], DAYS[2]).explain()
        assert "2025-02" in explained
        assert "2025-01" not in explained

    def test_long_lists_of_symbols(self, filled):
        many = [f"X{number:03d}" for number in range(200)]
        asked = filled.scan(MINUTE, ["BBB", *many], strict_symbols=False)
        assert asked.collect()["symbol"].unique().to_list() == ["BBB"]
        assert filled.tables.scan(MINUTE, symbols=many).collect().is_empty()

    def test_an_unknown_symbol_is_not_an_empty_answer(self, filled):
        with pytest.raises(UnknownNameError, match="BBA") as caught:
            filled.scan(MINUTE, ["AAA", "BBA"])
        assert "did you mean" in caught.value.next_step
        assert filled.scan(MINUTE, "BBA", strict_symbols=False).collect().is_empty()
        assert filled.scan(MINUTE, "BBB", "2020-01-01", "2020-01-31").collect().is_empty()
        filled.tables.append(MINUTE, bars(["BBA"], DAYS), writer="w", sequence=2)
        assert filled.scan(MINUTE, "BBA").collect().height == 90

    def test_questions_that_cannot_be_meant(self, filled):
        with pytest.raises(UnknownNameError, match="equity_bar_1m"):
            filled.scan("silver.equity_bar_1m")
        with pytest.raises(UnknownNameError, match="clse"):
            filled.scan(MINUTE, columns=["clse"])
        with pytest.raises(DateError, match="ends before"):
            filled.scan(MINUTE, start=DAYS[1], end=DAYS[0])
        with pytest.raises(LakeError, match="no table yet"):
            filled.scan(DAILY)
        with pytest.raises(UsageError, match="no symbols"):
            filled.scan("bronze.massive_market_status", "AAA")
        with pytest.raises(UsageError, match="not an adjustment"):
            filled.scan(MINUTE, adjust="splits")
        with pytest.raises(UsageError, match="no prices"):
            filled.scan("silver.short_volume", adjust="split")

    def test_a_frame_asked_for_earlier_survives_compaction_and_replacement(self, filled):
        filled.tables.append(MINUTE, bars(["DDD"], DAYS), writer="w", sequence=2)
        held = filled.scan(MINUTE)
        before = held.collect()
        filled.compact()
        filled.tables.replace(MINUTE, contract(MINUTE).empty())
        assert_frame_equal(held.collect(), before)


def versioned(rng, symbols=3, days=6):
    """Bars with up to three versions each; every version known later than the one before."""
    base = bars([f"S{i}" for i in range(symbols)], weekdays(dt.date(2025, 1, 30), days), minutes=4)
    parts = []
    for version in (1, 2, 3):
        keep = rng.random(base.height) < (1.0, 0.5, 0.3)[version - 1]
        delay = pl.Series(rng.integers(1, 3 * 24 * 3600, base.height), dtype=pl.Int64)
        parts.append(
            base.with_columns(
                version=pl.lit(version, dtype=pl.Int16),
                close=pl.col("close") + version,
                known_at=pl.col("ts") + pl.duration(days=4 * version, seconds=delay),
            ).filter(pl.Series(keep))
        )
    rows = pl.concat(parts).sort("symbol", "ts_event", "known_at")
    return rows.with_columns(
        superseded_at=pl.col("known_at").shift(-1).over("symbol", "ts_event"),
    )


def oracle(rows, moment):
    """The newest version known then, per bar, found the plain way."""
    known = rows.filter(pl.col("known_at") <= moment)
    newest = known.group_by("symbol", "ts_event").agg(pl.col("version").max())
    return known.join(newest, on=["symbol", "ts_event", "version"]).with_columns(
        superseded_at=pl.lit(None, pl.Datetime("us", "UTC"))
    )


def test_an_as_of_read_is_the_newest_version_known_then(lake):
    rows = versioned(np.random.default_rng(5))
    lake.tables.append(MINUTE, rows, writer="w", sequence=1)
    moments = rows["known_at"].unique().sort().gather_every(11).to_list()
    for moment in [*moments, moments[3] - dt.timedelta(microseconds=1)]:
        assert_frame_equal(
            lake.scan(MINUTE, as_of=moment).collect(), oracle(rows, moment), check_row_order=False
        )
    current = lake.scan(MINUTE).collect()
    assert current["superseded_at"].null_count() == current.height
    assert_frame_equal(
        current, oracle(rows, dt.datetime(2100, 1, 1, tzinfo=UTC)), check_row_order=False
    )


def test_bronze_is_read_as_of_too(lake):
    rows = bars(["AAA"], DAYS, dataset=BRONZE)
    lake.tables.append(BRONZE, rows, writer="w", sequence=1)
    moment = rows["known_at"].sort()[40]
    assert lake.scan(BRONZE, as_of=moment).collect().height == 41
    assert lake.scan(BRONZE).collect().height == rows.height


def test_a_dataset_that_keeps_no_knowledge_time_says_so(lake):
    lake.tables.replace("silver.coverage", contract("silver.coverage").empty())
    with pytest.raises(UsageError, match="does not keep when"):
        lake.scan("silver.coverage", as_of="2025-01-31")


def scrambled(rows, moment, rng):
    """A world with the same past and another future: later rows changed, dropped or invented."""
    past = rows.filter(pl.col("known_at") <= moment).with_columns(
        superseded_at=pl.when(pl.col("superseded_at") <= moment).then(pl.col("superseded_at"))
    )
    future = rows.filter(pl.col("known_at") > moment)
    future = future.filter(pl.Series(rng.random(future.height) < 0.5)).with_columns(
        close=pl.col("close") * rng.random(), quality=pl.lit(2, dtype=pl.Int32)
    )
    return pl.concat([past, future])


@pytest.mark.acceptance
def test_a_thousand_cuts_the_future_never_changes_an_earlier_read(tmp_path):
    """Forty worlds share a past with the true one up to twenty-five moments each."""
    from tapemill import Lake

    rng = np.random.default_rng(11)
    rows = versioned(rng)
    true = Lake.open(tmp_path / "true", create=True)
    true.tables.append(MINUTE, rows, writer="w", sequence=1)
    other = Lake.open(tmp_path / "other", create=True)
    low, high = (rows["known_at"].dt.timestamp("us").quantile(q) for q in (0.05, 0.95))
    cuts = 0
    for _ in range(40):
        edge = int(rng.integers(int(low), int(high)))
        moment = dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=edge)
        other.tables.replace(MINUTE, scrambled(rows, moment, rng))
        for _ in range(25):
            at = edge * 1000 - int(rng.integers(0, 8 * 86_400 * 10**9))
            seen = [
                one.scan(MINUTE, as_of=at).collect().sort("symbol", "ts_event")
                for one in (true, other)
            ]
            assert_frame_equal(*seen)
            cuts += 1
    assert cuts == 1_000


def test_adjusting_without_any_corporate_actions_is_refused(lake):
    """Factors of 1 for want of evidence would pass raw prices off as adjusted ones."""
    lake.tables.append(MINUTE, bars(["AAA"], DAYS), writer="w", sequence=1)
    with pytest.raises(LakeError, match="no corporate actions were ever looked up"):
        lake.scan(MINUTE, adjust="split")
