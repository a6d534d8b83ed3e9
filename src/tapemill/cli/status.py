"""`tapemill status`: the lake at a glance."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import count, print_json, print_line, print_table, size
from tapemill.errors import UsageError

HELP = """Show what the lake holds, what the ledger says and what is open.

\b
Examples:
  tapemill status
  tapemill status --resolve 12 --note "the vendor renamed the field, contract adapted"

An incident that blocks a lane stays open until you have looked and resolved it.
"""


def run(
    resolve: Annotated[
        int | None, typer.Option("--resolve", help="Number of an incident to close.", metavar="ID")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why it can be closed.")] = "",
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Print tables, ledger, incidents and vendors; close an incident first, if asked."""
    from tapemill.report.status import lake_status

    if resolve is not None and not note:
        raise UsageError(
            f"incident {resolve} needs a reason to be closed",
            where="--resolve",
            next_step='add --note "…": it is kept with the incident',
        )
    place = open_workplace(config, lake)
    if resolve is not None:
        place.lake.control.incidents.resolve(resolve, note)
    facts = lake_status(place.lake, place.clock)
    if as_json:
        print_json(facts)
        return
    show(facts)


def show(facts: dict[str, Any]) -> None:
    """Print the facts of :func:`tapemill.report.status.lake_status`."""
    print_table(
        f"Tables in {facts['lake']}",
        ["dataset", "rows", "files", "size", "version"],
        [
            (t["dataset"], count(t["rows"]), count(t["files"]), size(t["bytes"]), t["version"])
            for t in facts["tables"]
        ],
        right=["rows", "files", "size", "version"],
    )
    print_table(
        "Ledger cells",
        ["dataset", "state", "cells"],
        [(c["dataset"], c["state"], count(c["cells"])) for c in facts["cells"]],
        right=["cells"],
    )
    if facts["vendors"]:
        print_table(
            "Vendors",
            ["vendor", "calls", "last hour", "outcomes"],
            [
                (
                    v["vendor"],
                    count(v["calls"]),
                    count(v["last_hour"]),
                    ", ".join(f"{name} {number}" for name, number in v["outcomes"].items()),
                )
                for v in facts["vendors"]
            ],
            right=["calls", "last hour"],
        )
    if facts["incidents"]:
        print_table(
            "Open incidents",
            ["id", "severity", "kind", "dataset", "subject", "detail"],
            [
                (i["id"], i["severity"], i["kind"], i["dataset"], i["subject"], i["detail"])
                for i in facts["incidents"]
            ],
        )
    raw = f"{count(facts['raw_objects'])} ({size(facts['raw_bytes'])})"
    print_line(f"raw objects {raw} · quarantined rows {count(facts['quarantined'])}")
