"""Massive's flat files."""

from __future__ import annotations

import gzip
import json
from datetime import date

import pytest

from tapemill.contracts import contract
from tapemill.errors import FileFormatError
from tapemill.vendors import read_file
from tapemill.vendors.massive.flatfiles import read_flat_file

HEADER = "ticker,volume,open,close,high,low,window_start,transactions"
GOOD = "AAPL,4930,200.29,200.5,200.63,200.29,1744792500000000000,129"


def flat(*rows: str, header: str = HEADER) -> bytes:
    return gzip.compress("\n".join([header, *rows, ""]).encode())


def test_minutes_land_as_unadjusted_bronze_bars() -> None:
    file = read_flat_file(flat(GOOD, "brk.b,1.5,1,1,1,1,1744833600000000000,1"), "minute")
    row = file.frame.row(0, named=True)
    assert (row["open"], row["high"], row["low"], row["close"]) == (200.29, 200.63, 200.29, 200.5)
    assert (row["ts_event"], row["trades"]) == (1744792500000000000, 129)
    assert (row["session"], row["month"], row["adjusted"]) == (date(2025, 4, 16), "2025-04", False)
    # 16:00 New York of the 16th is 20:00 UTC.
    assert file.frame["session"].to_list() == [date(2025, 4, 16)] * 2
    assert file.frame["decimal_volume"].to_list() == [None, "1.5"]
    schema = dict(contract("bronze.massive_bars_1m").schema)
    assert {n: schema[n] for n in file.frame.columns} == dict(file.frame.schema)


def test_days_start_at_midnight_new_york() -> None:
    file = read_flat_file(flat("BCC,1,2,2,2,2,1680033600000000000,3"), "day")
    assert file.frame["session"].to_list() == [date(2023, 3, 28)]
    assert file.frame["ts_event"].to_list() == [1679976000000000000]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("A,1,1,1,1,1,16799904000000000,1", "window_start_not_ns"),
        ("A,1,1,1,1,1,1744792500000,1", "window_start_not_ns"),
        ("A,1,1,1,1,1,,1", "window_start_not_ns"),
        ("A,1,x,1,1,1,1744792500000000000,1", "open_not_a_number"),
        ("A,1,,1,1,1,1744792500000000000,1", "null_open"),
        ("A,-1,1,1,1,1,1744792500000000000,1", "volume_negative"),
        ("A,1,1,1,1,2,1744792500000000000,1", "low_above_body"),
        (",1,1,1,1,1,1744792500000000000,1", "null_symbol"),
        ("A,1,1,1,1,1,1744878900000000000,1", "not_of_the_named_date"),
        ("A,inf,1,1,1,1,1744792500000000000,1", "volume_not_finite"),
        ("A,nan,1,1,1,1,1744792500000000000,1", "volume_not_finite"),
        ("A,1,1,1,1,1,1744792500000000000,x", "trades_not_a_number"),
        ("A,1,1,1,1,1,1744792500000000000,-1", "trades_negative"),
    ],
)
def test_a_broken_row_is_set_aside_with_its_text(row: str, reason: str) -> None:
    file = read_flat_file(flat(GOOD, row), "minute", name="2025-04-16.csv.gz")
    assert file.frame["symbol"].to_list() == ["AAPL"]
    assert file.rejected["ordinal"].to_list() == [1]
    assert reason in file.rejected["reasons"][0]
    assert "window_start" in json.loads(file.rejected["row"][0])


def test_contradictions_inside_a_file_are_set_aside_and_repeats_stay() -> None:
    row = "A,1,1,1,1,1,1744792500000000000,1"
    file = read_flat_file(flat(GOOD, GOOD, row, row.replace("A,1", "A,2")), "minute")
    assert file.frame["symbol"].to_list() == ["AAPL", "AAPL"]
    assert file.rejected["reasons"].to_list() == ["conflicting_bar"] * 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (flat(GOOD)[:-12], "gzip"),
        (gzip.compress(f"{HEADER}\n{GOOD}\nMSFT,12".encode()), "truncated"),
        (flat(GOOD, header=HEADER.replace("window_start", "sip_timestamp")), "window_start"),
        (b"<html></html>", "not a stock aggregates file"),
    ],
)
def test_a_cut_or_foreign_file_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(FileFormatError, match=words):
        read_flat_file(content, "minute", name="x.csv.gz")


def test_column_order_is_free_and_new_columns_are_noted() -> None:
    header = "window_start,ticker,volume,open,close,high,low,transactions,otc"
    file = read_flat_file(flat("1744792500000000000,A,1,2,2,2,2,3,true", header=header), "minute")
    assert file.frame["trades"].to_list() == [3]
    assert "otc" in file.notes[0]


@pytest.mark.real
def test_the_vendors_documented_samples(real_data) -> None:
    folder = real_data / "polygon" / "flatfiles-doc-samples"
    good = read_file("massive-minute", folder / "us_stocks_sip.minute_aggs_v1.csv")
    assert (good.frame.height, good.rejected.height) == (2, 0)
    bad = read_file("massive-minute", folder / "us_stocks_sip.minute_aggs_v1.bad-timestamps.csv")
    assert bad.frame.height == 0 and bad.start is None
    assert bad.rejected["reasons"].unique().to_list() == ["window_start_not_ns"]
    assert bad.rejected.height == 2
    days = read_file("massive-daily", folder / "us_stocks_sip.day_aggs_v1.csv")
    assert days.frame["session"].to_list() == [date(2025, 4, 16), date(2023, 3, 28)]
    with pytest.raises(FileFormatError):
        read_file("massive-minute", folder / "us_stocks_sip.trades_v1.csv")
