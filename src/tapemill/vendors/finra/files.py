"""FINRA's short sale volume files: consolidated, per facility, exchange form, and old headers.

======================  ===========================================================  =======
form                    header                                                       trailer
======================  ===========================================================  =======
CDN, since 2011-02-28   Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market  count
CDN, before             Date|Symbol|ShortVolume|TotalVolume|Market                    count
facility histories      Date|Symbol|Short Volume|Short Exempt Volume|…|Market Center  none
Nasdaq exchanges        DATE|SYMBOL|SHORT VOLUME|TOTAL VOLUME|MARKET                  none
======================  ===========================================================  =======

The trailer is the bare count of rows; a file that should have one and has not, or a wrong one, was
cut. Quantities have up to six decimals since February 2026 and are never read as floats.
"""

from __future__ import annotations

import dataclasses
import io
import re
from datetime import date

import polars as pl

from tapemill.errors import FileFormatError
from tapemill.vendors.finra.quantities import short_volume_rows
from tapemill.vendors.finra.requests import FACILITIES, FACILITY_OF_CODE
from tapemill.vendors.refusals import body_kind, excerpt

__all__ = ["ShortVolumeFile", "facility_of_name", "read_short_volume", "sessions_outside"]

_COLUMNS = {
    "date": "session",
    "symbol": "symbol",
    "shortvolume": "short_volume",
    "shortexemptvolume": "short_exempt_volume",
    "totalvolume": "total_volume",
    "market": "market",
    "marketcenter": "market",
}
_REQUIRED = ("session", "symbol", "short_volume", "total_volume", "market")
_COUNT = re.compile(rb"^\d+$")
_NAME = re.compile(r"(?:^|[^A-Z])(" + "|".join(FACILITIES) + r")(?=$|[^A-Z]|SHVOL)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ShortVolumeFile:
    """Rows of one file: `frame` in bronze columns, `rejected` for quarantine, `declared` count.

    `declared` is the trailer's row count, None where the form has no trailer.
    """

    frame: pl.DataFrame
    rejected: pl.DataFrame
    declared: int | None
    facility: str
    notes: tuple[str, ...]


def facility_of_name(name: str) -> str:
    """Facility that a file name tells: ``CNMSshvol20201201.txt``, ``etfs-FNRA-D.txt``; or empty."""
    found = _NAME.search(name)
    return found.group(1).upper() if found else ""


def read_short_volume(content: bytes, *, name: str = "", facility: str = "") -> ShortVolumeFile:
    """Read a file of any form.

    Parameters
    ----------
    content : bytes
    name : str
        File name; tells the facility when `facility` is not given.
    facility : str
        One of :data:`~tapemill.vendors.finra.requests.FACILITIES`.

    Raises
    ------
    FileFormatError
        No known header, rows with too many or too few fields, a missing or wrong trailer, or a
        facility that neither the name nor the rows tell.
    """
    header, lines = _lines(content, name)
    columns = _header(header, name)
    trailer = _trailer(header, lines, name, ended=content.endswith(b"\n"))
    rows = lines[:-1] if trailer is not None else lines
    if trailer is not None and trailer != len(rows):
        raise FileFormatError(
            f"truncated: the trailer declares {trailer} rows, the file has {len(rows)}",
            where=name,
            next_step="download the file again",
        )
    text = _table(rows, columns, name)
    facility = facility or facility_of_name(name) or _facility_of_rows(text, name)
    if "short_exempt_volume" not in text.columns:
        text = text.with_columns(short_exempt_volume=pl.lit(None, dtype=pl.String))
    text = text.with_columns(facility=pl.lit(facility))
    frame, rejected, notes = short_volume_rows(text, date_format="%Y%m%d")
    return ShortVolumeFile(frame, rejected, trailer, facility, notes)


def _lines(content: bytes, name: str) -> tuple[bytes, list[bytes]]:
    lines = [line for line in content.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if not lines or body_kind(content) in ("html", "xml"):
        raise FileFormatError(
            f"not a short sale volume file: it starts with {excerpt(content, 60)!r}",
            where=name,
            next_step="check the address or path; FINRA's files start with Date|Symbol|…",
        )
    return lines[0], lines[1:]


def _header(header: bytes, name: str) -> list[str]:
    fields = header.decode("ascii", errors="replace").strip().split("|")
    columns = [_COLUMNS.get(field.lower().replace(" ", ""), "") for field in fields]
    missing = [column for column in _REQUIRED if column not in columns]
    if missing or "" in columns or len(set(columns)) != len(columns):
        raise FileFormatError(
            f"unknown header {'|'.join(fields)!r}",
            where=name,
            next_step="FINRA's header is Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|"
            "Market; import other files with the kind they have",
        )
    return columns


def _trailer(header: bytes, lines: list[bytes], name: str, *, ended: bool) -> int | None:
    # A row cut within its date ("2", "20" …) looks like a count; only its line end is missing.
    cut_row = not ended and len(lines) > 1 and lines[-2].startswith(lines[-1])
    if lines and _COUNT.match(lines[-1].strip()) and not cut_row:
        return int(lines[-1])
    from_cdn = b" " not in header and header != header.upper()
    if not from_cdn:
        return None
    raise FileFormatError(
        f"truncated: no row count at the end, last line {excerpt(lines[-1] if lines else b'')!r}",
        where=name,
        next_step="download the file again",
    )


def _table(rows: list[bytes], columns: list[str], name: str) -> pl.DataFrame:
    schema = dict.fromkeys(columns, pl.String())
    if not rows:
        return pl.DataFrame(schema={"ordinal": pl.Int64(), **schema})
    odd = next((r for r in rows if r.count(b"|") != len(columns) - 1), None)
    if odd is not None:
        raise FileFormatError(
            f"truncated or broken: the row {excerpt(odd)!r} has not {len(columns)} fields",
            where=name,
            next_step="download the file again",
        )
    table = pl.read_csv(
        io.BytesIO(b"\n".join(rows)),
        has_header=False,
        separator="|",
        quote_char=None,
        schema=schema,
        encoding="utf8-lossy",
    )
    return (
        table.with_columns(pl.all().str.strip_chars())
        .with_row_index("ordinal")
        .cast({"ordinal": pl.Int64()})
    )


def _facility_of_rows(text: pl.DataFrame, name: str) -> str:
    codes = text.get_column("market").unique().to_list()
    if any("," in (code or "") for code in codes) or len(codes) > 1:
        return "CNMS"
    if len(codes) == 1 and codes[0] in FACILITY_OF_CODE and "short_exempt_volume" in text.columns:
        return FACILITY_OF_CODE[codes[0]]
    raise FileFormatError(
        "neither the file name nor its rows tell the facility",
        where=name,
        next_step=f"give facility=… with one of {', '.join(FACILITIES)}",
    )


def sessions_outside(frame: pl.DataFrame, start: date, end: date) -> list[date]:
    """Sessions in `frame` other than `start` to `end`, sorted."""
    days = frame.get_column("session").unique().sort()
    return [day for day in days if not start <= day <= end]
