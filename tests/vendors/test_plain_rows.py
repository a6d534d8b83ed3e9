"""Rows of plain numbers are read the fast way exactly as the careful way reads them, or not."""

from __future__ import annotations

import json

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tapemill.vendors.massive.drift import BAR
from tapemill.vendors.plain_rows import plain_columns
from tapemill.vendors.rows import read_rows

SHAPE = tuple((field.name, field.family, field.optional) for field in BAR)
ROW = {"v": 120.5, "vw": 9.75, "o": 9.5, "c": 10, "h": 11.25, "l": 9.0, "t": 1735808400000, "n": 7}


def _raw(rows: object, *, spaces: bool = False) -> msgspec.Raw:
    separators = None if spaces else (",", ":")
    return msgspec.Raw(json.dumps(rows, separators=separators).encode())


prices = st.floats(0, 1e9, allow_nan=False, allow_subnormal=False)
rows_of_bars = st.lists(
    st.fixed_dictionaries(
        {
            "v": prices | st.integers(0, 10**12),
            "vw": prices,
            "o": prices,
            "c": st.integers(0, 10**6) | prices,
            "h": prices,
            "l": prices,
            "t": st.integers(0, 2**53),
            "n": st.integers(0, 2**40),
        }
    ),
    min_size=1,
    max_size=30,
)


@given(rows_of_bars)
def test_the_fast_way_reads_what_the_careful_way_reads(rows: list[dict[str, float]]) -> None:
    careful = read_rows(bytes(_raw(rows)), BAR)
    either = read_rows(_raw(rows), BAR)
    assert_frame_equal(either.frame, careful.frame, check_exact=True)
    assert either.count == careful.count == len(rows)


def test_equal_rows_of_plain_numbers_take_the_fast_way() -> None:
    frame = plain_columns(_raw([ROW, {**ROW, "t": 1735808460000}]), SHAPE)
    assert frame is not None
    assert frame.columns == [field.name for field in BAR]
    assert frame["t"].to_list() == [1735808400000, 1735808460000]
    assert frame["v"].to_list() == [120.5, 120.5]
    assert frame["otc"].null_count() == 2
    assert frame.schema["n"] == pl.Int64()


def test_key_order_is_the_vendors() -> None:
    turned = dict(reversed(ROW.items()))
    frame = plain_columns(_raw([turned, turned]), SHAPE)
    assert frame is not None
    assert frame["o"].to_list() == [9.5, 9.5]
    assert frame["n"].to_list() == [7, 7]


@pytest.mark.parametrize(
    "second",
    [
        {**ROW, "x": 1},
        {name: value for name, value in ROW.items() if name != "n"},
        dict(reversed(ROW.items())),
        {**ROW, "n": None},
        {**ROW, "n": "7"},
        {**ROW, "n": 7.5},
        {**ROW, "t": 2**63},
        {**ROW, "o": -1.0},
        {**ROW, "v": 1e30},
        {**ROW, "otc": True},
        {**ROW, "n": [7]},
        {**ROW, "n": {}},
        7,
    ],
)
def test_one_row_that_differs_leaves_the_page_to_the_careful_way(second: object) -> None:
    assert plain_columns(_raw([ROW, second]), SHAPE) is None


@pytest.mark.parametrize("rows", [[], [[]], [{}], [1], [{"t": 1}], {"t": 1}, "text"])
def test_what_is_no_array_of_bars_is_left_to_the_careful_way(rows: object) -> None:
    assert plain_columns(_raw(rows), SHAPE) is None


def test_spaced_json_is_left_to_the_careful_way() -> None:
    assert plain_columns(_raw([ROW, ROW], spaces=True), SHAPE) is None
    assert read_rows(_raw([ROW, ROW], spaces=True), BAR).frame.height == 2


def test_a_page_of_several_pieces_is_read_whole() -> None:
    rows = [{**ROW, "t": 1735808400000 + 60_000 * step} for step in range(30_000)]
    frame = plain_columns(_raw(rows), SHAPE)
    assert frame is not None
    assert frame["t"].to_list() == [row["t"] for row in rows]
    rows[29_000] = {**rows[29_000], "n": None}
    assert plain_columns(_raw(rows), SHAPE) is None
