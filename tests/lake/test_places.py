import errno
import os
from pathlib import Path

import pytest

from tapemill.errors import LakeError
from tapemill.lake import places
from tapemill.lake.places import LocalPlace, open_place


def test_put_replaces_and_put_new_does_not(tmp_path):
    place = LocalPlace(tmp_path)
    place.put("a/b/c", b"1")
    place.put("a/b/c", b"2")
    assert place.get("a/b/c") == b"2"
    assert place.put_new("a/b/c", b"3") is False
    assert place.put_new("a/d", b"4") is True
    assert place.get("a/b/c") == b"2"
    assert [entry.path for entry in place.list()] == ["a/d", "a/b/c"]
    assert [entry.size for entry in place.list("a/b")] == [1]


def test_absent_objects(tmp_path):
    place = open_place(str(tmp_path))
    assert not place.exists("x")
    assert list(place.list("x")) == []
    place.delete("x")
    with pytest.raises(FileNotFoundError):
        place.get("x")


def test_everything_written_is_fsynced_with_its_folder(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", fsync)
    LocalPlace(tmp_path).put("new/folder/file", b"x")
    assert any(name.endswith(".tmp") for name in synced), "the file before it gets its name"
    assert str(tmp_path / "new/folder") in synced, "the folder that holds the name"
    assert str(tmp_path) in synced and str(tmp_path / "new") in synced, "folders made on the way"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "storage failed"),
    ],
)
def test_write_failures_say_what_to_do_and_leave_nothing(tmp_path, monkeypatch, number, words):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    place = LocalPlace(tmp_path)
    monkeypatch.setattr(places.os, "fsync", fsync)
    for write in (place.put, place.put_new):
        with pytest.raises(LakeError, match=words) as caught:
            write("file", b"x")
        assert caught.value.next_step
        assert "file" in caught.value.where
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_writers_are_not_listed_and_can_be_swept(tmp_path):
    place = LocalPlace(tmp_path)
    place.put("kept", b"x")
    leftover = tmp_path / ".kept.123.0.tmp"
    leftover.write_bytes(b"half")
    assert [entry.path for entry in place.list()] == ["kept"]
    assert place.sweep(leftover.stat().st_mtime_ns) == 0
    assert place.sweep(leftover.stat().st_mtime_ns + 1) == 1
    assert not leftover.exists()
    assert place.get("kept") == b"x"
