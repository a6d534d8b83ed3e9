"""Short interest, memberships and the master of symbols."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl

from refine.bronze import sha
from tapemill.contracts import contract
from tapemill.refine.memberships import memberships
from tapemill.refine.short_interest import short_interest
from tapemill.refine.symbols import symbols

NOW = datetime(2026, 10, 20, tzinfo=UTC)
LATE = datetime(2026, 11, 1, tzinfo=UTC)
SETTLED = date(2026, 9, 15)


def bronze(dataset: str, *rows: dict[str, object]) -> pl.DataFrame:
    declared = contract(dataset)
    filled = [
        {
            **dict.fromkeys(declared.schema),
            "ordinal": n,
            "year": 2026,
            "source": "finra.file",
            "raw_sha256": sha("first"),
            "ts_recv": NOW,
            "known_at": NOW,
            **row,
        }
        for n, row in enumerate(rows)
    ]
    return declared.conform(pl.DataFrame(filled, schema=declared.schema))


def position(shares: int, **more: object) -> dict[str, object]:
    return {
        "symbol": "BRK B",
        "settlement_date": SETTLED,
        "short_interest": Decimal(shares),
        "days_to_cover": 2.5,
        **more,
    }


def interest(*rows: dict[str, object]) -> pl.DataFrame:
    return short_interest(bronze("bronze.finra_short_interest", *rows))


def test_short_interest_is_known_nine_weekdays_after_settlement() -> None:
    found = interest(position(100))
    assert found.select("symbol", "short_interest", "version").rows() == [
        ("BRK.B", Decimal(100), 1)
    ]
    # Tuesday 15 September and nine weekdays: Monday the 28th, 18:00 New York.
    assert found["known_at"].to_list() == [datetime(2026, 9, 28, 22, tzinfo=UTC)]


def test_a_restated_position_counts_from_its_arrival() -> None:
    found = interest(position(100), position(90, ts_recv=LATE, raw_sha256=sha("second")))
    assert found.select("version", "short_interest", "known_at").rows()[1] == (
        2,
        Decimal(90),
        LATE,
    )
    assert found["superseded_at"].to_list() == [LATE, None]


def test_a_position_marked_as_revised_was_not_known_before_it_came() -> None:
    assert interest(position(100, revised=True))["known_at"].to_list() == [NOW]
    assert interest().is_empty()


def member(group: str, symbol: str, **more: object) -> dict[str, object]:
    start = date(2020, 1, 2)
    return {"group": group, "kind": "index", "symbol": symbol, "valid_from": start, **more}


def test_an_end_that_a_later_file_brings_is_not_known_before_it() -> None:
    ended = {"valid_to": date(2021, 1, 4), "ts_recv": LATE, "raw_sha256": sha("second")}
    found = memberships(
        bronze(
            "bronze.imported_memberships",
            member("SPX", "BRK/B", weight_frac=0.02, source="import:a.csv"),
            member("SPX", "BRK/B", weight_frac=0.02, source="import:b.csv", **ended),
            member("SPX", "AAPL"),
        )
    )
    assert found.select("symbol", "version", "valid_to").rows() == [
        ("AAPL", 1, None),
        ("BRK.B", 1, None),
        ("BRK.B", 2, date(2021, 1, 4)),
    ]
    opening = datetime(2020, 1, 2, 9, tzinfo=UTC)
    assert found["known_at"].to_list() == [opening, opening, LATE]


def test_a_fifth_letter_needs_its_root_at_the_same_time() -> None:
    first, middle, last = date(2020, 1, 2), date(2021, 1, 4), date(2022, 1, 3)
    seen = pl.DataFrame(
        [
            ("AACQ", first, middle),
            ("AACQU", first, middle),
            ("ABCD", first, first),
            ("ABCDW", last, last),
            ("BRK/B", first, last),
            ("ACIC/WS", first, last),
            ("AAICpC", first, last),
        ],
        schema=["symbol", "first_session", "last_session"],
        orient="row",
    )
    found = symbols(seen)
    columns = found.select("finra_symbol", "symbol", "security_class", "root")
    told = {row[0]: row[1:] for row in columns.iter_rows()}
    assert told == {
        "AACQ": ("AACQ", "common", "AACQ"),
        "AACQU": ("AACQU", "unit", "AACQ"),
        "ABCD": ("ABCD", "common", "ABCD"),
        "ABCDW": ("ABCDW", "common", "ABCDW"),
        "BRK/B": ("BRK.B", "class_share", "BRK"),
        "ACIC/WS": ("ACIC.WS", "warrant", "ACIC"),
        "AAICpC": ("AAICpC", "preferred", "AAIC"),
    }
