"""Stored bytes against what was recorded of them: raw objects, data files, logs, control state."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

from tapemill.errors import CorruptError, LakeError
from tapemill.lake.marker import MARKER, MARKER_CONTENT
from tapemill.lake.places import Place
from tapemill.lake.raw import RawStore
from tapemill.lake.table import Table

__all__ = ["Finding", "verify_marker", "verify_raw", "verify_table"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One stored thing that is not as it was recorded.

    Parameters
    ----------
    kind : str
        ``raw``, ``data``, ``log``, ``control`` or ``marker``.
    subject : str
        The file, or the row of the control state.
    detail : str
        What is wrong with it.
    """

    kind: str
    subject: str
    detail: str


def verify_marker(place: Place) -> Iterator[Finding]:
    """Compare the lake's marker with what it must hold."""
    subject = f"{place.uri}/{MARKER}"
    try:
        if place.get(MARKER) != MARKER_CONTENT:
            yield Finding("marker", subject, "it differs from what this format writes")
    except FileNotFoundError:
        yield Finding("marker", subject, "it is missing")


def verify_raw(raw: RawStore, place: Place) -> Iterator[Finding]:
    """Unpack and hash every raw object."""
    for entry in place.list():
        subject = f"{place.uri}/{entry.path}"
        sha256 = entry.path.rsplit("/", 1)[-1].removesuffix(".zst")
        if raw.path(sha256) != entry.path:
            yield Finding("raw", subject, "this is not the name of a raw object")
            continue
        try:
            raw.check(sha256)
        except CorruptError as error:
            yield Finding("raw", subject, error.what)


def verify_table(table: Table) -> Iterator[Finding]:
    """Hash the log and every data file of a table; name what differs or is missing."""
    place = table.place
    broken = table.seals.broken()
    for path, detail in broken:
        yield Finding("log", f"{place.uri}/{path}", detail)
    listed = {}
    for entry in place.list():
        if not entry.path.startswith("_") and entry.path.endswith(".parquet"):
            listed[entry.path] = entry.size
            yield from _verify_file(place, entry.path)
    if broken:
        return  # a damaged log cannot say which files ought to be there
    try:
        live = table.files()
    except LakeError as error:
        yield Finding("log", place.uri, error.what)
        return
    for path, size in live.select("path", "size_bytes").iter_rows():
        if path not in listed:
            yield Finding("data", f"{place.uri}/{path}", f"the file is missing ({size:,} bytes)")


def _verify_file(place: Place, path: str) -> Iterator[Finding]:
    recorded = path.removesuffix(".parquet")[-64:]
    try:
        content = place.get(path)
    except FileNotFoundError:
        return  # swept between listing and reading; if it is live, it is reported as missing
    if hashlib.sha256(content).hexdigest() != recorded:
        yield Finding("data", f"{place.uri}/{path}", "its bytes differ from the hash in its name")
