"""Decoded bytes of a file, whatever it is packed in, and how reading them ended."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Protocol

import zstandard

from tapemill.vendors.databento._frames import ZSTD_MAGIC, FrameWalker

__all__ = ["ByteSource", "PlainBytes", "ZstdBytes", "open_bytes"]

_PIECE = 1 << 20
_READ = 1 << 18


class ByteSource(Protocol):
    """Bytes in order.

    Attributes
    ----------
    position : int
        Bytes given so far.
    fault : str
        Why there are no more, if the file did not end as it should; empty otherwise.
    """

    position: int
    fault: str

    def fill(self, target: memoryview) -> int:
        """Write the next bytes into `target`; fewer than it holds only at the end."""
        ...


class PlainBytes:
    """A file that is not compressed, from where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0
        self.fault = ""

    def fill(self, target: memoryview) -> int:
        """Write the next bytes into `target`; fewer than it holds only at the end."""
        filled = 0
        while filled < len(target):
            got = self._file.readinto(target[filled:])  # type: ignore[attr-defined]
            if not got:
                break
            filled += got
        self.position += filled
        return filled


class _Watched:
    """The compressed file, with a walker that looks at what passes."""

    def __init__(self, file: BinaryIO, walker: FrameWalker) -> None:
        self._file = file
        self._walker = walker

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._walker.feed(data)
        return data


class ZstdBytes:
    """A zstd file of one frame or many, from where it stands.

    After corrupt data the decompressor throws away what one call had made so far. The bytes before
    the defect are therefore made a second time, one by one, so that no record is lost.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._origin = file.tell()
        self.position = 0
        self.fault = ""
        self._open()

    def _open(self) -> None:
        self._walker = FrameWalker()
        watched: Any = _Watched(self._file, self._walker)
        self._reader = zstandard.ZstdDecompressor().stream_reader(
            watched, read_size=_READ, read_across_frames=True
        )

    def fill(self, target: memoryview) -> int:
        """Write the next bytes into `target`; fewer than it holds only at the end."""
        filled = 0
        while filled < len(target) and not self.fault:
            piece = target[filled : filled + _PIECE]
            try:
                got = self._reader.readinto(piece)
            except zstandard.ZstdError as error:
                got = self._again(piece)
                self.fault = self._defect(error)
            else:
                if not got:
                    self._judge_end()
                    break
            filled += got
            self.position += got
        return filled

    def _judge_end(self) -> None:
        if not self._walker.complete:
            self.fault = (
                f"the zstd frame that begins at byte {self._walker.frame_start} of the file is cut"
                f" at byte {self._walker.position}"
            )

    def _defect(self, error: zstandard.ZstdError) -> str:
        reason = str(error).rpartition(": ")[2] or "unreadable data"
        return (
            f"zstd cannot decode the frame that begins at byte {self._walker.frame_start} of the"
            f" file: {reason}"
        )

    def _again(self, piece: memoryview) -> int:
        self._file.seek(self._origin)
        self._open()
        try:
            left = self.position
            while left:
                left -= len(self._reader.read(min(left, _PIECE)))
            got = 0
            while got < len(piece):
                got += self._reader.readinto(piece[got : got + 1])
        except zstandard.ZstdError:
            return got
        return got


def open_bytes(file: BinaryIO) -> ByteSource:
    """Bytes of a seekable file from where it stands, decompressed if they are zstd.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    head = file.read(len(ZSTD_MAGIC))
    file.seek(-len(head), os.SEEK_CUR)
    return ZstdBytes(file) if head == ZSTD_MAGIC else PlainBytes(file)
