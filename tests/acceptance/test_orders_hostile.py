"""Order data as it comes: killed, twice, out of order, torn, mixed, on odd days. Must show 4.

From files to levels through the command line. That every seam of an import survives a kill is
tried in tests/intake/test_orders_crash.py; here the same must hold for what is built on it.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from acceptance.shell import Shell
from tapemill.clock import calendar, eastern_ns
from tapemill.lake import Lake
from tapemill.world.order_book import FuturesInstrument, OrderBookSpec, OrderBookWorld

pytestmark = pytest.mark.acceptance

HALF, BEFORE, AFTER, QUIET = (
    dt.date(2023, 11, 24),
    dt.date(2024, 3, 8),
    dt.date(2024, 3, 11),
    dt.date(2024, 3, 12),
)
"""The day after Thanksgiving; the trade dates around a change of clocks; one without a trade."""
GOLD = ("gold.levels", "gold.episodes", "gold.episode_features", "gold.episode_outcomes")
MADE = ("silver.futures_events", "silver.futures_depth", "silver.futures_minutes")
ALL = (*MADE, "silver.futures_profile", "reference.futures_rolls", *GOLD)
DEFINED = "definition.dbn"


def bring(shell, *files):
    shell.ok("import", "dbn", *files)
    return shell.ok("build", "gold.episodes")


def digests(shell, names=ALL):
    lake = Lake.open(shell.lake)
    try:
        assert lake.verify() == []
        return {name: lake.digest(name) for name in names}
    finally:
        lake.close()


def kinds_of(shell, severity):
    code, facts, _ = shell.run("check")
    assert code == (1 if facts["red"] else 0)
    return {one["kind"] for one in facts["findings"] if one["severity"] == severity}


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """A file a trade date, and the definition."""
    folder = tmp_path_factory.mktemp("days")
    busy = OrderBookSpec(
        trades=1_000, sigma_minute=0.7, records_per_trade=6.0, trade_dates=(HALF, BEFORE, AFTER)
    )
    made = OrderBookWorld(3, busy)
    files = []
    for day in busy.trade_dates:
        files.append(folder / f"{day}.mbo.dbn.zst")
        made.write(files[-1], "mbo", day)
    silent = OrderBookWorld(4, OrderBookSpec(trades=0, quiet_records=900, trade_dates=(QUIET,)))
    files.append(folder / f"{QUIET}.mbo.dbn.zst")
    silent.write(files[-1], "mbo")
    made.write_definitions(folder / DEFINED)
    return [folder / DEFINED, *files]


@pytest.fixture(scope="module")
def calendar_lake(days, tmp_path_factory):
    shell = Shell(tmp_path_factory.mktemp("calendar") / "lake")
    bring(shell, *days)
    return shell


class TestOddDays:
    def test_no_finding_is_red(self, calendar_lake):
        assert kinds_of(calendar_lake, "error") == set()

    def test_a_half_day_ends_early(self, calendar_lake):
        close = calendar("CMES").session(HALF).close_ns
        assert close < eastern_ns(HALF, 14)
        episodes, features, outcomes = (
            calendar_lake.scan(name, start=HALF, end=HALF) for name in GOLD[1:]
        )
        assert episodes.height > 20
        assert episodes["end_ns"].max() <= close
        assert features["decision_ns"].max() < close
        assert outcomes["resolved_ns"].max() <= close
        cut = outcomes.filter(pl.col("decision_ns") > close - 60 * 10**9)
        assert set(cut["outcome"]) <= {"censored", "break", "bounce"}
        one = features.row(0, named=True)
        ends = one["decision_ns"] + one["seconds_to_close"] * 1e9
        assert ends == pytest.approx(eastern_ns(HALF, 13), abs=1e3)

    @pytest.mark.parametrize(("day", "offset"), [(BEFORE, 5), (AFTER, 4)])
    def test_hours_are_those_of_new_york_on_both_sides_of_a_change_of_clocks(
        self, calendar_lake, day, offset
    ):
        levels = calendar_lake.scan("gold.levels", start=day, end=day)
        born = levels.filter(pl.col("level_id") == "OPENING_RANGE_5_HIGH")["valid_from_ns"].min()
        stamp = dt.datetime.fromtimestamp(born / 1e9, dt.UTC)
        assert stamp.replace(microsecond=0) == dt.datetime(
            day.year, day.month, day.day, 9 + offset, 35, tzinfo=dt.UTC
        )
        features = calendar_lake.scan("gold.episode_features", start=day, end=day)
        opened = features["decision_ns"] - features["seconds_since_open"] * 1e9
        assert opened.to_list() == pytest.approx([eastern_ns(day, 9, 30)] * len(opened), abs=1e3)

    def test_a_day_without_trades_has_no_approach_and_is_no_fault(self, calendar_lake):
        for name in GOLD[1:]:
            assert calendar_lake.scan(name, start=QUIET, end=QUIET).is_empty()
        minutes = calendar_lake.scan("silver.futures_minutes")
        assert QUIET not in minutes["session"].to_list()
        events = calendar_lake.scan("silver.futures_events", start=QUIET, end=QUIET)
        assert events.filter(pl.col("flags") & 32 == 0).height == 900


@pytest.fixture(scope="module")
def backwards(days, tmp_path_factory):
    """The newest files first, and built; then the older ones and the definition."""
    shell = Shell(tmp_path_factory.mktemp("backwards") / "lake")
    bring(shell, *reversed(days[3:]))
    bring(shell, *reversed(days[:3]))
    return shell


class TestOrderAndRepetition:
    def test_files_out_of_order_make_the_same_levels(self, backwards, calendar_lake):
        assert digests(backwards) == digests(calendar_lake)
        assert kinds_of(backwards, "error") == set()

    def test_the_same_days_again_change_nothing(self, backwards, days):
        before = digests(backwards)
        report = backwards.ok("import", "dbn", *days)
        assert {file["state"] for file in report["files"]} == {"known"}
        assert backwards.ok("build", "gold.episodes")["builds"] == 0
        assert digests(backwards) == before


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two contracts and their spread in one file, and its world."""
    folder = tmp_path_factory.mktemp("mixed")
    far = FuturesInstrument(symbol="ESM4", instrument_id=5_602, expiration=dt.date(2024, 6, 21))
    spread = FuturesInstrument(
        symbol="ESH4-ESM4", instrument_id=991, tick_nano=50_000_000, legs=("ESH4", "ESM4")
    )
    day = (AFTER,)
    specs = (
        OrderBookSpec(trades=1_500, sigma_minute=0.8, records_per_trade=6.0, trade_dates=day),
        OrderBookSpec(
            trades=700, sigma_minute=0.5, records_per_trade=6.0, trade_dates=day, instrument=far
        ),
        OrderBookSpec(
            trades=900,
            sigma_minute=0.5,
            records_per_trade=6.0,
            trade_dates=day,
            instrument=spread,
            start_ticks=1_040,
        ),
    )
    made = OrderBookWorld(9, *specs)
    file = folder / "all.mbo.dbn.zst"
    made.write(file, "mbo")
    made.write_definitions(folder / DEFINED)
    return made, file, folder / DEFINED


@pytest.fixture(scope="module")
def mixed_lake(mixed, tmp_path_factory):
    _, file, defined = mixed
    shell = Shell(tmp_path_factory.mktemp("mixed-lake") / "lake")
    bring(shell, file, defined)
    return shell


def test_contracts_and_spreads_of_one_file_stay_apart(mixed, mixed_lake):
    world, _, _ = mixed
    minutes = mixed_lake.scan("silver.futures_minutes")
    for symbol in ("ESH4", "ESM4", "ESH4-ESM4"):
        own = minutes.filter(pl.col("symbol") == symbol)
        trades = world.trades(symbol)
        assert own["volume"].sum() == trades.size.sum()
        assert own["high_ticks"].max() == trades.price.max()
        assert own["low_ticks"].min() == trades.price.min()
    # The spread trades more than the far contract, and is no contract of the product.
    rolls = mixed_lake.scan("reference.futures_rolls")
    assert rolls.select("symbol", "runner_up").rows() == [("ESH4", "ESM4")]
    for name in GOLD:
        assert mixed_lake.scan(name)["symbol"].unique().to_list() == ["ESH4"]
    assert kinds_of(mixed_lake, "error") == set()


def test_the_verdict_is_asked_by_contract_and_by_table(mixed_lake):
    """A lake without a single bar has no coverage to speak of, and that is no fault."""
    code, facts, complaint = mixed_lake.run("check", "--symbols", "ESH5")
    assert code == 2
    assert "ESH4" in facts["next"]
    assert "no order data of ESH5" in complaint
    facts = mixed_lake.ok("check", "--symbols", "ESM4")
    assert {one["subject"] for one in facts["findings"]} <= {"ESM4"}
    for table in GOLD:
        facts = mixed_lake.ok("check", table)
        assert {one["dataset"] for one in facts["findings"]} <= {table}


def test_a_torn_file_counts_until_a_whole_one_comes(mixed, mixed_lake, tmp_path):
    _, file, defined = mixed
    content = file.read_bytes()
    torn = tmp_path / "torn.mbo.dbn.zst"
    torn.write_bytes(content[: len(content) * 2 // 3])
    shell = Shell(tmp_path / "lake")
    code, report, complaint = shell.run("import", "dbn", torn, defined)
    assert code != 0
    assert "torn.mbo.dbn.zst" in complaint
    (read,) = (one for one in report["files"] if one["name"] == torn.name)
    assert read["records"] > 1_000
    assert "orders_not_built" in kinds_of(shell, "warning")
    shell.ok("build", "gold.episodes")
    assert shell.scan("gold.episodes").height > 10
    assert "file_torn" in kinds_of(shell, "warning")
    bring(shell, file)
    assert digests(shell, GOLD) == digests(mixed_lake, GOLD)
    minutes = ("silver.futures_minutes", "silver.futures_profile")
    assert digests(shell, minutes) == digests(mixed_lake, minutes)


@pytest.mark.crash
def test_an_import_killed_midway_resumes_to_the_same_levels(mixed, mixed_lake, tmp_path):
    _, file, defined = mixed
    expected = digests(mixed_lake)
    for attempt in range(5):  # the machine may be too busy to be quick enough at once
        shell = Shell(tmp_path / f"lake-{attempt}")
        if killed(shell, file, defined):
            resumed = shell.ok("import", "dbn", file, defined)
            if "read" in {one["state"] for one in resumed["files"]}:
                break
    else:
        pytest.fail("five imports ended before they could be killed")
    assert shell.ok("build", "gold.episodes")["builds"]
    assert digests(shell) == expected
    assert bring(shell, file, defined)["builds"] == 0


def killed(shell, *files):
    """Kill -9 an import once its first rows are there; whether that came before its end."""
    words = ["import", "dbn", *map(str, files), "--json", "--lake", shell.lake]
    child = subprocess.Popen(
        [sys.executable, "-c", "from tapemill.cli import main; main()", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )
    rows = Path(shell.lake) / "tables" / "silver" / "futures_events"
    give_up = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < give_up and not any(rows.rglob("*.parquet")):
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL
