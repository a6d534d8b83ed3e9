"""The lake at a glance: tables, ledger, vendors, incidents."""

from __future__ import annotations

from typing import Any

import polars as pl

from tapemill.clock.injected import Clock
from tapemill.lake import Lake

__all__ = ["lake_status"]

HOUR_NS = 3_600_000_000_000


def lake_status(lake: Lake, clock: Clock) -> dict[str, Any]:
    """What the lake holds and what is open, as plain values.

    Returns
    -------
    dict
        ``lake``, ``tables`` (dataset, rows, files, bytes, version), ``cells`` (dataset, state,
        cells), ``vendors`` (vendor, calls, last_hour, outcomes), ``incidents``, ``raw_objects``,
        ``raw_bytes``, ``quarantined``.
    """
    names = lake.datasets()
    raw = list(lake.raw)
    quarantine = "ops.quarantine"
    return {
        "lake": lake.location,
        "tables": [_table(lake, name) for name in names],
        "cells": _cells(lake),
        "vendors": _vendors(lake, clock),
        "incidents": [
            {
                "id": one.incident_id,
                "severity": one.severity,
                "kind": one.kind,
                "dataset": one.dataset,
                "subject": one.subject,
                "detail": one.detail,
            }
            for one in lake.control.incidents.open_incidents()
        ],
        "raw_objects": len(raw),
        "raw_bytes": sum(one.stored_size for one in raw),
        "quarantined": lake.tables.rows(quarantine) if quarantine in names else 0,
    }


def _table(lake: Lake, name: str) -> dict[str, Any]:
    files = lake.tables.files(name)
    return {
        "dataset": name,
        "rows": int(files.get_column("num_records").sum()),
        "files": files.height,
        "bytes": int(files.get_column("size_bytes").sum()),
        "version": lake.tables.version(name),
    }


def _cells(lake: Lake) -> list[dict[str, Any]]:
    counted = (
        lake.control.frames(["ops.cells"])["ops.cells"]
        .group_by("dataset", "state")
        .agg(pl.len().alias("cells"))
        .sort("dataset", "state")
    )
    return counted.to_dicts()


def _vendors(lake: Lake, clock: Clock) -> list[dict[str, Any]]:
    recent: dict[str, int] = {}
    for line in lake.control.calls.totals(clock.now_ns() - HOUR_NS):
        recent[line.vendor] = recent.get(line.vendor, 0) + line.calls
    found: dict[str, dict[str, Any]] = {}
    for line in lake.control.calls.totals():
        vendor = found.setdefault(
            line.vendor,
            {
                "vendor": line.vendor,
                "calls": 0,
                "last_hour": recent.get(line.vendor, 0),
                "outcomes": {},
            },
        )
        vendor["calls"] += line.calls
        vendor["outcomes"][line.outcome] = line.calls
    return list(found.values())
