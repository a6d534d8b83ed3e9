"""Raw objects: every answer and file as it came, kept once, named by the hash of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from tapemill.errors import CorruptError, LakeError
from tapemill.lake.places import Place

__all__ = ["RawRef", "RawStore"]

_LEVEL = 1
_SUFFIX = ".zst"
# A skippable zstd frame after the data holds the hash of the packed bytes: any zstd tool still
# reads the file, and a flipped bit that the decoder would ignore is seen too.
_SEAL_HEAD = b"\x50\x2a\x4d\x18" + (32).to_bytes(4, "little")


class RawRef(NamedTuple):
    """A stored raw object: its name, its size and the size at rest (bytes)."""

    sha256: str
    size: int
    stored_size: int


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
        packed = self._pack(content)
        try:
            self._place.put_new(self.path(sha256), packed)
        except LakeError as error:
            error.where = f"{error.where} ({media_type} from {origin})"
            raise
        return RawRef(sha256, len(content), len(packed))

    def get(self, sha256: str) -> bytes:
        """The bytes of that hash, verified.

        Raises
        ------
        LakeError
            There is no such object.
        CorruptError
            The stored bytes cannot be unpacked or hash differently.
        """
        where = f"{self._place.uri}/{self.path(sha256)}"
        try:
            packed = self._place.get(self.path(sha256))
        except FileNotFoundError as error:
            raise LakeError(
                f"there is no raw object {sha256}",
                where=where,
                next_step="`tapemill verify` lists what is missing; fetch or import it again",
            ) from error
        content = self._unpack(packed)
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise CorruptError(
                f"raw object {sha256} does not hold the bytes it is named after",
                where=where,
                next_step="restore the file from a backup, or delete it and fetch or import again",
            )
        return content

    @staticmethod
    def _pack(content: bytes) -> bytes:
        frame = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
        return frame + _SEAL_HEAD + hashlib.sha256(frame).digest()

    @staticmethod
    def _unpack(packed: bytes) -> bytes | None:
        frame, seal = packed[:-40], packed[-40:]
        if seal != _SEAL_HEAD + hashlib.sha256(frame).digest():
            return None
        try:
            return bytes(zstandard.ZstdDecompressor().decompress(frame))
        except zstandard.ZstdError:
            return None

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
