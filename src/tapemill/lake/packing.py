"""How a raw object is packed at rest: one zstd frame and a seal, in pieces of any number.

A skippable zstd frame after the data holds the hash of the packed bytes: any zstd tool still reads
the file, and a flipped bit that the decoder would ignore is seen too.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import zstandard

from tapemill.errors import CorruptError

__all__ = ["RawReader", "corrupt", "pack", "pack_pieces", "unpack"]

_LEVEL = 1
_SEAL_HEAD = b"\x50\x2a\x4d\x18" + (32).to_bytes(4, "little")
_SEAL_BYTES = len(_SEAL_HEAD) + 32
_SAMPLE = 1024**2
_DENSE = 0.97
"""A first mebibyte that shrinks to no less is packed already: it is stored, not compressed."""
# Such content goes into the frame as it is ("raw blocks"), which costs a copy instead of a
# compressor that finds nothing (1.0 GB/s). Layout: RFC 8878, section 3.1.1.
_BLOCK = 128 * 1024
_MAGIC = b"\x28\xb5\x2f\xfd"
_SIZE_GIVEN = b"\xc0"  # content size in eight bytes, no checksum
_WINDOW = b"\x38"  # 128 KiB


def pack(content: bytes) -> bytes:
    """Content as it is kept."""
    frame = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
    return frame + _SEAL_HEAD + hashlib.sha256(frame).digest()


def pack_pieces(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Content of `size` bytes, given in pieces, as it is kept."""
    seal = hashlib.sha256()
    for packed in _frame(iter(pieces), size):
        seal.update(packed)
        yield packed
    yield _SEAL_HEAD + seal.digest()


def _frame(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    first = next(pieces, b"")
    sample = first[:_SAMPLE]
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    if len(sample) < _SAMPLE or len(compressor.compress(sample)) < _DENSE * len(sample):
        yield from _compressed(compressor, first, pieces, size)
    else:
        yield from _stored(first, pieces, size)


def _compressed(
    compressor: Any, first: bytes, pieces: Iterator[bytes], size: int
) -> Iterator[bytes]:
    packing = compressor.compressobj(size=size)
    yield packing.compress(first)
    for piece in pieces:
        yield packing.compress(piece)
    yield packing.flush()


def _stored(first: bytes, pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    yield _MAGIC + _SIZE_GIVEN + _WINDOW + size.to_bytes(8, "little")
    piece: bytes | None = first
    while piece is not None:
        following = next(pieces, None)
        cuts = range(0, len(piece), _BLOCK)
        blocks: list[bytes | memoryview] = []
        view = memoryview(piece)
        for at in cuts:
            block = view[at : at + _BLOCK]
            last = following is None and at == cuts[-1]
            blocks += [(len(block) << 3 | last).to_bytes(3, "little"), block]
        yield b"".join(blocks)
        piece = following


def unpack(packed: bytes) -> bytes | None:
    """The content, or None if the packed bytes are damaged."""
    frame, seal = packed[:-_SEAL_BYTES], packed[-_SEAL_BYTES:]
    if seal != _SEAL_HEAD + hashlib.sha256(frame).digest():
        return None
    try:
        return bytes(zstandard.ZstdDecompressor().decompress(frame))
    except zstandard.ZstdError:
        return None


class _Frame(io.RawIOBase):
    """What comes before the seal, hashed on the way."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__()
        self._stored = stored
        self._held = b""
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes of the frame; empty at its end."""
        fresh = self._stored.read(size if size > 0 else _SAMPLE)
        self._held += fresh
        while fresh and len(self._held) <= _SEAL_BYTES:
            fresh = self._stored.read(_SEAL_BYTES)
            self._held += fresh
        cut = max(len(self._held) - _SEAL_BYTES, 0)
        frame, self._held = self._held[:cut], self._held[cut:]
        self._hash.update(frame)
        return frame

    @property
    def whole(self) -> bool:
        """Whether the rest is the seal of what was read."""
        return self._held == _SEAL_HEAD + self._hash.digest()


class RawReader(io.RawIOBase):
    """Content of a raw object as a stream; what it gave is proven when it says that it has ended.

    Parameters
    ----------
    stored : BinaryIO
        The object at rest; closed with this reader.
    sha256 : str
        Its name.
    where : str
        For errors.

    Raises
    ------
    CorruptError
        By a read, at the latest by the one that would return nothing: the bytes are not those
        that the object is named after.
    """

    def __init__(self, stored: BinaryIO, sha256: str, where: str) -> None:
        super().__init__()
        self._stored = stored
        self._frame = _Frame(stored)
        source: Any = self._frame  # a raw file will do, though it is typed as a text or binary one
        self._content = zstandard.ZstdDecompressor().stream_reader(
            source, read_size=_SAMPLE, closefd=False
        )
        self._hash = hashlib.sha256()
        self._sha256 = sha256
        self._where = where

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; 0 at the end."""
        try:
            count: int = self._content.readinto(buffer)
        except zstandard.ZstdError as error:
            raise self._corrupt() from error
        if count:
            self._hash.update(memoryview(buffer)[:count])
        elif len(memoryview(buffer)):
            # Whatever follows the frame is covered by its seal.
            while self._frame.read(_SAMPLE):
                pass
            if not self._frame.whole or self._hash.hexdigest() != self._sha256:
                raise self._corrupt()
        return count

    def _corrupt(self) -> CorruptError:
        return corrupt(self._sha256, self._where)

    def close(self) -> None:
        """Close the object at rest too."""
        if not self.closed:
            self._stored.close()
        super().close()


def corrupt(sha256: str, where: str) -> CorruptError:
    """The error of a raw object whose bytes are not its own."""
    return CorruptError(
        f"raw object {sha256} does not hold the bytes it is named after",
        where=where,
        next_step="restore the file from a backup, or delete it and fetch or import again",
    )
