"""Gold through the command line: what a past evening says, and what makes it stale."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from acceptance.shell import Shell
from flow.market_files import market, sessions, write
from tapemill.flow import current_signals
from tapemill.lake import Lake
from tapemill.lake.control import this_process

DAYS = sessions(date(2024, 3, 4), 26)
LAST = DAYS[-1]


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "lake")


@pytest.fixture
def filled(shell, tmp_path, monkeypatch):
    """A lake with 26 sessions, imported while the clock stood after the last of them."""
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2024-04-20T12:00:00+00:00")
    made = market(DAYS)
    shell.ok("import", "finra-short", *write(tmp_path / "files", made))
    shell.ok("build")
    return made


def evening(shell, session: date, dataset: str = "gold.flow_scan") -> pl.DataFrame:
    return shell.scan(dataset, start=session, end=session).sort("symbol")


def values(scanned: dict) -> list[tuple]:
    """What the lists say, without the moment for which they say it."""
    rows = [row for rows in scanned["lists"].values() for row in rows]
    return [tuple(v for k, v in row.items() if k not in ("as_of", "known_at")) for row in rows]


def built(report: dict, target: str) -> int:
    return next(line["built"] for line in report["targets"] if line["target"] == target)


def test_every_session_has_an_evening_and_a_second_build_does_nothing(shell, filled) -> None:
    scan = shell.scan("gold.flow_scan")
    assert sorted(scan["session"].unique()) == DAYS
    assert scan.height == 40 * len(DAYS)
    assert shell.ok("build")["builds"] == 0


def test_a_new_evening_is_the_only_one_built(shell, filled, tmp_path) -> None:
    more = sessions(date(2024, 3, 4), 27)[-1:]
    shell.ok("import", "finra-short", *write(tmp_path / "more", market(more, seed=9)))
    before = evening(shell, LAST)
    report = shell.ok("build")
    for target in ("gold.flow_scan", "gold.flow_daily", "gold.flow_macro", "gold.composite_signal"):
        assert built(report, target) == 1, target
    assert evening(shell, LAST).equals(before)


def test_a_restated_file_changes_later_evenings_only(shell, filled, tmp_path, monkeypatch) -> None:
    digests = {
        name: shell.ok("lake", "digest", name)[name]
        for name in ("gold.flow_scan", "gold.flow_daily", "gold.composite_signal")
    }
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2024-04-20T15:00:00+00:00")
    restated = {DAYS[20]: [(s, b // 2, d) for s, b, d in filled[DAYS[20]]]}
    shell.ok("import", "finra-short", *write(tmp_path / "restated", restated))
    report = shell.ok("build")
    # It arrived on 20 April: no evening of the lake is as late as that.
    assert built(report, "silver.short_volume") == 1
    assert built(report, "gold.flow_scan") == 0
    for name, digest in digests.items():
        assert shell.ok("lake", "digest", name)[name] == digest
    later = sessions(date(2024, 4, 22), 1)
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2024-04-23T12:00:00+00:00")
    shell.ok("import", "finra-short", *write(tmp_path / "later", market(later, seed=5)))
    assert built(shell.ok("build"), "gold.flow_scan") == 1
    # The evening of 22 April saw the restated file in its baseline; a reader of 9 April did not.
    seen = shell.ok("scan", "flow", LAST, "--as-of", "2024-04-19")
    now = shell.ok("scan", "flow", LAST, "--as-of", "2024-04-21")
    plain = shell.ok("scan", "flow", LAST)
    assert values(seen) == values(plain)
    assert values(now) != values(plain)


def test_a_backfilled_past_makes_its_later_evenings_stale(shell, filled, tmp_path) -> None:
    first = sessions(date(2024, 2, 26), 5)
    shell.ok("import", "finra-short", *write(tmp_path / "past", market(first, seed=3)))
    report = shell.ok("build")
    assert built(report, "gold.flow_scan") == len(first) + len(DAYS)


def test_scanning_a_day_without_a_file_says_so(shell, filled) -> None:
    code, _, complaint = shell.run("scan", "flow", date(2024, 4, 12))
    assert code == 3
    assert "no file" in complaint and "2024-04-12" in complaint
    code, _, complaint = shell.run("scan", "flow", date(2024, 3, 29))  # Good Friday
    assert code == 2
    assert "no session" in complaint and "2024-03-28" in complaint


def test_a_scan_cannot_be_asked_before_its_file_was_out(shell, filled) -> None:
    code, _, complaint = shell.run("scan", "flow", LAST, "--as-of", f"{LAST}T12:00:00-04:00")
    assert code == 2
    assert "18:00" in complaint


def test_parameters_make_a_new_version_and_leave_the_old_rows(shell, filled, monkeypatch) -> None:
    old = shell.scan("gold.composite_signal")
    monkeypatch.setenv("TAPEMILL_FLOW_LABEL_ENTER", "0.25")
    shell.ok("build", "gold.composite_signal")
    both = shell.scan("gold.composite_signal")
    assert both["inference_version"].n_unique() == 2
    kept = both.filter(pl.col("inference_version") == old["inference_version"][0])
    assert kept.sort(old.columns).equals(old.sort(old.columns))
    versions = shell.scan("ops.signal_versions")
    assert set(versions["inference_version"]) == set(both["inference_version"])
    monkeypatch.delenv("TAPEMILL_FLOW_LABEL_ENTER")
    shell.ok("build", "gold.composite_signal")
    assert shell.scan("gold.composite_signal").height == both.height
    # Taken up again, the first version is the one in use.
    lake = Lake.open(shell.lake)
    in_use = current_signals(lake).select("inference_version").unique().collect().item()
    lake.close()
    assert in_use == old["inference_version"][0]


def test_a_scan_reads_what_is_there_while_another_builds(shell, filled) -> None:
    lake = Lake.open(shell.lake)
    token = lake.control.claims.claim("build|gold.flow_scan", this_process("build"), 60.0)
    try:
        assert shell.ok("scan", "flow", LAST)["market"]["names"] > 0
    finally:
        lake.control.claims.release("build|gold.flow_scan", token)
        lake.close()
