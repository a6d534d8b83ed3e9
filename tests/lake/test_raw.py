import hashlib
import random

import pytest

from tapemill.errors import CorruptError, LakeError
from tapemill.lake.places import open_place
from tapemill.lake.raw import RawStore


@pytest.fixture
def store(tmp_path):
    return RawStore(open_place(str(tmp_path)))


def put(store, content):
    return store.put(content, media_type="application/json", origin="test")


def test_content_comes_back_and_is_named_by_its_hash(store):
    content = b'{"results": []}' * 100
    reference = put(store, content)
    assert reference.sha256 == hashlib.sha256(content).hexdigest()
    assert reference.size == len(content)
    assert reference.stored_size < reference.size
    assert store.get(reference.sha256) == content
    assert store.exists(reference.sha256)


@pytest.mark.parametrize("content", [b"", b"x", b"\x00" * 3_000_000])
def test_any_bytes_can_be_kept(store, content):
    assert store.get(put(store, content).sha256) == content


def test_the_same_bytes_are_one_object_that_is_not_rewritten(store, tmp_path):
    first = put(store, b"same")
    file = tmp_path / store.path(first.sha256)
    before = file.stat()
    assert put(store, b"same") == first
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_ino == before.st_ino
    assert [reference.sha256 for reference in store] == [first.sha256]


def test_other_tools_can_unpack_an_object(store, tmp_path):
    import zstandard

    reference = put(store, b"plain zstd" * 50)
    packed = (tmp_path / store.path(reference.sha256)).read_bytes()
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    assert reader.read() == b"plain zstd" * 50


def test_every_single_flipped_bit_is_seen(store, tmp_path):
    reference = put(store, b"a short answer of a vendor")
    file = tmp_path / store.path(reference.sha256)
    good = file.read_bytes()
    for position in range(len(good) * 8):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        file.write_bytes(bytes(bad))
        with pytest.raises(CorruptError, match=reference.sha256):
            store.get(reference.sha256)


def test_a_truncated_object_is_seen(store, tmp_path):
    reference = put(store, random.Random(1).randbytes(5_000))
    file = tmp_path / store.path(reference.sha256)
    good = file.read_bytes()
    for length in (0, 1, 39, 40, 41, len(good) - 1):
        file.write_bytes(good[:length])
        with pytest.raises(CorruptError):
            store.get(reference.sha256)


def test_an_absent_object_is_an_error_that_names_it(store):
    with pytest.raises(LakeError, match="no raw object ffff") as caught:
        store.get("ffff")
    assert not isinstance(caught.value, CorruptError)
    assert not store.exists("ffff")


def test_delete_removes_one_object(store):
    one, two = put(store, b"one"), put(store, b"two")
    store.delete(one.sha256)
    store.delete(one.sha256)
    assert not store.exists(one.sha256)
    assert store.get(two.sha256) == b"two"
