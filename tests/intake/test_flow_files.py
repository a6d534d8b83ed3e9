"""Weekly, short interest and membership files from the command line into silver."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from acceptance.shell import Shell

HEADER = (
    "tierDescription|issueSymbolIdentifier|issueName|marketParticipantName|MPID|"
    "totalWeeklyShareQuantity|totalWeeklyTradeCount|lastUpdateDate"
)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("TAPEMILL_CLOCK_NOW", "2026-10-20T12:00:00+00:00")
    return Shell(tmp_path / "lake")


def written(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("\n".join([*lines, ""]))
    return path


def weekly(folder: Path, name: str, *rows: str) -> Path:
    return written(folder, name, HEADER, *rows)


def built(report: dict, target: str) -> int:
    return next(line["built"] for line in report["targets"] if line["target"] == target)


def test_weekly_files_land_once_and_build(shell: Shell, tmp_path: Path) -> None:
    path = weekly(
        tmp_path,
        "weekly.csv",
        "OTC|AABB|Asia Broadband|OTC LINK|OTCN|60|2|2025-12-15",
        "OTC|AABB|Asia Broadband|OTC LINK ECN|OTCX|40|1|2025-12-15",
        "OTC||No name|OTC LINK ECN|OTCX|40|1|2025-12-15",
    )
    first = shell.ok("import", "finra-otc", path)
    assert (first["rows"], first["quarantined"], first["failed"]) == (2, 1, [])
    assert shell.ok("import", "finra-otc", path)["known"] == 1
    assert built(shell.ok("build", "silver.otc_weekly"), "silver.otc_weekly") == 1
    found = shell.scan("silver.otc_weekly")
    assert found.select("symbol", "week_start", "shares", "firms", "week_inferred").rows() == [
        ("AABB", date(2025, 11, 10), 100, 2, True)
    ]
    assert shell.ok("build", "silver.otc_weekly")["builds"] == 0


def test_one_restated_week_rebuilds_alone_and_only_later_reads_see_it(
    shell: Shell, tmp_path: Path
) -> None:
    rows = [f"OTC|AABB|Asia|OTC LINK|OTCN|60|2|2025-12-{day}" for day in (15, 22)]
    for number, row in enumerate(rows):
        shell.ok("import", "finra-otc", weekly(tmp_path, f"{number}.csv", row))
    assert built(shell.ok("build", "silver.otc_weekly"), "silver.otc_weekly") == 2
    restated = weekly(tmp_path, "r.csv", "OTC|AABB|Asia|OTC LINK|OTCN|75|2|2026-01-07")
    shell.ok("import", "finra-otc", restated, "--map", "week=2025-11-10")
    assert built(shell.ok("build", "silver.otc_weekly"), "silver.otc_weekly") == 1
    week = {"start": date(2025, 11, 10), "end": date(2025, 11, 10)}
    for moment, shares in (("2026-01-07T22:59:00Z", 60), ("2026-01-07T23:00:00Z", 75)):
        seen = shell.scan("silver.otc_weekly", as_of=moment, **week)
        assert seen["shares"].to_list() == [shares]
    assert shell.scan("silver.otc_weekly", as_of="2025-12-15T22:59:00Z").is_empty()


def test_the_same_bytes_under_another_name_are_other_venues(shell: Shell, tmp_path: Path) -> None:
    row = "OTC|AABB|Asia|||60|2|2025-12-15"
    paths = [weekly(tmp_path, f"OTC_{kind}_x.csv", row) for kind in ("ats", "non_ats")]
    assert shell.ok("import", "finra-otc", *paths)["files"] == 2
    shell.ok("build", "silver.otc_weekly")
    found = shell.scan("silver.otc_weekly").sort("venue_class")
    assert found["venue_class"].to_list() == ["ats", "non_ats"]


def test_a_file_that_tells_no_venue_leaves_no_trace(shell: Shell, tmp_path: Path) -> None:
    path = weekly(tmp_path, "weekly.csv", "OTC|AABB|Asia|Citadel|CDRG|60|2|2025-12-15")
    code, facts, complaint = shell.run("import", "finra-otc", path)
    assert code != 0
    assert facts["rows"] == 0
    assert "ATSs or of other firms" in facts["failed"][0]
    assert "weekly.csv" in complaint
    told = shell.ok("import", "finra-otc", path, "--map", "summary=OTC_W_SMBL_FIRM")
    assert told["rows"] == 1


def test_interest_memberships_and_symbols_build(shell: Shell, tmp_path: Path) -> None:
    interest = written(
        tmp_path,
        "interest.csv",
        "symbolCode,settlementDate,currentShortPositionQuantity",
        "BRK B,2026-09-15,128",
        "BRK B,2026-08-31,127",
    )
    members = written(
        tmp_path,
        "members.csv",
        "group,kind,symbol,weight,valid_from,valid_to",
        "SPX,index,BRK.B,0.02,2020-01-02,",
    )
    short = written(
        tmp_path,
        "CNMSshvol20240102.txt",
        "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market",
        "20240102|AACQ|5|0|10|Q",
        "20240102|AACQU|5|0|10|Q",
        "20240102|BRK/B|5|0|10|N",
        "3",
    )
    shell.ok("import", "finra-interest", interest)
    shell.ok("import", "memberships", members)
    shell.ok("import", "finra-short", short)
    targets = ("silver.short_interest", "reference.memberships", "reference.symbols")
    report = shell.ok("build", *targets)
    assert [built(report, target) for target in targets] == [2, 1, 3]
    assert set(shell.scan("silver.short_interest")["symbol"]) == {"BRK.B"}
    assert shell.scan("reference.memberships")["weight_frac"].to_list() == [0.02]
    master = shell.scan("reference.symbols").sort("finra_symbol")
    assert master.select("symbol", "security_class").rows() == [
        ("AACQ", "common"),
        ("AACQU", "unit"),
        ("BRK.B", "class_share"),
    ]
    assert shell.ok("build", *targets)["builds"] == 0


@pytest.mark.real
def test_real_files_go_through(shell: Shell, real_data: Path) -> None:
    folder = real_data / "finra" / "otc-weekly"
    facts = shell.ok("import", "finra-otc", folder)
    assert (facts["files"], facts["rows"], facts["quarantined"]) == (3, 5328 + 5192 + 14, 0)
    shell.ok("build", "silver.otc_weekly")
    found = shell.scan("silver.otc_weekly")
    assert found.height == 3111 + 2985 + 14
    apple = found.filter(symbol="AAPL")
    revised = apple.filter(pl.col("last_update_date") > pl.col("initial_published_date"))
    week = revised["week_start"].item()
    range_ = {"start": week, "end": week}
    assert shell.scan("silver.otc_weekly", as_of="2022-07-28T23:00:00Z", **range_).is_empty()
    assert shell.scan("silver.otc_weekly", as_of="2022-07-29T22:00:00Z", **range_).height == 1
