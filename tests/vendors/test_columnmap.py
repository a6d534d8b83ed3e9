"""Bar files of strangers: maps, zones, stamps, scales, and messages that help."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, date, datetime

import polars as pl
import pytest

from tapemill.errors import ConfigError, FileFormatError, UnknownNameError, UsageError
from tapemill.vendors import read_file
from tapemill.vendors.columnmap import (
    column_map,
    load_options,
    parse_options,
    read_bar_file,
    suggest,
)

BASE = {"symbol": "SPY", "time": "time", "zone": "America/New_York"}


def csv(*stamps: str, price: str = "100", head: str = "time,open,high,low,close,volume") -> bytes:
    rows = [f"{stamp},{price},{price},{price},{price},7" for stamp in stamps]
    return "\n".join([head, *rows, ""]).encode()


def day(zone_shift: int = 0) -> list[str]:
    """Stamps of a regular session, moved by whole hours."""
    minutes = range(570 + 60 * zone_shift, 960 + 60 * zone_shift)
    return [f"2024-01-02 {m // 60:02d}:{m % 60:02d}:00" for m in minutes]


def test_eastern_wall_time_becomes_utc() -> None:
    file = read_file("bars", csv("2024-01-02 09:30:00", "2024-07-02 09:30:00"), BASE)
    assert file.dataset == "bronze.imported_bars_1m"
    assert file.frame["ts"].to_list() == [
        datetime(2024, 1, 2, 14, 30, tzinfo=UTC), datetime(2024, 7, 2, 13, 30, tzinfo=UTC)
    ]  # fmt: skip
    assert file.frame["hours"].unique().to_list() == ["regular"]
    assert file.frame["vwap"].to_list() == [None, None]
    assert file.frame["volume"].to_list() == [None, None]
    mapped = read_file("bars", csv("2024-01-02 09:30:00"), {**BASE, "volume": "volume"})
    assert mapped.frame["volume"].to_list() == [7.0]
    assert (file.start, file.end) == (date(2024, 1, 2), date(2024, 7, 2))


@pytest.mark.parametrize(
    ("stamp", "options"),
    [
        ("2024-01-02T14:30:00Z", {}),
        ("2024-01-02T09:30:00-05:00", {}),
        ("2024-01-02 14:30:00.000000+0000", {}),
        ("2024-01-02 14:30", {"zone": "UTC"}),
        ("2024-01-02 14:31:00", {"zone": "UTC", "stamp": "end"}),
        ("01/02/2024 02:30 PM", {"zone": "UTC", "format": "%m/%d/%Y %I:%M %p"}),
        ("1704205800", {"unit": "s"}),
        ("1704205800000", {"unit": "ms"}),
        ("1704205800000000", {"unit": "us"}),
        ("1704205800000000000", {"unit": "ns"}),
    ],
)
def test_every_way_to_write_a_moment(stamp: str, options: dict[str, str]) -> None:
    file = read_file("bars", csv(stamp), {"symbol": "SPY", "time": "time", **options})
    assert file.frame["ts_event"].to_list() == [1704205800000000000]


def test_date_and_time_in_two_columns() -> None:
    content = b"day,time,o,h,l,c\n2024-01-02,09:30:00,1,1,1,1\n"
    options = {**BASE, "date": "day", "open": "o", "high": "h", "low": "l", "close": "c"}
    assert read_file("bars", content, options).frame["ts_event"].to_list() == [1704205800000000000]


def test_mislabelled_stamps_are_relabelled() -> None:
    stamps = pl.Series([datetime(2024, 1, 2, 9, 30, tzinfo=UTC)])
    frame = pl.DataFrame(
        {"t": stamps, **{name: [1.0] for name in ("open", "high", "low", "close")}}
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    options = {"symbol": "A", "time": "t"}
    with pytest.raises(FileFormatError, match="04:30 New York"):
        read_file("bars", buffer.getvalue(), options)
    file = read_file("bars", buffer.getvalue(), {**options, "relabel_zone": "America/New_York"})
    assert file.frame["ts_event"].to_list() == [1704205800000000000]


@pytest.mark.parametrize(
    ("shift", "zone", "fits"),
    [
        (0, "UTC", "America/New_York"),
        (5, "America/New_York", "UTC"),
        (-1, "UTC", "America/Chicago"),
    ],
)
def test_a_wrong_zone_is_refused_with_the_one_that_fits(shift: int, zone: str, fits: str) -> None:
    with pytest.raises(FileFormatError, match="mix-up of UTC and New York") as caught:
        read_file("bars", csv(*day(shift)), {**BASE, "zone": zone})
    assert f"zone={fits}" in caught.value.next_step
    file = read_file("bars", csv(*day(shift)), {**BASE, "zone": fits})
    assert file.frame["ts_event"][0] == 1704205800000000000


def test_bars_ending_at_noon_are_named() -> None:
    # Summer: 09:30-16:00 written in New York, read as UTC, ends at 12:00 New York.
    stamps = [stamp.replace("01-02", "07-02") for stamp in day()]
    with pytest.raises(FileFormatError, match="05:30 to 11:59 New York"):
        read_file("bars", csv(*stamps), {**BASE, "zone": "UTC"})


def test_globex_nights_belong_to_the_next_trade_date() -> None:
    options = {
        "symbol": "ESH4",
        "time": "time",
        "zone": "UTC",
        "asset_class": "future",
        "hours": "extended",
    }
    file = read_file("bars", csv("2024-01-02 23:00:00", "2024-01-02 21:59:00"), options)
    assert file.frame["session"].to_list() == [date(2024, 1, 2), date(2024, 1, 3)]
    assert file.frame["calendar"].unique().to_list() == ["CMES"]
    with pytest.raises(FileFormatError, match="New York"):
        read_file("bars", csv(*[f"2024-01-02 22:{m:02d}:00" for m in range(60)]), options)


def test_the_skipped_and_the_repeated_hour_are_set_aside() -> None:
    stamps = ["2024-03-10 02:30:00", "2024-11-03 01:30:00", *day()]
    file = read_file("bars", csv(*stamps), BASE)
    assert file.frame.height == 390
    assert file.rejected["reasons"].to_list() == ["timestamp_unreadable"] * 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ("2024-01-02 09:31:00,x,1,1,1,1", "open_not_a_number"),
        ("2024-01-02 09:31:00,,1,1,1,1", "null_open"),
        ("2024-01-02 09:31:00, ,1,1,1,1", "null_open"),
        ("soon,1,1,1,1,1", "timestamp_unreadable"),
        ("2024-01-02 09:31:00,1,1,2,1,1", "low_above_body"),
        ("2024-01-02 09:31:00,-1,1,-1,1,1", "price_not_positive"),
    ],
)
def test_a_broken_row_is_set_aside(changes: str, reason: str) -> None:
    content = csv("2024-01-02 09:30:00") + changes.encode() + b"\n"
    file = read_file("bars", content, BASE)
    assert file.frame.height == 1
    assert file.rejected["ordinal"].to_list() == [1]
    assert reason in file.rejected["reasons"][0]


@pytest.mark.parametrize(
    ("last", "kept", "reason"),
    [
        ("nan,nan,nan", (None, None, None), None),
        ("inf,1,1", None, "volume_not_finite"),
        ("1,inf,1", None, "vwap_not_finite"),
        ("1,1,-4", None, "trades_negative"),
        ("1,1,1.5", None, "trades_not_whole"),
        ("1,1,1e30", None, "trades_not_whole"),
        ("1,1,3.0", (1.0, 1.0, 3), None),
    ],
)
def test_volume_vwap_and_trades_are_finite_or_not_given(last, kept, reason) -> None:
    content = f"time,open,high,low,close,v,w,n\n2024-01-02 09:30:00,1,1,1,1,{last}\n".encode()
    file = read_file("bars", content, {**BASE, "volume": "v", "vwap": "w", "trades": "n"})
    assert file.frame.select("volume", "vwap", "trades").rows() == ([kept] if kept else [])
    assert file.rejected["reasons"].to_list() == ([reason] if reason else [])


def test_contradictions_inside_a_file_are_set_aside_and_repeats_stay() -> None:
    content = csv("2024-01-02 09:30:00", "2024-01-02 09:30:00", "2024-01-02 09:31:00")
    content += csv("2024-01-02 09:31:00", price="101").split(b"\n", 1)[1]
    file = read_file("bars", content, BASE)
    assert file.frame["ordinal"].to_list() == [0, 1]
    assert file.rejected.select("ordinal", "reasons").rows() == [
        (2, "conflicting_bar"),
        (3, "conflicting_bar"),
    ]


def test_day_and_month_swapped_are_refused_and_not_half_read() -> None:
    days = [f"{day:02d}/01/2024" for day in range(2, 20)]
    with pytest.raises(FileFormatError, match=r"7 of 18 stamps.*'13/01/2024'"):
        read_file("bars", csv(*days), {**BASE, "bar": "1d", "format": "%m/%d/%Y"})
    assert read_file("bars", csv(*days), {**BASE, "bar": "1d", "format": "%d/%m/%Y"}).frame.height


def test_scaled_prices_are_the_nearest_numbers() -> None:
    cents = range(1, 20_000, 7)
    rows = "".join(f"{n},2024-01-02 09:30:00,{n}00,{n}00,{n}00,{n}00\n" for n in cents)
    content = b"s,time,open,high,low,close\n" + rows.encode()
    options = {**BASE, "symbol": "", "symbol_column": "s", "price_scale": "0.0001"}
    frame = read_file("bars", content, options).frame.sort("ordinal")
    assert frame["close"].to_list() == [float(f"{n // 100}.{n % 100:02d}") for n in cents]


def test_scale_separator_gzip_and_newest_first() -> None:
    content = csv("2024-01-02 09:31:00", "2024-01-02 09:30:00", price="4700500")
    content = gzip.compress(content.replace(b",", b";"))
    file = read_file("bars", content, {**BASE, "price_scale": "0.0001", "separator": ";"})
    assert file.frame["close"].to_list() == pytest.approx([470.05, 470.05])
    assert file.frame["ordinal"].to_list() == [1, 0]
    assert file.frame["ts_event"].is_sorted()


def test_daily_dates_need_no_zone() -> None:
    content = csv("2024-01-02", "2024-01-03")
    file = read_file("bars", content, {"symbol": "A", "time": "time", "bar": "1d"})
    assert file.frame["session"].to_list() == [date(2024, 1, 2), date(2024, 1, 3)]
    assert file.frame["ts_event"][0] == 1704171600000000000
    assert file.frame["year"].to_list() == [2024, 2024]


def test_adjusted_prices_are_noticed_or_refused() -> None:
    file = read_file("bars", csv("2024-01-02 09:30:00"), {**BASE, "adjusted": "split"})
    assert "split-adjusted" in file.notes[0]
    with pytest.raises(UsageError, match="dividends"):
        column_map({**BASE, "adjusted": "total"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**BASE, "open": "opne"}, "no column 'opne'; it has time, open, high"),
        ({**BASE, "zone": ""}, "carry no time zone"),
        ({**BASE, "symbol": ""}, "symbol=TICKER or symbol_column"),
        ({**BASE, "symbol_column": "ticker"}, "and not both"),
        ({**BASE, "stamp": "middle"}, "stamp=middle is not accepted"),
        ({**BASE, "price_scale": "-1"}, "not a positive number"),
        ({**BASE, "zone": "America/NewYork"}, "there is no time zone"),
        ({**BASE, "opn": "x"}, "no key 'opn'"),
    ],
)
def test_a_wrong_map_says_what_is_accepted(options: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        read_file("bars", csv("2024-01-02 09:30:00"), options)
    assert caught.value.next_step


def test_integers_need_a_unit_and_text_a_readable_form() -> None:
    frame = pl.DataFrame(
        {"time": [1704205800], **dict.fromkeys(("open", "high", "low", "close"), 1.0)}
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    with pytest.raises(UsageError, match="no unit"):
        read_file("bars", buffer.getvalue(), BASE)
    with pytest.raises(FileFormatError, match=r"the first is '02\.01\.2024'"):
        read_file("bars", csv("02.01.2024"), BASE)


@pytest.mark.parametrize("content", [b"PAR1broken", b"\x1f\x8bbroken", b"   ", b""])
def test_a_broken_file_is_named(content: bytes) -> None:
    with pytest.raises(FileFormatError):
        read_file("bars", content, BASE, name="x")


def test_options_from_the_command_line_and_from_a_file(tmp_path) -> None:
    assert parse_options(["symbol=SPY", "separator=;"]) == {"symbol": "SPY", "separator": ";"}
    for wrong in (["symbol"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(UsageError):
            parse_options(wrong)
    path = tmp_path / "map.toml"
    path.write_text('symbol = "SPY"\ntimezone = "UTC"\nprice_scale = 0.0001\n')
    mapped = column_map(load_options(path))
    assert (mapped.symbol, mapped.zone, mapped.price_scale) == ("SPY", "UTC", 0.0001)
    path.write_text("[bars]\nsymbol = 'SPY'\n")
    with pytest.raises(ConfigError, match="table"):
        load_options(path)
    with pytest.raises(ConfigError, match="cannot read"):
        load_options(tmp_path / "absent.toml")


def test_unknown_kinds_and_options() -> None:
    with pytest.raises(UnknownNameError, match="finra-shrt"):
        read_file("finra-shrt", b"x")
    with pytest.raises(UnknownNameError, match="facilty"):
        read_file("finra-short", b"x", {"facilty": "CNMS"})
    with pytest.raises(UnknownNameError, match="no option"):
        read_file("massive-minute", b"x", {"symbol": "SPY"})


# --- proposing a map --------------------------------------------------------------------------


def test_a_proposal_reads_the_file_it_was_made_for(tmp_path) -> None:
    path = tmp_path / "QQQ_1min.csv"
    path.write_bytes(csv(*day()))
    lines = suggest(path)
    assert "symbol=QQQ" in lines and "zone=America/New_York" in lines
    assert read_file("bars", path, parse_options(lines)).frame.height == 390


def test_a_proposal_says_what_it_cannot_tell(tmp_path) -> None:
    path = tmp_path / "QQQ.csv"
    path.write_bytes(csv(*[f"2024-01-02 {hour:02d}:00:00" for hour in range(24)]))
    with pytest.raises(UsageError, match="cannot tell the time zone"):
        suggest(path)
    path.write_bytes(b"when,open,high,low,close\n2024-01-02 09:30:00,1,1,1,1\n")
    with pytest.raises(UsageError, match="which column is time"):
        suggest(path)
    with pytest.raises(UsageError, match="cannot read"):
        suggest(tmp_path / "absent.csv")


def test_a_symbol_that_is_a_column_is_not_taken_for_a_ticker() -> None:
    text = "symbol,time,open,high,low,close\nAAA,2026-01-05 15:00,1,1,1,1\n"
    mapped = column_map(parse_options(["symbol=symbol", "time=time", "zone=UTC"]))
    with pytest.raises(UsageError, match="name every row") as error:
        read_bar_file(text.encode(), mapped, name="bars.csv")
    assert "symbol_column=symbol" in error.value.next_step
