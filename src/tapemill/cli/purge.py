"""`tapemill purge`: retention by event date."""

from __future__ import annotations

from typing import Annotated

import typer

from tapemill.cli.options import Config, Json, LakePath, open_workplace, parse_date
from tapemill.cli.output import count, print_json, print_line, print_table, size
from tapemill.errors import UsageError

HELP = """Drop rows of sessions before a date. Nothing is dropped unless you say --yes.

\b
Examples:
  tapemill purge silver.equity_bars_1m --before 2024-01-01
  tapemill purge raw --before 2024-01-01 --yes

The age is that of the event, never of the file. Raw answers are kept unless you name `raw`; the
only copy of raw data goes only with --force.
"""


def run(
    dataset: Annotated[str, typer.Argument(help="Dataset, or `raw` for raw objects.")],
    before: Annotated[str, typer.Option("--before", help="First session to keep.", metavar="DATE")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only the plan.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also the only copy of raw data.")] = False,
    as_json: Json = False,
    lake: LakePath = None,
    config: Config = None,
) -> None:
    """Plan a purge, or carry it out."""
    day = parse_date(before, "--before")
    if force and not yes:
        raise UsageError(
            "--force without --yes does nothing",
            where="--force",
            next_step="add --yes, or drop --force",
        )
    place = open_workplace(config, lake)
    report = place.lake.purge(dataset, day, dry_run=not yes, force=force)
    if as_json:
        lines = [
            {"dataset": x.dataset, "rows": x.rows, "files": x.files, "bytes": x.bytes}
            for x in report.lines
        ]
        print_json({"dry_run": not yes, "lines": lines, "refused": report.refused})
        return
    title = "Purged" if yes else "Would purge (dry run; --yes does it)"
    rows = [(x.dataset, count(x.rows), count(x.files), size(x.bytes)) for x in report.lines]
    print_table(title, ["dataset", "rows", "files", "size"], rows, right=["rows", "files", "size"])
    for reason in report.refused:
        print_line(reason, "yellow")
