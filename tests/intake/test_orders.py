"""Import of order data: what lands, what is set aside, and that a second time changes nothing."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from intake import orders_made as made
from intake.orders_made import ESH4, ESM4, EVENING, SPREAD, dbn, definitions, orders, trades, write
from tapemill.book.depth import DepthState
from tapemill.book.events import Changes
from tapemill.book.records import UNDEFINED
from tapemill.clock import FixedClock
from tapemill.intake import order_reading
from tapemill.intake.order_ticks import tick_of_prices
from tapemill.intake.orders import import_orders
from tapemill.lake import Lake
from tapemill.settings import default_settings

EVENTS, DEPTH, TRADES = "silver.futures_events", "silver.futures_depth", "silver.futures_trades"
FILES, QUARANTINE = "bronze.databento_files", "ops.quarantine"
TABLES = (EVENTS, DEPTH, TRADES, FILES, QUARANTINE)


@pytest.fixture
def lake(tmp_path):
    opened = Lake.open(tmp_path / "lake", create=True, clock=FixedClock(EVENING + made.DAY))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several batches a file, none of which ends where a chunk does."""
    monkeypatch.setattr(order_reading, "STRETCH_RECORDS", 700)


def bring(lake, *paths, **options):
    return import_orders(lake, default_settings(), lake.clock, list(paths), **options)


def digests(lake):
    return {name: lake.digest(name) for name in TABLES}


def rows(lake, dataset, order=("raw_key", "ordinal")):
    return lake.tables.scan(dataset).sort(order).collect()


def as_rows(records, tick):
    """What a contract's records must look like in silver, made without the importer."""
    return pl.DataFrame(
        {
            "instrument_id": records["instrument_id"].astype(np.int64),
            "ts_event": records["ts_event"],
            "ts_gateway": records["ts_recv"],
            "action": records["action"].astype(np.int8),
            "side": records["side"].astype(np.int8),
            "price_ticks": (records["price"] // tick).astype(np.int32),
            "size": records["size"].astype(np.int32),
            "order_id": records["order_id"],
            "flags": records["flags"].astype(np.int16),
            "channel_id": records["channel_id"].astype(np.int16),
            "ts_in_delta": records["ts_in_delta"],
            "sequence": records["sequence"].astype(np.int64),
        }
    )


def test_every_record_lands_once_with_all_that_the_feed_offers(lake, tmp_path):
    records = orders(2500)
    report = bring(lake, write(tmp_path, "a.mbo.dbn.zst", dbn("mbo", records)))
    (file,) = report.files
    assert (file.state, file.records, file.fault, file.quarantined) == ("read", 2500, "", 0)
    found = rows(lake, EVENTS)
    expected = as_rows(records, 250_000_000)
    assert_frame_equal(found.select(expected.columns), expected)
    assert found["ordinal"].to_list() == list(range(2500))
    assert found["symbol"].unique().to_list() == ["ESH4"]
    assert found["depth"].null_count() == 2500
    # 18:30 in New York is the next trade date.
    assert found["session"].unique().to_list() == [dt.date(2024, 1, 4)]
    known = found.select(pl.col("known_at").dt.timestamp("us") * 1000 - pl.col("ts_gateway"))
    assert known.to_series().is_between(0, 999).all()
    assert lake.verify() == []
    assert lake.raw.get(file.sha256) == (tmp_path / "a.mbo.dbn.zst").read_bytes()


def test_depth_replayed_gives_the_book_of_the_orders(lake, tmp_path):
    records = orders(2500, seed=4)
    bring(lake, write(tmp_path, "a.mbo.dbn", dbn("mbo", records)))
    depth = rows(lake, DEPTH, ("ordinal", "change"))
    names = ("side", "price_ticks", "size", "orders", "cause", "quantity")
    changes = Changes(*(depth[name].to_numpy() for name in names))
    state = DepthState()
    state.apply(changes, 0, depth.height)
    book = {}
    for record in records:
        key = int(record["order_id"])
        if record["action"] == made.CANCEL:
            del book[key]
        else:
            book[key] = record
    for side in (made.BUY, made.SELL):
        resting = {}
        for record in book.values():
            if record["side"] == side:
                price = int(record["price"]) // 250_000_000
                resting[price] = resting.get(price, 0) + int(record["size"])
        prices, sizes, _ = state.ladder(side, len(resting) + 5)
        given = {int(p): int(s) for p, s in zip(prices, sizes, strict=True) if s}
        assert given == resting


def test_importing_twice_or_under_another_name_changes_nothing(lake, tmp_path):
    content = dbn("mbo", orders(1500))
    first = write(tmp_path, "a.mbo.dbn", content)
    bring(lake, first)
    before = digests(lake)
    versions = {name: lake.tables.version(name) for name in (EVENTS, DEPTH, FILES)}
    again = bring(lake, first, write(tmp_path, "b.mbo.dbn", content))
    assert [file.state for file in again.files] == ["known", "known"]
    assert "a.mbo.dbn" in again.files[1].notes[0]
    assert digests(lake) == before
    assert {name: lake.tables.version(name) for name in versions} == versions


def test_files_out_of_order_give_the_same_rows(lake, tmp_path):
    days = [
        write(
            tmp_path,
            f"{k}.mbo.dbn.zst",
            dbn("mbo", orders(900, seed=k, start_ns=EVENING + k * made.DAY)),
        )
        for k in range(2)
    ]
    bring(lake, *days)
    other = Lake.open(tmp_path / "other", create=True, clock=lake.clock)
    bring(other, days[1])
    bring(other, days[0])
    assert digests(other) == digests(lake)
    other.close()


def test_two_contracts_and_their_spread_in_one_file(lake, tmp_path):
    instruments = (ESH4, ESM4, SPREAD)
    records = orders(2200, instruments, seed=2)
    known = write(tmp_path, "z.definition.dbn", definitions(instruments))
    together = write(tmp_path, "all.mbo.dbn.zst", dbn("mbo", records, instruments))
    report = bring(lake, together, known)
    assert [file.schema for file in report.files] == ["definition", "mbo"]
    assert report.files[1].ticks["ESH4-ESM4"] == (50_000_000, "definition: its own")
    found = rows(lake, EVENTS)
    assert found["ordinal"].to_list() == list(range(2200))
    for instrument in instruments:
        ours = records[records["instrument_id"] == instrument.instrument_id]
        expected = as_rows(ours, instrument.tick_nano)
        part = found.filter(pl.col("symbol") == instrument.symbol)
        assert_frame_equal(part.select(expected.columns), expected)
        # The same books as each instrument's own file gives.
        alone = Lake.open(tmp_path / instrument.symbol, create=True, clock=lake.clock)
        bring(
            alone, known, write(tmp_path, f"{instrument.symbol}.dbn", dbn("mbo", ours, instruments))
        )
        state = ("side", "price_ticks", "size", "orders", "cause", "quantity")
        mine = rows(lake, DEPTH, ("ordinal", "change")).filter(
            pl.col("symbol") == instrument.symbol
        )
        assert_frame_equal(
            mine.select(state), rows(alone, DEPTH, ("ordinal", "change")).select(state)
        )
        alone.close()


def test_an_id_that_nothing_names_keeps_its_number(lake, tmp_path):
    bring(lake, write(tmp_path, "a.mbo.dbn", dbn("mbo", orders(300, (ESM4,)), (ESH4,))))
    assert rows(lake, EVENTS)["symbol"].unique().to_list() == ["#5602"]


def test_a_fragment_is_read_by_the_schema_that_is_declared(lake, tmp_path):
    path = write(tmp_path, "part.dbn.frag", orders(300).tobytes())
    assert bring(lake, path).files[0].state == "failed"
    (file,) = bring(lake, path, schema="mbo").files
    assert (file.state, file.records, file.symbols) == ("read", 300, ["#17077"])


def test_a_truncated_file_loses_no_record_before_the_fault(lake, tmp_path):
    content = dbn("mbo", orders(2000))
    whole = write(tmp_path, "whole.mbo.dbn", content)
    torn = write(tmp_path, "torn.mbo.dbn", content[:-300])
    report = bring(lake, torn, whole)
    by_name = {file.name: file for file in report.files}
    assert by_name["torn.mbo.dbn"].records == 1994
    assert "into a record" in by_name["torn.mbo.dbn"].fault
    assert by_name["whole.mbo.dbn"].fault == ""
    assert report.unsound == [by_name["torn.mbo.dbn"]]
    assert rows(lake, EVENTS).height == 1994 + 2000
    faults = dict(rows(lake, FILES, ("name",)).select("name", "fault").iter_rows())
    assert faults["whole.mbo.dbn"] == ""
    assert "record 1994" in faults["torn.mbo.dbn"]


def test_a_price_off_the_tick_is_set_aside_whole(lake, tmp_path):
    records = orders(1600)
    records["price"][[10, 1000]] += 7
    records["price"][1200] = UNDEFINED
    known = write(tmp_path, "d.definition.dbn", definitions((ESH4,)))
    (_, file) = bring(lake, known, write(tmp_path, "a.mbo.dbn", dbn("mbo", records))).files
    assert file.quarantined == 2
    bad = rows(lake, QUARANTINE, ("ordinal",))
    assert bad["ordinal"].to_list() == [10, 1000]
    assert bad["reasons"].unique().to_list() == ["price_off_tick"]
    assert json.loads(bad["row"][0])["price"] == int(records["price"][10])
    found = rows(lake, EVENTS)
    assert found.height == 1598
    assert found.filter(pl.col("price_ticks").is_null())["ordinal"].to_list() == [1200]


def test_a_time_that_no_calendar_has_is_set_aside(lake, tmp_path):
    records = orders(800)
    records["ts_event"][5] = -1
    records["ts_event"][6] = 2**62
    (file,) = bring(lake, write(tmp_path, "a.mbo.dbn", dbn("mbo", records))).files
    assert file.quarantined == 2
    assert rows(lake, QUARANTINE, ("ordinal",))["reasons"].unique().to_list() == [
        "time_outside_calendar"
    ]


def test_a_snapshot_belongs_where_the_gateway_sent_it(lake, tmp_path):
    records = orders(400)
    records["ts_event"][:50] -= 20 * made.DAY
    records["flags"][:50] = 40
    bring(lake, write(tmp_path, "a.mbo.dbn", dbn("mbo", records)))
    assert rows(lake, EVENTS)["session"].unique().to_list() == [dt.date(2024, 1, 4)]
    assert rows(lake, DEPTH, ("ordinal",))["session"].unique().to_list() == [dt.date(2024, 1, 4)]


def test_a_file_across_trade_dates_and_months(lake, tmp_path):
    start = EVENING + 27 * made.DAY  # 18:30 of Tuesday, 30 January, in New York
    records = trades(1000, start_ns=start)
    records["ts_event"] = start + np.arange(1000) * (made.DAY // 500)
    records["ts_recv"] = records["ts_event"] + 1
    bring(lake, write(tmp_path, "a.trades.dbn", dbn("trades", records)))
    counts = rows(lake, TRADES).group_by("session", "month").len().sort("session").rows()
    assert [(day.isoformat(), month) for day, month, _ in counts] == [
        ("2024-01-31", "2024-01"),
        ("2024-02-01", "2024-02"),
    ] + ([("2024-02-02", "2024-02")] if len(counts) > 2 else [])
    assert sum(count for *_, count in counts) == 1000


class TestTicks:
    def test_another_contract_of_the_product_tells_the_tick(self, lake, tmp_path):
        known = write(tmp_path, "d.definition.dbn", definitions((ESM4,)))
        (_, file) = bring(lake, known, write(tmp_path, "a.dbn", dbn("trades", trades(90)))).files
        assert file.ticks == {"ESH4": (250_000_000, "product: ESM4")}

    def test_prices_tell_it_where_nothing_else_does(self, lake, tmp_path):
        (file,) = bring(lake, write(tmp_path, "a.mbo.dbn", dbn("mbo", orders(900)))).files
        assert file.ticks["ESH4"].nano == 250_000_000
        assert file.ticks["ESH4"].evidence.startswith("prices")
        assert "inferred" in file.notes[0]

    def test_one_odd_price_does_not_decide_how_all_are_counted(self, lake, tmp_path):
        records = orders(900)
        records["price"][40] += 3
        (file,) = bring(lake, write(tmp_path, "a.mbo.dbn", dbn("mbo", records))).files
        assert (file.ticks["ESH4"].nano, file.quarantined) == (250_000_000, 1)

    @pytest.mark.parametrize(
        ("prices", "tick"),
        [
            ([4800.25], 0.25),
            ([110.015625, 110.03125], 0.015625),
            ([1.08505, 1.0851], 0.00005),
            ([72.01, 72.35, 73.2], 0.01),
            ([-1.25, 1.5, 2.75], 0.25),
            ([], 1.0),
        ],
    )
    def test_a_step_is_a_customary_one(self, prices, tick):
        nano = np.array([round(price * 1e9) for price in prices] + [UNDEFINED, 0])
        assert tick_of_prices(nano).nano == round(tick * 1e9)

    def test_a_definition_that_contradicts_has_the_file_landed_again(self, lake, tmp_path):
        records = trades(900)
        records["price"] = records["price"] // 10**9 * 10**9
        prices = write(tmp_path, "a.trades.dbn", dbn("trades", records))
        other = write(tmp_path, "b.trades.dbn", dbn("trades", trades(100, (ESM4,)), (ESM4,)))
        bring(lake, prices, other)
        assert rows(lake, TRADES).filter(symbol="ESH4")["price_ticks"].max() < 5000
        known = write(tmp_path, "d.definition.dbn", definitions((ESH4,)))
        (told,) = bring(lake, known).files
        (incident,) = lake.control.incidents.open_incidents(EVENTS)
        assert (incident.kind, incident.severity) == ("tick_contradicted", "error")
        assert "a.trades.dbn" in told.notes[0]
        before = rows(lake, TRADES).filter(symbol="ESM4")
        (file,) = bring(lake, prices).files
        assert (file.state, file.rows) == ("read again", {TRADES: 900})
        found = rows(lake, TRADES).filter(symbol="ESH4")
        assert (
            found["price_ticks"].cast(pl.Int64) * 250_000_000 == pl.Series(records["price"])
        ).all()
        assert_frame_equal(rows(lake, TRADES).filter(symbol="ESM4"), before)
        assert rows(lake, FILES, ("name",))["name"].to_list() == [
            "a.trades.dbn",
            "b.trades.dbn",
            "d.definition.dbn",
        ]
        assert lake.control.incidents.open_incidents(EVENTS) == []
        assert bring(lake, prices).files[0].state == "known"
        assert lake.verify() == []

    def test_again_lands_the_same_rows(self, lake, tmp_path):
        records = orders(1500)
        records["price"][3] += 7
        known = write(tmp_path, "d.definition.dbn", definitions((ESH4,)))
        path = write(tmp_path, "a.mbo.dbn", dbn("mbo", records))
        bring(lake, known, path)
        before = {name: lake.digest(name) for name in (EVENTS, DEPTH, QUARANTINE, FILES)}
        (file,) = bring(lake, path, again=True).files
        assert (file.state, file.rows[EVENTS]) == ("read again", 1499)
        assert {name: lake.digest(name) for name in before} == before


def test_what_no_table_refines_is_kept(lake, tmp_path, real_data):
    path = real_data / "databento" / "official-dbn" / "test_data.bbo-1s.dbn"
    (file,) = bring(lake, path).files
    assert file.state == "read"
    assert "kept, not refined" in file.notes[0]
    assert lake.raw.get(file.sha256) == path.read_bytes()
