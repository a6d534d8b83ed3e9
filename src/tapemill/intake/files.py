"""Files that are already here: each kept by its content, so importing it twice changes nothing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from tapemill.clock import Clock, calendar
from tapemill.errors import (
    ContractError,
    FileFormatError,
    UnknownNameError,
    UsageError,
    did_you_mean,
)
from tapemill.intake.file_parts import FileReading, parts
from tapemill.intake.landing import Landed, land
from tapemill.intake.recovery import at_work, recover
from tapemill.lake import Lake
from tapemill.settings import Settings
from tapemill.vendors import FILE_KINDS, read_file
from tapemill.vendors.columnmap import load_options, parse_options
from tapemill.vendors.finra.files import facility_of_name
from tapemill.vendors.finra.weekly_files import told_class

__all__ = ["ImportReport", "import_files", "parse_column_map"]


@dataclasses.dataclass
class ImportReport:
    """What came of an import.

    Parameters
    ----------
    files, known : int
        Files read now; files whose content had been imported before.
    rows, quarantined : int
    first_session, last_session : date, optional
    symbols : int
        Distinct symbols in the files read now.
    failed : list of str
        File name and reason, one a file.
    notes : list of str
        What a person should know of a file.
    """

    files: int = 0
    known: int = 0
    rows: int = 0
    quarantined: int = 0
    first_session: date | None = None
    last_session: date | None = None
    symbols: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The report in plain values."""
        return dataclasses.asdict(self)

    def add_sessions(self, start: date | None, end: date | None) -> None:
        """Widen the range of sessions seen."""
        found = [day for day in (self.first_session, self.last_session, start, end) if day]
        if found:
            self.first_session, self.last_session = min(found), max(found)


def parse_column_map(
    kind: str, pairs: Iterable[str], map_file: Path | None = None
) -> dict[str, str]:
    """Options of an import from ``key=value`` pairs and a TOML file; pairs win.

    Raises
    ------
    UnknownNameError
        There is no such kind of file.
    UsageError
        A pair or the file cannot be read.
    """
    if kind not in FILE_KINDS:
        raise UnknownNameError(
            f"there is no kind of file {kind!r}",
            next_step=did_you_mean(kind, FILE_KINDS) or f"kinds: {', '.join(FILE_KINDS)}",
        )
    from_file = load_options(map_file) if map_file is not None else {}
    return {**from_file, **parse_options(pairs)}


def import_files(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    kind: str,
    paths: Sequence[Path],
    options: Mapping[str, str] | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> ImportReport:
    """Read files into bronze.

    Parameters
    ----------
    kind : str
        One of :data:`~tapemill.vendors.FILE_KINDS`.
    paths : sequence of Path
        Files, read one at a time.
    options : Mapping[str, str], optional
        For ``bars`` the column map.
    progress : callable, optional
        Told (done, total, name) after each file.

    Returns
    -------
    ImportReport
        A file that is not what it claims to be is named there; the others are imported.

    Raises
    ------
    UsageError
        The kind, an option or the column map is wrong, or a file cannot be opened.
    LakeError
        The lake cannot be written.
    """
    recover(lake, settings, calendar("XNYS"))
    report = ImportReport()
    seen: set[str] = set()
    for done, path in enumerate(paths, start=1):
        reading = FileReading(kind, dict(options or {}), path.name)
        try:
            with at_work(lake):
                seen |= _import_one(lake, settings, clock, path, reading, report)
        except (FileFormatError, ContractError) as error:
            report.failed.append(f"{path.name}: {error}")
        if progress is not None:
            progress(done, len(paths), path.name)
    report.symbols = len(seen)
    return report


def _import_one(
    lake: Lake,
    settings: Settings,
    clock: Clock,
    path: Path,
    reading: FileReading,
    report: ImportReport,
) -> set[str]:
    """Import one file; the symbols in it."""
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    options_hash = _options_hash(reading)
    known = lake.control.imports.seen(sha256, reading.kind, options_hash)
    if known is not None:
        report.known += 1
        report.add_sessions(known.start, known.end)
        return set()
    # Judged before it is kept: a wrong column map must leave no trace.
    parsed = read_file(reading.kind, content, reading.options, name=reading.name)
    lake.raw.put(content, media_type="application/octet-stream", origin=f"import:{path.name}")
    key = f"import:{reading.kind}:{options_hash}:{sha256}"
    total = Landed()
    for receipt in parts(lake, settings, reading, parsed, sha256, clock.now_ns(), key):
        total += land(lake, settings, calendar("XNYS"), [receipt])
    lake.control.imports.record(
        sha256,
        reading.kind,
        path.name,
        parsed.frame.height,
        parsed.rejected.height,
        options_hash=options_hash,
        dataset=parsed.dataset,
        start=parsed.start,
        end=parsed.end,
    )
    report.files += 1
    report.rows += total.rows
    report.quarantined += total.quarantined
    report.add_sessions(parsed.start, parsed.end)
    report.notes += [f"{path.name}: {note}" for note in parsed.notes]
    return set(parsed.frame.get_column("symbol").unique().to_list())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}",
            where=str(path),
            next_step="check the path and its permissions",
        ) from error


def _options_hash(reading: FileReading) -> str:
    """What decides how bytes are read: options, and the facility or venues that the name tells."""
    told = ""
    if reading.kind == "finra-short":
        told = facility_of_name(reading.name)
    elif reading.kind == "finra-otc":
        told = told_class(reading.name)
    decided = msgspec.json.encode([sorted(reading.options.items()), told])
    return hashlib.sha256(decided).hexdigest()[:16]
