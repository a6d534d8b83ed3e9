"""Every official and real file, against the vendor's own decoder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest

from tapemill.errors import FileFormatError
from tapemill.vendors.databento import DbnFile
from vendors.databento.made import decoded

pytestmark = pytest.mark.real

FOLDERS = ("official-dbn", "official-python", "es-real", "es-derived", "definitions")
CLASSES = {
    "mbo": dbn.MBOMsg,
    "mbp-10": dbn.MBP10Msg,
    "mbp-1": dbn.MBP1Msg,
    "tbbo": dbn.MBP1Msg,
    "trades": dbn.TradeMsg,
    "ohlcv": dbn.OHLCVMsg,
    "bbo": dbn.BBOMsg,
    "cbbo": dbn.CBBOMsg,
    "cmbp-1": dbn.CMBP1Msg,
}


def fragment(path: Path) -> tuple[str, int] | None:
    """Schema and version of a file without metadata, as its name says."""
    if ".frag" not in path.name:
        return None
    versions = [part for part in path.name.split(".") if part in ("v1", "v2", "v3")]
    return "definition", int(versions[0][1:]) if versions else 3


def reference(path: Path) -> list[object]:
    """Records by the vendor's decoder, raised to version 3."""
    known = fragment(path)
    decoder = (
        dbn.DBNDecoder(has_metadata=False, input_version=known[1]) if known else dbn.DBNDecoder()
    )
    decoder.write(decoded(path))
    return [record for record in decoder.decode() if not isinstance(record, dbn.Metadata)]


def all_files(root: Path) -> list[Path]:
    found = [path for name in FOLDERS for path in sorted((root / name).rglob("*.dbn*"))]
    return [path for path in found if path.is_file()]


def test_every_file_reads_as_the_vendors_decoder_reads_it(real_data: Path) -> None:
    files = all_files(real_data / "databento")
    assert len(files) >= 140
    seen: dict[str, int] = defaultdict(int)
    for path in files:
        expected = reference(path)
        known = fragment(path)
        with DbnFile.open(path, schema=known and known[0]) as file:
            chunks = list(file.chunks())
            assert file.fault is None, path.name
        ordinals = np.concatenate([c.ordinals for c in chunks]) if chunks else np.empty(0)
        assert sorted(ordinals.tolist()) == list(range(len(expected))), path.name
        for chunk in chunks:
            seen[chunk.kind] += len(chunk.records)
            theirs = [expected[int(number)] for number in chunk.ordinals]
            if chunk.kind in CLASSES:
                assert {type(record) for record in theirs} == {CLASSES[chunk.kind]}, path.name
                own = [row.tobytes() for row in chunk.records]
                assert own == [bytes(record) for record in theirs], path.name
            else:
                ids = [record.instrument_id for record in theirs]
                assert chunk.records["instrument_id"].tolist() == ids, path.name
                assert [int(r.rtype) for r in theirs] == chunk.records["rtype"].tolist(), path.name
    assert set(CLASSES) | {"definition", "statistics", "status", "imbalance"} <= set(seen)


def test_metadata_say_what_the_vendors_library_says(real_data: Path) -> None:
    for path in all_files(real_data / "databento"):
        if fragment(path):
            continue
        data = decoded(path)
        theirs = dbn.Metadata.decode(data[: 8 + int.from_bytes(data[4:8], "little")])
        with DbnFile.open(path) as file:
            own = file.metadata
        assert own.dataset == theirs.dataset
        assert own.version == data[3]
        assert own.schema == (str(theirs.schema) if theirs.schema is not None else "mixed")
        assert own.symbols == tuple(theirs.symbols)
        assert own.ts_out == theirs.ts_out
        assert len(own.mappings) == sum(len(intervals) for intervals in theirs.mappings.values())


def test_legacy_files_are_refused_by_name(real_data: Path) -> None:
    files = sorted((real_data / "databento" / "official-dbn").glob("*.dbz"))
    assert files
    for path in files:
        with pytest.raises(FileFormatError, match=r"legacy \.dbz"):
            DbnFile.open(path)


def test_a_live_session_comes_apart_by_kind(real_data: Path) -> None:
    path = real_data / "databento" / "official-python" / "LIVE" / "test_data.live.dbn.zst"
    with DbnFile.open(path) as file:
        assert file.symbol_of(183_748, 0) is None
        counts: dict[str, int] = defaultdict(int)
        for chunk in file.chunks():
            counts[chunk.kind] += len(chunk.records)
        assert file.symbol_of(183_748, 1_700_610_363_261_778_133) == "ESZ4"
    assert counts == {
        "symbol_mapping": 20,
        "ohlcv": 4,
        "statistics": 9,
        "definition": 2,
        "mbo": 5,
        "mbp-1": 2,
        "trades": 2,
        "mbp-10": 2,
    }


def test_the_real_hour_names_its_contract_and_keeps_snapshot_records(real_data: Path) -> None:
    path = real_data / "databento" / "es-real" / "esh4-20231225-a.mbo.dbn.zst"
    with DbnFile.open(path) as file:
        records = np.concatenate([chunk.records for chunk in file.chunks(records=1000)])
        assert len(records) == 44_371
        assert int((records["flags"] & 32 != 0).sum()) == 8725
        names = {
            file.symbol_of(int(number), int(at))
            for number, at in zip(records["instrument_id"], records["ts_recv"], strict=True)
        }
    assert names == {"ESH4"}
