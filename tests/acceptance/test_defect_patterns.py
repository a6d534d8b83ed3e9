"""Every defect that real vendors have shown, switched on at the sandbox and caught by name."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date, timedelta

import polars as pl
import pytest

from acceptance.refinery import DAYS, FIRST, LAST, MINUTES, SHORTS, Refinery, accused, kinds, truth
from tapemill.clock import eastern_ns
from tapemill.errors import CorruptError, TapemillError
from tapemill.lake import Lake
from tapemill.lake.control import CellState
from tapemill.world import Fault, Market

pytestmark = pytest.mark.acceptance

START = date(2026, 1, 5)
DAY = date(2026, 1, 30)
MARKET_LANES = ("bars_1m", "bars_1d", "splits", "dividends", "tickers")
BARS = "bronze.massive_bars_1m"


@pytest.fixture(scope="module")
def market():
    """Eight companies; a split each way, a halt and a change of ticker inside the window."""
    return Market(7, symbols=8, start=START, end=LAST)


@pytest.fixture
def refinery(tmp_path, market):
    opened = []

    def make(*faults, over=market, **more):
        place = Refinery(tmp_path / f"r{len(opened)}", over, *faults, **more)
        opened.append(place)
        return place

    yield make
    for place in opened:
        place.__exit__(None, None, None)


def liquid_truth(place, kind):
    """Altered cells of names whose silence means something: tiers 1 and 2."""
    small = {spec.symbol for spec in place.market.specs if spec.tier == "illiquid"}
    return {cell for cell in truth(place, kind) if cell[0] not in small}


# -- in the shape of sessions -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["session_cut_1530", "bars_end_at_noon"])
def test_a_session_cut_short_is_named_for_exactly_the_cut_names(refinery, kind):
    place = refinery(kind)
    place.fetch("bars_1m", "bars_1d")
    report = place.judge()
    assert accused(report.findings, kind) == liquid_truth(place, kind)
    assert kind in kinds(report.findings, "error")
    assert report.red > 0
    other = {"session_cut_1530", "bars_end_at_noon"} - {kind}
    assert not accused(report.findings, other.pop())


def test_a_minute_file_that_is_absent_beside_its_daily_bar(refinery):
    place = refinery("minute_file_absent")
    place.fetch("bars_1m", "bars_1d")
    report = place.judge()
    assert accused(report.findings, "minute_file_absent") == truth(place, "minute_file_absent")
    assert "minute_file_absent" in kinds(report.findings, "error")


def test_the_closing_bar_missing_for_forty_names(refinery):
    """Fifty names, the forty largest without their last bar on one of two sessions."""
    names = [f"TM{number:02d}" for number in range(50)]
    wide = Market(9, symbols=names, start=date(2026, 2, 4), end=LAST)
    fault = Fault(kind="closing_bar_missing", sessions=[date(2026, 2, 5)], options={"names": 40})
    place = refinery(fault, over=wide)
    place.fetch("bars_1m", "bars_1d", symbols=names, start=date(2026, 2, 5))
    report = place.judge()
    altered = truth(place, "closing_bar_missing")
    assert len(altered) == 40
    found = accused(report.findings, "closing_bar_missing")
    liquid = set(report.cells.filter(pl.col("tier") == 1).select("symbol", "session").rows())
    assert altered & liquid <= found <= altered
    assert len(found) >= 25
    [finding] = [f for f in report.findings if f.kind == "closing_bar_missing"]
    assert (finding.severity, finding.session) == ("error", date(2026, 2, 5))
    # The same minute missing in many liquid names is the vendor's incident.
    assert ("vendor_incident", date(2026, 2, 5)) in {(f.kind, f.session) for f in report.findings}


# -- in the values ------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["price", "volume"])
def test_a_sentinel_read_as_a_value(refinery, field):
    place = refinery(Fault(kind="sentinel_999_99", options={"field": field}))
    place.fetch("bars_1m", "bars_1d")
    report = place.judge()
    assert accused(report.findings, "sentinel_value") == truth(place, "sentinel_999_99")
    assert "sentinel_value" in kinds(report.findings, "error")


def test_prints_far_from_the_market(refinery):
    place = refinery("off_exchange_prints")
    place.fetch("bars_1m")
    report = place.judge()
    assert accused(report.findings, "off_exchange_prints") == truth(place, "off_exchange_prints")
    altered = sum(f.evidence.height for f in report.findings if f.kind == "off_exchange_prints")
    assert altered == 6


def test_a_split_day_on_the_basis_of_the_day_before(refinery):
    place = refinery("split_unadjusted")
    place.fetch("bars_1d", "splits", start=START)
    report = place.judge()
    altered = truth(place, "split_unadjusted")
    assert {symbol for symbol, _ in altered} == {"NVDA", "GNUS"}
    found = accused(report.findings, "split_unadjusted")
    assert altered <= found
    # The day after, the series jumps back: nothing beyond the split days is accused.
    assert found == altered


def test_true_splits_are_no_finding(refinery):
    place = refinery()
    place.fetch("bars_1d", "splits", start=START)
    assert place.judge().findings == ()
    assert place.lake.scan("reference.adjustments").collect().height == 2


# -- in how the data reached us -----------------------------------------------------------------


def test_a_replay_that_reports_completion_with_records_missing(refinery):
    """Massive by its count, FINRA by its trailer; nothing of a short answer is believed."""
    place = refinery(Fault(kind="replay_incomplete", symbols=["KO"]))
    place.fetch("bars_1m", "bars_1d", "short_volume")
    report = place.judge()
    named = {
        (f.dataset, f.subject): f.evidence for f in report.findings if f.kind == "replay_incomplete"
    }
    assert set(named) == {(BARS, "KO"), ("bronze.finra_short_volume", "*")}
    assert truth(place, "replay_incomplete") == {("KO", DAY)}
    assert named["bronze.finra_short_volume", "*"]["session"].to_list() == [DAY]
    assert DAY in named[BARS, "KO"]["session"].to_list()
    assert place.lake.scan(MINUTES, strict_symbols=False, symbols=["KO"]).collect().is_empty()
    assert not accused(report.findings, "minute_file_absent")
    # The vendor mends its replay: a later fetch fills the cells and the finding goes away.
    place.sandbox.faults.replace([])
    place.fetch("bars_1m", "short_volume")
    assert not accused(place.judge().findings, "replay_incomplete")


def test_a_replay_that_hides_its_losses_in_the_count_too(refinery):
    """Minutes that do not add up to the day, though every count says complete."""
    cut = Fault(kind="late_data", symbols=["KO"], sessions=[DAY], options={"minutes": 90})
    place = refinery(cut)
    place.fetch("bars_1m", "bars_1d")
    found = accused(place.judge().findings, "replay_incomplete")
    assert found == {("KO", DAY)}


def test_a_start_anchor_that_is_silently_ignored(refinery):
    fault = Fault(kind="start_anchor_ignored", symbols=["KO"], vendor="massive")
    place = refinery(fault)
    place.fetch("bars_1m")
    report = place.judge()
    asked = set(place.market.session_dates(FIRST, LAST))
    assert accused(report.findings, "start_anchor_ignored") == {("KO", day) for day in asked}
    rows = place.lake.tables.scan(BARS).select("symbol", "session").unique().collect()
    assert "KO" not in rows["symbol"].to_list(), "older bars than asked must not land"
    assert rows["session"].min() == FIRST


def test_a_window_older_than_the_plan_that_is_answered_with_empty(refinery):
    """The owner believes in ten years of history; the plan ends seventeen days back."""
    place = refinery(
        "old_window_empty",
        plan="free",
        history_days=17,
        settings={"massive.history_days": 3650},
    )
    place.fetch("bars_1m", symbols=["SPY", "AAPL", "KO"], start=START)
    edge = date(2026, 2, 9) - timedelta(days=17)
    opened = place.lake.control.incidents.open_incidents()
    assert [i.kind for i in opened] == ["old_window_empty"]
    old = place.market.session_dates(START, edge - timedelta(days=1))
    states = place.lake.control.ledger.matrix(BARS, ["SPY", "AAPL", "KO"], old).states
    assert (states == CellState.NOT_ENTITLED).all(), "an empty past is not confirmed empty"


def test_an_empty_past_of_one_symbol_is_given_away_by_its_daily_bars(refinery):
    place = refinery(settings={"massive.history_days": 3650})
    place.fetch("bars_1d", start=START)
    place.serve("old_window_empty", plan="free", history_days=17)
    place.fetch("bars_1m", symbols=["SPY"], start=START)
    found = [f for f in place.judge().findings if f.kind == "old_window_empty"]
    assert [f.subject for f in found] == ["SPY"]


# -- late, revised, drifting --------------------------------------------------------------------


def test_late_data_become_the_truth_and_the_past_stays_readable(refinery):
    late = Fault(kind="late_data", symbols=["SPY"], sessions=[DAY], vendor="massive")
    place = refinery(late)
    place.fetch("bars_1m", symbols=["SPY", "KO"])
    place.build()
    then = eastern_ns(date(2026, 2, 10), 8)
    before = place.lake.scan(MINUTES, ["SPY"], DAY, DAY).collect()
    place.at(eastern_ns(date(2026, 2, 11), 9))
    place.fetch("bars_1m", symbols=["SPY", "KO"], start=DAY, end=DAY, again=True)
    rebuilt = place.build()
    after = place.lake.scan(MINUTES, ["SPY"], DAY, DAY).collect()
    last_half_hour = after.filter(pl.col("minute_of_session") >= 360)
    assert last_half_hour.filter(pl.col("segment") == "rth").height == 30
    assert after.height - before.height == last_half_hour.height
    assert place.lake.scan(MINUTES, ["SPY"], DAY, DAY, as_of=then).collect().equals(before)
    built = {line["target"]: line["built"] for line in rebuilt.summary()["targets"]}
    assert built[MINUTES] == 1, "only the session that changed is built again"


def test_revised_data_are_new_versions(refinery):
    revised = Fault(kind="revised_data", symbols=["SPY"], sessions=[DAY])
    place = refinery(revised)
    place.fetch("bars_1m", "short_volume", symbols=["SPY"])
    place.build()
    then = eastern_ns(date(2026, 2, 10), 8)
    bars = place.lake.scan(MINUTES, ["SPY"], DAY, DAY).collect()
    shorts = place.lake.scan(SHORTS, ["SPY"], DAY, DAY).collect()
    place.at(eastern_ns(date(2026, 2, 11), 9))
    place.fetch("bars_1m", "short_volume", symbols=["SPY"], again=True)
    place.build()
    now = place.lake.scan(MINUTES, ["SPY"], DAY, DAY).collect()
    changed = now.filter(pl.col("version") == 2)
    assert now.height == bars.height
    assert changed.height == -(-bars.height // 20)
    assert place.lake.scan(MINUTES, ["SPY"], DAY, DAY, as_of=then).collect().equals(bars)
    again = place.lake.scan(SHORTS, ["SPY"], DAY, DAY).collect()
    assert again["total_volume"].sum() != shorts["total_volume"].sum()
    assert place.lake.scan(SHORTS, ["SPY"], DAY, DAY, as_of=then).collect().equals(shorts)


@pytest.mark.parametrize(
    ("kind", "incident", "blocks"),
    [
        ("schema_new_column", "drift_new", False),
        ("schema_missing_column", "drift_missing", True),
        ("schema_retyped", "drift_retyped", True),
    ],
)
def test_schema_drift_opens_an_incident_and_blocks_its_lane_alone(refinery, kind, incident, blocks):
    options = {} if kind == "schema_new_column" else {"column": "v"}
    place = refinery(Fault(kind=kind, vendor="massive", path="*/range/1/minute/*", options=options))
    place.fetch("bars_1m", "bars_1d", "short_volume", symbols=["SPY", "KO"])
    opened = {i.kind: i for i in place.lake.control.incidents.open_incidents()}
    assert incident in opened
    assert opened[incident].blocks_lane is blocks
    assert opened[incident].dataset == BARS
    assert place.lake.control.incidents.lane_blocked(BARS) is blocks
    assert not place.lake.control.incidents.lane_blocked("bronze.massive_bars_1d")
    place.build()
    assert place.lake.scan(DAYS).collect().height == 80
    assert place.lake.scan(SHORTS).collect().height > 0
    assert (place.lake.tables.rows(BARS) == 0) is blocks


# -- written twice, and damaged -----------------------------------------------------------------


class StateCommitFailsError(Exception):
    """The machine goes down between the data's commit and the state's."""


def test_a_page_is_not_appended_twice_after_a_failed_state_commit(refinery, monkeypatch):
    place = refinery()
    whole = refinery()
    whole.fetch("bars_1m", symbols=["SPY", "KO"])
    batches = type(place.lake.control.batches)

    def fails(*_, **__):
        raise StateCommitFailsError

    with monkeypatch.context() as broken:
        broken.setattr(batches, "finish", fails)
        with pytest.raises(BaseException) as caught:
            place.fetch("bars_1m", symbols=["SPY", "KO"])
        assert _holds(caught.value, StateCommitFailsError)
    rows = place.lake.tables.rows(BARS)
    assert rows > 0, "the data were committed, the state was not"
    location = place.lake.location
    place.lake.close()
    place.lake = Lake.open(location, clock=place.clock)
    place.fetch("bars_1m", symbols=["SPY", "KO"])
    assert place.lake.tables.rows(BARS) == whole.lake.tables.rows(BARS)
    place.build()
    whole.build()
    ours, theirs = (
        p.lake.scan(MINUTES)
        .select("symbol", "ts_event", "open", "close", "volume", "version", "known_at", "quality")
        .sort("symbol", "ts_event")
        .collect()
        for p in (place, whole)
    )
    assert ours.equals(theirs)
    assert not [f for f in place.check().findings if f.kind == "page_appended_twice"]


def _holds(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, kind):
        return True
    inner = getattr(error, "exceptions", ()) or filter(None, (error.__cause__, error.__context__))
    return any(_holds(one, kind) for one in inner)


@pytest.mark.parametrize("kind", ["duplicated_page", "cursor_loop"])
def test_a_page_that_the_vendor_repeats_lands_once(refinery, kind):
    place = refinery(Fault(kind=kind, vendor="massive", path="*/ticker/KO/range/*", count=1))
    place.fetch("bars_1m", symbols=["SPY", "KO"])
    place.fetch("bars_1m", symbols=["SPY", "KO"])
    # The refused page left one session open; asking for it anew is another answer, not a repeat.
    rows = place.lake.tables.scan(BARS).select("raw_sha256", "ordinal").collect()
    assert rows.height == rows.n_unique()
    place.build()
    silver = place.lake.scan(MINUTES, ["KO"]).collect()
    true = pl.concat(place.market.minute_bars("KO", day) for day in _sessions(place))
    assert silver.height == true.height
    assert (silver["version"] == 1).all()
    assert "page_appended_twice" not in kinds(place.judge().findings, "error", "warning")


def _sessions(place):
    return place.market.session_dates(FIRST, LAST)


def test_a_page_forced_in_twice_leaves_silver_alone_and_is_counted(refinery):
    place = refinery()
    place.fetch("bars_1m", symbols=["SPY", "KO"])
    place.build()
    digest = place.lake.digest(MINUTES)
    page = place.lake.tables.scan(BARS).filter(pl.col("symbol") == "KO").collect()
    place.lake.tables.append(BARS, page, writer="forced", sequence=1)
    # A new page of another symbol makes the sessions stale, so that they are built again.
    place.fetch("bars_1m", symbols=["AAPL"])
    report = place.judge()
    silver = place.lake.scan(MINUTES, ["SPY", "KO"]).collect()
    assert silver.height == silver.select("symbol", "ts_event").n_unique()
    assert (silver["version"] == 1).all()
    assert digest != place.lake.digest(MINUTES)
    found = [f for f in report.findings if f.kind == "page_appended_twice"]
    assert sum(f.evidence.height for f in found) == page.height
    assert {symbol for symbol, _ in accused(found, "page_appended_twice")} == {"KO"}
    counted = report.cells.filter(pl.col("symbol") == "KO")["duplicates"].sum()
    assert counted == page.height


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, market):
    """A small finished lake, closed."""
    folder = tmp_path_factory.mktemp("healthy")
    with Refinery(folder, market) as place:
        place.fetch("bars_1m", symbols=["SPY", "KO"])
        place.build()
        assert place.lake.verify() == []
    return folder / "lake"


@pytest.mark.parametrize("what", ["raw", "data", "log", "ledger"])
def test_a_single_flipped_bit_is_named(healthy, tmp_path, what):
    damaged = tmp_path / "lake"
    shutil.copytree(healthy, damaged)
    if what == "ledger":
        flipped = _flip_ledger(damaged / "control.sqlite")
    else:
        pattern = {
            "raw": "raw/**/*.zst",
            "data": "tables/**/equity_bars_1m/**/*.parquet",
            "log": "tables/**/equity_bars_1m/_delta_log/*.json",
        }[what]
        path = max(damaged.glob(pattern), key=lambda found: found.stat().st_size)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        flipped = path.name
    lake = Lake.open(damaged)
    findings = lake.verify()
    assert [f for f in findings if flipped in f.subject], (flipped, findings)
    if what == "raw":
        with pytest.raises(CorruptError):
            lake.raw.get(flipped.removesuffix(".zst"))
    if what == "ledger":
        with pytest.raises(TapemillError):
            lake.control.ledger.matrix(BARS, ["SPY", "KO"], [DAY])
    lake.close()
    _fails_verify(damaged)


def _flip_ledger(database) -> str:
    """Flip one bit in the stored states of a year of cells, past SQLite's own knowledge."""
    with sqlite3.connect(database) as connection:
        key, blob = connection.execute(
            "select year, states from ledger_states where dataset = ? and symbol = 'KO'", (BARS,)
        ).fetchone()
        spoilt = bytearray(blob)
        spoilt[len(spoilt) // 2] ^= 1
        connection.execute(
            "update ledger_states set states = ? where symbol = 'KO' and year = ?", (spoilt, key)
        )
    connection.close()
    return "KO"


def _fails_verify(lake) -> None:
    from tapemill.cli import main

    with pytest.raises(SystemExit) as left:
        main(["verify", "--lake", str(lake)])
    assert left.value.code == 1


# -- no false alarms ----------------------------------------------------------------------------


def test_clean_days_raise_at_most_one_alarm_in_a_hundred_cells(refinery, capsys):
    """Clean seeded markets with splits, halts, half days, a renamed and illiquid names."""
    cells = alarmed = 0
    for seed, (first, last) in enumerate(
        [
            (START, LAST),
            (START, LAST),
            (date(2025, 11, 17), date(2025, 12, 26)),
            (date(2025, 11, 17), date(2025, 12, 26)),
        ],
        start=20,
    ):
        clean = Market(seed, symbols=12, start=first, end=last)
        place = refinery(over=clean)
        place.fetch(*MARKET_LANES, "short_volume", start=first, end=last)
        report = place.judge()
        bad = set()
        for finding in report.findings:
            if finding.severity in ("error", "warning"):
                bad |= accused([finding], finding.kind)
        cells += report.cells.height
        alarmed += len(bad)
        assert place.lake.control.incidents.open_incidents() == []
    rate = alarmed / cells
    with capsys.disabled():
        print(f"\nfalse alarms on clean synthetic days: {alarmed} of {cells:,} cells = {rate:.3%}")
    assert cells > 800
    assert rate <= 0.01
