"""Weekly, short interest and membership files as they must not be: named, set aside, never lost."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest

from acceptance.shell import Shell

WEEK = {
    "issueSymbolIdentifier": "AAPL",
    "weekStartDate": "2025-11-10",
    "summaryTypeCode": "ATS_W_SMBL",
    "tierIdentifier": "T1",
    "totalWeeklyShareQuantity": "100",
    "totalWeeklyTradeCount": "5",
    "totalNotionalSum": "1000",
    "lastUpdateDate": "2025-12-01",
}
INTEREST = {
    "symbolCode": "AAPL",
    "settlementDate": "2025-11-14",
    "currentShortPositionQuantity": "100",
    "averageDailyVolumeQuantity": "50",
    "daysToCoverQuantity": "2",
}
MEMBER = {
    "group": "SPX",
    "kind": "index",
    "symbol": "AAPL",
    "weight": "0.06",
    "valid_from": "2020-01-02",
    "valid_to": "",
}
MARK = b"\xef\xbb\xbf"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2026-10-20T12:00:00+00:00")
    return Shell(tmp_path / "lake")


def csv(*rows: dict, separator: str = ",", also: str = "", value: str = "") -> bytes:
    header = separator.join([*rows[0], *([also] if also else [])])
    lines = [separator.join([*row.values(), *([value] if also else [])]) for row in rows]
    return "\n".join([header, *lines, ""]).encode()


def recorded(body: object) -> bytes:
    row = {name: value for name, value in WEEK.items() if name != "summaryTypeCode"}
    return json.dumps({"request": {"json": body}, "response": {"json": [row]}}).encode()


def parquet(**columns: list) -> bytes:
    held = io.BytesIO()
    pl.DataFrame({name: [value] for name, value in MEMBER.items()} | columns).write_parquet(held)
    return held.getvalue()


UNREADABLE = {
    "nothing but a mark": ("finra-otc", MARK, "empty"),
    "a mark and blank lines": ("finra-interest", MARK + b"\n \n", "empty"),
    "semicolons": ("finra-otc", csv(WEEK, separator=";"), "parted"),
    "tabs": ("finra-interest", csv(INTEREST, separator="\t"), "parted"),
    "UTF-16": ("finra-otc", csv(WEEK).decode().encode("utf-16"), "no table"),
    "gzip": ("finra-otc", b"\x1f\x8b\x08\x00\xff\x00", "no table"),
    "a short first row": ("finra-otc", csv(WEEK)[:-20] + b"\n", "has not 8 fields"),
    "a short last row": ("finra-otc", csv(WEEK, WEEK)[:-40], "has not 8 fields"),
    "a short quoted row": (
        "finra-interest",
        csv(INTEREST | {"symbolCode": '"A,B"'}, INTEREST)[:-8],
        "has not 5 fields",
    ),
    "a long row": ("finra-otc", csv(WEEK)[:-1] + b",7\n", "has not 8 fields"),
    "no names in the rows": ("finra-otc", b"[{}]", "no field"),
    "an odd recorded request": ("finra-otc", recorded({"compareFilters": 3}), "nothing tells"),
    "odd recorded filters": (
        "finra-otc",
        recorded(
            {
                "compareFilters": [3],
                "domainFilters": [{"fieldName": "summaryTypeCode", "values": 3}, {"values": [[]]}],
            }
        ),
        "nothing tells",
    ),
    "a column twice": ("memberships", csv(MEMBER, also="symbol", value="B"), "twice"),
    "a column of lists": ("memberships", parquet(symbol=[["A"]]), "column symbol"),
    "a column of bytes": ("memberships", parquet(group=[b"\xff"]), "column group"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_file_is_named_and_leaves_no_trace(
    shell: Shell, tmp_path: Path, case: str
) -> None:
    kind, content, said = UNREADABLE[case]
    good = tmp_path / "good.csv"
    good.write_bytes(csv({"finra-otc": WEEK, "finra-interest": INTEREST}.get(kind, MEMBER)))
    bad = tmp_path / "bad.csv"
    bad.write_bytes(content)
    code, facts, complaint = shell.run("import", kind, bad, good)
    assert code == 3, complaint
    assert (facts["rows"], facts["quarantined"], len(facts["failed"])) == (1, 0, 1)
    assert said in facts["failed"][0]
    assert "where: bad.csv" in facts["failed"][0]
    assert "next:" in facts["failed"][0]
    assert "polars" not in facts["failed"][0]
    assert "schema" not in facts["failed"][0]


SET_ASIDE = {
    "trades below zero": ("finra-otc", WEEK | {"totalWeeklyTradeCount": "-5"}, "trades_negative"),
    "dollars below zero": ("finra-otc", WEEK | {"totalNotionalSum": "-5"}, "notional_negative"),
    "beyond a double": ("finra-otc", WEEK | {"totalNotionalSum": "1e400"}, "notional_not_a_number"),
    "the year 1": ("finra-otc", WEEK | {"weekStartDate": "0001-01-01"}, "week_start_not_a_date"),
    "before Christ": ("finra-otc", WEEK | {"weekStartDate": "-0044-03-15"}, "week_start_not_a_dat"),
    "no week, published in the year 1": (
        "finra-otc",
        WEEK | {"weekStartDate": "", "lastUpdateDate": "0001-01-02"},
        "last_update_date_not_a_date",
    ),
    "volume below zero": (
        "finra-interest",
        INTEREST | {"averageDailyVolumeQuantity": "-1"},
        "average_daily_volume_negative",
    ),
    "infinite days": (
        "finra-interest",
        INTEREST | {"daysToCoverQuantity": "1e400"},
        "days_to_cover_not_a_number",
    ),
    "the end of time": (
        "finra-interest",
        INTEREST | {"settlementDate": "9999-12-31"},
        "settlement_date_not_a_date",
    ),
    "a member of the year 1": (
        "memberships",
        MEMBER | {"valid_from": "0001-01-01"},
        "valid_from_not_a_date",
    ),
}


@pytest.mark.parametrize("case", SET_ASIDE)
def test_an_impossible_row_is_set_aside_with_its_text(
    shell: Shell, tmp_path: Path, case: str
) -> None:
    kind, row, reason = SET_ASIDE[case]
    path = tmp_path / "rows.csv"
    path.write_bytes(csv(row))
    facts = shell.ok("import", kind, path)
    assert (facts["rows"], facts["quarantined"]) == (0, 1)
    kept = shell.scan("ops.quarantine")
    assert reason in kept["reasons"].item()
    assert set(filter(None, row.values())) <= set(json.loads(kept["row"].item()).values())
    assert shell.ok("import", kind, path)["known"] == 1


@pytest.mark.parametrize("kind", ["finra-otc", "finra-interest", "memberships"])
def test_a_column_named_as_ours_does_no_harm(shell: Shell, tmp_path: Path, kind: str) -> None:
    row = {"finra-otc": WEEK, "finra-interest": INTEREST, "memberships": MEMBER}[kind]
    path = tmp_path / "rows.csv"
    path.write_bytes(csv(row, also="ordinal", value="7"))
    facts = shell.ok("import", kind, path)
    assert (facts["rows"], facts["quarantined"]) == (1, 0)
    assert "ordinal" in facts["notes"][0]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("finra-otc", b"[]"),
        ("finra-otc", b'{"data": []}'),
        ("finra-interest", b"[ ]"),
        ("memberships", csv(MEMBER).splitlines()[0]),
    ],
)
def test_no_rows_are_told(shell: Shell, tmp_path: Path, kind: str, content: bytes) -> None:
    path = tmp_path / "rows"
    path.write_bytes(content)
    facts = shell.ok("import", kind, path)
    assert facts["rows"] == 0
    assert "no rows" in facts["notes"][0]


def test_an_open_end_may_be_written_as_the_end_of_time(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_bytes(csv(MEMBER | {"valid_to": "9999-12-31"}))
    assert shell.ok("import", "memberships", path)["rows"] == 1


def test_a_summary_that_contradicts_the_rows_is_refused(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(csv(WEEK))
    code, _, complaint = shell.run("import", "finra-otc", path, "--map", "summary=OTC_W_SMBL")
    assert code == 2
    assert "summary=OTC_W_SMBL contradicts" in complaint
