"""The head of a DBN file: what was asked, and which symbols the ids stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from tapemill.errors import FileFormatError
from tapemill.vendors.databento._bytes import ByteSource
from tapemill.vendors.databento._frames import DBZ_MARK
from tapemill.vendors.databento._library import dbn_library
from tapemill.vendors.databento.symbols import Mapping

__all__ = ["DbnMetadata", "fragment_metadata", "read_metadata"]

MARK = b"DBN"
PREFIX_BYTES = 8
_LONGEST = 1 << 28
_PIECE = 1 << 20
_NEWEST = 3
_NEXT = "fetch the file again; what is before its records cannot be repaired"


@dataclasses.dataclass(frozen=True, slots=True)
class DbnMetadata:
    """What the head of a file says.

    Attributes
    ----------
    dataset : str
        Such as ``"GLBX.MDP3"``; empty for a fragment.
    schema : str
        Such as ``"mbp-10"``; ``"mixed"`` for a live session.
    version : int
        Of the encoding, 1 to 3; 0 for a fragment, whose records tell their version one by one.
    start_ns, end_ns : int or None
        Range of the request (ns UTC, half open).
    symbols : tuple of str
        As they were asked for.
    mappings : tuple of Mapping
        Numeric ids with the venue's symbols, by half-open ranges of UTC dates.
    ts_out : bool
        Whether records carry the time at which the vendor sent them.
    stype_in, stype_out : str
        Kinds of symbols in the question and the answer; empty where not said.
    """

    dataset: str
    schema: str
    version: int
    start_ns: int | None
    end_ns: int | None
    symbols: tuple[str, ...]
    mappings: tuple[Mapping, ...]
    ts_out: bool
    stype_in: str
    stype_out: str


def fragment_metadata(schema: str) -> DbnMetadata:
    """Metadata of records that come without any."""
    return DbnMetadata("", schema, 0, None, None, (), (), False, "", "")


def read_metadata(source: ByteSource, name: str) -> DbnMetadata | None:
    """Read the head of a file.

    Returns
    -------
    DbnMetadata or None
        None: the bytes begin with something else.

    Raises
    ------
    FileFormatError
        A legacy .dbz file, an encoding newer than 3, or a head that is cut or damaged.
    """
    prefix = _read(source, PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES and (source.fault or prefix.startswith(MARK)):
        raise _cut(source, name)
    if not prefix.startswith(MARK):
        return None
    version, length = prefix[3], int.from_bytes(prefix[4:], "little")
    if not 1 <= version <= _NEWEST:
        raise FileFormatError(
            f"DBN version {version} is not known: 1 to {_NEWEST} are",
            where=name,
            next_step="ask the vendor for an older encoding, or look for a newer Tapemill",
        )
    if length > _LONGEST:
        raise FileFormatError(
            f"the metadata claim to be {length} bytes long", where=name, next_step=_NEXT
        )
    body = _read(source, length)
    if len(body) < length:
        raise _cut(source, name)
    return _decoded(prefix + body, version, name)


def refuse_legacy(head: bytes, name: str) -> None:
    """Raise FileFormatError if the first bytes are those of a .dbz file."""
    if head[8:11] == DBZ_MARK and head[1:4] == b"\x2a\x4d\x18":
        raise FileFormatError(
            "this is a legacy .dbz file, of before DBN 1",
            where=name,
            next_step="convert it with the vendor's `dbn` tool, or download it again as DBN",
        )


def _read(source: ByteSource, length: int) -> bytes:
    # Piece by piece: a damaged length must not cost its memory.
    found = bytearray()
    while len(found) < length:
        piece = bytearray(min(_PIECE, length - len(found)))
        got = source.fill(memoryview(piece))
        found += piece[:got]
        if got < len(piece):
            break
    return bytes(found)


def _cut(source: ByteSource, name: str) -> FileFormatError:
    reason = source.fault or f"it ends at byte {source.position}"
    return FileFormatError(
        f"the file is cut in its metadata: {reason}", where=name, next_step=_NEXT
    )


def _decoded(data: bytes, version: int, name: str) -> DbnMetadata:
    library = dbn_library()
    try:
        head = library.Metadata.decode(data)
        return DbnMetadata(
            dataset=head.dataset,
            schema=str(head.schema) if head.schema is not None else "mixed",
            version=version,
            start_ns=_moment(head.start) if head.schema is not None else None,
            end_ns=_moment(head.end),
            symbols=tuple(head.symbols),
            mappings=tuple(_mappings(head)),
            ts_out=bool(head.ts_out),
            stype_in=_text(head.stype_in),
            stype_out=_text(head.stype_out),
        )
    except (library.DBNError, ValueError, OverflowError) as error:
        raise FileFormatError(
            f"the metadata cannot be read: {error}", where=name, next_step=_NEXT
        ) from error


def _moment(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < 2**63 else None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _mappings(head: Any) -> Iterator[Mapping]:
    # Symbols such as ES.c.0 are a rule, not an instrument: they name another one next month.
    if _text(head.stype_in) == "continuous":
        return
    for asked, intervals in head.mappings.items():
        for interval in intervals:
            answer = interval["symbol"]
            number, symbol = (answer, asked) if answer.isdigit() else (asked, answer)
            if number.isdigit() and symbol:
                start, end = (_midnight(interval[name]) for name in ("start_date", "end_date"))
                yield Mapping(int(number), symbol, start, end)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9
