from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from refine.bronze import sha
from tapemill.contracts import contract
from tapemill.refine.short_volume import short_volume

BRONZE = contract("bronze.finra_short_volume")
DAY = date(2026, 6, 1)
RECEIVED = datetime(2026, 6, 2, tzinfo=UTC)


def row(facility: str, total: str, market: str, **more: object) -> dict[str, object]:
    return {
        "symbol": "SPY",
        "session": DAY,
        "short_volume": Decimal(total) / 2,
        "short_exempt_volume": Decimal(1),
        "total_volume": Decimal(total),
        "market": market,
        "facility": facility,
        "source": "finra.cdn",
        "raw_sha256": sha(facility),
        "ts_recv": RECEIVED,
        **more,
    }


def refined(*rows: dict[str, object]) -> pl.DataFrame:
    frame = pl.DataFrame(
        [{"ordinal": n, "year": 2026, "known_at": RECEIVED, **r} for n, r in enumerate(rows)],
        schema_overrides=BRONZE.schema,
    )
    return short_volume(BRONZE.conform(frame))


def test_decimals_survive_and_codes_are_sorted() -> None:
    found = refined(row("CNMS", "9099.618093", "Q,B,N"))
    assert found["total_volume"].to_list() == [Decimal("9099.618093")]
    assert found["market"].to_list() == ["B,N,Q"]
    assert found["known_at"].to_list() == [datetime(2026, 6, 1, 22, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ({"FNSQ": "60.5", "FNYX": "30", "FNQC": "9.5"}, True),
        ({"FNSQ": "60.5", "FNYX": "30", "FNQC": "9.6"}, False),
        ({"FNSQ": "60.5", "FNYX": "39.5"}, None),
        ({}, None),
    ],
)
def test_facilities_add_up(parts: dict[str, str], verdict: bool | None) -> None:
    rows = [row(name, total, name[-1]) for name, total in parts.items()]
    found = refined(row("CNMS", "100", "B,Q,N"), *rows)
    assert found["reconciled"].to_list() == [verdict] * (len(parts) + 1)


def test_only_the_facilities_of_the_row_are_asked_for() -> None:
    assert refined(row("CNMS", "60", "Q"), row("FNSQ", "60", "Q"))["reconciled"].all()


def test_query_api_and_file_are_one_fact() -> None:
    api = row("CNMS", "100", "N,Q,B", source="finra.api", raw_sha256=sha("api"))
    found = refined(row("CNMS", "100", "B,Q,N"), api)
    assert found.height == 1
    assert found["source"].to_list() == ["finra.cdn"]


def test_revised_file_is_a_second_version() -> None:
    later = datetime(2026, 6, 5, tzinfo=UTC)
    found = refined(
        row("CNMS", "100", "Q"), row("CNMS", "101", "Q", ts_recv=later, raw_sha256=sha("new"))
    )
    assert found.select("version", "total_volume", "superseded_at").rows() == [
        (1, Decimal(100), later),
        (2, Decimal(101), None),
    ]


def test_a_file_without_exempt_column_keeps_the_null() -> None:
    found = refined(row("NQBX", "100", "BX", short_exempt_volume=None))
    assert found["short_exempt_volume"].to_list() == [None]
    assert found["reconciled"].to_list() == [None]


@pytest.mark.real
def test_facilities_equal_the_consolidated_file_on_every_pair(real_data: Path) -> None:
    """FNSQ + FNYX + FNQC = CNMS wherever both are in the test data: 2,256 pairs."""
    names = ["date", "symbol", "short_volume", "short_exempt_volume", "total_volume", "market"]
    consolidated = [
        pl.read_csv(
            path, separator="|", skip_rows=1, has_header=False, new_columns=names
        ).drop_nulls()
        for path in sorted((real_data / "finra/regsho-cnms").glob("*.txt"))
    ]
    parts = [
        pl.read_csv(path, separator="|", skip_rows=1, has_header=False, new_columns=names)
        .drop_nulls("symbol")
        .with_columns(facility=pl.lit(path.stem[-4:]))
        for path in (real_data / "finra/regsho-facility").glob("gme-etfs-FN[SYQ]*.txt")
    ]
    wide = pl.concat(
        [
            pl.concat(consolidated).with_columns(facility=pl.lit("CNMS")),
            *(frame.select([*names, "facility"]) for frame in parts),
        ],
        how="vertical_relaxed",
    ).with_columns(session=pl.col("date").cast(pl.String).str.to_date("%Y%m%d"))
    days = pl.col("session").is_between(date(2020, 12, 1), date(2021, 1, 15))
    rows = wide.filter(days).select(
        "symbol",
        "session",
        pl.col("short_volume", "short_exempt_volume", "total_volume").cast(pl.Decimal(20, 6)),
        "market",
        "facility",
        source=pl.lit("import:finra-short"),
        raw_sha256=pl.lit(sha("files")),
        ordinal=pl.int_range(pl.len()),
        ts_recv=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
        known_at=pl.lit(RECEIVED).cast(pl.Datetime("us", "UTC")),
        year=pl.col("session").dt.year(),
    )
    found = short_volume(BRONZE.conform(rows))
    whole = found.filter((pl.col("facility") == "CNMS") & pl.col("reconciled").is_not_null())
    assert whole.height == 2_256
    assert whole["reconciled"].all()
    assert found["session"].n_unique() == 32
