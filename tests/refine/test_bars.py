from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from refine.bronze import days, minutes, sessions, sha
from refine.real import spy_year
from tapemill.contracts import Quality, contract
from tapemill.refine.bars import Refined, daily_bars, minute_bars

FULL, HALF = date(2024, 12, 23), date(2024, 12, 24)
TABLE = sessions(date(2024, 12, 20), date(2024, 12, 31))


def refined(*frames: pl.DataFrame) -> Refined:
    return minute_bars(pl.concat(frames), TABLE)


def bit(frame: pl.DataFrame, flag: Quality) -> list[bool]:
    return (frame["quality"] & int(flag) != 0).to_list()


@pytest.mark.parametrize(("session", "regular"), [(FULL, 390), (HALF, 210)])
def test_segments_and_minutes_of_session(session: date, regular: int) -> None:
    keep = [-330, -1, 0, regular - 1, regular, regular + 239]
    rows = refined(minutes("A", session, keep=keep)).rows
    assert rows["minute_of_session"].to_list() == keep
    assert rows["segment"].to_list() == ["pre", "pre", "rth", "rth", "post", "post"]
    assert rows["month"].unique().to_list() == ["2024-12"]
    assert rows.schema == contract("silver.equity_bars_1m").schema


def test_first_version_is_known_at_the_end_of_the_bar_plus_delay() -> None:
    rows = refined(minutes("A", FULL, keep=[0])).rows
    assert rows["known_at"][0] == datetime(2024, 12, 23, 14, 46, tzinfo=UTC)
    assert rows["ts"][0] == datetime(2024, 12, 23, 14, 30, tzinfo=UTC)


def test_rows_off_the_grid_or_outside_are_left_out_and_closed_days_quarantined() -> None:
    off = minutes("A", FULL, keep=[3, 4]).with_columns(pl.col("ts_event") + 1_000_000_000)
    early = minutes("A", FULL, keep=[-331, -400])
    late = minutes("A", HALF, keep=[450])  # 17:00 New York, after an early close's extended hours
    holiday = minutes("A", FULL, keep=[1]).with_columns(session=pl.lit(date(2024, 12, 25)))
    found = refined(minutes("A", FULL, keep=[0]), off, early, late, holiday)
    assert found.rows.height == 1
    assert found.quarantined.select("session", "reasons").rows() == [
        (date(2024, 12, 25), "not_a_session")
    ]


def test_a_page_twice_and_a_minute_in_two_answers_are_one_bar() -> None:
    page = minutes("A", FULL)
    overlap = minutes(
        "A", FULL, keep=range(380, 390), raw="other", received=datetime(2026, 8, 1, tzinfo=UTC)
    )
    rows = refined(page, page, overlap).rows
    assert rows.height == 390
    assert rows["version"].unique().to_list() == [1]


def test_restatement_keeps_both_versions() -> None:
    arrived = datetime(2026, 8, 1, tzinfo=UTC)
    late = minutes("A", FULL, keep=[7], raw="late", received=arrived).with_columns(
        pl.col("volume") + 0.5
    )
    rows = refined(minutes("A", FULL), late).rows.filter(pl.col("minute_of_session") == 7)
    assert rows["volume"].to_list() == [5_000.0, 5_000.5]
    assert rows["known_at"][1] == rows["superseded_at"][0] == arrived
    assert bit(rows, Quality.REPAIRED) == [False, True]


def test_adjusted_rows_never_enter() -> None:
    bars = minutes("A", FULL, keep=range(10)).with_columns(adjusted=pl.int_range(pl.len()) < 4)
    found = refined(bars)
    assert found.rows.height == 6
    assert found.quarantined["reasons"].to_list() == ["adjusted_by_vendor"] * 4


def test_best_lane_wins_and_a_contradiction_is_flagged() -> None:
    rest = minutes("A", FULL, keep=range(5))
    other = minutes("A", FULL, keep=range(5), source="import:x", raw="x").with_columns(
        close=pl.when(pl.int_range(pl.len()) == 2).then(pl.col("close") + 0.02).otherwise("close")
    )
    rows = refined(other, rest).rows
    assert set(rows["source"]) == {"massive.rest"}
    current = rows.filter(pl.col("superseded_at").is_null())
    assert bit(current, Quality.CONFLICT) == [False, False, True, False, False]
    assert current["close"].to_list() == rest["close"].to_list()


@pytest.mark.parametrize(
    ("received", "provisional"),
    [
        (datetime(2024, 12, 24, 4, 59, tzinfo=UTC), True),  # 23:59 New York of the same day
        (datetime(2024, 12, 24, 5, 0, tzinfo=UTC), False),
    ],
)
def test_provisional_until_midnight(received: datetime, provisional: bool) -> None:
    rows = refined(minutes("A", FULL, keep=[0], received=received)).rows
    assert bit(rows, Quality.PROVISIONAL) == [provisional]


def test_no_volume_is_marked() -> None:
    bars = minutes("A", FULL, keep=[0]).with_columns(volume=pl.lit(None, dtype=pl.Float64))
    assert bit(refined(bars).rows, Quality.NO_VOLUME) == [True]


def test_jump_and_lone_spike_are_marked_and_the_way_back_is_a_jump() -> None:
    bars = minutes("A", FULL).sort("ts_event")
    row = pl.int_range(pl.len())
    bars = bars.with_columns(
        high=pl.when(row == 100).then(pl.col("high") * 1.03).otherwise("high"),
        low=pl.when(row == 200).then(pl.col("low") * 0.97).otherwise("low"),
        close=pl.when(row == 300).then(pl.col("close") * 1.02).otherwise("close"),
    ).with_columns(high=pl.max_horizontal("high", "close"))
    rows = refined(bars).rows
    marked = rows.filter(pl.Series(bit(rows, Quality.JUMP)))["minute_of_session"].to_list()
    assert marked == [100, 200, 300, 301]


def test_marks_look_back_only() -> None:
    """Whatever comes after a bar, its own mark stays."""
    bars = minutes("A", FULL).sort("ts_event")
    wild = bars.with_columns(
        pl.when(pl.int_range(pl.len()) > 150).then(pl.col(name) * 1.5).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    calm, stormy = refined(bars).rows[:151], refined(wild).rows[:151]
    assert calm["quality"].to_list() == stormy["quality"].to_list()


def test_a_bar_that_came_late_leaves_the_marks_of_its_neighbours() -> None:
    """The minute between was not there when they were published: an as-of read must not tell."""
    page = minutes("A", FULL, keep=[m for m in range(390) if m != 100])
    wild = minutes("A", FULL).filter(pl.int_range(pl.len()).is_in([99, 100]))
    wild = wild.with_columns(
        raw_sha256=pl.lit(sha("second")),
        ts_recv=pl.lit(datetime(2026, 8, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")),
        close=pl.when(pl.int_range(pl.len()) == 1).then(pl.col("close") * 1.5).otherwise("close"),
    ).with_columns(high=pl.max_horizontal("high", "close"))
    alone, both = refined(page).rows, refined(page, wild).rows
    came_late = pl.col("minute_of_session") == 100
    assert both.filter(came_late)["known_at"].to_list() == [datetime(2026, 8, 1, tzinfo=UTC)]
    assert (
        both.filter(~came_late)
        .select("minute_of_session", "quality")
        .equals(alone.select("minute_of_session", "quality"))
    )


def test_few_and_many_candidates_give_the_same_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Medians one by one and rolling medians are two roads to one limit."""
    import tapemill.refine.jumps as jumps

    bars = pl.concat([minutes(name, FULL) for name in "ABC"]).with_columns(
        close=pl.col("close") * (1 + (pl.int_range(pl.len()) % 17 == 0).cast(pl.Float64) * 0.006),
    )
    bars = bars.with_columns(
        high=pl.max_horizontal("high", "close"), low=pl.min_horizontal("low", "close")
    )
    one_by_one = refined(bars).rows
    monkeypatch.setattr(jumps, "_FEW", 0.0)
    rolled = refined(bars).rows
    assert one_by_one.equals(rolled)
    assert sum(bit(rolled, Quality.JUMP)) > 100


def test_daily_bars_are_known_in_the_evening_and_holidays_stay_out() -> None:
    rows = days("A", [(FULL, 10.0), (date(2024, 12, 25), 10.0)])
    found = daily_bars(rows, TABLE)
    assert found.rows["session"].to_list() == [FULL]
    assert found.rows["known_at"][0] == datetime(2024, 12, 24, 1, 15, tzinfo=UTC)
    assert found.quarantined.select("session", "reasons").rows() == [
        (date(2024, 12, 25), "not_a_session")
    ]


def test_no_rows_are_no_rows() -> None:
    found = refined(minutes("A", FULL).clear())
    assert found.rows.is_empty()
    assert found.rows.schema == contract("silver.equity_bars_1m").schema


@pytest.mark.real
def test_spy_year_keeps_every_bar(real_data: Path) -> None:
    bronze = spy_year(real_data)
    rows = minute_bars(bronze, sessions(date(2024, 3, 1), date(2025, 4, 30))).rows
    assert rows.height == bronze.height == 102_236
    assert bronze["volume"].sum() == rows["volume"].sum()
    flagged = sum(bit(rows, Quality.JUMP))
    assert flagged < 0.001 * rows.height
