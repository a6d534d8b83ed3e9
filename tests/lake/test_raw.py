import hashlib
import os
import random

import pytest

from tapemill.errors import CorruptError, LakeError
from tapemill.lake.places import open_place
from tapemill.lake.raw import FileStamp, RawStore, hash_file


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


NOISE = random.Random(2).randbytes(3_000_000)
PLAIN = b"".join(number.to_bytes(8, "little") for number in range(1_000_000))


def keep_file(store, tmp_path, content, **known):
    source = tmp_path / "source.dbn"
    source.write_bytes(content)
    return source, store.put_file(source, **known)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", PLAIN, NOISE, NOISE[: 1024**2], NOISE[: 1024**2 + 1], NOISE + b"\0" * 99],
    ids=["empty", "one", "plain", "noise", "a mebibyte", "and a byte", "noise and zeros"],
)
def test_a_file_is_kept_as_its_bytes_would_be(store, tmp_path, content):
    source, reference = keep_file(store, tmp_path, content)
    assert reference.sha256 == hashlib.sha256(content).hexdigest() == hash_file(source)
    assert (reference.size, reference.stored_size) == (
        len(content),
        (tmp_path / store.path(reference.sha256)).stat().st_size,
    )
    assert store.get(reference.sha256) == content
    with store.open(reference.sha256) as reader:
        assert reader.read(7) + reader.read() == content
    store.check(reference.sha256)
    assert not list(tmp_path.rglob("*.tmp"))


def test_plain_content_shrinks_and_dense_content_is_stored_as_it_is(store, tmp_path):
    _, plain = keep_file(store, tmp_path, PLAIN)
    assert plain.stored_size < plain.size / 3
    _, noise = keep_file(store, tmp_path, NOISE)
    assert noise.size < noise.stored_size < noise.size + 200


@pytest.mark.parametrize("content", [PLAIN[:30_000], NOISE[: 1024**2 + 5]], ids=["plain", "noise"])
def test_other_tools_can_unpack_a_kept_file(store, tmp_path, content):
    import zstandard

    _, reference = keep_file(store, tmp_path, content)
    packed = (tmp_path / store.path(reference.sha256)).read_bytes()
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    assert reader.read() == content


def test_a_stream_of_damaged_bytes_ends_in_an_error(store, tmp_path):
    _, reference = keep_file(store, tmp_path, b"a short answer of a vendor")
    file = tmp_path / store.path(reference.sha256)
    good = file.read_bytes()
    damaged = [good[:length] for length in (0, 1, 39, 40, 41, len(good) - 1)]
    for position in range(len(good) * 8):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        damaged.append(bytes(bad))
    for bad in damaged:
        file.write_bytes(bad)
        with pytest.raises(CorruptError, match=reference.sha256):
            store.check(reference.sha256)
    file.write_bytes(good)
    store.check(reference.sha256)


def test_an_absent_object_cannot_be_opened(store):
    with pytest.raises(LakeError, match="no raw object ffff"):
        store.open("ffff")


@pytest.mark.parametrize("later", [b"first half, second half", b"first", b"FIRST HALF", b""])
def test_a_file_that_changes_meanwhile_leaves_no_object(store, tmp_path, later):
    source = tmp_path / "growing.dbn"
    source.write_bytes(b"first half")
    os.utime(source, ns=(0, 0))
    stamp, sha256 = FileStamp.of(source), hash_file(source)
    source.write_bytes(later)
    with pytest.raises(LakeError, match="changed while it was read"):
        store.put_file(source, sha256=sha256, stamp=stamp)
    assert list(store) == []
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_kept_file_is_not_written_again(store, tmp_path):
    source, reference = keep_file(store, tmp_path, NOISE)
    file = tmp_path / store.path(reference.sha256)
    before = file.stat()
    assert store.put_file(source) == reference
    assert store.put(NOISE, media_type="", origin="test").sha256 == reference.sha256
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
