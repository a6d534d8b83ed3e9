"""Five-minute direction from minute bars, against sums made one bar at a time; and from prints."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import norm

from refine.bronze import land, minutes, sha
from tapemill.clock import FixedClock, calendar, eastern_ns
from tapemill.contracts import contract
from tapemill.contracts.columns import TAPE_SUMS
from tapemill.lake import Lake
from tapemill.refine import build
from tapemill.refine.recipe import Kitchen
from tapemill.refine.tape import (
    MINUTE_COLUMNS,
    WARM_UP_SESSIONS,
    minute_tape,
    tick_tape,
    warm_up,
)
from tapemill.refine.tape_plan import plan_tape
from tapemill.settings import default_settings

XNYS = calendar("XNYS")
DAYS = XNYS.session_dates(date(2026, 1, 5), date(2026, 1, 16))
LAST = DAYS[-1]
FIVE = 300_000_000_000
HALF_LIFE, LEAST_BARS = 1950, 30


def silver(symbol="SPY", sessions=DAYS, **more):
    """Minutes as the silver table has them, one version each, known fifteen minutes on."""
    bars = pl.concat([minutes(symbol, day, **more) for day in sessions])
    known = pl.from_epoch(pl.col("ts_event") // 1000 + 16 * 60_000_000, time_unit="us")
    return bars.with_columns(
        known_at=known.dt.replace_time_zone("UTC"),
        superseded_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        vwap=pl.col("close"),
    ).select(MINUTE_COLUMNS)


def by_hand(bars, session):
    """Bulk volume, bar by bar: buys, sells and unclassified shares of each five minutes."""
    first = XNYS.session_dates(date(2025, 12, 1), session)[-1 - WARM_UP_SESSIONS]
    found: dict[int, list[float]] = {}
    changes: list[tuple[float, float]] = []  # (change, volume), the oldest first
    last_close = last_day = None
    for bar in bars.filter(pl.col("session") >= first).sort("ts_event").iter_rows(named=True):
        if bar["session"] > session:
            break
        before = bar["open"] if bar["session"] != last_day else last_close
        change = bar["close"] / before - 1
        if bar["session"] == session:
            bucket = found.setdefault(bar["ts_event"] // FIVE * FIVE, [0.0, 0.0, 0.0])
            sigma = _sigma(changes)
            if sigma is None:
                bucket[2] += bar["volume"]
            else:
                share = norm.cdf(change / sigma)
                bucket[0] += share * bar["volume"]
                bucket[1] += (1 - share) * bar["volume"]
        changes.append((change, bar["volume"]))
        last_close, last_day = bar["close"], bar["session"]
    return found


def _sigma(changes):
    if len(changes) < LEAST_BARS:
        return None
    age = np.arange(len(changes))[::-1]
    change, volume = np.array(changes).T
    weight = volume * 0.5 ** (age / HALF_LIFE)
    mean = np.average(change, weights=weight)
    return math.sqrt(np.average((change - mean) ** 2, weights=weight))


@pytest.mark.parametrize("session", [LAST, DAYS[-2]])
def test_minutes_give_what_bars_added_by_hand_give(session):
    bars = silver()
    made = minute_tape(bars, [session])
    want = by_hand(bars, session)
    assert made["ts_event"].to_list() == sorted(want)
    got = made.select("buy_volume", "sell_volume", "unclassified_volume").to_numpy()
    np.testing.assert_allclose(got, [want[at] for at in sorted(want)], rtol=1e-9)
    assert set(made["mode"]) == {"minute"}
    volume = bars.filter(pl.col("session") == session)["volume"].sum()
    assert made["bulk_volume"].sum() + made["unclassified_volume"].sum() == pytest.approx(volume)


def test_the_first_minutes_ever_are_unclassified_not_halved():
    made = minute_tape(silver(sessions=[DAYS[0]]), [DAYS[0]])
    first = made.filter(pl.col("ts_event") < made["ts_event"].min() + 6 * FIVE)
    assert first["unclassified_volume"].to_list() == [25_000.0] * 6
    assert first["bulk_volume"].sum() == 0
    assert made["unclassified_volume"][6] == 0


def test_a_session_does_not_depend_on_what_is_made_beside_it():
    bars = pl.concat([silver("SPY"), silver("KO", price=60.0)])
    together = minute_tape(bars, DAYS)
    for session in DAYS:
        begin = warm_up([session])
        enough = bars.filter(pl.col("session").is_between(begin, session))
        alone = minute_tape(enough, [session])
        assert together.filter(pl.col("session") == session).equals(alone)


@pytest.mark.property
def test_nothing_later_moves_an_earlier_sum():
    bars = silver()
    cut = XNYS.session(LAST).open_ns + 100 * 60_000_000_000
    later = pl.col("ts_event") >= cut
    scrambled = bars.with_columns(
        pl.when(later).then(pl.col("close") * 1.7).otherwise("close").alias("close"),
        pl.when(later).then(pl.col("volume") * 3).otherwise("volume").alias("volume"),
    )
    before = pl.col("ts_event") < cut
    kept = minute_tape(bars, [LAST]).filter(before)
    assert kept.height == 20
    assert kept.equals(minute_tape(scrambled, [LAST]).filter(before))


def restated(bars, symbol, minute, known, close):
    """One bar that `known` gave another close."""
    hit = (pl.col("symbol") == symbol) & (pl.col("ts_event") == minute)
    old = bars.with_columns(
        superseded_at=pl.when(hit).then(pl.lit(known)).otherwise("superseded_at")
    )
    new = bars.filter(hit).with_columns(
        close=pl.lit(close), known_at=pl.lit(known).cast(pl.Datetime("us", "UTC"))
    )
    return pl.concat([old, new])


def as_known(rows, moment):
    visible = pl.col("known_at") <= moment
    standing = pl.col("superseded_at").is_null() | (pl.col("superseded_at") > moment)
    return rows.filter(visible & standing)


def test_a_restated_bar_makes_versions_from_its_arrival_on():
    bars = silver()
    session = DAYS[-3]
    minute = XNYS.session(session).open_ns + 7 * 60_000_000_000
    late = datetime(2026, 1, 20, 12, tzinfo=UTC)
    both = restated(bars, "SPY", minute, late, 103.0)
    made = minute_tape(both, DAYS)
    clean, changed = minute_tape(bars, DAYS), made.filter(pl.col("version") == 2)
    values = ["ts_event", "buy_volume", "sell_volume", "unclassified_volume"]
    before = as_known(made, late - timedelta(microseconds=1))
    assert before.select(values).equals(clean.select(values))
    corrected = bars.with_columns(
        close=pl.when(pl.col("ts_event") == minute).then(103.0).otherwise("close")
    )
    after = as_known(made, late)
    assert after.select(values).equals(minute_tape(corrected, DAYS).select(values))
    assert set(changed["known_at"]) == {late}
    assert changed["session"].min() == session  # and sigma moves the sessions that follow


def test_a_bar_that_came_late_leaves_the_sums_before_it_as_they_were():
    bars = silver()
    minute = XNYS.session(LAST).open_ns + 3 * 60_000_000_000
    late = datetime(2026, 1, 18, tzinfo=UTC)
    hit = pl.col("ts_event") == minute
    moved = bars.with_columns(
        known_at=pl.when(hit)
        .then(pl.lit(late))
        .otherwise("known_at")
        .cast(pl.Datetime("us", "UTC"))
    )
    made = minute_tape(moved, [LAST])
    first = made.filter(pl.col("ts_event") == made["ts_event"].min())
    total = pl.col("bulk_volume") + pl.col("unclassified_volume")
    assert first.select(total).to_series().to_list() == [20_000.0, 25_000.0]
    assert first["known_at"][1] == first["superseded_at"][0] == late


def prints(symbol, session, *, scale=1.0, raw="day", received="2026-02-01T00:00:00"):
    start = XNYS.session(session).open_ns // FIVE * FIVE
    n = 12
    sums = {
        column.name: pl.Series([scale * (place + 1.0) for place in range(n)]).cast(column.dtype)
        for column in TAPE_SUMS
    }
    stamp = datetime.fromisoformat(received).replace(tzinfo=UTC)
    return pl.DataFrame(
        {"symbol": symbol, "ts_event": start + np.arange(n) * FIVE, "session": session, **sums}
    ).with_columns(
        ts=(pl.col("ts_event") // 1000).cast(pl.Datetime("us", "UTC")),
        month=pl.col("session").dt.strftime("%Y-%m"),
        classifier=pl.lit("0" * 16),
        source=pl.lit("massive.rest"),
        raw_sha256=pl.lit(sha(raw)),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(stamp),
        known_at=pl.lit(stamp),
    )


def test_prints_are_summed_over_venues_and_known_after_their_five_minutes():
    made = tick_tape(prints("SPY", LAST), feed_delay_minutes=15)
    assert made["buy_volume"].to_list() == [2.0 * (place + 1) for place in range(12)]
    assert made["bulk_volume"].sum() == 0
    wait = made["known_at"].dt.epoch("us") - made["ts_event"] // 1000
    assert set(wait.to_list()) == {20 * 60_000_000}
    contract("silver.tape_5m").conform(made)


def test_a_second_answer_about_prints_is_a_version_where_it_differs():
    first = prints("SPY", LAST)
    second = prints("SPY", LAST, raw="again", received="2026-03-01T00:00:00").with_columns(
        lit_buy_volume=pl.when(pl.col("ordinal") == 4).then(99.0).otherwise("lit_buy_volume")
    )
    made = tick_tape(pl.concat([first, second]))
    assert made.height == 13
    assert made.filter(pl.col("version") == 2)["lit_buy_volume"].to_list() == [99.0]


# -- in a lake -------------------------------------------------------------------------------


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open(
        tmp_path / "lake", create=True, clock=FixedClock(eastern_ns(date(2026, 7, 2), 9))
    )
    yield lake
    lake.close()


def built(lake):
    settings = default_settings()
    report = build(lake, settings, lake.clock, ["silver.tape_5m"])
    return {one.target: one.built for one in report.targets}["silver.tape_5m"]


def test_both_modes_stand_side_by_side_and_only_what_changed_is_made_again(lake):
    for day in DAYS:
        land(lake, "bronze.massive_bars_1m", minutes("SPY", day, raw=f"{day}"))
    land(lake, "bronze.massive_tape_5m", prints("SPY", LAST))
    assert built(lake) == len(DAYS)
    assert built(lake) == 0
    table = lake.tables.scan("silver.tape_5m").collect()
    assert table.filter(pl.col("session") == LAST)["mode"].unique().sort().to_list() == [
        "minute",
        "tick",
    ]
    assert table.select("symbol", "ts_event", "mode", "version").is_duplicated().sum() == 0
    land(lake, "bronze.massive_tape_5m", prints("KO", LAST, raw="ko"))
    assert built(lake) == 1
    again = minutes("SPY", DAYS[1], raw="again", received=datetime(2026, 7, 2, tzinfo=UTC))
    land(lake, "bronze.massive_bars_1m", again.with_columns(pl.col("volume") + 1))
    assert built(lake) == 1 + WARM_UP_SESSIONS


def test_minutes_that_silver_does_not_hold_yet_stamp_no_sums(lake):
    """Another process lands minutes between the builds of silver and of the tape."""
    land(lake, "bronze.massive_bars_1m", minutes("SPY", DAYS[-2], raw="first"))
    built(lake)
    kitchen = Kitchen(lake, default_settings())
    before = plan_tape(kitchen, "v").fingerprints
    land(lake, "bronze.massive_bars_1m", minutes("SPY", DAYS[-3], raw="second"))
    land(lake, "bronze.massive_bars_1m", minutes("SPY", LAST, raw="third"))
    assert plan_tape(kitchen, "v").fingerprints == before
    built(lake)
    after = plan_tape(kitchen, "v").fingerprints
    # The session after the backfilled one has another past now.
    assert after[DAYS[-2].isoformat()] != before[DAYS[-2].isoformat()]
    assert set(after) == {day.isoformat() for day in DAYS[-3:]}


def test_a_table_is_the_same_however_many_builds_made_it(lake, tmp_path):
    other = Lake.open(tmp_path / "other", create=True, clock=lake.clock)
    for day in DAYS:
        frame = minutes("SPY", day, raw=f"{day}")
        land(lake, "bronze.massive_bars_1m", frame)
        land(other, "bronze.massive_bars_1m", frame)
        built(lake)
    built(other)
    tables = [
        one.tables.scan("silver.tape_5m").collect().sort("ts_event", "version")
        for one in (lake, other)
    ]
    assert_frame_equal(*tables)
    other.close()
