"""DBN files as arrays of records.

A block of decoded bytes is big, and so are its arrays, which are views of it: nothing is copied but
the few records that lie across two blocks, records of mixed streams and those with `ts_out`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np

from tapemill.errors import FileFormatError, UsageError
from tapemill.vendors.databento._ahead import blocks_ahead
from tapemill.vendors.databento._blocks import (
    BLOCK_BYTES,
    ByteBlock,
    filled_blocks,
)
from tapemill.vendors.databento._bytes import ByteSource, PlainBytes, open_bytes
from tapemill.vendors.databento._layout import accepted, kind_of, layout_of
from tapemill.vendors.databento._split import BAD_HEADER, RAN_OUT, count_alike, gather, walk
from tapemill.vendors.databento.metadata import (
    DbnMetadata,
    fragment_metadata,
    read_metadata,
    refuse_legacy,
)
from tapemill.vendors.databento.symbols import SymbolTable

__all__ = ["DbnFault", "DbnFile", "RecordChunk"]

CHUNK_RECORDS = 262_144
_LONG_RUN = 64
"""So many records of one kind in a row are a view; fewer are copied together by kind."""
_MIXED = 65_536

Records = np.ndarray[Any, np.dtype[np.void]]


class RecordChunk(NamedTuple):
    """Records of one kind.

    Attributes
    ----------
    kind : str
        ``"mbo"``, ``"mbp-10"``, ``"mbp-1"``, ``"tbbo"``, ``"trades"``, ``"ohlcv"``,
        ``"definition"``, ``"statistics"``, ``"status"``, ``"imbalance"``, ``"bbo"``, ``"cbbo"``,
        ``"cmbp-1"``, ``"tcbbo"``, ``"symbol_mapping"``, ``"system"`` or ``"error"``.
    version : int
        Least DBN version that lays them out so.
    records : np.ndarray
        Read only; the dtype of `tapemill.book.records` where there is one, else the vendor's.
    ordinals : np.ndarray
        int64; positions in the file, from 0, ascending.
    """

    kind: str
    version: int
    records: Records
    ordinals: np.ndarray[Any, np.dtype[np.int64]]


@dataclasses.dataclass(frozen=True, slots=True)
class DbnFault:
    """Why reading stopped before the end of a file. Every record before `record` was delivered.

    Attributes
    ----------
    what : str
    where : str
        Name of the file.
    byte : int
        Where in the (decompressed) bytes.
    record : int
        Ordinal of the record that could not be read.
    next_step : str
    """

    what: str
    where: str
    byte: int
    record: int
    next_step: str

    def __str__(self) -> str:
        return f"{self.what} (record {self.record}, byte {self.byte} of the decoded data)"


class DbnFile:
    """A DBN file, zstd or plain, open for reading. Make it by :meth:`open`.

    Attributes
    ----------
    metadata : DbnMetadata
    fault : DbnFault or None
        Known once :meth:`chunks` has ended: why it stopped early, if it did.
    name : str
    """

    def __init__(
        self, file: BinaryIO, name: str, metadata: DbnMetadata, head_bytes: int, origin: int
    ) -> None:
        self.metadata = metadata
        self.fault: DbnFault | None = None
        self.name = name
        self._file = file
        self._head_bytes = head_bytes
        self._origin = origin
        self._owned = False
        self._symbols: SymbolTable | None = None
        fragment = metadata.version == 0
        self._accepted = accepted(metadata.schema, None if fragment else metadata.ts_out)

    @classmethod
    def open(cls, source: Path | BinaryIO, *, schema: str | None = None, name: str = "") -> Self:
        """Open a file and read its head.

        Parameters
        ----------
        source : Path or BinaryIO
            A seekable file is read from where it stands, and stays open.
        schema : str, optional
            What the records are, for fragments that do not say so. Files that do are taken at
            their word.
        name : str
            For messages; default: that of the file.

        Raises
        ------
        FileFormatError
            No DBN file: a legacy .dbz, cut in its head, or a fragment without `schema`.
        UsageError
            No such schema, a stream that cannot seek, or `databento_dbn` is not installed.
        OSError
            The file cannot be opened or read.
        """
        if isinstance(source, Path):
            with contextlib.ExitStack() as stack:
                file = stack.enter_context(source.open("rb"))
                found = cls._begin(file, schema, name or source.name)
                found._owned = True
                stack.pop_all()
                return found
        return cls._begin(source, schema, name or str(getattr(source, "name", "stream")))

    @classmethod
    def _begin(cls, file: BinaryIO, schema: str | None, name: str) -> Self:
        if not file.seekable():
            raise UsageError(
                "a DBN stream must be able to seek",
                where=name,
                next_step="save it to a file and open that",
            )
        origin = file.tell()
        head = file.read(11)
        file.seek(origin)
        refuse_legacy(head, name)
        source = open_bytes(file)
        metadata = read_metadata(source, name)
        if metadata is not None:
            return cls(file, name, metadata, source.position, origin)
        if schema is None:
            raise FileFormatError(
                "the file is empty" if not head else "the file does not begin with DBN metadata",
                where=name,
                next_step="if it is a fragment of DBN records, say which: --schema mbo, …",
            )
        return cls(file, name, fragment_metadata(schema), 0, origin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened by its path."""
        if self._owned:
            self._file.close()

    def symbol_of(self, instrument_id: int, ts_ns: int) -> str | None:
        """The venue's symbol of a numeric id at a moment (ns UTC); None if the file does not say.

        Mappings of live sessions count as soon as :meth:`chunks` has passed them.
        """
        return self._table().symbol_of(instrument_id, ts_ns)

    def _table(self) -> SymbolTable:
        if self._symbols is None:
            self._symbols = SymbolTable(self.metadata.mappings)
        return self._symbols

    def chunks(
        self, records: int = CHUNK_RECORDS, *, ahead: bool | None = None
    ) -> Iterator[RecordChunk]:
        """All records, from the first one, at each call.

        Records of one kind come in the order of the file. Where kinds alternate, their records are
        collected by kind, so that a chunk of one kind may hold later records than the next chunk
        of another. Chunks depend on the decoded bytes and `records` alone.

        Parameters
        ----------
        records : int
            Most records in a chunk.
        ahead : bool, optional
            Decompress in a thread of its own; default: where there is something to decompress.

        Yields
        ------
        RecordChunk
            Its arrays stay valid as long as they are kept; memory is bounded if they are not.
        """
        self.fault = None
        self._file.seek(self._origin)
        source = open_bytes(self._file)
        blocks = self._blocks(source, ahead=ahead)
        splitter = _Splitter(self._accepted, self.metadata.schema, records)
        try:
            for block in blocks:
                for chunk in splitter.chunks(block):
                    if chunk.kind == "symbol_mapping":
                        self._table().add_records(chunk.records)
                    yield chunk
                    del chunk
                del block
                if splitter.bad_header:
                    break
        finally:
            blocks.close()  # type: ignore[attr-defined]
        self.fault = self._judge(source, splitter)

    def _blocks(self, source: ByteSource, *, ahead: bool | None) -> Iterator[ByteBlock]:
        left = self._head_bytes
        while left:
            left -= source.fill(memoryview(bytearray(min(left, 1 << 20))))
        blocks = filled_blocks(source, BLOCK_BYTES)
        threaded = not isinstance(source, PlainBytes) if ahead is None else ahead
        return blocks_ahead(blocks) if threaded else blocks

    def _judge(self, source: ByteSource, splitter: _Splitter) -> DbnFault | None:
        byte = self._head_bytes + splitter.position
        if splitter.bad_header:
            rtype, length = splitter.bad_header
            what = (
                f"no record of schema {self.metadata.schema} begins with type {rtype:#04x} and"
                f" length {4 * length}"
            )
        elif source.fault:
            what = source.fault
        elif splitter.carry.size:
            what = f"the file ends {splitter.carry.size} bytes into a record"
        else:
            return None
        return DbnFault(
            what,
            self.name,
            byte,
            splitter.ordinal,
            "fetch the file again; the records before the fault are sound and were read",
        )


class _Splitter:
    """Cuts blocks into chunks; carries the begun record from one block to the next."""

    def __init__(self, known: Any, schema: str, records: int) -> None:
        self.ordinal = 0
        self.position = 0
        self.bad_header: tuple[int, int] | None = None
        self.carry = np.empty(0, dtype=np.uint8)
        self._known = known
        self._schema = schema
        self._records = records

    def chunks(self, block: ByteBlock) -> Iterator[RecordChunk]:
        """The records of the carry and the block that are whole."""
        data, at, stop = block.data, block.joined(self.carry), block.stop
        end = False
        while not end:
            found, at, end = self._next(data, at, stop)
            yield from found
        self.carry = data[at:stop].copy() if not self.bad_header else self.carry[:0]

    def _next(self, data: Any, at: int, stop: int) -> tuple[list[RecordChunk], int, bool]:
        """The next chunks, where they end, and whether the block does."""
        if at + 2 > stop:
            return [], at, True
        rtype, length = int(data[at + 1]), int(data[at])
        if not self._known[rtype, length]:
            self.bad_header = rtype, length
            return [], at, True
        count = count_alike(data, at, stop, self._records)
        after = at + 4 * length * count
        if count >= min(_LONG_RUN, self._records) or (count and after == stop):
            return [self._view(data, at, rtype, 4 * length, count)], after, False
        offsets = np.empty(min(self._records, _MIXED), dtype=np.int64)
        count, after, status = walk(data, at, stop, self._known, _LONG_RUN, offsets)
        if status == BAD_HEADER:
            self.bad_header = int(data[after + 1]), int(data[after])
        found = self._mixed(data, offsets[:count])
        self.position += after - at
        return found, after, status in (RAN_OUT, BAD_HEADER)

    def _view(self, data: Any, at: int, rtype: int, length: int, count: int) -> RecordChunk:
        layout, ts_out = layout_of(rtype, length)
        raw = data[at : at + length * count]
        if ts_out:
            size = layout.dtype.itemsize
            raw = raw.reshape(count, length)[:, :size].reshape(-1)
        records = raw.view(layout.dtype)
        records.flags.writeable = False
        ordinals = np.arange(self.ordinal, self.ordinal + count, dtype=np.int64)
        self.ordinal += count
        self.position += length * count
        return RecordChunk(kind_of(rtype, self._schema), layout.version, records, ordinals)

    def _mixed(self, data: Any, offsets: Any) -> list[RecordChunk]:
        headers = data[offsets].astype(np.int64) | data[offsets + 1].astype(np.int64) << 8
        found = []
        for header in dict.fromkeys(headers.tolist()):
            rows = np.flatnonzero(headers == header)
            layout, _ = layout_of(header >> 8, 4 * (header & 0xFF))
            copied = np.empty((rows.size, layout.dtype.itemsize), dtype=np.uint8)
            gather(data, offsets[rows], copied)
            records = copied.reshape(-1).view(layout.dtype)
            records.flags.writeable = False
            found.append(
                RecordChunk(
                    kind_of(header >> 8, self._schema),
                    layout.version,
                    records,
                    (rows + self.ordinal).astype(np.int64),
                )
            )
        self.ordinal += offsets.size
        return found
