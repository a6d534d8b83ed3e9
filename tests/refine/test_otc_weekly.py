"""Weekly volumes: never doubled, dated by publication, restated without looking ahead."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from refine.bronze import sha
from tapemill.contracts import contract
from tapemill.refine.otc_weekly import otc_weekly
from tapemill.vendors import read_file

BRONZE = contract("bronze.finra_otc_weekly")
WEEK = date(2023, 11, 6)
PUBLISHED = date(2023, 11, 27)
EVENING = datetime(2023, 11, 27, 23, tzinfo=UTC)
"""18:00 New York of the day of publication."""
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def row(shares: str, kind: str = "ATS_W_SMBL", symbol: str = "AAPL", **more: object) -> dict:
    return {
        "symbol": symbol,
        "week_start": WEEK,
        "week_inferred": False,
        "summary_type": kind,
        "tier": "T1",
        "shares": Decimal(shares),
        "trades": 5,
        "last_update_date": PUBLISHED,
        "initial_published_date": PUBLISHED,
        "source": "finra.api",
        "raw_sha256": sha("first"),
        "ts_recv": NOW,
        **more,
    }


def firm(shares: str, mpid: str, kind: str = "ATS_W_SMBL_FIRM", **more: object) -> dict:
    return row(shares, kind, **{"mpid": mpid, "raw_sha256": sha("firms"), **more})


def refined(*rows: dict) -> pl.DataFrame:
    filled = [
        {**dict.fromkeys(BRONZE.schema), "ordinal": n, "year": 2023, "known_at": NOW, **one}
        for n, one in enumerate(rows)
    ]
    return otc_weekly(BRONZE.conform(pl.DataFrame(filled, schema=BRONZE.schema)))


def seen(found: pl.DataFrame, moment: datetime) -> list[Decimal]:
    ended = pl.col("superseded_at").is_null() | (pl.col("superseded_at") > moment)
    return found.filter((pl.col("known_at") <= moment) & ended)["shares"].to_list()


def test_a_total_and_its_firms_are_never_added() -> None:
    found = refined(row("100"), firm("60", "UBSA"), firm("30", "CROS"), firm("10", "IATS"))
    assert found["shares"].to_list() == [Decimal(100)]
    assert found["firms"].to_list() == [3]
    assert found["from_firm_rows"].to_list() == [False]
    assert found["venue_concentration"].to_list() == [pytest.approx(0.36 + 0.09 + 0.01)]
    assert found["trades"].to_list() == [5]


def test_firms_stand_in_for_a_missing_total() -> None:
    found = refined(firm("60", "UBSA"), firm("30", "CROS"))
    assert found["shares"].to_list() == [Decimal(90)]
    assert found["trades"].to_list() == [10]
    assert found["from_firm_rows"].to_list() == [True]


def test_pages_of_the_same_list_are_one_sum() -> None:
    later = datetime(2026, 7, 1, 0, 0, 2, tzinfo=UTC)
    found = refined(firm("60", "UBSA"), firm("30", "CROS", raw_sha256=sha("page 2"), ts_recv=later))
    assert found.select("shares", "version").rows() == [(Decimal(90), 1)]
    assert found["known_at"].to_list() == [EVENING]


def test_venue_classes_stay_apart_and_spellings_meet() -> None:
    found = refined(
        row("100", symbol="BRK B"),
        row("50", "OTC_W_SMBL", symbol="BRK B"),
        row("100", symbol="BRK.B", source="finra.file", raw_sha256=sha("file")),
    )
    assert found.select("symbol", "venue_class", "shares", "firms").rows() == [
        ("BRK.B", "ats", Decimal(100), 0),
        ("BRK.B", "non_ats", Decimal(50), 0),
    ]
    assert found["venue_concentration"].null_count() == 2


def test_a_late_tier_is_unknown_until_its_publication() -> None:
    """Tier 1 on Monday, 17 days after the Friday; Tier 2 two weeks after that."""
    found = refined(
        row("100"), row("70", symbol="ZUMZ", tier="T2", last_update_date=date(2023, 12, 11))
    )
    assert seen(found, datetime(2023, 11, 27, 22, 59, tzinfo=UTC)) == []
    assert seen(found, EVENING) == [Decimal(100)]
    assert seen(found, datetime(2023, 12, 11, 23, tzinfo=UTC)) == [Decimal(100), Decimal(70)]


def test_a_row_revised_before_we_saw_it_is_known_from_its_revision() -> None:
    found = refined(row("100", last_update_date=date(2023, 12, 8)))
    assert found["version"].to_list() == [1]
    assert seen(found, EVENING) == []
    assert seen(found, datetime(2023, 12, 8, 23, tzinfo=UTC)) == [Decimal(100)]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("source", ["finra.api", "finra.file"])
def test_a_restatement_is_seen_from_its_own_date(newest_first: bool, source: str) -> None:
    restated = {"last_update_date": date(2023, 12, 8), "raw_sha256": sha("second")}
    late = datetime(2026, 8, 1, tzinfo=UTC)
    old = row("100", source=source, ts_recv=late if newest_first else NOW)
    new = row("120", source=source, ts_recv=NOW if newest_first else late, **restated)
    found = refined(old, new)
    after = datetime(2023, 12, 8, 23, tzinfo=UTC)
    if source == "finra.file":
        assert seen(found, EVENING) == [Decimal(100)]
        assert seen(found, after) == [Decimal(120)]
    # Whatever came in which order, and however it is dated, the last word is the newest one.
    assert seen(found, datetime(2027, 1, 1, tzinfo=UTC)) == [Decimal(120)]


def test_an_answer_that_contradicts_an_earlier_one_counts_from_its_arrival() -> None:
    """Same stamp, other value: nobody could know it before it came."""
    late = datetime(2026, 8, 1, tzinfo=UTC)
    found = refined(row("100"), row("120", raw_sha256=sha("second"), ts_recv=late))
    assert found.select("version", "shares", "known_at").rows() == [
        (1, Decimal(100), EVENING),
        (2, Decimal(120), late),
    ]
    assert found["superseded_at"].to_list() == [late, None]


def test_a_row_that_the_whole_list_lacked_counts_from_its_arrival() -> None:
    late = datetime(2026, 8, 1, tzinfo=UTC)
    names = [f"S{number:02}" for number in range(9)]
    first = [row("10", symbol=name) for name in names]
    again = [row("10", symbol=n, ts_recv=late, raw_sha256=sha("2")) for n in [*names, "NEW"]]
    found = refined(*first, *again)
    assert found.filter(symbol="NEW")["known_at"].to_list() == [late]
    assert found.filter(pl.col("symbol") != "NEW")["known_at"].to_list() == [EVENING] * 9


def test_one_symbols_answer_says_nothing_of_the_others() -> None:
    late = datetime(2026, 8, 1, tzinfo=UTC)
    market = [row("10", symbol=f"S{number}", ts_recv=late) for number in range(9)]
    again = row("100", ts_recv=late, raw_sha256=market[0]["raw_sha256"])
    found = refined(row("100", raw_sha256=sha("one")), again, *market)
    assert found["known_at"].to_list() == [EVENING] * 10


def test_a_later_page_of_the_same_list_is_not_late() -> None:
    listed = datetime(2026, 8, 1, tzinfo=UTC)
    page = {"ts_recv": datetime(2026, 8, 1, 0, 0, 2, tzinfo=UTC), "raw_sha256": sha("page 2")}
    market = [row("10", symbol=f"S{n}", ts_recv=listed, raw_sha256=sha("1")) for n in range(9)]
    found = refined(
        row("100", raw_sha256=sha("one")), *market, row("100", **page), row("7", symbol="Z", **page)
    )
    assert found["known_at"].to_list() == [EVENING] * 11


def test_a_repeat_is_no_version() -> None:
    late = datetime(2026, 8, 1, tzinfo=UTC)
    found = refined(row("100"), row("100", raw_sha256=sha("second"), ts_recv=late))
    assert found.height == 1
    assert found["raw_sha256"].to_list() == [sha("first")]


def test_a_move_to_an_exchange_adds_both_markets() -> None:
    found = refined(row("100", tier="T2"), row("40", tier="OTC"))
    assert found.select("shares", "tier").rows() == [(Decimal(140), "T2")]


def test_a_corrected_tier_does_not_double() -> None:
    late = date(2023, 12, 8)
    found = refined(
        row("100", tier="T2", source="finra.file"),
        row("100", source="finra.file", last_update_date=late, raw_sha256=sha("second")),
    )
    assert found["shares"].to_list()[-1] == Decimal(100)


def test_no_rows_give_none() -> None:
    assert refined().is_empty()


@pytest.mark.real
def test_real_firm_rows_add_up_by_hand(real_data: Path) -> None:
    path = real_data / "finra" / "otc-weekly" / "finra_otc_weekly_otc_20251215.csv"
    by_symbol: dict[str, list[int]] = {}
    for line in path.read_text().splitlines()[1:]:
        fields = line.split("|")
        by_symbol.setdefault(fields[1], []).append(int(fields[5]))
    bronze = read_file("finra-otc", path).frame.with_columns(
        source=pl.lit("finra.file"),
        raw_sha256=pl.lit(sha("file")),
        request_id=pl.lit(None, dtype=pl.String),
        ts_recv=pl.lit(NOW).cast(pl.Datetime("us", "UTC")),
        known_at=pl.lit(NOW).cast(pl.Datetime("us", "UTC")),
    )
    found = otc_weekly(BRONZE.conform(bronze))
    assert found.height == len(by_symbol) == 3111
    for symbol, shares, firms, concentration in found.select(
        "symbol", "shares", "firms", "venue_concentration"
    ).iter_rows():
        parts = by_symbol[symbol]
        assert (int(shares), firms) == (sum(parts), len(parts))
        if sum(parts):
            expected = sum((part / sum(parts)) ** 2 for part in parts)
            assert concentration == pytest.approx(expected, rel=1e-12)
