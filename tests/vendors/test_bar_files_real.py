"""Every real bar file, against the counts in the data's own README."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from tapemill.errors import FileFormatError
from tapemill.vendors import read_file
from tapemill.vendors.columnmap import parse_options, suggest
from tapemill.vendors.columnmap.mapping import PRICES

pytestmark = pytest.mark.real

W = "us-1m-windows-2022-2024"
ES_2020 = "es/lumibot-es-like-1m-rth-2020-01-02_2020-04-22.csv"
RELABEL = "relabel_zone=America/New_York"
FUTURE = "asset_class=future"


@pytest.mark.parametrize(
    ("path", "rows", "first", "last", "telling"),
    [
        ("spy-1m-2024-2025/SPY_1m.parquet", 102236, "2024-03-26", "2025-04-02", "symbol=SPY"),
        (W + "/SPY_1min.parquet", 30000, "2022-01-03", "2024-07-19", "zone=UTC"),
        (W + "/NVDA_1min.parquet", 30000, "2022-01-03", "2024-07-09", "hours=extended"),
        (W + "/TSLA_1min.parquet", 30000, "2022-01-03", "2024-07-09", "hours=extended"),
        ("us-1m-2025-11/MU_1min.parquet", 11147, "2025-11-06", "2025-12-18", "vwap=average"),
        ("us-1m-2025-11/SMH_1min.parquet", 11150, "2025-11-06", "2025-12-18", "vwap=average"),
        ("us-1m-2019-02/SPY_1min.csv", 1950, "2019-02-11", "2019-02-15", "stamp=end"),
        ("us-1m-2019-02/VIX_1min.csv", 1923, "2019-02-11", "2019-02-15", "asset_class=index"),
        ("us-1m-xsec-2026-01/bars.parquet", 886036, "2026-01-14", "2026-01-23", RELABEL),
        ("us-daily-2000-2024/yahoo_daily.parquet", 445100, "2000-01-03", "2024-03-08", "bar=1d"),
        ("us-daily-with-actions/SPY.csv", 252, "2019-01-02", "2019-12-31", "bar=1d"),
        (ES_2020, 30397, "2020-01-02", "2020-04-22", "stamp=end"),
        ("es/ES_1m_ohlc_2025-07_2025-12.parquet", 105825, "2025-07-28", "2025-12-03", FUTURE),
        ("es/ES1_1D_1997_2025.parquet", 7168, "1997-09-09", "2025-12-15", FUTURE),
        ("fx-futures/6EH4_1min_202401.csv.gz", 29996, "2024-01-02", "2024-02-01", "zone=UTC"),
    ],
)  # fmt: skip
def test_a_proposed_map_reads_the_whole_file(real_data, path, rows, first, last, telling) -> None:
    source = real_data / "bars" / path
    lines = suggest(source)
    assert telling in lines
    file = read_file("bars", source, parse_options(lines))
    assert file.frame.height + file.rejected.height == rows
    assert file.rejected.is_empty()
    assert (file.start, file.end) == (date.fromisoformat(first), date.fromisoformat(last))


def test_the_2019_week_is_complete(real_data) -> None:
    files = sorted((real_data / "bars" / "us-1m-2019-02").glob("*.csv"))
    assert len(files) == 24
    total = sum(read_file("bars", p, parse_options(suggest(p))).frame.height for p in files)
    assert total == 43164


def test_the_es_file_is_stamped_at_bar_ends(real_data) -> None:
    source = real_data / "bars" / ES_2020
    options = {"symbol": "ES", "time": "time", "zone": "America/New_York", "stamp": "end",
               "asset_class": "future", "hours": "regular", "volume": "volume"}  # fmt: skip
    frame = read_file("bars", source, options).frame
    by_session = frame.group_by("session").len().sort("session")
    assert by_session.height == 79
    assert by_session.filter(pl.col("len") == 390).height == 73
    short = by_session.filter(pl.col("len") == 210)["session"].to_list()
    assert short == [date(2020, 1, 20), date(2020, 2, 17)]
    halted = by_session.filter(pl.col("len").is_between(376, 377))["session"].to_list()
    assert halted == [date(2020, 3, 9), date(2020, 3, 12), date(2020, 3, 16), date(2020, 3, 18)]
    assert frame["volume"].sum() == pytest.approx(119.4e6, rel=1e-3)
    wall = frame["ts"].dt.convert_time_zone("America/New_York").dt.time()
    assert str(wall.min()) == "09:30:00"


def test_mislabelled_eastern_time_is_found(real_data) -> None:
    source = real_data / "bars/us-1m-xsec-2026-01/bars.parquet"
    options = {"symbol_column": "symbol", "time": "timestamp"}
    with pytest.raises(FileFormatError, match="mix-up of UTC and New York") as caught:
        read_file("bars", source, options)
    assert "America/New_York" in caught.value.next_step
    file = read_file("bars", source, {**options, "relabel_zone": "America/New_York"})
    assert file.frame["symbol"].n_unique() == 530
    assert file.frame["session"].n_unique() == 7
    assert date(2026, 1, 19) not in file.frame["session"].unique().to_list()


def test_the_vix_close_may_serve_as_every_price(real_data) -> None:
    source = real_data / "bars/vix/arch_vix_daily.csv.gz"
    options = {"symbol": "VIX", "time": "Date", "format": "%m/%d/%Y", "bar": "1d",
               "asset_class": "index", **dict.fromkeys(PRICES, "vix")}  # fmt: skip
    file = read_file("bars", source, options)
    assert file.frame.height + file.rejected.height == 1305
    assert (file.start, file.end) == (date(2014, 1, 3), date(2019, 1, 3))
    # Holidays carry a date and a full stop for the value.
    assert file.rejected.height == 46
    assert file.rejected["row"].str.contains('"vix":"."', literal=True).all()
