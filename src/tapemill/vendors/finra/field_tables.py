"""Files of the Query API's fields: pipe-separated, comma CSV, or JSON in any of its wrappings."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from tapemill.errors import FileFormatError
from tapemill.vendors.refusals import body_kind, excerpt
from tapemill.vendors.rows import REJECTED, Field, read_rows

__all__ = ["FieldTable", "read_fields"]

_BARE_CRD = re.compile(rb'("firmCRDNumber"\s*:\s*)(\d+)')
_GZIP = b"\x1f\x8b"
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class FieldTable:
    """Rows of a file, every value as text.

    Parameters
    ----------
    fields : pl.DataFrame
        `ordinal` and strings named as FINRA names its fields.
    broken : pl.DataFrame
        Rows of a JSON file whose values have another type than documented, for quarantine.
    asked : Mapping
        The question that a recorded answer carries; empty for other files.
    notes : tuple of str
    """

    fields: pl.DataFrame
    broken: pl.DataFrame
    asked: Mapping[str, Any]
    notes: tuple[str, ...]


def read_fields(
    content: bytes, known: Sequence[Field], *, required: Sequence[str], name: str
) -> FieldTable:
    """Read a file.

    Parameters
    ----------
    content : bytes
        Pipe-separated or comma CSV with a header; a JSON list; or an object with the list under
        ``data`` or under ``response`` and ``json``, as a recorded answer has it.
    known : sequence of Field
        Fields to read, each by its name in any case.
    required : sequence of str
        Fields without which no row can be read.
    name : str
        File, for messages.

    Raises
    ------
    FileFormatError
        The content is none of these, is cut, or lacks a required field.
    """
    if body_kind(content) in ("html", "xml") or b"\0" in content or content[:2] == _GZIP:
        raise _not_this(content, name)
    bare = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not bare:
        raise FileFormatError("the file is empty", where=name, next_step="download it again")
    if bare[:1] in (b"[", b"{"):
        return _json(bare, known, required, name)
    return _delimited(bare, known, required, name)


def _delimited(
    content: bytes, known: Sequence[Field], required: Sequence[str], name: str
) -> FieldTable:
    lines = [line for line in content.splitlines() if line.strip()]
    separator = "|" if b"|" in lines[0] else ","
    header = [
        part.strip().strip('"') for part in lines[0].decode("utf-8", "replace").split(separator)
    ]
    spelled = {field.name.lower(): field.name for field in known}
    columns = [spelled.get(column.lower(), column) for column in header]
    _require(columns, required, header, name)
    if len(set(columns)) != len(columns):
        raise FileFormatError(
            f"a column occurs twice in the header {separator.join(header)!r}",
            where=name,
            next_step="keep one of them",
        )
    quote = None if separator == "|" else '"'
    odd = _odd_row(lines[1:], len(columns), separator, quote)
    if odd is not None:
        raise FileFormatError(
            f"truncated or broken: the row {excerpt(odd)!r} has not {len(columns)} fields",
            where=name,
            next_step="download the file again",
        )
    try:
        table = pl.read_csv(
            io.BytesIO(b"\n".join(lines[1:])),
            has_header=False,
            separator=separator,
            quote_char=quote,
            schema=dict.fromkeys(columns, pl.String()),
            encoding="utf8-lossy",
        )
    except pl.exceptions.NoDataError:
        table = pl.DataFrame(schema=dict.fromkeys(columns, pl.String()))
    except pl.exceptions.PolarsError as error:
        raise FileFormatError(
            f"truncated or broken: {str(error).splitlines()[0]}",
            where=name,
            next_step="download the file again",
        ) from error
    return _table(table, columns, spelled)


def _odd_row(lines: Sequence[bytes], count: int, separator: str, quote: str | None) -> bytes | None:
    """The first row that has not `count` fields; the reader would fill a short one with nulls."""
    if quote is None or not any(b'"' in line for line in lines):
        mark = separator.encode()
        return next((line for line in lines if line.count(mark) != count - 1), None)
    text = (line.decode("utf-8", "replace") + "\n" for line in lines)
    try:
        rows = csv.reader(text, delimiter=separator, strict=True)
        odd = next((row for row in rows if len(row) != count), None)
    except csv.Error as error:
        return f"… {error}".encode()
    return None if odd is None else separator.join(odd).encode()


def _table(table: pl.DataFrame, columns: Sequence[str], spelled: Mapping[str, str]) -> FieldTable:
    unused = [column for column in columns if column not in spelled.values()]
    # Chosen before it is numbered: a file may have a column of that name.
    kept = table.select(c for c in columns if c in spelled.values()).with_row_index("ordinal")
    kept = kept.cast({"ordinal": pl.Int64()})
    notes = [f"columns not read: {', '.join(unused)}"] if unused else []
    if kept.is_empty():
        notes.append("it has a header and no rows, which says nothing about any week or symbol")
    return FieldTable(kept, pl.DataFrame(schema=REJECTED), {}, tuple(notes))


def _json(content: bytes, known: Sequence[Field], required: Sequence[str], name: str) -> FieldTable:
    try:
        array, asked = _unwrapped(content, name)
        typed = read_rows(
            _BARE_CRD.sub(rb'\1"\2"', array),
            tuple(dataclasses.replace(field, optional=True) for field in known),
        )
    except msgspec.DecodeError as error:
        raise FileFormatError(
            f"no whole JSON: {error}", where=name, next_step="download the file again"
        ) from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"no readable JSON: {error}", where=name, next_step="check the file"
        ) from error
    notes = [f"{change.field}: {change.detail}" for change in typed.drift[:_SHOWN]]
    if not typed.count:
        notes.append("its list has no rows, which says nothing about any week or symbol")
    elif typed.frame.height:
        fields = typed.frame.drop("ordinal")
        present = [c for c in fields.columns if fields[c].null_count() < fields.height]
        _require(present, required, present, name)
    # Whole numbers and exact decimals came as text or Int64; one form for what follows.
    text = typed.frame.with_columns(pl.all().exclude("ordinal").cast(pl.String))
    return FieldTable(text, typed.broken, asked, tuple(notes))


def _unwrapped(content: bytes, name: str) -> tuple[bytes, Mapping[str, Any]]:
    """The list's text, and the question beside it if the file has one."""
    if content[:1] == b"[":
        return content, {}
    whole = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    asked: Mapping[str, Any] = {}
    array = whole.get("data")
    if array is None and "response" in whole:
        answer = msgspec.json.decode(whole["response"], type=dict[str, msgspec.Raw])
        array = answer.get("json")
        if "request" in whole:
            question = msgspec.json.decode(whole["request"])
            body = question.get("json") if isinstance(question, dict) else None
            asked = body if isinstance(body, dict) else {}
    if array is None or bytes(array).lstrip()[:1] != b"[":
        raise FileFormatError(
            f"an object without a list of rows: its keys are {', '.join(sorted(whole)[:8])}",
            where=name,
            next_step="the list stands alone, under data, or under response and json",
        )
    return bytes(array), asked


def _require(
    present: Sequence[str], required: Sequence[str], header: Sequence[str], name: str
) -> None:
    missing = [field for field in required if field not in present]
    if missing and len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise FileFormatError(
            f"its fields are parted neither by | nor by commas: {header[0]!r}",
            where=name,
            next_step="write it with | or commas, or as JSON",
        )
    if missing:
        raise FileFormatError(
            f"no field {', '.join(missing)}; it has {', '.join(header[:12]) or 'none'}",
            where=name,
            next_step="keep the names of FINRA's Query API, or choose another kind of file",
        )


def _not_this(content: bytes, name: str) -> FileFormatError:
    return FileFormatError(
        f"no table: it starts with {excerpt(content, 60)!r}",
        where=name,
        next_step="check the path; tables have a header of FINRA's field names, or are JSON",
    )
