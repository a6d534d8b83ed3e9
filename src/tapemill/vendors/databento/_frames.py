"""Where zstd frames begin and end, seen from their headers alone.

The decompressor gives back what it has at the end of its input and does not say whether a frame
was cut. Walking the block headers costs nothing and tells.

Source: RFC 8878, section 3.1.
"""

from __future__ import annotations

__all__ = ["DBZ_MARK", "ZSTD_MAGIC", "FrameWalker"]

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
DBZ_MARK = b"DBZ"
"""Stands in a skippable frame at the start of legacy .dbz files."""

_SKIPPABLE = b"\x2a\x4d\x18"
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)
_RLE = 1


class FrameWalker:
    """Follow compressed bytes as they pass; attributes say where it stands.

    Attributes
    ----------
    position : int
        Compressed bytes seen.
    frame_start : int
        Where the current or latest frame begins.
    complete : bool
        Whether the bytes seen end with a frame.
    lost : bool
        Whether they stopped being zstd at `frame_start`.
    """

    def __init__(self) -> None:
        self.position = 0
        self.frame_start = 0
        self.complete = True
        self.lost = False
        self._header = b""
        self._wanted = 4
        self._skip = 0
        self._step = self._magic
        self._checksum = False

    def feed(self, data: bytes | memoryview) -> None:
        """Look at the next compressed bytes."""
        at, end = 0, len(data)
        while at < end and not self.lost:
            if self._skip:
                taken = min(self._skip, end - at)
                self._skip -= taken
                at += taken
                if not self._skip and self._step == self._magic and not self._header:
                    self.complete = True
                continue
            if self.complete:
                self.frame_start, self.complete = self.position + at, False
            taken = min(self._wanted - len(self._header), end - at)
            self._header += bytes(data[at : at + taken])
            at += taken
            if len(self._header) == self._wanted:
                self._step()
        self.position += end

    def _next(self, step: object, wanted: int, skip: int = 0) -> None:
        self._step = step  # type: ignore[assignment]
        self._header, self._wanted, self._skip = b"", wanted, skip
        if step == self._magic and not skip:
            self.complete = True

    def _magic(self) -> None:
        if self._header == ZSTD_MAGIC:
            self._next(self._descriptor, 1)
        elif self._header[1:] == _SKIPPABLE and self._header[0] >> 4 == 5:
            self._next(self._skippable, 4)
        else:
            self.lost = True

    def _skippable(self) -> None:
        self._next(self._magic, 4, skip=int.from_bytes(self._header, "little"))

    def _descriptor(self) -> None:
        flags = self._header[0]
        single, size = flags >> 5 & 1, _SIZE_BYTES[flags >> 6]
        self._checksum = bool(flags >> 2 & 1)
        fields = (1 - single) + _DICTIONARY_BYTES[flags & 3] + (size or single)
        self._next(self._block, 3, skip=fields)

    def _block(self) -> None:
        head = int.from_bytes(self._header, "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        held = 1 if kind == _RLE else size
        if last:
            self._next(self._magic, 4, skip=held + 4 * self._checksum)
        else:
            self._next(self._block, 3, skip=held)
