"""`tapemill status`: the lake at a glance."""

from __future__ import annotations

from typing import Any

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import count, print_json, print_line, print_table, size

HELP = """Show what the lake holds, what the ledger says and what is open.

Example: tapemill status
"""


def run(as_json: Json = False, lake: LakePath = None, config: Config = None) -> None:
    """Print tables, ledger, incidents and budgets."""
    from tapemill.report.status import lake_status

    place = open_workplace(config, lake)
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
            ["severity", "kind", "dataset", "subject", "detail"],
            [
                (i["severity"], i["kind"], i["dataset"], i["subject"], i["detail"])
                for i in facts["incidents"]
            ],
        )
    raw = f"{count(facts['raw_objects'])} ({size(facts['raw_bytes'])})"
    print_line(f"raw objects {raw} · quarantined rows {count(facts['quarantined'])}")
