"""The reader on made files: any packing, any chunking, any damage."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.book.records import MBO, TRADE
from tapemill.errors import FileFormatError, UsageError
from tapemill.vendors.databento import DbnFile, RecordChunk, _bytes, _library, reader
from vendors.databento.made import head, mbo_records, packed, packed_in_blocks, with_ts_out

SIZE = MBO.itemsize


def chunks_of(data: bytes, *, schema: str | None = None, **options: Any) -> list[RecordChunk]:
    return read(data, schema=schema, **options)[0]


def read(data: bytes, *, schema: str | None = None, **options: Any) -> tuple[list[Any], Any]:
    file = DbnFile.open(io.BytesIO(data), schema=schema, name="made")
    return list(file.chunks(**options)), file.fault


def joined(chunks: list[RecordChunk]) -> bytes:
    return b"".join(chunk.records.tobytes() for chunk in chunks)


def mixed(seed: int, count: int = 400) -> bytes:
    """Trades and orders in runs of many lengths, as a live session has them."""
    rng = np.random.default_rng(seed)
    orders = mbo_records(count, seed)
    trades = rng.integers(0, 256, count * TRADE.itemsize, dtype=np.uint8).view(TRADE)
    trades["length"], trades["rtype"] = TRADE.itemsize // 4, 0
    parts: list[bytes] = []
    while len(parts) < count:
        run = int(rng.choice([1, 2, 3, 90]))
        kind = orders if rng.random() < 0.5 else trades
        parts += [row.tobytes() for row in kind[len(parts) : min(len(parts) + run, count)]]
    return b"".join(parts)


@pytest.mark.property
@settings(max_examples=40)
@given(
    count=st.integers(0, 700),
    block=st.integers(1, 60).map(lambda n: 64 * n),
    records=st.integers(1, 800),
    frame=st.sampled_from([0, 0, 777, 5000]),
    ahead=st.booleans(),
)
def test_any_packing_and_chunking_gives_the_same_records(
    count: int, block: int, records: int, frame: int, ahead: bool, tmp_path_factory: Any
) -> None:
    own = mbo_records(count)
    data = head() + own.tobytes()
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(reader, "BLOCK_BYTES", block)
        path = tmp_path_factory.mktemp("dbn") / "made.dbn"
        path.write_bytes(data)
        with DbnFile.open(path) as file:
            mapped = list(file.chunks(records=records))
        inside = chunks_of(data, records=records, ahead=ahead)
        unpacked = chunks_of(packed(data, frame=frame), records=records, ahead=ahead)
    for found in (mapped, inside, unpacked):
        assert joined(found) == own.tobytes()
        assert [len(chunk.records) for chunk in found] == [len(c.records) for c in mapped]
        assert all(len(chunk.records) <= records for chunk in found)
        ordinals = [number for chunk in found for number in chunk.ordinals.tolist()]
        assert ordinals == list(range(count))
        assert not any(chunk.records.flags.writeable for chunk in found)


@pytest.mark.property
@settings(max_examples=25)
@given(seed=st.integers(0, 99), records=st.integers(1, 500), block=st.integers(17, 900))
def test_mixed_streams_come_apart_without_loss_or_disorder(
    seed: int, records: int, block: int
) -> None:
    body = mixed(seed)
    decoder = dbn.DBNDecoder(has_metadata=False, input_version=3)
    decoder.write(body)
    theirs = decoder.decode()
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(reader, "BLOCK_BYTES", 8 * block)
        found = chunks_of(head(None) + body, records=records)
    by_ordinal = {
        int(number): row.tobytes()
        for chunk in found
        for number, row in zip(chunk.ordinals, chunk.records, strict=True)
    }
    assert [by_ordinal[number] for number in sorted(by_ordinal)] == [bytes(r) for r in theirs]
    for kind in ("mbo", "trades"):
        order = [n for c in found if c.kind == kind for n in c.ordinals.tolist()]
        assert order == sorted(order)


@pytest.mark.property
@settings(max_examples=60)
@given(cut=st.integers(0, 300 * SIZE), squeeze=st.booleans())
def test_a_cut_file_gives_every_whole_record_and_says_where_it_ends(
    cut: int, squeeze: bool
) -> None:
    own = mbo_records(300)
    data = head() + own.tobytes()[:cut]
    found, fault = read(packed(data) if squeeze else data)
    whole, rest = divmod(cut, SIZE)
    assert joined(found) == own.tobytes()[: whole * SIZE]
    if rest == 0:
        assert fault is None
    else:
        assert fault.record == whole
        assert fault.byte == len(head()) + whole * SIZE
        assert f"{rest} bytes into a record" in fault.what


def recoverable(data: bytes) -> bytes:
    """All that zstd gives before it fails, fed byte by byte."""
    engine = zstandard.ZstdDecompressor().decompressobj()
    found = []
    try:
        found = [engine.decompress(data[:1])]
        for at in range(1, len(data)):
            found.append(engine.decompress(data[at : at + 1]))
    except zstandard.ZstdError:
        pass
    return b"".join(found)


@pytest.mark.property
@settings(max_examples=60)
@given(
    where=st.floats(0, 1, exclude_max=True),
    flip=st.integers(1, 255),
    cut=st.booleans(),
    small=st.booleans(),
    block=st.sampled_from([130, 700, 200_000]),
)
def test_a_damaged_frame_loses_no_record_before_the_damage(
    where: float, flip: int, cut: bool, small: bool, block: int
) -> None:
    own = mbo_records(1500)
    own[["ts_event", "order_id", "price"]] = 7
    own["flags"] = own["flags"] & 130
    whole = b"".join(packed_in_blocks(head() + own.tobytes(), block))
    first = 1000  # the head of the file stays readable
    at = first + int(where * (len(whole) - first))
    bad = whole[:at] if cut else whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    expected = recoverable(bad)
    # Small ones, so that a file of test size is more than one read.
    sizes = {"_READ": 4096, "_STEP": 512, "_PIECE": 5000} if small else {"_READ": _bytes._READ}
    with patch.multiple(_bytes, **sizes):
        if len(expected) < len(head()):
            with pytest.raises(FileFormatError, match="cut in its metadata"):
                read(bad)
            return
        found, fault = read(bad)
    got = joined(found)
    assert got == expected[len(head()) :][: len(got)]
    assert fault.record == len(got) // SIZE
    if "begins with type" not in fault.what:  # a flip may decode, to a header that is none
        assert len(got) == (len(expected) - len(head())) // SIZE * SIZE
        assert "byte" in fault.what


@pytest.mark.parametrize("bad", [5, 100, 299])
@pytest.mark.parametrize("small", [False, True])
def test_all_blocks_before_a_bad_one_are_recovered(
    bad: int, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:  # so that a file of test size is more than one read
        for name, size in (("_READ", 4096), ("_STEP", 512), ("_PIECE", 5000)):
            monkeypatch.setattr(_bytes, name, size)
    data = head() + mbo_records(1500).tobytes()
    parts = packed_in_blocks(data, 280)
    reserved = bytes([parts[bad][0] | 6]) + parts[bad][1:]  # a block of a type that is none
    found, fault = read(b"".join([*parts[:bad], reserved, *parts[bad + 1 :]]))
    whole = (280 * bad - len(head())) // SIZE
    assert joined(found) == data[len(head()) :][: whole * SIZE]
    assert fault.record == whole
    assert "zstd cannot decode" in fault.what


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_tail_of_garbage_is_a_fault_after_all_records(squeeze: bool) -> None:
    own = mbo_records(100)
    data = head() + own.tobytes()
    bad = packed(data) + b"what is this" if squeeze else data + b"what is this"
    found, fault = read(bad)
    assert joined(found) == own.tobytes()
    assert fault.record == 100
    assert "next" not in fault.what and fault.next_step


@pytest.mark.parametrize(("offset", "value"), [(0, 0), (0, 3), (0, 200), (1, 0x0A), (1, 0x77)])
def test_a_wrong_length_or_type_stops_at_its_record(offset: int, value: int) -> None:
    own = bytearray(mbo_records(50).tobytes())
    own[30 * SIZE + offset] = value
    found, fault = read(head() + bytes(own))
    assert joined(found) == bytes(own[: 30 * SIZE])
    assert (fault.record, fault.byte) == (30, len(head()) + 30 * SIZE)
    assert "mbo" in str(fault)


def test_a_record_of_another_schema_is_no_record_of_this_file() -> None:
    trade = np.zeros(1, dtype=TRADE)
    trade["length"] = TRADE.itemsize // 4
    found, fault = read(head("mbo") + mbo_records(3).tobytes() + trade.tobytes())
    assert sum(len(chunk.records) for chunk in found) == 3
    assert fault.record == 3


@pytest.mark.parametrize("schema", ["mbo", None])
def test_records_with_the_time_of_sending_are_read_without_it(schema: str | None) -> None:
    own = mbo_records(200)
    with_time = with_ts_out(own)
    decoder = dbn.DBNDecoder(has_metadata=False, ts_out=True, input_version=3)
    decoder.write(with_time)
    assert decoder.decode()[0].ts_out == 1_704_200_000_000_000_000
    found, fault = read(head(schema, ts_out=True) + with_time)
    assert fault is None
    records = np.concatenate([chunk.records for chunk in found])
    assert set(records["length"].tolist()) == {SIZE // 4 + 2}
    records["length"] = SIZE // 4
    assert records.tobytes() == own.tobytes()
    assert all(chunk.records.flags.c_contiguous for chunk in found)


def test_a_chunk_that_is_kept_keeps_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", 4096)
    own = mbo_records(5000)
    found = chunks_of(packed(head() + own.tobytes()))
    assert len(found) > 40
    assert joined(found) == own.tobytes()


def test_memory_is_used_again_once_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "BLOCK_BYTES", 4096)
    file = DbnFile.open(io.BytesIO(packed(head() + mbo_records(5000).tobytes())))
    places = set()
    for ahead in (True, False):
        for chunk in file.chunks(ahead=ahead):
            places.add(chunk.records.base.__array_interface__["data"][0])
            del chunk
    assert len(places) <= 10


def test_reading_twice_gives_the_same() -> None:
    stream = io.BytesIO(b"lead" + packed(head() + mbo_records(9).tobytes()))
    stream.seek(4)
    file = DbnFile.open(stream)
    assert joined(list(file.chunks())) == joined(list(file.chunks())) == mbo_records(9).tobytes()


def test_every_cut_inside_the_metadata_is_a_clear_error() -> None:
    whole = head()
    for cut in range(len(whole)):
        with pytest.raises(FileFormatError) as caught:
            DbnFile.open(io.BytesIO(whole[:cut]), name="cut.dbn")
        assert caught.value.where == "cut.dbn"
        assert caught.value.next_step
    assert chunks_of(whole) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: b[:3] + b"\x09" + b[4:], "version 9"),
        (lambda b: b[:4] + b"\xff\xff\xff\x7f" + b[8:], "claim to be"),
        (lambda b: b[:4] + b"\xff\xff\x0f\x00" + b[8:], "cut in its metadata"),
        (lambda b: b[:60] + b"\xff" * 200 + b[260:], "cannot be read|cut"),
    ],
)
def test_damaged_metadata_are_a_clear_error(change: Any, reason: str) -> None:
    with pytest.raises(FileFormatError, match=reason):
        DbnFile.open(io.BytesIO(change(head())))


def test_fragments_need_a_schema_and_then_read() -> None:
    own = mbo_records(20)
    for data in (own.tobytes(), packed(own.tobytes()), packed(own.tobytes(), frame=300)):
        with pytest.raises(FileFormatError, match="does not begin with DBN") as caught:
            DbnFile.open(io.BytesIO(data))
        assert "--schema" in caught.value.next_step
        assert joined(chunks_of(data, schema="mbo")) == own.tobytes()
    assert sum(len(c.records) for c in chunks_of(with_ts_out(own), schema="mbo")) == 20
    with pytest.raises(FileFormatError, match="empty"):
        DbnFile.open(io.BytesIO(b""))
    assert read(b"", schema="mbo") == ([], None)
    with pytest.raises(UsageError, match="mpo") as wrong:
        DbnFile.open(io.BytesIO(own.tobytes()), schema="mpo")
    assert "did you mean 'mbo'" in wrong.value.next_step


def test_a_stream_that_cannot_seek_is_refused() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(UsageError, match="seek"):
        DbnFile.open(Pipe(head()))


def test_a_file_is_closed_when_its_head_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "bad.dbn"
    path.write_bytes(b"DBN")
    with pytest.raises(FileFormatError):
        DbnFile.open(path)  # an open file would warn, and a warning fails the test


def test_without_the_vendors_library_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    _library.dbn_library.cache_clear()
    with pytest.raises(UsageError) as caught:
        DbnFile.open(io.BytesIO(head()))
    _library.dbn_library.cache_clear()
    assert caught.value.next_step == 'pip install "tapemill[futures]"'
