"""Files of the world are DBN to the vendor's own decoder."""

from __future__ import annotations

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from tapemill.world.dbn_writer import encode_definitions
from tapemill.world.order_book import OrderBookSpec, OrderBookWorld
from tapemill.world.order_book_records import DTYPES
from world.test_order_book_days import family

CLASSES = {
    "mbo": dbn.MBOMsg,
    "mbp-10": dbn.MBP10Msg,
    "mbp-1": dbn.MBP1Msg,
    "tbbo": dbn.MBP1Msg,
    "trades": dbn.TradeMsg,
}


def decode(path):
    raw = path.read_bytes()
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
    decoder = dbn.DBNDecoder()
    decoder.write(raw)
    head, *records = decoder.decode()
    assert decoder.buffer() == b""
    return head, records


@pytest.mark.parametrize("schema", sorted(CLASSES))
def test_layouts_are_the_vendors(schema):
    theirs = np.dtype(CLASSES[schema]._dtypes)
    assert DTYPES[schema] == theirs
    assert DTYPES[schema].itemsize == CLASSES[schema].size_hint


@pytest.mark.parametrize("schema", sorted(CLASSES))
@pytest.mark.parametrize("suffix", ["dbn", "dbn.zst"])
def test_every_record_decodes(tmp_path, schema, suffix):
    world = OrderBookWorld(1, OrderBookSpec(trades=150, sigma_minute=0.2, records_per_trade=25))
    path = tmp_path / f"esh4.{schema}.{suffix}"
    count = world.write(path, schema)
    head, records = decode(path)
    assert (head.version, head.dataset, head.schema) == (3, "GLBX.MDP3", schema)
    assert head.symbols == ["ESH4"] and head.stype_in == "raw_symbol" and not head.ts_out
    interval = head.mappings["ESH4"][0]
    assert interval["symbol"] == "17077" and str(interval["start_date"]) == "2023-12-25"
    assert len(records) == count > 100 and {type(record) for record in records} == {CLASSES[schema]}
    assert b"".join(map(bytes, records)) == world.records(schema).tobytes()
    assert head.start <= records[0].ts_recv and records[-1].ts_recv < head.end


def test_definitions_say_what_the_instruments_are(tmp_path):
    world = OrderBookWorld(1, *family())
    path = tmp_path / "es.definition.dbn.zst"
    count = world.write_definitions(path)
    head, records = decode(path)
    assert head.schema == "definition" and len(records) == count == 4
    march, june, *legs = records
    assert (march.raw_symbol, march.instrument_class, march.asset) == ("ESH4", "F", "ES")
    assert march.pretty_min_price_increment == 0.25
    assert march.pretty_unit_of_measure_qty == 50
    assert march.min_price_increment_amount == 125_000_000  # as CME's own definition of ES has it
    assert str(march.pretty_expiration).startswith("2024-03-15") and june.maturity_month == 6
    assert [leg.leg_raw_symbol for leg in legs] == ["ESH4", "ESM4"]
    assert [(leg.instrument_class, leg.leg_count, leg.leg_index) for leg in legs] == [
        ("S", 2, 0),
        ("S", 2, 1),
    ]
    assert [leg.leg_side for leg in legs] == ["B", "A"]
    assert {leg.pretty_min_price_increment for leg in legs} == {0.05}
    assert len(encode_definitions(world.instruments, 10**18)) == 4 * 520
