"""The commits of a table, read from its log."""

from __future__ import annotations

import datetime
import json
from typing import Any

from tapemill.lake.places import Place

__all__ = ["commits", "retired_ms"]


def _actions(place: Place, version: int) -> list[dict[str, Any]] | None:
    try:
        content = place.get(f"_delta_log/{version:020d}.json")
    except FileNotFoundError:
        return None  # cleaned up after a checkpoint
    return [json.loads(line) for line in content.splitlines() if line]


def _commit(version: int, actions: list[dict[str, Any]]) -> dict[str, Any]:
    info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
    adds = [action["add"] for action in actions if "add" in action]
    operation, _, rest = str(info.get("tapemill", "")).partition("|")
    moment = datetime.datetime.fromtimestamp(info.get("timestamp", 0) / 1000, datetime.UTC)
    return {
        "version": version,
        "at": moment.isoformat(timespec="milliseconds"),
        "operation": operation or str(info.get("operation", "")).lower(),
        "rows": sum(json.loads(add["stats"])["numRecords"] for add in adds if add["dataChange"]),
        "files_added": len(adds),
        "files_removed": sum("remove" in action for action in actions),
        "writer": rest.partition("|")[0],
    }


def commits(place: Place, newest: int) -> list[dict[str, Any]]:
    """Commits from the newest backwards, as far as the log reaches."""
    found = []
    for version in range(newest, -1, -1):
        actions = _actions(place, version)
        if actions is None:
            break
        found.append(_commit(version, actions))
    return found


def retired_ms(place: Place, newest: int) -> dict[str, int]:
    """Data files that the log retired → when (milliseconds UTC), as far as the log reaches."""
    retired: dict[str, int] = {}
    for version in range(newest, -1, -1):
        actions = _actions(place, version)
        if actions is None:
            break
        for action in actions:
            if "remove" in action:
                removal = action["remove"]
                retired.setdefault(removal["path"], int(removal.get("deletionTimestamp") or 0))
    return retired
