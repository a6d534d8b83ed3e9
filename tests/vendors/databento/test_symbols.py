"""Ids and symbols by time."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest

from tapemill.vendors.databento import DbnFile, Mapping, SymbolTable
from vendors.databento.made import head, mapping, mbo_records

DAY = 86_400 * 10**9
MIDNIGHT = 1_704_153_600 * 10**9  # 2024-01-02
SECOND, THIRD, FOURTH = (dt.date(2024, 1, day) for day in (2, 3, 4))


def opened(**changes: Any) -> DbnFile:
    return DbnFile.open(io.BytesIO(head(**changes)))


def test_dates_are_half_open_and_in_utc() -> None:
    file = opened(
        mappings=[
            mapping("ESH4", (SECOND, THIRD, "101")),
            mapping("ESM4", (THIRD, FOURTH, "101"), (SECOND, THIRD, "7")),
        ]
    )
    assert file.symbol_of(101, MIDNIGHT - 1) is None
    assert file.symbol_of(101, MIDNIGHT) == "ESH4"
    assert file.symbol_of(101, MIDNIGHT + DAY - 1) == "ESH4"
    assert file.symbol_of(101, MIDNIGHT + DAY) == "ESM4"
    assert file.symbol_of(101, MIDNIGHT + 2 * DAY) is None
    assert file.symbol_of(7, MIDNIGHT) == "ESM4"
    assert file.symbol_of(8, MIDNIGHT) is None


def test_a_request_by_id_maps_the_other_way_round() -> None:
    file = opened(
        stype_in=dbn.SType("instrument_id"),
        stype_out=dbn.SType("raw_symbol"),
        mappings=[mapping("101", (SECOND, THIRD, "ESH4"))],
    )
    assert file.symbol_of(101, MIDNIGHT) == "ESH4"


def test_a_continuous_symbol_is_no_name_of_an_instrument() -> None:
    file = opened(
        stype_in=dbn.SType("continuous"), mappings=[mapping("ES.c.0", (SECOND, THIRD, "101"))]
    )
    assert file.symbol_of(101, MIDNIGHT) is None
    assert file.metadata.stype_in == "continuous"


@pytest.mark.parametrize("version", [1, 3])
def test_mappings_of_a_live_session_count_once_they_were_read(version: int) -> None:
    record = dbn.SymbolMappingMsg if version == 3 else dbn.SymbolMappingMsgV1
    rows = np.zeros(3, dtype=np.dtype(record._dtypes))
    rows["length"], rows["rtype"] = rows.itemsize // 4, 0x16
    rows["instrument_id"] = [101, 101, 9]
    rows["stype_in_symbol"], rows["stype_out_symbol"] = b"ES.c.0", [b"ESH4", b"ESM4", b"9"]
    rows["start_ts"] = [2**64 - 1, MIDNIGHT + DAY, 2**64 - 1]
    rows["end_ts"] = [2**64 - 1, MIDNIGHT + 2 * DAY, 2**64 - 1]
    file = DbnFile.open(io.BytesIO(head(None) + rows.tobytes() + mbo_records(3).tobytes()))
    assert file.symbol_of(101, MIDNIGHT) is None
    for chunk in file.chunks():
        if chunk.kind == "mbo":
            assert file.symbol_of(101, MIDNIGHT) == "ESH4"
    assert file.symbol_of(101, MIDNIGHT + DAY) == "ESM4"
    assert file.symbol_of(101, MIDNIGHT + 2 * DAY) == "ESH4"
    assert file.symbol_of(9, MIDNIGHT) is None


def test_repeated_mappings_take_no_room() -> None:
    table = SymbolTable(Mapping(1, "A", 0, 10) for _ in range(5))
    assert len(list(table)) == 1
