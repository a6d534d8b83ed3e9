from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from refine.bronze import sessions, sha
from tapemill.contracts import contract
from tapemill.refine.instruments import instruments, symbol_changes

BRONZE = contract("bronze.massive_tickers")
SESSIONS = sessions(date(2022, 1, 3), date(2024, 12, 31)).select("session")
FIRST, SECOND = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 6, 3, tzinfo=UTC)


def row(symbol: str, received: datetime = FIRST, **more: object) -> dict[str, object]:
    return {
        "symbol": symbol,
        "name": symbol,
        "active": True,
        "session": received.date(),
        "year": received.year,
        "source": "massive.rest",
        "raw_sha256": sha(str(received)),
        "ts_recv": received,
        "known_at": received,
        **more,
    }


def listed(*rows: dict[str, object]) -> pl.DataFrame:
    numbered = [{**r, "ordinal": n} for n, r in enumerate(rows)]
    frame = pl.DataFrame(numbered, schema_overrides=BRONZE.schema, infer_schema_length=None)
    return instruments(BRONZE.conform(frame))


def test_a_new_fact_is_a_new_version_from_its_receipt() -> None:
    found = listed(row("A", name="Old"), row("A", SECOND, name="New"), row("B"), row("B", SECOND))
    assert found.select("symbol", "name", "version", "known_at").rows() == [
        ("A", "Old", 1, FIRST),
        ("A", "New", 2, SECOND),
        ("B", "B", 1, FIRST),
    ]


def test_a_listing_of_the_past_is_no_news() -> None:
    past = row("A", SECOND, name="Ancient", session=date(2010, 1, 4))
    assert listed(row("A"), past)["name"].to_list() == ["A"]


def test_symbol_change_by_shared_figi() -> None:
    """FB became META on 2022-06-09; the last session under FB was the 8th."""
    figi = "BBG001SQCQC5"
    found = symbol_changes(
        listed(
            row("FB", active=False, delisted_utc="2022-06-08T00:00:00Z", share_class_figi=figi),
            row("META", share_class_figi=figi),
            row("OTHER", share_class_figi="BBG000000000"),
            row("GONE", active=False, delisted_utc="2022-06-08T00:00:00Z"),
        ),
        SESSIONS,
    )
    assert found.select("old_symbol", "new_symbol", "change_date").rows() == [
        ("FB", "META", date(2022, 6, 9))
    ]
    assert found["evidence"].to_list() == [f"share_class_figi {figi}"]


def test_two_changes_in_a_row_are_two_rows() -> None:
    figi = "BBG000000001"
    found = symbol_changes(
        listed(
            row("ONE", delisted_utc="2022-06-08T00:00:00Z", composite_figi=figi),
            row("TWO", delisted_utc="2023-06-08T00:00:00Z", composite_figi=figi),
            row("THREE", composite_figi=figi),
        ),
        SESSIONS,
    )
    assert found.select("old_symbol", "new_symbol").rows() == [("ONE", "TWO"), ("TWO", "THREE")]


def test_share_classes_of_one_company_are_no_change() -> None:
    found = symbol_changes(
        listed(row("GOOG", share_class_figi="X1"), row("GOOGL", share_class_figi="X2")), SESSIONS
    )
    assert found.is_empty()
    assert found.schema == contract("reference.symbol_changes").schema
