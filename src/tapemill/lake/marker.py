"""The small file that says: this folder is a lake, of this format."""

from __future__ import annotations

import json

from tapemill.errors import LakeError
from tapemill.lake.places import LocalPlace, Place

__all__ = ["FORMAT", "MARKER", "MARKER_CONTENT", "read_marker", "require_new", "write_marker"]

MARKER = "tapemill-lake.json"
FORMAT = 1
MARKER_CONTENT = json.dumps({"tapemill_lake": FORMAT}).encode() + b"\n"


def read_marker(place: Place) -> int | None:
    """Format of the lake at `place`, or None if there is no lake.

    Raises
    ------
    LakeError
        The marker is damaged, unreadable, or of a newer format.
    """
    where = f"{place.uri}/{MARKER}"
    try:
        found = json.loads(place.get(MARKER))["tapemill_lake"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise LakeError(
            "the lake cannot be read: permission denied",
            where=where,
            next_step="run as a user who may read the folder",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(
            "the marker of the lake is damaged",
            where=where,
            next_step=f"write {MARKER_CONTENT.decode().strip()} into it, then `tapemill verify`",
        ) from error
    if not isinstance(found, int) or not 1 <= found <= FORMAT:
        raise LakeError(
            f"this lake has format {found!r}; this Tapemill reads up to {FORMAT}",
            where=where,
            next_step="install a newer Tapemill, or name another lake with --lake",
        )
    return found


def require_new(place: Place) -> None:
    """LakeError if something that is no lake already lies at `place`."""
    if isinstance(place, LocalPlace) and place.root.exists() and not place.root.is_dir():
        raise LakeError(
            "the lake's location is a file, not a folder",
            where=place.uri,
            next_step="name a folder with --lake",
        )
    # A marker being written by another process is a temporary file, and those are not listed.
    foreign = next(iter(place.list()), None)
    if foreign is not None and foreign.path != MARKER:
        raise LakeError(
            f"the location holds something that is no lake ({foreign.path}, …)",
            where=place.uri,
            next_step="name an empty or a new folder with --lake",
        )


def write_marker(place: Place) -> None:
    """Declare `place` a lake; harmless if another process did so first."""
    place.put_new(MARKER, MARKER_CONTENT)
