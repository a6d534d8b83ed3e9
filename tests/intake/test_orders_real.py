"""The vendor's own files through the command line."""

import json

import databento_dbn
import polars as pl
import pytest

from tapemill.cli.app import main
from tapemill.lake import Lake

pytestmark = pytest.mark.real

EVENTS, DEPTH = "silver.futures_events", "silver.futures_depth"
COUNTS = {
    "esh4-20231225-a.mbo.dbn.zst": ("mbo", 44_371),
    "esh4-glbx-mdp3-20231224.mbo.dbn.zst": ("mbo", 8_725),
    "futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst": ("mbp-1", 2_288),
    "futures_trades_2024-07-01T23-58_2024-07-02T00-02.dbn.zst": ("trades", 120),
    "futures_ohlcv-1m_2024-07-01T23-40_2024-07-02T00-10.dbn.zst": ("ohlcv-1m", 60),
    "futures_definition.dbn.zst": ("definition", 2),
    "esh4-20231225-a.mbp-10.dbn.zst": ("mbp-10", 24_344),
    "esh4-20231225-a.trades.dbn.zst": ("trades", 1_865),
}


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main(["import", "dbn", *map(str, arguments)])
    return end.value.code, capsys.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("real") / "lake"


@pytest.fixture
def lake(folder):
    opened = Lake.open(folder)
    yield opened
    opened.close()


def test_the_real_hour(capsys, folder, real_data):
    source = real_data / "databento"
    code, told = run(capsys, source / "es-real", source / "es-derived", "--json", "--lake", folder)
    assert code == 0, told.err
    files = json.loads(told.out)["files"]
    assert {file["name"]: (file["schema"], file["records"]) for file in files} == COUNTS
    assert {file["fault"] for file in files} == {""}
    assert {tuple(tick) for file in files for tick in file["ticks"].values()} == {
        (250_000_000, "product: ESU4"),
        (250_000_000, "definition: its own"),
    }


def test_a_second_time_knows_every_file(capsys, folder, real_data):
    code, told = run(capsys, real_data / "databento" / "es-real", "--lake", folder)
    assert code == 0
    assert told.out.count("known") == 6


@pytest.mark.parametrize(
    "name", ["es-real/esh4-20231225-a.mbo.dbn.zst", "es-derived/esh4-20231225-a.mbp-10.dbn.zst"]
)
def test_silver_holds_what_the_vendor_reads(lake, real_data, name):
    """Every field against the vendor's own decoder."""
    decoder = databento_dbn.DBNDecoder()
    import zstandard

    with (real_data / "databento" / name).open("rb") as file:
        decoder.write(zstandard.ZstdDecompressor().stream_reader(file).read())
    records = [record for record in decoder.decode() if hasattr(record, "action")]
    every_order = ".mbo." in name
    expected = [
        (
            r.ts_event,
            r.ts_recv,
            ord(str(r.action)),
            ord(str(r.side)),
            r.price // 250_000_000 if r.price < 2**62 else None,
            r.size,
            None if every_order else r.depth,
            r.order_id if every_order else None,
            int(r.flags),
            r.ts_in_delta,
            r.sequence,
        )
        for r in records
    ]
    found = (
        lake.tables.scan(EVENTS)
        .filter(symbol="ESH4", book_levels=0 if every_order else 10)
        .filter(pl.len().over("raw_key") == len(records))
        .sort("ordinal")
        .select(
            "ts_event",
            "ts_gateway",
            "action",
            "side",
            "price_ticks",
            "size",
            "depth",
            "order_id",
            "flags",
            "ts_in_delta",
            "sequence",
        )
        .collect()
    )
    assert found.rows() == expected


def test_depth_is_no_bigger_than_promised(lake, real_data):
    for name, levels in (
        ("es-real/esh4-20231225-a.mbo", 0),
        ("es-derived/esh4-20231225-a.mbp-10", 10),
    ):
        source = (real_data / "databento" / f"{name}.dbn.zst").stat().st_size
        files = lake.tables.files(DEPTH).filter(pl.col("num_records") > 20_000)
        rows = lake.tables.scan(DEPTH).filter(book_levels=levels)
        keys = rows.select("raw_key").unique().collect()["raw_key"].implode()
        size = files.filter(pl.col("min.raw_key").is_in(keys))["size_bytes"].sum()
        assert 0 < size <= 1.3 * source


def test_what_is_no_dbn_file_is_named_and_the_rest_imported(capsys, tmp_path, real_data):
    (tmp_path / "notes.txt").write_text("no records here")
    official = real_data / "databento" / "official-dbn"
    (tmp_path / "torn.dbn").write_bytes((official / "test_data.mbo.v3.dbn").read_bytes()[:-9])
    code, told = run(
        capsys,
        tmp_path / "notes.txt",
        tmp_path / "torn.dbn",
        official / "test_data.mbo.v3.dbn",
        official / "test_data.ohlcv-1d.v3.dbn.zst",
        "--lake",
        tmp_path / "lake",
    )
    assert code == 3
    assert "notes.txt" in told.err
    assert "torn.dbn" in told.err
    with_lake = Lake.open(tmp_path / "lake")
    assert with_lake.tables.rows(EVENTS) == 3
    assert with_lake.tables.rows("bronze.databento_files") == 3
    with_lake.close()


@pytest.mark.parametrize("options", [["--map", "symbol=ES"], ["--suggest"]])
def test_options_of_other_kinds_are_refused(capsys, tmp_path, real_data, options):
    path = real_data / "databento" / "es-real" / "futures_definition.dbn.zst"
    code, told = run(capsys, path, "--lake", tmp_path / "lake", *options)
    assert code == 2
    assert options[0] in told.err
    assert not (tmp_path / "lake").exists()
