"""Raw objects: every answer and file as it came, kept once, named by the hash of its bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from tapemill.errors import LakeError
from tapemill.lake.packing import RawReader, corrupt, pack, pack_pieces, unpack
from tapemill.lake.places import Place

__all__ = ["FileStamp", "RawRef", "RawStore", "hash_file", "require_unchanged"]

_SUFFIX = ".zst"
_PIECE = 4 * 1024**2
_AHEAD = 1024**2


class RawRef(NamedTuple):
    """A stored raw object: its name, its size and the size at rest (bytes)."""

    sha256: str
    size: int
    stored_size: int


class FileStamp(NamedTuple):
    """What a file's content cannot change without: its identity, size and time of change."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp of a file as it is now."""
        status = path.stat()
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def hash_file(path: Path, *, read: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file of any size; `read` is told the bytes of each piece."""
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
        if read is not None:
            read(len(piece))
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


class RawStore:
    """Content-addressed store: ``<first two digits>/<sha256>.zst``.

    Parameters
    ----------
    place : Place
        Root of the raw objects.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    @staticmethod
    def path(sha256: str) -> str:
        """Where the object of that hash is kept, relative to the store."""
        return f"{sha256[:2]}/{sha256}{_SUFFIX}"

    def put(self, content: bytes, *, media_type: str, origin: str) -> RawRef:
        """Keep `content`; the same bytes twice are one object.

        Durable on return (local: file and folder fsynced). `media_type` and `origin` name the
        object in errors; the record of where it came from is the control state's answer.

        Raises
        ------
        LakeError
            The disk is full, the folder read-only, or the store unreachable.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        packed = pack(content)
        try:
            self._place.put_new(self.path(sha256), packed)
        except LakeError as error:
            error.where = f"{error.where} ({media_type} from {origin})"
            raise
        return RawRef(sha256, len(content), len(packed))

    def put_file(self, path: Path, *, sha256: str = "", stamp: FileStamp | None = None) -> RawRef:
        """Keep a file of any size in constant memory; what is kept already is not written again.

        Parameters
        ----------
        path : Path
        sha256 : str
            Its hash, if :func:`hash_file` told it already.
        stamp : FileStamp, optional
            What the file was when it was hashed.

        Raises
        ------
        LakeError
            The file changed while it was read; else as for :meth:`put`.
        """
        stamp = stamp or FileStamp.of(path)
        sha256 = sha256 or hash_file(path)
        target = self.path(sha256)
        if not self._place.exists(target):
            self._place.put_new_stream(target, self._packed(path, stamp))
        return RawRef(sha256, stamp.size, self._place.size(target))

    def _packed(self, path: Path, stamp: FileStamp) -> Iterator[bytes]:
        yield from pack_pieces(_stamped_pieces(path, stamp), stamp.size)

    def open(self, sha256: str) -> BinaryIO:
        """A reader of the bytes of that hash, in constant memory; close it.

        Raises
        ------
        LakeError
            There is no such object.
        CorruptError
            By a read, at the latest by the one that would return nothing.
        """
        try:
            stored = self._place.open(self.path(sha256))
        except FileNotFoundError as error:
            raise self._absent(sha256) from error
        reader = RawReader(stored, sha256, self._where(sha256))
        return cast("BinaryIO", io.BufferedReader(reader, _AHEAD))

    def check(self, sha256: str) -> None:
        """Read an object to its end in constant memory; raises as :meth:`open` does."""
        with self.open(sha256) as reader:
            while reader.read(_PIECE):
                pass

    def get(self, sha256: str) -> bytes:
        """The bytes of that hash, verified.

        Raises
        ------
        LakeError
            There is no such object.
        CorruptError
            The stored bytes cannot be unpacked or hash differently.
        """
        try:
            packed = self._place.get(self.path(sha256))
        except FileNotFoundError as error:
            raise self._absent(sha256) from error
        content = unpack(packed)
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise corrupt(sha256, self._where(sha256))
        return content

    def _where(self, sha256: str) -> str:
        return f"{self._place.uri}/{self.path(sha256)}"

    def _absent(self, sha256: str) -> LakeError:
        return LakeError(
            f"there is no raw object {sha256}",
            where=self._where(sha256),
            next_step="`tapemill verify` lists what is missing; fetch or import it again",
        )

    def exists(self, sha256: str) -> bool:
        """Whether an object of that hash is stored (its bytes are not checked)."""
        return self._place.exists(self.path(sha256))

    def __iter__(self) -> Iterator[RawRef]:
        """Every stored object; `size` is the size at rest, for the content is not opened."""
        for path, size, _ in self._place.list():
            if path.endswith(_SUFFIX):
                yield RawRef(path.rsplit("/", 1)[-1].removesuffix(_SUFFIX), size, size)

    def delete(self, sha256: str) -> None:
        """Remove an object. Only `Lake.purge` may decide that."""
        self._place.delete(self.path(sha256))


def require_unchanged(path: Path, stamp: FileStamp) -> None:
    """Raise LakeError if the file is not what it was when the stamp was taken."""
    if FileStamp.of(path) != stamp:
        raise LakeError(
            f"{path.name} changed while it was read",
            where=str(path),
            next_step="wait until whatever writes it is done, then import it again",
        )


def _stamped_pieces(path: Path, stamp: FileStamp) -> Iterator[bytes]:
    """The pieces of a file; one that changes meanwhile never comes to its end."""
    left = stamp.size
    for piece in _pieces(path):
        left -= len(piece)
        if left <= 0:
            require_unchanged(path, stamp)
        yield piece
    require_unchanged(path, stamp)
