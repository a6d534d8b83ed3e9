"""Big blocks of decoded bytes in little memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tapemill.vendors.databento._bytes import ByteSource

__all__ = ["BLOCK_BYTES", "HEADROOM", "BufferPool", "ByteBlock", "filled_blocks"]

BLOCK_BYTES = 8 << 20
"""Copied from the system's cache into memory that is used again, a block stays in the processor's:
mapping a plain file instead took half as long again, most of it in making and ending mappings."""
HEADROOM = 1 << 10
"""Room before a block for the record that the block before it began; no record is longer."""

_POOLED = 4


class ByteBlock(NamedTuple):
    """Consecutive bytes: ``data[start:stop]``, uint8, with room before `start`."""

    data: np.ndarray[Any, np.dtype[np.uint8]]
    start: int
    stop: int

    def joined(self, carry: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
        """Put the end of the block before this one in front of it; where that begins."""
        begin = self.start - carry.size
        if carry.size and self.data.flags.writeable:
            self.data[begin : self.start] = carry
        return begin


class BufferPool:
    """Buffers that are used again once nobody holds a view of them.

    Every NumPy view keeps its owner alive, so the owner's reference count says whether one is left.
    Memory that is never given back to the system need not be zeroed by it again, which would cost a
    fifth of the time of decompression.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffers: list[np.ndarray[Any, np.dtype[np.uint8]]] = []

    def take(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """A buffer that nobody else sees."""
        for number in range(len(self._buffers)):
            # Two references: the list's and the argument's.
            if sys.getrefcount(self._buffers[number]) == 2:
                return self._buffers[number]
        fresh = np.empty(self._size, dtype=np.uint8)
        if len(self._buffers) < _POOLED:
            self._buffers.append(fresh)
        return fresh


def filled_blocks(source: ByteSource, block_bytes: int) -> Iterator[ByteBlock]:
    """Blocks of `block_bytes` (the last one shorter) read from a source."""
    pool = BufferPool(HEADROOM + block_bytes)
    filled = block_bytes
    while filled == block_bytes:
        data = pool.take()
        filled = source.fill(data[HEADROOM:].data)
        yield ByteBlock(data, HEADROOM, HEADROOM + filled)
        del data
