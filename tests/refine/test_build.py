from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from refine.bronze import RECEIVED, days, land, minutes, sha
from tapemill.clock.injected import FixedClock
from tapemill.errors import ConflictError, UnknownNameError
from tapemill.lake import Lake
from tapemill.lake.control import CellState
from tapemill.refine import BuildReport, build, check
from tapemill.refine.recipe import code_version
from tapemill.refine.recipes import RECIPES
from tapemill.settings import Settings, load_settings

NOW = FixedClock(int(datetime(2026, 7, 2, tzinfo=UTC).timestamp()) * 10**9)
MON, TUE, WED = date(2026, 6, 1), date(2026, 6, 2), date(2026, 6, 3)
NAMES = ("AAA", "BBB", "CCC")


@pytest.fixture
def settings() -> Settings:
    return load_settings(env={})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "lake", create=True, clock=NOW)


def fill(lake: Lake, *, order: tuple[int, ...] = (0, 1, 2)) -> None:
    pages = [
        pl.concat([minutes(name, day, raw=f"{name}{day}") for name in NAMES])
        for day in (MON, TUE, WED)
    ]
    for number in order:
        land(lake, "bronze.massive_bars_1m", pages[number])
    daily = [days(name, [(d, 100.0) for d in (MON, TUE, WED)], raw=f"d{name}") for name in NAMES]
    land(lake, "bronze.massive_bars_1d", pl.concat(daily))


def built(report: BuildReport) -> dict[str, int]:
    return {line.target: line.built for line in report.targets if line.built}


def dividends(rows: list[tuple[str, date, float]], raw: str) -> pl.DataFrame:
    return stamp(
        pl.DataFrame(rows, schema=["symbol", "ex_date", "cash_amount"], orient="row").with_columns(
            id=pl.concat_str("symbol", pl.col("ex_date").cast(pl.String)), currency=pl.lit("USD")
        ),
        raw,
    )


def splits(rows: list[tuple[str, date, float, float]], raw: str) -> pl.DataFrame:
    names = ["symbol", "ex_date", "split_from", "split_to"]
    return stamp(pl.DataFrame(rows, schema=names, orient="row"), raw)


def stamp(frame: pl.DataFrame, raw: str) -> pl.DataFrame:
    return frame.with_columns(
        year=pl.col("ex_date").dt.year(),
        source=pl.lit("massive.rest"),
        raw_sha256=pl.lit(sha(raw)),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
        known_at=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
    )


def test_first_build_makes_all_and_the_second_makes_nothing(lake: Lake, settings: Settings) -> None:
    fill(lake)
    first = built(build(lake, settings, NOW))
    assert first == {
        "silver.equity_bars_1d": 3,
        "silver.equity_bars_1m": 3,
        "silver.tape_5m": 3,
        "silver.coverage": 3,
    }
    versions = {name: lake.tables.version(name) for name in first}
    again = build(lake, settings, NOW)
    assert again.builds == 0
    assert again.skipped == 12
    assert {name: lake.tables.version(name) for name in first} == versions
    bars = lake.scan("silver.equity_bars_1m", "AAA", MON, MON).collect()
    assert bars.height == 390
    cells = check(lake, settings, NOW).cells
    assert cells["state"].unique().to_list() == ["green"]


def test_a_late_row_rebuilds_only_its_session(lake: Lake, settings: Settings) -> None:
    fill(lake)
    build(lake, settings, NOW)
    before = lake.scan("silver.equity_bars_1m", None, MON, MON).collect()
    late = minutes("AAA", TUE, keep=[5], raw="late", received=datetime(2026, 7, 5, tzinfo=UTC))
    land(lake, "bronze.massive_bars_1m", late.with_columns(pl.col("volume") + 1))
    report = build(lake, settings, NOW)
    # The tape of a session is judged by the minutes of those before it.
    assert built(report) == {
        "silver.equity_bars_1m": 1,
        "silver.tape_5m": 2,
        "silver.coverage": 1,
    }
    rows = lake.tables.scan("silver.equity_bars_1m").filter(
        (pl.col("symbol") == "AAA") & (pl.col("session") == TUE) & (pl.col("version") == 2)
    )
    assert rows.select("volume").collect()["volume"].to_list() == [5_001.0]
    assert lake.scan("silver.equity_bars_1m", None, MON, MON).collect().equals(before)


def test_one_new_split_rebuilds_only_that_symbol(lake: Lake, settings: Settings) -> None:
    fill(lake)
    land(lake, "bronze.massive_splits", splits([("AAA", TUE, 1, 2), ("BBB", TUE, 1, 3)], "s1"))
    land(lake, "bronze.massive_dividends", dividends([("BBB", WED, 1.0)], "d1"))
    assert built(build(lake, settings, NOW))["reference.adjustments"] == 2
    land(lake, "bronze.massive_splits", splits([("CCC", WED, 1, 4)], "s2"))
    report = build(lake, settings, NOW)
    assert built(report) == {"reference.adjustments": 1}
    factors = lake.scan("reference.adjustments").collect()
    assert sorted(factors["symbol"]) == ["AAA", "BBB", "BBB", "CCC"]
    assert build(lake, settings, NOW).builds == 0
    adjusted = lake.scan("silver.equity_bars_1d", "CCC", MON, WED, adjust="split").collect()
    assert adjusted["close"].to_list() == [25.0, 25.0, 100.0]


def test_arrival_order_does_not_change_a_byte(tmp_path: Path, settings: Settings) -> None:
    digests = []
    for name, order in (("one", (0, 1, 2)), ("two", (2, 0, 1))):
        lake = Lake.open(tmp_path / name, create=True, clock=NOW)
        fill(lake, order=order)
        build(lake, settings, NOW)
        digests.append(
            {target: lake.digest(target) for target in lake.datasets() if "silver" in target}
        )
    assert digests[0] == digests[1]


@pytest.mark.parametrize("fail_at", [0, 1, 2])
def test_a_crash_before_the_record_builds_the_same_again(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    fill(lake)
    builds = type(lake.control.builds)
    record, calls = builds.record_many, []

    def dying(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == fail_at + 1:
            raise KeyboardInterrupt
        return record(self, *args, **kwargs)

    monkeypatch.setattr(builds, "record_many", dying)
    with pytest.raises(KeyboardInterrupt):
        build(lake, settings, NOW)
    monkeypatch.undo()
    build(lake, settings, NOW)
    digests = {name: lake.digest(name) for name in lake.datasets() if "silver" in name}
    rows = lake.tables.scan("silver.equity_bars_1m").collect()
    assert rows.height == rows.select("symbol", "ts_event", "version").n_unique() == 9 * 390
    other = Lake.open(Path(lake.location).parent / "other", create=True, clock=NOW)
    fill(other)
    build(other, settings, NOW)
    assert digests == {name: other.digest(name) for name in digests}


def test_adjusted_bars_go_to_quarantine_once(lake: Lake, settings: Settings) -> None:
    bars = minutes("AAA", MON).with_columns(adjusted=pl.int_range(pl.len()) < 10)
    land(lake, "bronze.massive_bars_1m", bars)
    build(lake, settings, NOW)
    assert lake.scan("silver.equity_bars_1m").collect().height == 380
    land(lake, "bronze.massive_bars_1m", minutes("AAA", MON, keep=[20], raw="again"))
    build(lake, settings, NOW)
    bad = lake.tables.scan("ops.quarantine").collect()
    assert bad.height == 10
    assert set(bad["reasons"]) == {"adjusted_by_vendor"}
    cell = check(lake, settings, NOW).cells.row(0, named=True)
    assert cell["quarantined"] == 10
    assert cell["duplicates"] == 1


def test_missing_and_empty_sessions_are_rows(lake: Lake, settings: Settings) -> None:
    land(lake, "bronze.massive_bars_1m", minutes("AAA", MON, raw="1"))
    land(lake, "bronze.massive_bars_1m", minutes("AAA", WED, raw="3"))
    ledger = lake.control.ledger
    ledger.record("bronze.massive_bars_1m", "AAA", [MON, WED], CellState.DATA, rows=390)
    ledger.record("bronze.massive_bars_1m", "BBB", [MON, TUE, WED], CellState.EMPTY)
    ledger.record("bronze.massive_bars_1m", "CCC", [MON], CellState.OUT_OF_WINDOW)
    ledger.record("bronze.massive_bars_1m", "DDD", [TUE], CellState.TRANSIENT)
    build(lake, settings, NOW)
    report = check(lake, settings, NOW)
    states = {(r["symbol"], r["session"]): r for r in report.cells.iter_rows(named=True)}
    assert states["AAA", TUE]["state"] == "missing"
    assert states["AAA", TUE]["longest_missing_run"] == 390
    assert {states["BBB", day]["state"] for day in (MON, TUE, WED)} == {"empty"}
    assert states["DDD", TUE]["reasons"] == "no_bars;ledger_transient"
    assert ("CCC", MON) not in states
    assert report.red == 2
    # The ledger learns that nothing was there: the verdict follows, the bars are left alone.
    ledger.record("bronze.massive_bars_1m", "DDD", [TUE], CellState.EMPTY)
    assert built(build(lake, settings, NOW)) == {"silver.coverage": 1}


def test_futures_are_judged_in_the_hours_they_claim(lake: Lake, settings: Settings) -> None:
    start = (9 * 60 + 30) + 6 * 60
    halted = [*range(4), *range(20, 390)]
    day = date(2020, 3, 9)
    bars = minutes(
        "ES",
        day,
        keep=[start + m for m in halted],
        name="CMES",
        raw="es",
        source="import:es",
        asset_class="future",
        calendar="CMES",
        hours="regular",
    )
    land(lake, "bronze.imported_bars_1m", bars)
    build(lake, settings, NOW)
    cell = check(lake, settings, NOW).cells.row(0, named=True)
    assert (cell["dataset"], cell["expected"], cell["present"]) == (
        "silver.futures_bars_1m",
        390,
        374,
    )
    assert (cell["state"], cell["halted"], cell["missing"]) == ("halt", 16, 0)
    assert not lake.tables.exists("silver.equity_bars_1m")


@pytest.mark.parametrize("session", [date(1990, 1, 2), date(2026, 1, 10)])
def test_rows_of_days_without_a_session_are_quarantined_not_lost(
    lake: Lake, settings: Settings, session: date
) -> None:
    """A Saturday, and a day before the session table begins, which stopped every build once."""
    land(lake, "bronze.massive_bars_1d", days("AAA", [(session, 10.0)], raw="d"))
    moved = minutes("AAA", MON, keep=range(5)).with_columns(
        session=pl.lit(session), month=pl.lit(f"{session:%Y-%m}")
    )
    land(lake, "bronze.massive_bars_1m", pl.concat([minutes("AAA", TUE, raw="m"), moved]))
    build(lake, settings, NOW)
    held = lake.tables.scan("ops.quarantine").collect()
    assert held.group_by("dataset", "session", "reasons").len().sort("dataset").rows() == [
        ("silver.equity_bars_1d", session, "not_a_session", 1),
        ("silver.equity_bars_1m", session, "not_a_session", 5),
    ]
    assert check(lake, settings, NOW).quarantined == 6
    assert check(lake, settings, NOW, ["AAA"], dataset="silver.equity_bars_1m").quarantined == 5
    assert build(lake, settings, NOW).builds == 0


def test_a_symbol_without_one_usable_row_is_missing_and_not_unseen(
    lake: Lake, settings: Settings
) -> None:
    shifted = minutes("BBB", MON, raw="b").with_columns(pl.col("ts_event") + 30 * 10**9)
    land(lake, "bronze.massive_bars_1m", pl.concat([minutes("AAA", MON), shifted]))
    build(lake, settings, NOW)
    cells = check(lake, settings, NOW).cells.select("symbol", "state", "off_grid", "reasons")
    assert cells.rows() == [
        ("AAA", "green", 0, ""),
        ("BBB", "missing", 390, "no_bars;off_grid"),
    ]


def test_another_builder_is_refused(lake: Lake, settings: Settings) -> None:
    lake.control.claims.claim("build|silver.equity_bars_1d", "somebody", 60)
    with pytest.raises(ConflictError, match="another process is building"):
        build(lake, settings, NOW)


def test_unknown_target_is_named(lake: Lake, settings: Settings) -> None:
    with pytest.raises(UnknownNameError) as caught:
        build(lake, settings, NOW, ["silver.equity_bars_1min"])
    assert "silver.equity_bars_1m" in str(caught.value)


def test_a_target_brings_what_it_reads(lake: Lake, settings: Settings) -> None:
    fill(lake)
    report = build(lake, settings, NOW, ["reference.adjustments"])
    assert [line.target for line in report.targets] == [
        "silver.equity_bars_1d",
        "reference.adjustments",
    ]


def test_unresolved_dividend_is_an_incident_until_the_close_arrives(
    lake: Lake, settings: Settings
) -> None:
    land(lake, "bronze.massive_bars_1d", days("AAA", [(MON, 100.0), (WED, 100.0)]))
    land(lake, "bronze.massive_dividends", dividends([("AAA", WED, 1.0)], "d"))
    build(lake, settings, NOW)
    assert [i.subject for i in lake.control.incidents.open_incidents()] == ["AAA"]
    land(lake, "bronze.massive_bars_1d", days("AAA", [(TUE, 50.0)], raw="late"))
    build(lake, settings, NOW)
    assert lake.control.incidents.open_incidents() == []
    factor = lake.scan("reference.adjustments").collect()["price_factor_frac"].to_list()
    assert factor == [pytest.approx(0.98)]


def test_a_change_of_meaning_makes_bars_stale() -> None:
    """When facts are known, and what columns hold, decide the content as the kernel does."""
    for target in ("silver.equity_bars_1m", "silver.equity_bars_1d", "silver.short_volume"):
        modules = RECIPES[target].modules
        assert {"tapemill.clock.availability", "tapemill.contracts.silver"} <= set(modules)
        assert RECIPES[target].version != code_version(modules[:-1])
