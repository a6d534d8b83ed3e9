"""The same lake on an S3-compatible store."""

import datetime as dt
import hashlib
import random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.rows import MINUTE, bars, weekdays
from tapemill import Lake
from tapemill.errors import CorruptError, LakeError
from tapemill.lake.places import open_place
from tapemill.lake.raw import FileStamp, RawStore

pytestmark = pytest.mark.s3
DAYS = weekdays(dt.date(2025, 1, 30), 3)


@pytest.fixture
def bucket(s3_options, request):
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return f"s3://lake/{name}", s3_options


@pytest.fixture
def lake(bucket, tmp_path):
    location, options = bucket
    opened = Lake.open(
        location, create=True, storage_options=options, control_url=str(tmp_path / "c.sqlite")
    )
    yield opened
    opened.close()


def test_a_place_in_a_bucket(bucket):
    location, options = bucket
    place = open_place(location, options)
    assert not place.exists("a") and list(place.list()) == []
    with pytest.raises(FileNotFoundError):
        place.get("a")
    assert place.put_new("a", b"1") and not place.put_new("a", b"2")
    assert place.get("a") == b"1"
    place.put("a", b"3")
    place.put("b/c", b"45")
    assert [(entry.path, entry.size) for entry in place.list()] == [("a", 1), ("b/c", 2)]
    assert [entry.path for entry in place.at("b").list()] == ["c"]
    place.delete("a")
    place.delete("a")
    assert not place.exists("a")


def test_a_large_raw_object_goes_and_comes_in_pieces(bucket, tmp_path):
    store = RawStore(open_place(*bucket))
    source = tmp_path / "source.dbn"
    source.write_bytes(random.Random(3).randbytes(12_000_000) + bytes(9_000_000))
    reference = store.put_file(source)
    assert store.put_file(source) == reference
    assert [found.sha256 for found in store] == [reference.sha256]
    with store.open(reference.sha256) as reader, source.open("rb") as file:
        while piece := reader.read(1_000_003):
            assert piece == file.read(1_000_003)
        assert not file.read(1)
    store.check(reference.sha256)
    stamp = FileStamp.of(source)
    with source.open("ab") as file:
        file.write(b"more")
    with pytest.raises(LakeError, match="changed while it was read"):
        store.put_file(source, stamp=stamp)
    assert len(list(store)) == 1


def test_tables_raw_objects_and_sql(lake, bucket):
    reference = lake.raw.put(b"answer" * 50, media_type="json", origin="test")
    assert lake.raw.put(b"answer" * 50, media_type="json", origin="test") == reference
    assert lake.raw.get(reference.sha256) == b"answer" * 50
    frame = bars(["AAA", "BBB"], DAYS)
    assert lake.tables.append(MINUTE, frame, writer="w", sequence=1) == 1
    assert lake.tables.append(MINUTE, frame, writer="w", sequence=1) is None
    assert_frame_equal(lake.scan(MINUTE).collect(), frame, check_row_order=False)
    lake.tables.replace(MINUTE, bars(["AAA"], DAYS[:1], seed=3), sessions=DAYS[:1])
    found = lake.sql(f"select symbol, count(*) n from {MINUTE} group by 1 order by 1")
    assert found.rows() == [("AAA", 90), ("BBB", 60)]
    assert lake.scan(MINUTE, "BBB", DAYS[1], DAYS[1]).collect().height == 30
    again = Lake.open(bucket[0], storage_options=bucket[1])
    assert again.digest(MINUTE) == lake.digest(MINUTE)
    with pytest.raises(LakeError, match="control URL"):
        _ = again.control


def test_compaction_purge_and_verification(lake):
    for sequence in range(3):
        rows = bars([f"S{sequence}"], DAYS, seed=sequence)
        lake.tables.append(MINUTE, rows, writer="w", sequence=sequence)
    digest = lake.digest(MINUTE)
    (report,) = lake.compact()
    assert (report.files_before, report.files_after) == (6, 2)
    assert lake.digest(MINUTE) == digest
    assert lake.verify() == []
    assert lake.purge(MINUTE, DAYS[1], dry_run=False).lines[0].rows == 90
    assert lake.scan(MINUTE).select(pl.len()).collect().item() == 180
    reference = lake.raw.put(b"x" * 100, media_type="json", origin="test")
    place = lake._place.at("raw")
    content = bytearray(place.get(lake.raw.path(reference.sha256)))
    content[9] ^= 1
    place.put(lake.raw.path(reference.sha256), bytes(content))
    with pytest.raises(CorruptError):
        lake.raw.get(reference.sha256)
    (finding,) = lake.verify()
    assert reference.sha256 in finding.subject


def test_a_store_that_is_not_there(s3_options, tmp_path):
    options = {**s3_options, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    place = open_place("s3://lake/x", options)
    with pytest.raises(LakeError, match="object store failed") as caught:
        place.get("a")
    assert "endpoint" in caught.value.next_step


def test_wrong_credentials(s3_options):
    options = {**s3_options, "AWS_SECRET_ACCESS_KEY": "wrong-secret-value"}
    with pytest.raises(LakeError) as caught:
        Lake.open("s3://lake/forbidden", create=True, storage_options=options)
    assert "wrong-secret-value" not in str(caught.value)
