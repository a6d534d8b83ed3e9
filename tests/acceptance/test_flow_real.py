"""The evening report on FINRA's real files: no key, no price, seven weeks of history."""

from __future__ import annotations

import json
import re
from datetime import date

import polars as pl
import pytest

from acceptance.shell import Shell

pytestmark = [pytest.mark.acceptance, pytest.mark.real]

SQUEEZE = ["GME", "BB", "AMC", "EXPR", "NOK", "KOSS"]
LAST = date(2021, 1, 15)


@pytest.fixture(scope="module")
def shell(tmp_path_factory, real_data):
    made = Shell(tmp_path_factory.mktemp("flow") / "lake")
    finra = real_data / "finra"
    landed = {
        kind: made.ok("import", kind, finra / folder)
        for kind, folder in (
            ("finra-otc", "otc-weekly"),
            ("finra-interest", "short-interest"),
        )
    }
    landed["cnms"] = made.ok("import", "finra-short", finra / "regsho-cnms")
    landed["facility"] = made.ok("import", "finra-short", finra / "regsho-facility")
    made.landed = landed
    return made


@pytest.fixture(scope="module")
def scans(shell):
    """Three evenings, asked through the command line; the first builds what is missing."""
    return {
        day: shell.ok("scan", "flow", date(2021, 1, day), "--top", 1000) for day in (13, 14, 15)
    }


def place(scan: dict, name: str, symbol: str) -> dict:
    return next(row for row in scan["lists"][name] if row["symbol"] == symbol)


def test_everything_landed(shell) -> None:
    assert shell.landed["cnms"]["rows"] == 288_585
    assert shell.landed["finra-otc"]["rows"] == 5_328 + 5_192 + 14
    assert shell.landed["finra-interest"]["rows"] == 10


def test_seven_weeks_are_enough_and_are_said_to_be_few(scans) -> None:
    said = " ".join(scans[15]["warnings"])
    assert "26 of 60 sessions" in said
    assert "no prices" in said and "200,000 shares" in said
    market = scans[15]["market"]
    assert market["rows"] == 9_192
    assert 2_000 < market["names"] < 2_600
    assert market["weighting"] == "share"
    assert 0.44 < market["short_share"] < 0.49


def test_the_squeeze_names_stand_where_a_reader_looks_for_them(scans) -> None:
    """GME's first evening is 13 January; BlackBerry and AMC follow by the 15th."""
    for day, most in ((13, 5), (14, 10), (15, 12)):
        row = place(scans[day], "volume", "GME")
        assert row["volume_rank"] <= most
        assert row["volume_z"] > 4.5
        assert 0 < row["volume_q_value"] <= 1
    # The best of 2,200 names and not surely more than luck: q says so.
    assert place(scans[13], "volume", "GME")["volume_q_value"] < 0.2
    # The two sessions of 22 and 23 December were loud too: not quiet before, so not sudden.
    assert place(scans[15], "volume", "GME")["volume_novelty"] == "persistent"
    assert place(scans[15], "volume", "BB")["volume_rank"] <= 40
    assert place(scans[15], "volume", "AMC")["volume_rank"] <= 70


def test_names_can_be_asked_for_wherever_they_stand(shell) -> None:
    asked = shell.ok("scan", "flow", LAST, "--symbols", ",".join(SQUEEZE))["lists"]["asked"]
    assert [row["symbol"] for row in asked] == SQUEEZE
    koss = asked[-1]
    assert not koss["eligible"]
    assert "too little off-exchange volume" in koss["explanation"]
    code, _, complaint = shell.run("scan", "flow", LAST, "--symbols", "GMEE")
    assert code == 2
    assert "GME" in complaint


def test_only_shares_and_funds_are_ranked(shell, scans) -> None:
    ranked = shell.scan("gold.flow_scan").filter(pl.col("rank").is_not_null())
    assert set(ranked["security_class"].unique()) <= {"common", "class_share"}
    classes = set(shell.scan("gold.flow_scan")["security_class"].unique())
    assert {"warrant", "unit", "preferred", "right"} <= classes
    # Nasdaq hides warrants and units in a fifth letter; GOOGL is no warrant.
    names = set(ranked["symbol"].unique())
    assert "GOOGL" in names
    assert not names & {"CLOVW", "LAZRW", "ACTCW", "ACTCU"}


def test_every_printed_q_is_a_q(scans) -> None:
    for scan in scans.values():
        both = scan["lists"]["buying"] + scan["lists"]["selling"]
        ordered = sorted(both, key=lambda row: -abs(row["z"]))
        qs = [row["q_value"] for row in ordered]
        assert qs == sorted(qs)
        assert all(row["p_value"] <= row["q_value"] <= 1 for row in both)


def test_the_evening_is_what_was_known_at_18_00(shell, scans) -> None:
    again = shell.ok("scan", "flow", LAST, "--as-of", "2021-01-15T18:00:00-05:00", "--top", 1000)
    assert again["lists"] == scans[15]["lists"]


def test_days_without_a_file_are_named(shell) -> None:
    code, _, complaint = shell.run("scan", "flow", date(2021, 1, 18))
    assert (code, "no session" in complaint) == (2, True)
    code, _, complaint = shell.run("scan", "flow", date(2021, 8, 2))
    assert (code, "no file" in complaint) == (3, True)


def test_facilities_stand_in_where_there_is_no_consolidated_file(shell, scans) -> None:
    shell.ok("build", "gold.flow_daily", "gold.composite_signal")
    daily = shell.scan("gold.flow_daily", symbols=["GDX", "XRT"])
    early = daily.filter(pl.col("session") < date(2020, 12, 1))
    assert set(early["short_source"]) == {"facilities"}
    both = daily.filter(pl.col("session").is_between(date(2020, 12, 1), LAST))
    assert set(both["short_source"]) == {"consolidated"}


def test_thin_evidence_is_insufficient_and_never_neutral(shell, scans) -> None:
    shell.ok("build", "gold.flow_daily", "gold.composite_signal")
    signals = shell.scan("gold.composite_signal", start=LAST, end=LAST)
    assert set(signals.filter(pl.col("confidence") < 0.5)["final_label"]) == {"insufficient"}
    young = signals.filter(pl.col("symbol") == "GME")
    assert young["final_label"].to_list() == ["insufficient"]


def test_the_report_is_drawn_and_nothing_is_overwritten(shell, scans, tmp_path) -> None:
    shell.ok("build", "gold.flow_daily", "gold.composite_signal")
    words = ("report", "flow", "GME", "SPY", "--end", LAST, "--days", 32, "--out", tmp_path)
    first, second = shell.ok(*words), shell.ok(*words)
    assert first["folder"] == second["folder"]
    other = shell.ok(*words[:-4], "--days", 20, "--out", tmp_path)
    assert other["folder"] != first["folder"]
    runs = [path for path in (tmp_path / "flow").iterdir() if path.name != "latest"]
    assert len(runs) == 2
    page = (tmp_path / "flow" / "latest" / "index.html").read_text(encoding="utf-8")
    assert "FINRA publishes no direction" in page
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="https?:', page)


def test_a_gold_row_is_traced_to_its_bytes(shell, scans) -> None:
    told = shell.ok("why", "gold.flow_scan", "GME", LAST)
    kinds = {event["kind"] for event in told["events"]}
    assert {"import", "build", "evening"} <= kinds
    assert "CNMSshvol20210115.txt" in json.dumps(told)
