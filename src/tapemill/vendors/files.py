"""Files that are already here: one reader per kind of `tapemill import`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from tapemill.errors import FileFormatError, UnknownNameError, UsageError, did_you_mean
from tapemill.vendors.columnmap import column_map, read_bar_file
from tapemill.vendors.finra.files import read_short_volume, sessions_outside
from tapemill.vendors.finra.interest_files import read_interest
from tapemill.vendors.finra.requests import FACILITIES
from tapemill.vendors.finra.weekly_files import WEEKLY_OPTIONS, read_weekly
from tapemill.vendors.massive.flatfiles import read_flat_file
from tapemill.vendors.memberships import read_memberships

__all__ = ["FILE_KINDS", "ParsedFile", "read_file"]

# The date in FINRA's names: CNMSshvol20201201.txt.
_DAY = re.compile(r"shvol(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ParsedFile:
    """What a file holds.

    Parameters
    ----------
    dataset : str
        Bronze dataset of the rows.
    frame : pl.DataFrame
        Bronze columns without provenance, `ordinal` included.
    rejected : pl.DataFrame
        Rows for quarantine: ordinal, symbol, session, reasons, row (JSON). Empty if none.
    start, end : datetime.date, optional
        First and last session in `frame`; None when it is empty.
    notes : tuple of str
        What a person should know of the file.
    """

    dataset: str
    frame: pl.DataFrame
    rejected: pl.DataFrame
    start: date | None
    end: date | None
    notes: tuple[str, ...] = ()


def read_file(
    kind: str,
    source: Path | bytes,
    options: Mapping[str, str] | None = None,
    *,
    name: str = "",
) -> ParsedFile:
    """Read a file of one of the :data:`FILE_KINDS`.

    Parameters
    ----------
    kind : str
        One of :data:`FILE_KINDS`.
    source : Path or bytes
        The file or its content.
    options : Mapping[str, str], optional
        name : str
        File name where `source` is bytes: facilities, kinds of venues and dates are read from it.

    Raises
    ------
    UnknownNameError
        An unknown kind or option.
    UsageError
        The file cannot be opened, or the column map does not fit it.
    FileFormatError
        The content is not what `kind` says, or is cut.
    """
    if kind not in FILE_KINDS:
        raise UnknownNameError(
            f"there is no kind of file {kind!r}",
            next_step=did_you_mean(kind, FILE_KINDS) or f"kinds: {', '.join(FILE_KINDS)}",
        )
    content = source if isinstance(source, bytes) else _content(source)
    name = name or ("" if isinstance(source, bytes) else source.name)
    if not content.strip():
        raise FileFormatError("the file is empty", where=name, next_step="download it again")
    return FILE_KINDS[kind](content, dict(options or {}), name)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            where=str(path),
            next_step="check the path and its permissions",
        ) from error


def _parsed(
    dataset: str,
    frame: pl.DataFrame,
    rejected: pl.DataFrame,
    notes: tuple[str, ...],
    day: str = "session",
) -> ParsedFile:
    sessions = frame.get_column(day)
    first, last = sessions.min(), sessions.max()
    start = first if isinstance(first, date) else None
    end = last if isinstance(last, date) else None
    return ParsedFile(dataset, frame, rejected, start, end, notes)


def _only(options: Mapping[str, str], known: tuple[str, ...], kind: str) -> None:
    for key in options:
        if key not in known:
            raise UnknownNameError(
                f"kind {kind} has no option {key!r}",
                next_step=did_you_mean(key, known)
                or (f"options: {', '.join(known)}" if known else "it takes none"),
            )


def _finra(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    _only(options, ("facility",), "finra-short")
    facility = options.get("facility", "")
    if facility and facility not in FACILITIES:
        raise UnknownNameError(
            f"there is no facility {facility!r}",
            where=name,
            next_step=did_you_mean(facility, FACILITIES) or f"known: {', '.join(FACILITIES)}",
        )
    file = read_short_volume(content, name=name, facility=facility)
    _require_named_day(file.frame, name)
    return _parsed("bronze.finra_short_volume", file.frame, file.rejected, file.notes)


def _require_named_day(frame: pl.DataFrame, name: str) -> None:
    """A daily file holds the day it is named after, or it is another file under its name."""
    found = _DAY.search(name)
    if found is None:
        return
    day = date(*map(int, found.groups()))
    others = sessions_outside(frame, day, day)
    if others:
        raise FileFormatError(
            f"the file is named after {day} and holds rows of {others[0]}",
            where=name,
            next_step="download the file again; if the rows are right, rename it",
        )


def _massive_minute(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    _only(options, (), "massive-minute")
    file = read_flat_file(content, "minute", name=name)
    return _parsed("bronze.massive_bars_1m", file.frame, file.rejected, file.notes)


def _massive_daily(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    _only(options, (), "massive-daily")
    file = read_flat_file(content, "day", name=name)
    return _parsed("bronze.massive_bars_1d", file.frame, file.rejected, file.notes)


def _bars(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    mapped = column_map(options)
    file = read_bar_file(content, mapped, name=name)
    return _parsed(mapped.dataset, file.frame, file.rejected, file.notes)


def _otc(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    _only(options, WEEKLY_OPTIONS, "finra-otc")
    shaped = read_weekly(content, options, name=name)
    return _parsed("bronze.finra_otc_weekly", *shaped, day="week_start")


def _interest(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    _only(options, (), "finra-interest")
    shaped = read_interest(content, name=name)
    return _parsed("bronze.finra_short_interest", *shaped, day="settlement_date")


def _memberships(content: bytes, options: dict[str, str], name: str) -> ParsedFile:
    _only(options, (), "memberships")
    shaped = read_memberships(content, name=name)
    return _parsed("bronze.imported_memberships", *shaped, day="valid_from")


FILE_KINDS: dict[str, Callable[[bytes, dict[str, str], str], ParsedFile]] = {
    "finra-short": _finra,
    "finra-otc": _otc,
    "finra-interest": _interest,
    "massive-minute": _massive_minute,
    "massive-daily": _massive_daily,
    "bars": _bars,
    "memberships": _memberships,
}
"""Kind → reader."""
