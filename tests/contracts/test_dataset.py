"""A declaration drives schema, casting, quarantine and its own consistency."""

from __future__ import annotations

import polars as pl
import pytest

from tapemill.contracts import DATASETS, Column, Dataset, RowCheck, SplitRatio, contract
from tapemill.errors import ContractError, UnknownNameError

TOY = Dataset(
    "silver.toy",
    "A toy.",
    (
        Column("symbol", pl.String(), "Ticker"),
        Column("price", pl.Float64(), "Price", "USD"),
        Column("size", pl.Int64(), "Size", "shares", nullable=True),
    ),
    key=("symbol",),
    order=("symbol",),
    partition="",
    event_column="symbol",
    known_at="received",
    row_checks=(
        RowCheck("price_not_positive", pl.col("price") > 0, "above zero"),
        RowCheck("size_too_large", (pl.col("size") < 100).fill_null(value=True), "below 100"),
    ),
)


def frame(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": ["A"], "price": [1.0], "size": [1], **columns})


def test_conform_orders_casts_and_fills_nullable_columns() -> None:
    out = TOY.conform(pl.DataFrame({"price": [2], "symbol": ["A"]}))
    assert out.columns == ["symbol", "price", "size"]
    assert out.schema == TOY.schema
    assert out.row(0) == ("A", 2.0, None)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (pl.DataFrame({"symbol": ["A"]}), "price"),
        (frame(colour=["red"]), "colour"),
        (frame(price=["dear"]), "cannot be read"),
        (frame(size=[1.5]).with_columns(pl.lit("x").alias("size")), "cannot be read"),
        (frame(price=[None]), "nulls"),
    ],
)
def test_conform_refuses_and_names_the_column(given: pl.DataFrame, named: str) -> None:
    with pytest.raises(ContractError, match=named):
        TOY.conform(given)


def test_split_loses_no_row_and_names_every_broken_check() -> None:
    given = pl.DataFrame(
        {"symbol": ["A", "B", None, "D"], "price": [1.0, -1.0, 1.0, None], "size": [1, 500, 1, 1]}
    )
    good, bad = TOY.split(given)
    assert good.get_column("symbol").to_list() == ["A"]
    assert good.height + bad.height == given.height
    assert bad.get_column("reasons").to_list() == [
        "price_not_positive;size_too_large",
        "null_symbol",
        "null_price;price_not_positive",
    ]


def test_split_of_clean_rows_is_the_frame_itself() -> None:
    good, bad = TOY.split(frame())
    assert good.equals(frame())
    assert bad.is_empty()
    assert "reasons" in bad.columns


def test_a_declaration_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ContractError, match="contradicts"):
        Dataset("silver.bad", "x", TOY.columns, ("nowhere",), (), "", "symbol", "received")
    with pytest.raises(ContractError, match="contradicts"):
        Dataset("silver.bad", "x", TOY.columns, ("symbol",), (), "", "symbol", "someday")


def test_unknown_dataset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as error:
        contract("silver.equity_bar_1m")
    assert "silver.equity_bars_1m" in error.value.next_step


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS.keys())
def test_every_dataset_is_described_in_full(dataset: Dataset) -> None:
    assert dataset.description
    assert all(column.description for column in dataset.columns)
    assert dataset.event_column in dataset.schema
    if dataset.versioned:
        assert {"version", "known_at", "superseded_at"} <= set(dataset.schema)
    if dataset.layer == "bronze":
        assert {"raw_sha256", "ordinal", "ts_recv", "known_at", "source"} <= set(dataset.schema)
    names = [check.name for check in dataset.row_checks]
    assert len(names) == len(set(names))


def test_the_direction_of_a_split_is_a_type() -> None:
    forward = SplitRatio(split_from=1, split_to=7)
    assert forward.price_factor == pytest.approx(1 / 7)
    assert forward.volume_factor == pytest.approx(7)
    reverse = SplitRatio(split_from=10, split_to=1)
    assert reverse.price_factor == pytest.approx(10)
    assert SplitRatio.parse("7:1") == forward
