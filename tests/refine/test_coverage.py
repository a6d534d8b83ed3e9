from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from refine import real
from refine.bronze import minutes, sessions
from tapemill.clock import eastern_ns
from tapemill.contracts import contract
from tapemill.refine.bars import minute_bars
from tapemill.refine.coverage import Coverage, coverage
from tapemill.refine.halts import halt_minutes, official_halts

DAY, HALF = date(2025, 11, 26), date(2025, 11, 28)
TABLE = sessions(date(2025, 11, 3), date(2025, 12, 5))
ALL = range(390)


def without(*gone: int | range) -> list[int]:
    lost = {m for part in gone for m in ([part] if isinstance(part, int) else part)}
    return [m for m in ALL if m not in lost]


def judged(*frames: pl.DataFrame, table: pl.DataFrame = TABLE, **facts: pl.DataFrame) -> Coverage:
    rows = minute_bars(pl.concat(frames), table).rows
    days = rows["session"].unique()
    open_ = table.filter(pl.col("session").is_in(days.to_list()))
    cells = (
        rows.select("symbol")
        .unique()
        .join(open_.select("session", expected_open_ns="open_ns", expected="minutes"), how="cross")
    )
    return coverage("silver.equity_bars_1m", rows, cells, **facts)


def only(*frames: pl.DataFrame, **facts: pl.DataFrame) -> dict[str, object]:
    return judged(*frames, **facts).cells.row(0, named=True)


def test_a_full_session_is_green() -> None:
    cell = only(minutes("A", DAY))
    assert (cell["expected"], cell["present"], cell["missing"]) == (390, 390, 0)
    assert (cell["longest_missing_run"], cell["tier"], cell["state"]) == (0, 1, "green")


def test_a_half_day_expects_210_and_runs_on_into_post() -> None:
    cell = only(minutes("A", HALF, keep=[*range(210), 215, 300]))
    assert (cell["expected"], cell["present"], cell["extended"]) == (210, 210, 2)
    assert cell["state"] == "green"


def test_the_bar_at_the_close_is_not_regular() -> None:
    cell = only(minutes("A", DAY, keep=[*ALL, 390]))
    assert (cell["present"], cell["extended"]) == (390, 1)


@pytest.mark.parametrize(
    ("gone", "run", "at_open", "at_close"),
    [
        (range(6), 6, 6, 0),
        (range(384, 390), 6, 0, 6),
        (range(100, 106), 6, 0, 0),
    ],
)
def test_runs_count_at_open_middle_and_close(
    gone: range, run: int, at_open: int, at_close: int
) -> None:
    cell = only(minutes("A", DAY, keep=without(gone)))
    assert cell["longest_missing_run"] == run
    assert (cell["missing_at_open"], cell["missing_at_close"]) == (at_open, at_close)
    assert cell["state"] == "red"
    assert "long_run" in str(cell["reasons"])


def test_five_missing_minutes_in_a_row_are_tolerated() -> None:
    assert only(minutes("A", DAY, keep=without(range(100, 105))))["state"] == "green"


@pytest.mark.parametrize(("trades", "state"), [(200, "red"), (20, "green"), (2, "amber")])
def test_tiers_by_trades(trades: int, state: str) -> None:
    """Ten lone minutes and a run of ten: too much for tier 1, fine in tier 2."""
    lone = [20 * m for m in range(1, 19)]
    few = without(*lone, range(370, 380), *(range(5, 60, 2) if trades == 2 else ()))
    cell = only(minutes("A", DAY, keep=few if trades != 2 else few[:200], trades=trades))
    assert cell["state"] == state


def test_a_run_of_missing_minutes_equals_brute_force() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        keep = sorted(rng.choice(390, size=int(rng.integers(1, 390)), replace=False).tolist())
        longest = run = 0
        for minute in ALL:
            run = 0 if minute in keep else run + 1
            longest = max(longest, run)
        cell = only(minutes("A", DAY, keep=keep))
        assert cell["longest_missing_run"] == longest
        assert cell["present"] == len(keep)


def test_silence_that_adds_up_to_the_day_is_not_a_loss() -> None:
    gap = minutes("A", DAY, keep=without(range(100, 110)))
    volume = gap["volume"].sum()
    cell = only(gap, daily=pl.DataFrame({"symbol": ["A"], "session": [DAY], "volume": [volume]}))
    assert (cell["state"], "quiet_by_daily_volume" in str(cell["reasons"])) == ("amber", True)
    lost = pl.DataFrame({"symbol": ["A"], "session": [DAY], "volume": [volume * 1.02]})
    assert only(gap, daily=lost)["state"] == "red"


def test_the_same_minutes_in_many_liquid_names_are_the_vendors_incident() -> None:
    names = [f"S{n:02d}" for n in range(40)]
    broken = set(names[:3])
    frames = [minutes(n, DAY, keep=without(range(200, 203)) if n in broken else ALL) for n in names]
    found = judged(*frames)
    assert found.incidents["minute"].to_list() == [200, 201, 202]
    assert found.incidents["symbols"].to_list() == [3, 3, 3]
    marked = found.cells.filter(pl.col("reasons").str.contains("vendor_incident"))
    assert set(marked["symbol"]) == broken
    assert set(marked["state"]) == {"amber"}


def test_lone_minutes_of_single_names_are_nobodys_incident() -> None:
    frames = [minutes(f"S{n:02d}", DAY, keep=without(5 * n + 3)) for n in range(40)]
    assert judged(*frames).incidents.is_empty()


def test_a_run_shared_by_all_that_resumes_elsewhere_is_a_suspected_halt() -> None:
    def halted(name: str) -> pl.DataFrame:
        bars = minutes(name, DAY, keep=without(range(30, 45)))
        later = pl.col("minute") >= 45
        bars = bars.with_columns(minute=pl.Series(without(range(30, 45))))
        return bars.with_columns(
            pl.when(later).then(pl.col(c) * 0.97).otherwise(c).alias(c)
            for c in ("open", "high", "low", "close")
        ).drop("minute")

    found = judged(*(halted(f"S{n}") for n in range(8)))
    assert found.suspected_halts.row(0)[1:4] == (30, 15, 8)
    assert found.incidents.is_empty()
    assert set(found.cells["state"]) == {"amber"}
    assert found.cells["reasons"].str.contains("suspected_halt").all()


@pytest.mark.parametrize("gone", [range(100, 115), range(100, 140)])
def test_an_outage_of_all_names_is_the_vendors_and_no_halt(gone: range) -> None:
    found = judged(*(minutes(f"S{n}", DAY, keep=without(gone)) for n in range(8)))
    assert found.suspected_halts.is_empty()
    assert found.incidents["minute"].to_list() == list(gone)
    assert set(found.cells["state"]) == {"red"}


def test_halts_of_one_session_count_from_the_open_of_each_window() -> None:
    """One file claims regular hours, one the whole trade date: no minute is excused twice."""
    day = date(2020, 3, 9)
    regular = eastern_ns(day, 9, 30)
    table = sessions(day, day, "CMES")
    whole = int(table["open_ns"][0])
    expected = pl.DataFrame(
        {
            "symbol": ["ES", "NQ"],
            "session": [day] * 2,
            "expected_open_ns": [whole, regular],
            "expected": [int(table["minutes"][0]), 390],
        }
    )
    early = [m for m in range(1380) if m not in range(4, 20)]
    rows = [
        minutes("ES", day, keep=early, name="CMES"),
        minutes("NQ", day, keep=[930], name="CMES"),
    ]
    found = minute_bars(pl.concat(rows), table, target="silver.futures_bars_1m").rows
    cells = coverage("silver.futures_bars_1m", found, expected).cells
    es, nq = cells.sort("symbol").to_dicts()
    assert (es["halted"], es["missing"], es["longest_missing_run"]) == (0, 16, 16)
    assert nq["halted"] == 16


def test_missing_empty_and_unfetched_sessions() -> None:
    bars = minutes("A", DAY)
    open_ns, expected = eastern_ns(DAY, 9, 30), 390
    cells = pl.DataFrame(
        {
            "symbol": ["A", "B", "C"],
            "session": [DAY] * 3,
            "expected_open_ns": [open_ns] * 3,
            "expected": [expected] * 3,
        }
    )
    rows = minute_bars(bars, TABLE).rows
    ledger = pl.DataFrame(
        {"symbol": ["B", "C"], "session": [DAY] * 2, "ledger_state": ["empty", "transient"]}
    )
    found = coverage("silver.equity_bars_1m", rows, cells, ledger=ledger).cells
    assert found.select("symbol", "state", "missing", "reasons").rows() == [
        ("A", "green", 0, ""),
        ("B", "empty", 390, "confirmed_empty"),
        ("C", "missing", 390, "no_bars;ledger_transient"),
    ]
    assert found.schema == contract("silver.coverage").schema


def test_halt_table_holds_the_four_breakers_of_march_2020() -> None:
    table = official_halts().filter(pl.col("session").dt.year() == 2020)
    assert table.select("session", "start_ns").rows() == [
        (date(2020, 3, 9), eastern_ns(date(2020, 3, 9), 9, 34) + 13 * 10**9),
        (date(2020, 3, 12), eastern_ns(date(2020, 3, 12), 9, 35) + 44 * 10**9),
        (date(2020, 3, 16), eastern_ns(date(2020, 3, 16), 9, 30) + 1 * 10**9),
        (date(2020, 3, 18), eastern_ns(date(2020, 3, 18), 12, 56) + 17 * 10**9),
    ]
    assert ((table["end_ns"] - table["start_ns"]) == 15 * 60 * 10**9).all()


def test_halted_minutes_stay_inside_the_session() -> None:
    day = date(1997, 10, 27)
    window = pl.DataFrame(
        {"session": [day], "expected_open_ns": [eastern_ns(day, 9, 30)], "expected": [390]}
    )
    found = halt_minutes(window)["minute"].to_list()
    assert found == [*range(306, 336), *range(360, 390)]


@pytest.mark.real
def test_es_2020_agrees_with_its_readme(real_data: Path) -> None:
    """73 full sessions, two halves, and four halts whose every missing minute is explained."""
    table = sessions(date(2020, 1, 2), date(2020, 4, 22), "CMES")
    rows = minute_bars(real.es_2020(real_data), table, target="silver.futures_bars_1m").rows
    opens = pl.col("session").map_elements(lambda d: eastern_ns(d, 9, 30), return_dtype=pl.Int64)
    last = pl.col("session").map_elements(lambda d: eastern_ns(d, 16, 0), return_dtype=pl.Int64)
    days = rows.select("symbol", "session").unique().join(table, on="session")
    cells = days.select(
        "symbol",
        "session",
        expected_open_ns=opens,
        expected=(pl.min_horizontal("close_ns", last) - opens) // 60_000_000_000,
    )
    found = coverage("silver.futures_bars_1m", rows, cells).cells.sort("session")
    assert found.height == 79
    assert found.group_by("expected").len().sort("expected").rows() == [(210, 2), (390, 77)]
    assert dict(found.group_by("state").len().rows()) == {"green": 75, "halt": 4}
    halts = found.filter(pl.col("state") == "halt")
    assert halts.select("session", "present", "halted", "missing").rows() == [
        (date(2020, 3, 9), 377, 13, 0),
        (date(2020, 3, 12), 377, 13, 0),
        (date(2020, 3, 16), 376, 14, 0),
        (date(2020, 3, 18), 377, 13, 0),
    ]


@pytest.mark.real
def test_spy_year_agrees_with_its_readme(real_data: Path) -> None:
    table = sessions(date(2024, 3, 1), date(2025, 4, 30))
    found = judged(real.spy_year(real_data), table=table).cells
    assert found.height == 256
    assert found.filter(pl.col("present") + pl.col("extended") == 391).height == 247
    halves = found.filter(pl.col("expected") == 210)
    assert halves["session"].to_list() == [
        date(2024, 7, 3),
        date(2024, 11, 29),
        date(2024, 12, 24),
    ]
    assert (halves["extended"] > 100).all()
    extended_days = found.filter((pl.col("extended") > 200) & (pl.col("expected") == 390))
    assert extended_days.height == 6
    assert dict(found.group_by("state").len().rows()) == {"green": 255, "red": 1}
    cut = found.filter(pl.col("state") == "red").row(0, named=True)
    assert (cut["session"], cut["missing_at_close"]) == (date(2025, 4, 2), 36)
    assert found["outside"].sum() == found["off_grid"].sum() == 0


@pytest.mark.real
def test_cross_section_holds_only_its_sessions(real_data: Path) -> None:
    table = sessions(date(2026, 1, 2), date(2026, 1, 30))
    found = judged(real.cross_section(real_data), table=table)
    cells = found.cells
    assert cells["session"].n_unique() == 7
    assert date(2026, 1, 19) not in cells["session"].to_list()
    assert cells["present"].sum() == 886_036
    assert cells["present"].max() == 390
    assert cells.filter(pl.col("state") == "red").height <= 0.01 * cells.height
    assert found.incidents.height <= 0.01 * 7 * 390


@pytest.mark.real
def test_cross_section_believed_as_utc_is_not_clean(real_data: Path) -> None:
    """The file's label is wrong: taken at its word, regular hours become night and noon."""
    table = sessions(date(2026, 1, 2), date(2026, 1, 30))
    bronze = real.cross_section(real_data, mislabelled=True)
    bronze = bronze.filter(pl.col("symbol").is_in(["AAPL", "MSFT", "NVDA"]))
    cells = judged(bronze, table=table).cells
    assert (cells["missing_at_close"] >= 240).all()
    assert not cells["state"].is_in(["green"]).any()
