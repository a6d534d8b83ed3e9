"""Each defect pattern on clean days with one defect planted, and the real files as clean days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from refine import real
from refine.bronze import days, minutes, sessions, sha
from refine.test_coverage import judged
from tapemill.refine.bars import minute_bars
from tapemill.refine.detectors import (
    Finding,
    bars_end_at_noon,
    closing_bar_missing,
    minute_file_absent,
    off_exchange_prints,
    old_window_empty,
    page_appended_twice,
    replay_incomplete,
    sentinel_value,
    session_cut_1530,
    split_unadjusted,
    start_anchor_ignored,
)

DAY, NEXT, HALF = date(2025, 11, 25), date(2025, 11, 26), date(2025, 11, 28)
TABLE = sessions(date(2025, 11, 3), date(2025, 12, 5))
NAMES = [f"S{n:02d}" for n in range(20)]
SET = "silver.equity_bars_1m"
Change = Callable[[pl.DataFrame], pl.DataFrame]


def market(change: Change | None = None, concerned: tuple[str, ...] = ()) -> list[pl.DataFrame]:
    """Two clean sessions of twenty names; `change` alters the first one of the concerned."""
    frames = []
    for name in NAMES:
        bars = minutes(name, DAY, raw=f"{name}a")
        frames.append(change(bars) if change and name in concerned else bars)
        frames.append(minutes(name, NEXT, raw=f"{name}b"))
    return frames


def before(minute: int) -> Change:
    return lambda bars: bars.sort("ts_event").head(minute)


def names_of(findings: list[Finding]) -> set[tuple[str, date]]:
    return {pair for f in findings for pair in f.evidence.select("symbol", "session").rows()}


@pytest.mark.parametrize(
    ("detector", "change"),
    [
        (session_cut_1530, before(360)),
        (bars_end_at_noon, before(150)),
        (closing_bar_missing, before(389)),
    ],
)
def test_sessions_that_end_too_early(
    detector: Callable[[pl.DataFrame], list[Finding]], change: Change
) -> None:
    concerned = ("S01", "S02", "S03")
    assert detector(judged(*market(), table=TABLE).cells) == []
    found = detector(judged(*market(change, concerned), table=TABLE).cells)
    assert [f.kind for f in found] == [detector.__name__]
    assert names_of(found) == {(name, DAY) for name in concerned}
    assert found[0].subject == "S01, S02, S03"
    # The three patterns are told apart.
    others = {session_cut_1530, bars_end_at_noon, closing_bar_missing} - {detector}
    cells = judged(*market(change, concerned), table=TABLE).cells
    assert [f for other in others for f in other(cells)] == []


def test_hours_written_in_the_wrong_zone_end_at_noon() -> None:
    """09:30-16:00 New York believed to be UTC: five hours early in winter."""
    moved = [
        minutes(name, DAY).with_columns(pl.col("ts_event") - 5 * 3_600_000_000_000)
        for name in NAMES
    ]
    found = bars_end_at_noon(judged(*moved, table=TABLE).cells)
    assert names_of(found) == {(name, DAY) for name in NAMES}


def test_half_days_end_early_by_right() -> None:
    frames = [minutes(name, HALF, keep=range(210)) for name in NAMES]
    cells = judged(*frames, table=TABLE).cells
    for detector in (session_cut_1530, bars_end_at_noon, closing_bar_missing):
        assert detector(cells) == []


def test_closing_bar_of_the_middle_tier_only_where_shared() -> None:
    def thin(lost: set[str]) -> pl.DataFrame:
        return judged(
            *(minutes(n, DAY, keep=range(389 if n in lost else 390), trades=20) for n in NAMES),
            table=TABLE,
        ).cells

    assert closing_bar_missing(thin({"S01"})) == []
    assert len(names_of(closing_bar_missing(thin(set(NAMES[:6]))))) == 6


def test_minute_file_absent_needs_a_daily_bar() -> None:
    frames = [minutes(name, DAY) for name in NAMES[:10]]
    rows = minute_bars(pl.concat(frames), TABLE).rows
    table = TABLE.filter(pl.col("session") == DAY)
    cells = pl.DataFrame({"symbol": NAMES[:12]}).join(
        table.select("session", expected_open_ns="open_ns", expected="minutes"), how="cross"
    )
    from tapemill.refine.coverage import coverage

    daily = pl.DataFrame({"symbol": NAMES[:11], "session": [DAY] * 11, "volume": [1.95e6] * 11})
    found = minute_file_absent(coverage(SET, rows, cells, daily=daily).cells)
    assert names_of(found) == {("S10", DAY)}


def sums(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).group_by("symbol", "session").agg(pl.col("volume").sum())


def test_replay_incomplete_by_the_missing_volume() -> None:
    daily = sums(market())
    assert replay_incomplete(SET, sums(market()), daily) == []
    lost = market(lambda bars: bars.slice(0, 50).vstack(bars.slice(70)), ("S04",))
    found = replay_incomplete(SET, sums(lost), daily)
    assert names_of(found) == {("S04", DAY)}
    assert found[0].kind == "replay_incomplete"


def test_replay_incomplete_learns_what_the_vendor_usually_leaves_out() -> None:
    """Auctions missing from all minutes shift every ratio alike: only the odd one is short."""
    daily = sums(market()).with_columns(pl.col("volume") * 1.08)
    lost = market(lambda bars: bars.slice(0, 50).vstack(bars.slice(70)), ("S04",))
    assert replay_incomplete(SET, sums(market()), daily) == []
    assert names_of(replay_incomplete(SET, sums(lost), daily)) == {("S04", DAY)}


def test_partial_cells_are_named() -> None:
    partial = pl.DataFrame({"symbol": ["S01"], "session": [DAY]})
    empty = sums(market()).clear()
    assert names_of(replay_incomplete(SET, empty, empty, partial)) == {("S01", DAY)}


@pytest.mark.parametrize("columns", [("open", "high", "low", "close"), ("volume",)])
def test_sentinel_read_as_a_value(columns: tuple[str, ...]) -> None:
    def planted(bars: pl.DataFrame) -> pl.DataFrame:
        here = pl.int_range(pl.len()).is_in([40, 41, 300])
        return bars.with_columns(
            pl.when(here).then(999.99).otherwise(pl.col(name)).alias(name) for name in columns
        )

    assert sentinel_value(SET, pl.concat(market())) == []
    found = sentinel_value(SET, pl.concat(market(planted, ("S07",))))
    assert names_of(found) == {("S07", DAY)}
    assert found[0].evidence.height == 3


@pytest.mark.parametrize("gone", [range(100, 140), range(390)])
def test_sentinels_do_not_vouch_for_each_other(gone: range) -> None:
    def planted(bars: pl.DataFrame) -> pl.DataFrame:
        here = pl.int_range(pl.len()).is_in(list(gone))
        return bars.with_columns(
            pl.when(here).then(999.99).otherwise(pl.col(name)).alias(name)
            for name in ("open", "high", "low", "close")
        )

    found = sentinel_value(SET, pl.concat(market(planted, ("S07",))))
    assert names_of(found) == {("S07", DAY)}
    assert found[0].evidence.height == len(gone)


def test_a_share_may_cost_999_99() -> None:
    bars = minutes("DEAR", DAY, price=1000.0).with_columns(
        close=pl.when(pl.int_range(pl.len()) == 9).then(999.99).otherwise("close")
    )
    assert sentinel_value(SET, bars) == []


def test_off_exchange_prints() -> None:
    def planted(bars: pl.DataFrame) -> pl.DataFrame:
        row = pl.int_range(pl.len())
        return bars.sort("ts_event").with_columns(
            high=pl.when(row == 50).then(pl.col("high") * 1.08).otherwise("high"),
            low=pl.when(row == 333).then(pl.col("low") * 0.92).otherwise("low"),
        )

    clean = minute_bars(pl.concat(market()), TABLE).rows
    assert off_exchange_prints(SET, clean) == []
    rows = minute_bars(pl.concat(market(planted, ("S00",))), TABLE).rows
    found = off_exchange_prints(SET, rows)
    assert names_of(found) == {("S00", DAY)}
    assert found[0].evidence["away_frac"].to_list() == [
        pytest.approx(0.08, abs=1e-3),
        pytest.approx(0.087, abs=1e-3),
    ]


@pytest.mark.parametrize("adjusted", [False, True])
def test_split_on_the_wrong_basis(adjusted: bool) -> None:
    """10-for-1: raw prices must fall to a tenth on the day, adjusted ones must not move."""
    table = [date(2025, 11, d) for d in (24, 25, 26)]
    splits = pl.DataFrame(
        {"symbol": ["A", "B"], "ex_date": [DAY, DAY], "price_factor_frac": [0.1, 0.1]}
    )
    right = [(d, 100.0 if adjusted or d < DAY else 10.0) for d in table]
    # The vendor's bars of the split day are still in old shares, or were never adjusted.
    wrong = [(d, 100.0 if d <= DAY else 10.0) for d in table]
    if adjusted:
        wrong = [(d, 100.0 if d < DAY else 10.0) for d in table]
    bars = pl.concat([days("A", right), days("B", wrong)]).with_columns(
        adjusted=pl.lit(value=adjusted)
    )
    found = split_unadjusted("silver.equity_bars_1d", bars, splits)
    assert names_of(found) == {("B", DAY)}


def test_the_same_page_appended_twice() -> None:
    clean = pl.concat(market())
    assert page_appended_twice("bronze.massive_bars_1m", clean) == []
    twice = pl.concat([clean, clean.filter(pl.col("raw_sha256") == sha("S05a"))])
    found = page_appended_twice("bronze.massive_bars_1m", twice)
    assert names_of(found) == {("S05", DAY)}
    assert found[0].evidence.height == 390


def test_start_anchor_ignored() -> None:
    bronze = pl.concat(market())
    answers = pl.DataFrame(
        {
            "raw_sha256": [sha("S00a"), sha("S01a")],
            "symbol": ["S00", "S01"],
            "start": [DAY, NEXT],
            "end": [NEXT, NEXT],
        }
    )
    found = start_anchor_ignored("bronze.massive_bars_1m", answers, bronze)
    assert names_of(found) == {("S01", DAY)}
    again = pl.concat([answers, answers.with_columns(start=pl.lit(DAY))])
    assert start_anchor_ignored("bronze.massive_bars_1m", again, bronze) == []


def states(symbol: str, empty: int, total: int = 15) -> pl.DataFrame:
    return TABLE.head(total).select(
        "session",
        symbol=pl.lit(symbol),
        ledger_state=pl.when(pl.int_range(pl.len()) < empty)
        .then(pl.lit("empty"))
        .otherwise(pl.lit("data")),
    )


def test_old_window_answered_as_empty() -> None:
    cells = pl.concat([states("OLD", 8), states("NEW", 8), states("FULL", 0)])
    listed = pl.DataFrame(
        {"symbol": ["OLD", "NEW"], "first_seen": [date(1990, 1, 2), TABLE["session"][8]]}
    ).with_columns(last_seen=pl.lit(None, dtype=pl.Date))
    found = old_window_empty("bronze.massive_bars_1m", cells, listed)
    assert [f.subject for f in found] == ["OLD"]
    assert "8 sessions 2025-11-03 to 2025-11-12" in found[0].detail


def test_a_ticker_given_up_before_the_window_is_rightly_empty() -> None:
    empty = pl.concat([states("GONE", 15), states("LOST", 15)])
    listed = pl.DataFrame(
        {
            "symbol": ["GONE", "LOST"],
            "first_seen": [date(1990, 1, 2)] * 2,
            "last_seen": [date(2025, 10, 31), None],
        },
        schema_overrides={"last_seen": pl.Date},
    )
    found = old_window_empty("bronze.massive_bars_1m", empty, listed)
    assert [f.subject for f in found] == ["LOST"]


def test_the_same_boundary_in_most_symbols_is_the_vendors() -> None:
    shared = pl.concat([states(name, 8) for name in NAMES[:4]])
    assert len(old_window_empty("bronze.massive_bars_1m", shared)) == 4
    scattered = pl.concat([states(name, 5 + n) for n, name in enumerate(NAMES[:4])])
    assert old_window_empty("bronze.massive_bars_1m", scattered) == []


@pytest.mark.real
def test_false_alarms_on_real_days_stay_under_one_percent(real_data: Path) -> None:
    """530 names x 7 sessions; the crypto pair's real bad prints are no false alarm."""
    rows = minute_bars(real.cross_section(real_data), sessions(date(2026, 1, 2), date(2026, 1, 30)))
    listed = rows.rows.filter(~pl.col("symbol").is_in(["BTC", "ETH"]))
    cells = judged(
        real.cross_section(real_data), table=sessions(date(2026, 1, 2), date(2026, 1, 30))
    ).cells
    for detector in (session_cut_1530, bars_end_at_noon, closing_bar_missing):
        assert len(names_of(detector(cells))) <= 0.01 * cells.height, detector.__name__
    assert len(names_of(off_exchange_prints(SET, listed))) <= 0.01 * cells.height
    assert sentinel_value(SET, listed) == []
