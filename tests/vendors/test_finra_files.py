"""Short sale volume files of every form, exactly."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.contracts import contract
from tapemill.errors import FileFormatError
from tapemill.vendors.finra import read_short_volume

HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
NAME = "CNMSshvol20240102.txt"


def cnms(*rows: str, header: str = HEADER, count: int | None = None, eol: str = "\n") -> bytes:
    trailer = str(len(rows) if count is None else count)
    return eol.join([header, *rows, trailer, ""]).encode()


ROW = "20240102|AAPL|100|5|250|B,Q,N"


def test_a_row_is_read_exactly() -> None:
    file = read_short_volume(
        cnms("20261001|AA|647404.455810|10298|1655312.990044|B,Q,N"), name=NAME
    )
    row = file.frame.row(0, named=True)
    assert row["short_volume"] == Decimal("647404.455810")
    assert row["short_exempt_volume"] == Decimal(10298)
    assert row["total_volume"] == Decimal("1655312.990044")
    assert (row["symbol"], row["session"], row["year"]) == ("AA", date(2026, 10, 1), 2026)
    assert (row["market"], row["facility"], row["ordinal"]) == ("B,Q,N", "CNMS", 0)
    assert file.declared == 1 and file.rejected.is_empty()
    assert file.frame.schema["short_volume"] == pl.Decimal(20, 6)


@given(st.decimals(0, 10**13, allow_nan=False, allow_infinity=False, places=6))
def test_no_quantity_loses_a_digit(quantity: Decimal) -> None:
    file = read_short_volume(cnms(f"20240102|A|0|0|{quantity:f}|Q"), name=NAME)
    assert file.frame["total_volume"][0] == quantity


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("20240102|X|1.1234567|0|9|Q", "short_volume_over_6_decimals"),
        ("20240102|X|1e3|0|9999|Q", "short_volume_not_a_number"),
        ("20240102|X|abc|0|9|Q", "short_volume_not_a_number"),
        ("20240102|X||0|9|Q", "null_short_volume"),
        ("20240102|X|5|0||Q", "null_total_volume"),
        ("20240102|X|-5|0|9|Q", "volume_negative"),
        ("20240102|X|10|0|9|Q", "short_exceeds_total"),
        ("20240102|X|1|2|9|Q", "exempt_exceeds_short"),
        ("2024010x|X|1|0|9|Q", "session_not_a_date"),
        ("20240102||1|0|9|Q", "null_symbol"),
        ("20240102|X|1|0|9|7", "market_not_codes"),
        ("20240102|X|123456789012345|0|9|Q", "short_volume_not_a_number"),
    ],
)
def test_a_broken_row_is_set_aside(row: str, reason: str) -> None:
    file = read_short_volume(cnms(ROW, row), name=NAME)
    assert file.frame["symbol"].to_list() == ["AAPL"]
    assert file.rejected["ordinal"].to_list() == [1]
    assert reason in file.rejected["reasons"][0]
    assert '"symbol"' in file.rejected["row"][0]


def test_trailing_zeros_are_no_decimals() -> None:
    file = read_short_volume(cnms("20240102|X|1.12345600|0|9.0|Q"), name=NAME)
    assert file.frame["short_volume"][0] == Decimal("1.123456")


@pytest.mark.parametrize(
    "content",
    [
        cnms(ROW, count=2),
        cnms(ROW, ROW.replace("AAPL", "A"), count=1),
        f"{HEADER}\n{ROW}\n".encode(),
        f"{HEADER}\n{ROW}\n20240102|AB".encode(),
        f"{HEADER}\n".encode(),
        f"{HEADER}\n{ROW}|extra\n1\n".encode(),
    ],
)
def test_a_cut_file_is_refused(content: bytes) -> None:
    with pytest.raises(FileFormatError, match="truncated"):
        read_short_volume(content, name=NAME)


def test_every_cut_of_a_file_is_refused_or_complete() -> None:
    whole = cnms(ROW, ROW.replace("AAPL", "MSFT"), ROW.replace("AAPL", "A"))
    # Of the third row "2" alone may be left: it looks like a count of two, without its line end.
    for length in range(len(whole) - 1):
        with pytest.raises(FileFormatError):
            read_short_volume(whole[:length], name=NAME)
    assert read_short_volume(whole[:-1], name=NAME).frame.height == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"<html>Forbidden</html>",
        b"a,b,c\n1,2,3\n",
        b"Date|Symbol|Volume\n0\n",
        b"\x00\xff",
    ],
)
def test_another_file_is_named_as_such(content: bytes) -> None:
    with pytest.raises(FileFormatError, match=re.compile("not a short|unknown header")):
        read_short_volume(content, name=NAME)


def test_carriage_returns_and_a_byte_order_mark_are_tolerated() -> None:
    file = read_short_volume(b"\xef\xbb\xbf" + cnms(ROW, eol="\r\n"), name=NAME)
    assert file.frame["market"].to_list() == ["B,Q,N"]


def test_symbols_keep_slashes_dots_case_and_quotes() -> None:
    symbols = ["BRK/A", "AKO.B", "KIMpL", 'A"B', "TRUE", "NA", "null", "1E5"]
    rows = [f"20240102|{symbol}|1|0|2|Q" for symbol in symbols]
    assert read_short_volume(cnms(*rows), name=NAME).frame["symbol"].to_list() == symbols


def test_exact_repeats_are_counted_and_contradictions_set_aside() -> None:
    rows = [ROW, ROW, "20240102|MSFT|1|0|9|Q", "20240102|MSFT|2|0|9|Q", "20240102|X|1|0|9|Q"]
    file = read_short_volume(cnms(*rows), name=NAME)
    assert file.frame["symbol"].to_list() == ["AAPL", "X"]
    assert file.notes == ("1 exact repeats of a row dropped",)
    assert file.rejected["ordinal"].to_list() == [2, 3]
    assert file.rejected["reasons"].unique().to_list() == ["conflicting_duplicate"]


def test_an_empty_facility_file_is_valid() -> None:
    file = read_short_volume(cnms(), name="FNRAshvol20240102.txt")
    assert (file.frame.height, file.declared, file.facility) == (0, 0, "FNRA")
    assert set(file.frame.columns) < set(contract("bronze.finra_short_volume").schema)


def test_files_before_2011_have_no_exempt_column() -> None:
    old = cnms("20100104|A|10|20|Q", header="Date|Symbol|ShortVolume|TotalVolume|Market")
    file = read_short_volume(old, name="FNSQshvol20100104.txt")
    assert file.frame["short_exempt_volume"].to_list() == [None]
    assert file.frame["facility"].to_list() == ["FNSQ"]


@pytest.mark.parametrize(
    ("name", "facility"),
    [
        ("CNMSshvol20201201.txt", "CNMS"),
        ("gme-etfs-FNRA-D.txt", "FNRA"),
        ("gme-etfs-FNYX.txt", "FNYX"),
        ("fnqcshvol20201201.txt", "FNQC"),
        ("", "CNMS"),
    ],
)
def test_the_facility_is_told_by_the_name_else_by_the_rows(name: str, facility: str) -> None:
    assert read_short_volume(cnms(ROW), name=name).facility == facility


def test_an_exchange_file_without_a_name_is_not_guessed() -> None:
    content = b"DATE|SYMBOL|SHORT VOLUME|TOTAL VOLUME|MARKET\n20201201|A|1|2|B\n"
    with pytest.raises(FileFormatError, match="facility"):
        read_short_volume(content)
    assert read_short_volume(content, facility="NQBX").facility == "NQBX"


@pytest.mark.real
def test_all_consolidated_files(real_data) -> None:
    files = sorted((real_data / "finra" / "regsho-cnms").glob("*.txt"))
    assert len(files) == 32
    for path in files:
        file = read_short_volume(path.read_bytes(), name=path.name)
        assert file.declared == file.frame.height == int(path.read_text().split()[-1])
        assert file.rejected.is_empty() and file.notes == ()
        sums = file.frame.select(pl.col("short_volume", "total_volume").sum()).row(0)
        assert 0.43 < sums[0] / sums[1] < 0.49
        # An independent sum, from the text itself.
        texts = [line.split("|") for line in path.read_text().splitlines()[1:-1]]
        assert sums[1] == sum(int(fields[4]) for fields in texts)


@pytest.mark.real
def test_facilities_sum_to_the_consolidated_file(real_data) -> None:
    folder = real_data / "finra"
    read = [read_short_volume(p.read_bytes(), name=p.name).frame
            for p in sorted((folder / "regsho-facility").glob("*.txt"))]  # fmt: skip
    heights = {frame["facility"][0]: frame.height for frame in read}
    # FNYX has 92,998 lines, nine of them exact repeats.
    assert heights == {"FNQC": 7828, "FNRA": 3994, "FNSQ": 131672, "FNYX": 92989, "FORF": 377}
    parts = pl.concat(read).filter(pl.col("facility").is_in(["FNSQ", "FNYX", "FNQC"]))
    sums = parts.group_by("symbol", "session").agg(pl.col("short_volume", "total_volume").sum())
    whole = pl.concat(
        read_short_volume(p.read_bytes(), name=p.name).frame
        for p in sorted((folder / "regsho-cnms").glob("*.txt"))
    )
    pairs = whole.join(sums, on=["symbol", "session"], suffix="_sum")
    assert pairs.height == 2256
    assert (pairs["total_volume"] == pairs["total_volume_sum"]).all()
    assert (pairs["short_volume"] == pairs["short_volume_sum"]).all()


@pytest.mark.real
def test_exchange_and_fractional_files(real_data) -> None:
    for path in sorted((real_data / "finra" / "regsho-nasdaq-exchange").glob("*.txt")):
        file = read_short_volume(path.read_bytes(), name=path.name)
        assert file.facility == path.name[:4] and file.declared is None
        assert file.rejected.is_empty() and file.frame["short_exempt_volume"].is_null().all()
    path = real_data / "finra" / "regsho-fractional-2026" / "CNMSshvol20261001.txt"
    aapl = read_short_volume(path.read_bytes(), name=path.name).frame.filter(symbol="AAPL")
    assert aapl["total_volume"][0] == Decimal("12789812.825635")
