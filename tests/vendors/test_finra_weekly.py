"""Weekly volumes and short interest: field by field, and files that say less than the API."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tapemill.contracts import contract
from tapemill.errors import FileFormatError, UnknownNameError, UsageError
from tapemill.vendors import read_file
from tapemill.vendors.files import ParsedFile
from tapemill.vendors.finra.interest import interest_rows
from tapemill.vendors.finra.weekly import weekly_rows

WEEK = {
    "issueSymbolIdentifier": "AAPL",
    "weekStartDate": "2023-11-06",
    "summaryTypeCode": "ATS_W_SMBL",
    "tierIdentifier": "T1",
    "totalWeeklyShareQuantity": "1000.25",
    "totalWeeklyTradeCount": "10",
    "lastUpdateDate": "2023-11-27",
}
HEADER = (
    "tierDescription|issueSymbolIdentifier|issueName|marketParticipantName|MPID|"
    "totalWeeklyShareQuantity|totalWeeklyTradeCount|lastUpdateDate"
)


def shaped(*rows: dict[str, str | None]) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    frame = pl.DataFrame(
        [{"ordinal": n, **row} for n, row in enumerate(rows)], infer_schema_length=None
    )
    return weekly_rows(frame)


def lines(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def taken(content: bytes, name: str = "", **options: str) -> ParsedFile:
    return read_file("finra-otc", content, options, name=name)


def test_a_row_is_read_exactly() -> None:
    good, bad, notes = shaped(WEEK)
    row = good.row(0, named=True)
    assert row["shares"] == Decimal("1000.25")
    assert (row["trades"], row["tier"], row["week_inferred"]) == (10, "T1", False)
    assert row["week_start"] == date(2023, 11, 6)
    assert bad.is_empty()
    assert not notes
    declared = contract("bronze.finra_otc_weekly").schema
    assert all(good.schema[name] == declared[name] for name in good.columns)


@pytest.mark.parametrize(
    ("identifier", "description", "tier"),
    [
        ("T1", None, "T1"),
        ("NMS", "NMS Tier 1", "T1"),
        (None, "NMS Tier 2", "T2"),
        ("T2", "NMS Tier 2", "T2"),
        (None, "OTC", "OTC"),
        ("OTC", "OTC Equity", "OTC"),
        ("NMS", "NMS", None),
        (None, None, None),
    ],
)
def test_tier_is_told_by_either_field(
    identifier: str | None, description: str | None, tier: str | None
) -> None:
    good, bad, _ = shaped({**WEEK, "tierIdentifier": identifier, "tierDescription": description})
    if tier is None:
        assert bad["reasons"].to_list() == ["tier_unknown"]
    else:
        assert good["tier"].to_list() == [tier]
        assert good["tier_identifier"].to_list() == [identifier]
        assert good["tier_description"].to_list() == [description]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("issueSymbolIdentifier", "", "symbol_not_a_symbol"),
        ("issueSymbolIdentifier", "A\tB", "symbol_not_a_symbol"),
        ("totalWeeklyShareQuantity", "many", "shares_not_a_number"),
        ("totalWeeklyShareQuantity", None, "shares_missing"),
        ("totalWeeklyShareQuantity", "-5", "shares_negative"),
        ("totalWeeklyTradeCount", "1.5", "trades_not_a_whole_number"),
        ("weekStartDate", "2023-11-07", "not_a_monday"),
        ("weekStartDate", "6 Nov", "week_start_not_a_date"),
        ("lastUpdateDate", None, "last_update_date_missing"),
        ("lastUpdateDate", "2023-11-10", "published_before_week_end"),
        ("summaryTypeCode", "OTC_M_SMBL", "summary_type_unknown"),
    ],
)
def test_a_bad_row_goes_to_quarantine_with_its_reason(
    field: str, value: str | None, reason: str
) -> None:
    other = {**WEEK, "issueSymbolIdentifier": "MSFT"}
    good, bad, _ = shaped({**WEEK, field: value}, other)
    assert good["symbol"].to_list() == ["MSFT"]
    assert bad["reasons"].to_list() == [reason]
    assert "totalWeeklyShareQuantity" in bad["row"][0]


def test_repeats_are_dropped_and_contradictions_set_aside() -> None:
    twice = {**WEEK, "issueSymbolIdentifier": "KO"}
    other = {**twice, "totalWeeklyShareQuantity": "999"}
    good, bad, notes = shaped(WEEK, WEEK, twice, other)
    assert good["symbol"].to_list() == ["AAPL"]
    assert bad["reasons"].to_list() == ["conflicting_duplicate"] * 2
    assert notes == ("1 exact repeats of a row dropped",)


def test_a_restatement_in_the_same_list_is_no_contradiction() -> None:
    later = {**WEEK, "totalWeeklyShareQuantity": "999", "lastUpdateDate": "2023-12-01"}
    assert shaped(WEEK, later)[0].height == 2


def test_market_totals_are_skipped_and_counted() -> None:
    total = {**WEEK, "summaryTypeCode": "ATS_W_VOL_STATS", "issueSymbolIdentifier": None}
    good, bad, notes = shaped(WEEK, total)
    assert (good.height, bad.height) == (1, 0)
    assert notes == ("1 rows of market totals skipped",)


@pytest.mark.parametrize(
    ("tier", "published", "week"),
    [
        ("NMS Tier 1", "2023-11-27", date(2023, 11, 6)),
        ("NMS Tier 2", "2023-12-11", date(2023, 11, 6)),
        ("OTC", "2025-12-15", date(2025, 11, 10)),
        ("OTC", "2024-01-16", date(2023, 12, 11)),  # Tuesday after a closed Monday
    ],
)
def test_the_week_follows_from_publication_and_tier(tier: str, published: str, week: date) -> None:
    found = taken(lines(f"{tier}|AABB|Asia|OTC LINK|OTCN|10|1|{published}"))
    assert found.frame["week_start"].to_list() == [week]
    assert found.frame["week_inferred"].to_list() == [True]
    assert any("--map week=" in note for note in found.notes)


def test_the_date_of_a_restatement_or_of_the_name_tells_no_week() -> None:
    content = lines("OTC|AABB|Asia|OTC LINK|OTCN|10|1|2022-07-29")
    found = taken(content, name="OTC_ats_2022-07-25.csv")
    assert found.frame.is_empty()
    assert found.rejected["reasons"].to_list() == ["week_start_missing"]
    told = taken(content, name="OTC_ats_2022-07-25.csv", week="2022-06-20")
    assert told.frame["week_start"].to_list() == [date(2022, 6, 20)]
    assert told.frame["week_inferred"].to_list() == [False]


def test_a_week_that_is_no_monday_or_contradicts_the_rows_is_refused() -> None:
    content = lines("OTC|AABB|Asia|OTC LINK|OTCN|10|1|2025-12-15")
    for wrong in ("2025-11-11", "soon"):
        with pytest.raises(UsageError, match="Monday"):
            taken(content, week=wrong)
    with pytest.raises(UsageError, match="contradicts"):
        taken(json.dumps([WEEK]).encode(), week="2023-11-13")


@pytest.mark.parametrize(
    ("name", "mpid", "kind"),
    [
        ("OTC_ats_2025-12-15.csv", "", "ATS_W_SMBL"),
        ("OTC_non_ats_2025-12-15.csv", "", "OTC_W_SMBL"),
        ("NonAts.csv", "CDRG", "OTC_W_SMBL_FIRM"),
        ("weekly.csv", "OTCX", "ATS_W_SMBL_FIRM"),
    ],
)
def test_venues_are_told_by_name_or_by_themselves(name: str, mpid: str, kind: str) -> None:
    found = taken(lines(f"OTC|AABB|Asia||{mpid}|10|1|2025-12-15"), name=name)
    assert found.frame["summary_type"].to_list() == [kind]
    assert any(kind in note for note in found.notes)


def test_untold_venues_are_refused_unless_the_user_says() -> None:
    content = lines("OTC|AABB|Asia|Citadel|CDRG|10|1|2025-12-15")
    with pytest.raises(FileFormatError, match="ATSs or of other firms") as refused:
        taken(content, name="weekly.csv")
    assert "summary=" in refused.value.next_step
    found = taken(content, summary="OTC_W_SMBL_FIRM")
    assert found.frame["summary_type"].to_list() == ["OTC_W_SMBL_FIRM"]
    with pytest.raises(UnknownNameError):
        taken(content, summary="OTC")
    with pytest.raises(UnknownNameError):
        taken(content, weak="2025-11-10")


def test_comma_files_and_every_json_wrapping_read_alike() -> None:
    row = {k: v for k, v in WEEK.items() if k != "totalWeeklyTradeCount"} | {
        "totalWeeklyShareQuantity": 1000.25,
        "totalWeeklyTradeCount": 10,
        "issueName": "Apple, Inc.",
        "firmCRDNumber": 123,
    }
    comma = ",".join(row) + "\n" + ",".join(f'"{v}"' for v in row.values()) + "\n"
    forms = [
        comma.encode(),
        b"\xef\xbb\xbf" + comma.upper().replace("APPLE, INC.", "Apple, Inc.").encode(),
        json.dumps([row]).encode(),
        json.dumps({"data": [row]}).encode(),
        json.dumps({"response": {"json": [row]}}).encode(),
    ]
    frames = [taken(form).frame for form in forms]
    assert all(frame.equals(frames[0]) for frame in frames)
    assert frames[0]["shares"].to_list() == [Decimal("1000.25")]
    assert frames[0]["firm_crd"].to_list() == ["123"]


@pytest.mark.parametrize(
    "content",
    [
        b"<html>blocked</html>",
        b"a|b\n1|2\n",
        lines("OTC|AABB|Asia"),
        b'[{"issueSymbolIdentifier": "A"',
        b'{"error": "no"}',
        b'[{"symbol": "A"}]',
    ],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(FileFormatError):
        taken(content, name="OTC_ats.csv")


def test_a_header_alone_says_nothing() -> None:
    found = taken(lines(), name="OTC_ats.csv")
    assert found.frame.is_empty()
    assert (found.start, found.end) == (None, None)
    assert any("no rows" in note for note in found.notes)


def test_short_interest_is_exact_and_its_bad_rows_are_set_aside() -> None:
    row = {
        "symbolCode": "BRK B",
        "settlementDate": "2026-09-15",
        "currentShortPositionQuantity": 128753092,
        "daysToCoverQuantity": 2.85,
        "revisionFlag": "R",
    }
    bad = [{**row, "symbolCode": ""}, {**row, "currentShortPositionQuantity": None}]
    content = json.dumps([row, *bad]).encode()
    found = read_file("finra-interest", content)
    assert found.frame["short_interest"].to_list() == [Decimal(128753092)]
    assert found.frame["days_to_cover"].to_list() == [2.85]
    assert found.frame["revised"].to_list() == [True]
    assert found.rejected["reasons"].to_list() == ["symbol_not_a_symbol", "short_interest_missing"]
    assert found.start == found.end == date(2026, 9, 15)
    negative = interest_rows(
        pl.DataFrame({"ordinal": [0], **{k: [str(v)] for k, v in row.items()}}).with_columns(
            currentShortPositionQuantity=pl.lit("-1")
        )
    )
    assert negative[1]["reasons"].to_list() == ["negative"]


def test_memberships_keep_fractions_and_set_percents_aside() -> None:
    content = (
        b"Group,kind,symbol,weight,valid_from,valid_to,note\n"
        b"SPX,Index,AAPL,0.065,2020-01-02,,x\n"
        b"SPX,index,MSFT,6.5,2020-01-02,,x\n"
        b"SPX,club,KO,0.01,2020-01-02,,x\n"
        b"SPX,index,GE,0.01,2020-01-02,2019-01-02,x\n"
        b"XLK,sector,AAPL,,2020-01-02,2021-01-04,x\n"
    )
    found = read_file("memberships", content)
    assert found.frame.select("group", "kind", "symbol", "weight_frac", "valid_to").rows() == [
        ("SPX", "index", "AAPL", 0.065, None),
        ("XLK", "sector", "AAPL", None, date(2021, 1, 4)),
    ]
    assert found.rejected["reasons"].to_list() == [
        "weight_out_of_range",
        "kind_unknown",
        "ends_before_start",
    ]
    assert found.notes == ("columns not read: note",)
    with pytest.raises(FileFormatError, match="valid_from"):
        read_file("memberships", b"group,kind,symbol\nSPX,index,A\n")


@pytest.mark.real
def test_real_files_are_read_whole(real_data: Path) -> None:
    folder = real_data / "finra" / "otc-weekly"
    expected = {
        "finra_otc_weekly_otc_20251215.csv": (5328, 3111, date(2025, 11, 10)),
        "finra_otc_weekly_otc_20251222.csv": (5192, 2985, date(2025, 11, 17)),
    }
    for name, (rows, symbols, week) in expected.items():
        found = read_file("finra-otc", folder / name)
        assert (found.frame.height, found.rejected.height) == (rows, 0)
        assert found.frame["symbol"].n_unique() == symbols
        assert found.frame["week_start"].unique().to_list() == [week]
        text = (folder / name).read_text().splitlines()[1:]
        assert found.frame["shares"].sum() == sum(int(line.split("|")[5]) for line in text)
    apple = read_file("finra-otc", folder / "weeklySummary_AAPL_ATS_W_SMBL.json").frame
    assert apple.height == 14
    assert set(apple["summary_type"]) == {"ATS_W_SMBL"}
    late = apple.filter(pl.col("last_update_date") > pl.col("initial_published_date"))
    assert late.select("initial_published_date", "last_update_date").rows() == [
        (date(2022, 7, 18), date(2022, 7, 29))
    ]


@pytest.mark.real
def test_real_short_interest_is_read_whole(real_data: Path) -> None:
    path = next((real_data / "finra" / "short-interest").iterdir())
    found = read_file("finra-interest", path)
    assert (found.frame.height, found.rejected.height) == (10, 0)
    assert sorted(set(found.frame["settlement_date"])) == [date(2026, 8, 31), date(2026, 9, 15)]
