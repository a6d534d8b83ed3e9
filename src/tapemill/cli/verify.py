"""`tapemill verify`: hash everything that is stored against what was recorded."""

from __future__ import annotations

from tapemill.cli.options import Config, Json, LakePath, open_workplace
from tapemill.cli.output import print_json, print_line, print_table
from tapemill.errors import CheckFailedError

HELP = """Re-hash raw objects, data files, table logs and the ledger; name what differs.

\b
Example:
  tapemill verify --lake ./lake

A single flipped bit is found and named. Exits 1 if anything differs.
"""


def run(as_json: Json = False, lake: LakePath = None, config: Config = None) -> None:
    """Hash the lake."""
    place = open_workplace(config, lake)
    findings = place.lake.verify()
    if as_json:
        print_json({"findings": [vars_of(finding) for finding in findings]})
    elif findings:
        rows = [(finding.kind, finding.subject, finding.detail) for finding in findings]
        print_table("Stored bytes that differ", ["kind", "subject", "detail"], rows)
    else:
        print_line("Every stored byte is as it was recorded.", style="green")
    if findings:
        raise CheckFailedError(
            f"{len(findings)} stored objects differ from their record",
            where=place.settings.lake.location,
            next_step="restore the named files from a backup, or fetch their cells again",
        )


def vars_of(finding: object) -> dict[str, str]:
    """Kind, subject and detail of a finding as plain text."""
    return {name: str(getattr(finding, name)) for name in ("kind", "subject", "detail")}
