"""Decoded bytes of a file, whatever it is packed in, and how reading them ended."""

from __future__ import annotations

import contextlib
import os
from typing import Any, BinaryIO, Protocol

import zstandard

from tapemill.vendors.databento._frames import ZSTD_MAGIC, FrameWalker

__all__ = ["ByteSource", "PlainBytes", "ZstdBytes", "open_bytes"]

_PIECE = 1 << 20
_READ = 1 << 17
_STEP = 1 << 14


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

    At corrupt data the decompressor throws away what the same call had made before. Those bytes
    are therefore made a second time, from input given byte by byte, so that no record is lost.
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
        # A block is decoded once its last byte is in: fed byte by byte, the engine has given all
        # of the blocks before a bad one when it fails. The bad one lies in the last bytes read.
        suspect = max(0, self._walker.position - 2 * _READ)
        engine = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        self._file.seek(self._origin)
        known, given, fed = self.position, 0, 0
        with contextlib.suppress(zstandard.ZstdError):
            while data := self._file.read(_STEP if fed + _STEP < suspect else 1):
                fed += len(data)
                made = engine.decompress(data)
                fresh = made[known:]
                known -= min(known, len(made))
                fresh = fresh[: len(piece) - given]
                piece[given : given + len(fresh)] = fresh
                given += len(fresh)
        return given


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
