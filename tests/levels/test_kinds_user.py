from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tapemill.clock.eastern import eastern_ns
from tapemill.errors import ConfigError
from tapemill.levels.user_levels import USER_SCHEMA, read_user_levels

HEADER = "symbol,price,name,valid_from,valid_to\n"


def _read(tmp_path: Path, text: str):
    path = tmp_path / "levels.csv"
    path.write_text(text)
    return read_user_levels(path)


def test_levels_and_anchors_are_read(tmp_path):
    frame = _read(
        tmp_path,
        HEADER
        + "ES, 4750.5 ,pivot,2023-12-14T09:30,2023-12-14T17:00:00+01:00\n"
        + "ESH4,,news,2023-12-14,\n",
    )
    assert frame.schema == USER_SCHEMA
    assert frame.rows() == [
        (
            "ES",
            4750.5,
            "pivot",
            eastern_ns(date(2023, 12, 14), 9, 30),
            eastern_ns(date(2023, 12, 14), 11),
        ),
        ("ESH4", None, "news", eastern_ns(date(2023, 12, 14), 0), None),
    ]
    assert _read(tmp_path, HEADER).is_empty()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ES,much,a,2023-12-14,", "much"),
        ("ES,inf,a,2023-12-14,", "inf"),
        ("ES,1,a,yesterday,", "yesterday"),
        ("ES,1,a,2023-12-14,2023-12-13", "before it begins"),
        ("ES,1,,2023-12-14,", "name"),
        (",1,a,2023-12-14,", "symbol"),
        ("ES,1,b,2023-12-14,\nES,2,b,2023-12-14,", "own"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(tmp_path, line, message):
    with pytest.raises(ConfigError, match=message) as caught:
        _read(tmp_path, HEADER + line + "\n")
    assert "levels.csv, line" in caught.value.where


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="valid_from"):
        _read(tmp_path, "symbol,price,name\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_user_levels(tmp_path / "absent.csv")


def test_a_moment_beyond_all_dates_means_for_good(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "symbol,price,name,valid_from,valid_to\nES,4800,a,0001-01-01,9999-12-31\n", "utf-8"
    )
    (row,) = read_user_levels(path).iter_rows(named=True)
    assert row["valid_from_ns"] < 0
    assert row["valid_to_ns"] > eastern_ns(date(2100, 1, 1), 18)
