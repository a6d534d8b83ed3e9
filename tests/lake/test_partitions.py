"""Rows by partition: all of them, once, in their order, without touching the others."""

import polars as pl

from tapemill.lake.partitions import parts


def frame(*months):
    return pl.DataFrame({"month": months, "row": range(len(months))})


def test_parts_are_named_in_order_and_hold_every_row_once():
    rows = frame("2025-02", "2025-01", "2025-02", "2025-03", "2025-01")
    found = parts(rows, "month")
    assert [part.value for part in found] == ["2025-01", "2025-02", "2025-03"]
    assert [part.of(rows)["row"].to_list() for part in found] == [[1, 4], [0, 2], [3]]


def test_rows_that_lie_together_stay_in_order():
    rows = frame("2025-02", "2025-02", "2025-01", "2025-01", "2025-01")
    assert [part.of(rows)["row"].to_list() for part in parts(rows, "month")] == [[2, 3, 4], [0, 1]]


def test_one_value_and_no_partition_are_the_whole_frame():
    rows = frame("2025-01", "2025-01")
    assert [(part.value, part.of(rows).height) for part in parts(rows, "month")] == [("2025-01", 2)]
    assert [(part.value, part.of(rows).height) for part in parts(rows, "")] == [("", 2)]


def test_no_rows_have_no_part():
    assert parts(frame().cast({"month": pl.String}), "month") == []


def test_numbers_of_years_are_values_too():
    rows = pl.DataFrame({"year": [2024, 2025, 2024]}, schema={"year": pl.Int32})
    assert [part.value for part in parts(rows, "year")] == ["2024", "2025"]
